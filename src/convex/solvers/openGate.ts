/**
 * Where a squared loss over one open gate begins, as two linear layers have it: near the optimum, by accelerated proximal steps in the d
 * entries of X'X, whatever the number of rows (Beck and Teboulle 2009; restarts of O'Donoghue and Candes 2015). The solver that goes on
 * from there, in the space of the rows, then has little left to do but prove it.
 */

import type { Kernels } from "../kernels/types.js";
import type { ConvexProgram, SparseBlocks } from "../types.js";

/** Columns up to which X'X is cheap beside a solve. */
const MOST_COLUMNS = 300;
const MOST_STEPS = 500;
/** Of W, and of the gap that is asked for: a step that ends it. */
const SETTLED = 0.01;
/** Rows that are summed up together. */
const PIECE = 1024;

/** Null where the program is no such one, and where time is up before it has begun; then, in its steps, it ends with what it has. */
export async function openGateStart(
  program: ConvexProgram,
  kernels: Kernels,
  tolerance: number,
  pause: () => Promise<boolean>,
): Promise<SparseBlocks | null> {
  const { X, loss, penalty, beta, gates, outputBias, cones, pooling } = program;
  const { rows: n, cols: d } = X;
  const C = loss.outputs;
  if (cones || pooling != null || gates.count !== 1 || !gates.generators.data.every((entry) => entry === 0))
    return null;
  if (loss.name !== "meanSquaredError" || loss.beside !== undefined || !loss.separable || d > MOST_COLUMNS) return null;
  const summed = await summedUp(program, kernels, pause);
  if (summed === null) return null;
  const { G, H, sums, slopes, total } = summed;
  // At the best bias: what it takes off.
  const steep = outputBias === null ? Number.POSITIVE_INFINITY : total + 2 * outputBias.ridge;
  let curvature = 0;
  for (let p = 0; p < d; p++) {
    let sum = 0;
    for (let q = 0; q < d; q++) {
      G[p * d + q] -= (sums[p] * sums[q]) / steep;
      sum += Math.abs(G[p * d + q]);
    }
    curvature = Math.max(curvature, sum);
    for (let c = 0; c < C; c++) H[c * d + p] += (sums[p] * slopes[c]) / steep;
  }
  if (!(curvature > 0) || n === 0) return null;
  let W: Float64Array = new Float64Array(C * d);
  let before = W;
  const turned = new Float64Array(C * d);
  let inertia = 1;
  for (let step = 0; step < MOST_STEPS && !(await pause()); step++) {
    const next = (1 + Math.sqrt(1 + 4 * inertia * inertia)) / 2;
    const far = (inertia - 1) / next;
    inertia = next;
    const from = W.map((value, p) => value + far * (value - before[p]));
    kernels.multiply(from, G, turned, C, d, d);
    const to = from.map((value, p) => value - (turned[p] - H[p]) / curvature);
    penalty.prox(to, C, d, beta / curvature);
    let [along, moved, size] = [0, 0, 0];
    for (let p = 0; p < to.length; p++) {
      along += (from[p] - to[p]) * (to[p] - W[p]);
      moved += (to[p] - from[p]) ** 2;
      size += to[p] ** 2;
    }
    before = W;
    W = to;
    if (!(moved > (SETTLED * tolerance) ** 2 * size)) break;
    if (along > 0) inertia = 1;
  }
  if (!W.every((value) => Number.isFinite(value))) return null;
  const bias = new Float64Array(C);
  for (let c = 0; c < C; c++) {
    let sum = slopes[c];
    for (let p = 0; p < d; p++) sum += sums[p] * W[c * d + p];
    bias[c] = -sum / steep;
  }
  // Vectors that vanish are left out.
  const kept = Array.from({ length: C }, (_, c) => c).filter((c) =>
    W.subarray(c * d, (c + 1) * d).some((w) => w !== 0),
  );
  const vectors = new Float64Array(kept.length * d);
  kept.forEach((c, k) => {
    vectors.set(W.subarray(c * d, (c + 1) * d), k * d);
  });
  return { index: Int32Array.from(kept), vectors, bias };
}

/** G = X'L''X [d x d], H = -(X'L'(0))' [C x d], L'' being the same for all outputs; X'L'' 1 [d], 1'L'(0) [C] and 1'L'' 1; null when time is up. */
async function summedUp({ X, loss }: ConvexProgram, kernels: Kernels, pause: () => Promise<boolean>) {
  const { rows: n, cols: d, data } = X;
  const C = loss.outputs;
  const zero = new Float64Array(n * C);
  const [slope, weights] = [new Float64Array(n * C), new Float64Array(n * C)];
  loss.gradient(zero, slope);
  loss.hessianDiagonal(zero, weights);
  const [G, H, sums, slopes] = [d * d, C * d, d, C].map((size) => new Float64Array(size));
  let total = 0;
  for (let from = 0; from < n; from += PIECE) {
    const count = Math.min(PIECE, n - from);
    const rows = new Float64Array(count * d);
    for (let k = 0; k < count; k++) {
      const at = (from + k) * d;
      const weight = weights[(from + k) * C];
      const root = Math.sqrt(weight);
      total += weight;
      for (let p = 0; p < d; p++) {
        rows[k * d + p] = root * data[at + p];
        sums[p] += weight * data[at + p];
      }
      for (let c = 0; c < C; c++) {
        const share = slope[(from + k) * C + c];
        slopes[c] += share;
        for (let p = 0; p < d; p++) H[c * d + p] -= share * data[at + p];
      }
    }
    kernels.addOuter(G, rows, d, count, 1);
    if (await pause()) return null;
  }
  for (let p = 0; p < d; p++) for (let q = 0; q < p; q++) G[q * d + p] = G[p * d + q];
  return { G, H, sums, slopes, total };
}
