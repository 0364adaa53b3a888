/** The blocks of a proximal step: which are left after projection and shrinkage, and the curvature that they have there. */

import type { GatedProducts } from "../kernels/types.js";
import { concatenated, dotAt, norm } from "../linear/vectors.js";
import { hasPatches } from "../network.js";
import { blockOutputs } from "../operators/blocks.js";
import type { ConeProjector } from "../operators/coneProjection.js";
import type { ConvexProgram, Pooling } from "../types.js";
import { type FaceSpan, type FaceSpans, MAX_HELD, type Place } from "./faceSpans.js";
import { type ShrunkBlock, shrinkBlock } from "./nuclearShrink.js";
import { DENSE_ROWS, type OutputCurvature } from "./systems/index.js";
import type { WorkingSet } from "./workingSet.js";

/** Slots whose points are held together, to be projected. */
const TOGETHER = 1024;

/** What a proximal step on the blocks needs: centers v0, and the length sigma. */
export interface BlockStep {
  readonly program: ConvexProgram;
  readonly working: WorkingSet;
  readonly centers: Float64Array; // [slots x d]
  readonly projector: ConeProjector | null;
  readonly sigma: number;
  readonly spans: FaceSpans;
  readonly late: () => boolean;
}

/** What shrinking leaves. */
export interface ActiveBlocks {
  readonly theta: number; // the blocks' part of the dual function
  readonly slots: readonly number[]; // of the working set
  readonly vectors: Float64Array; // [active x d]
  readonly shares: readonly number[]; // s_i = t_i / |q_i|; empty for the nuclear norm
  readonly shrunk: readonly ShrunkBlock[]; // nuclear norm: one an active gate, in the order of the slots
}

/** Projects and shrinks z = v0 - sigma sign A' xi, G = A' xi (null: zero), in every slot; keeps what is left. Null when it is too late to go on. */
export function shrinkVectors(step: BlockStep, G: Float64Array | null): ActiveBlocks | null {
  const { program, sigma, working, projector, centers } = step;
  const C = blockOutputs(program);
  const d = program.X.cols;
  const threshold = sigma * program.beta;
  const least = threshold * (1 + d * Number.EPSILON); // lengths that are no more are above it by rounding alone
  const halves = program.cones ? 2 : 1;
  const slots: number[] = [];
  const shares: number[] = [];
  const parts: Float64Array[] = [];
  let theta = 0;
  const Z = new Float64Array(Math.min(TOGETHER, working.slots) * d);
  for (let first = 0; first < working.slots; first += TOGETHER) {
    const open: number[] = []; // slots whose z is longer than the threshold, in the order of the rows of Z
    let lengths: Float64Array | number[] = [];
    for (let slot = first; slot < Math.min(first + TOGETHER, working.slots); slot++) {
      const to = open.length * d;
      const center = dotAt(centers, slot * d, centers, slot * d, d);
      let square = center;
      if (G === null) Z.set(centers.subarray(slot * d, (slot + 1) * d), to);
      else {
        const group = Math.floor(slot / (halves * C));
        const from = (group * C + (slot % C)) * d;
        const stride = sigma * working.signOf(slot);
        for (let p = 0; p < d; p++) Z[to + p] = centers[slot * d + p] - stride * G[from + p];
        square = dotAt(Z, to, Z, to, d);
      }
      theta += center / (2 * sigma);
      const length = Math.sqrt(square);
      if (length <= least) continue;
      open.push(slot);
      lengths.push(length);
    }
    if (projector !== null) {
      const gates = open.map((slot) => working.gateOf(slot));
      const list = { gates, slots: open.map((slot) => working.indexOf(slot)), Z: Z.subarray(0, open.length * d) };
      const { norms, done } = projector.projectAll(list, threshold, step.late);
      if (!done) return null;
      lengths = norms;
    }
    open.forEach((slot, k) => {
      const left = lengths[k] - threshold;
      if (lengths[k] <= least) return;
      theta -= (left * left) / (2 * sigma);
      const share = left / lengths[k];
      parts.push(Z.slice(k * d, (k + 1) * d).map((value) => share * value));
      slots.push(slot);
      shares.push(share);
    });
  }
  return { theta, slots, vectors: concatenated(...parts), shares, shrunk: [] };
}

/** The same for the nuclear norm: a gate's outputs shrink together, by singular values. */
export function shrinkSpectra(step: BlockStep, G: Float64Array | null): ActiveBlocks {
  const { program, sigma, working, centers } = step;
  const C = blockOutputs(program);
  const d = program.X.cols;
  const size = C * d;
  const threshold = sigma * program.beta;
  const slots: number[] = [];
  const parts: Float64Array[] = [];
  const shrunk: ShrunkBlock[] = [];
  const z = new Float64Array(size);
  let theta = 0;
  for (let group = 0; group < working.gates.length; group++) {
    let center = 0;
    for (let p = 0; p < size; p++) {
      const v0 = centers[group * size + p];
      z[p] = G === null ? v0 : v0 - sigma * G[group * size + p];
      center += v0 * v0;
    }
    theta += center / (2 * sigma);
    // No singular value exceeds the Frobenius norm, and most blocks vanish: these need no decomposition.
    const block = norm(z) > threshold ? shrinkBlock(z, C, d, threshold) : null;
    if (block === null) continue;
    theta -= block.left / (2 * sigma);
    for (let c = 0; c < C; c++) slots.push(group * C + c);
    parts.push(block.result);
    shrunk.push(block);
  }
  const vectors = new Float64Array(parts.length * size);
  parts.forEach((part, k) => {
    vectors.set(part, k * size);
  });
  return { theta, slots, vectors, shares: [], shrunk };
}

/**
 * Rank-one rows and masked Gram weights of one output: for each block a row for each direction of its face or, where no row of
 * the data holds it, one along its vector and the whole D_i K D_i. A free output bias adds the row of ones.
 */
export function curvatureOf(
  step: BlockStep,
  products: GatedProducts,
  at: ActiveBlocks,
  c: number,
  biasWeight: number,
): OutputCurvature {
  const { program, sigma, working, projector } = step;
  const { rows: n, outputs } = program.loss;
  const d = program.X.cols;
  const mine = at.slots.map((_, k) => k).filter((k) => working.outputOf(at.slots[k]) % outputs === c);
  const whole = !hasPatches(program.pooling)
    ? n <= DENSE_ROWS || !program.cones
    : pooledGramFits(program.pooling, mine.length * (d + 1), n);
  const placeOf = (slot: number): Place => ({
    gate: working.gateOf(slot),
    position: Math.floor(working.outputOf(slot) / outputs),
  });
  const gates: number[] = [];
  const weights: number[] = [];
  const spans = new Map<number, FaceSpan>();
  let rowCount = biasWeight > 0 ? 1 : 0;
  for (const k of mine) {
    const face = projector?.face(working.indexOf(at.slots[k])) ?? new Int32Array(0);
    if (face.length === 0 && whole) {
      gates.push(working.gateOf(at.slots[k]));
      weights.push(sigma * at.shares[k]);
      rowCount += 1;
      continue;
    }
    const span = step.spans.at(program.X, n, working.indexOf(at.slots[k]), placeOf(at.slots[k]), face, products);
    spans.set(k, span);
    rowCount += Math.max(1, span.count);
  }
  const rows = new Float64Array(rowCount * n);
  let row = 0;
  for (const k of mine) {
    const share = at.shares[k];
    const unit = at.vectors.slice(k * d, (k + 1) * d);
    const length = norm(unit);
    for (let p = 0; p < d; p++) unit[p] /= length;
    const span = spans.get(k);
    if (span === undefined || span.count === 0) {
      const { gate, position } = placeOf(at.slots[k]);
      const weight = Math.sqrt(sigma * (1 - share));
      for (let p = 0; p < d; p++) unit[p] *= weight;
      products.rows(gate, unit, 1, rows.subarray(row * n, (row + 1) * n), position);
      row += 1;
    } else {
      addSpan(span, unit, share, Math.sqrt(sigma), rows.subarray(row * n, (row + span.count) * n));
      row += span.count;
    }
  }
  if (biasWeight > 0) rows.fill(Math.sqrt(biasWeight), row * n, (row + 1) * n);
  return { rows, rowCount, gates: Int32Array.from(gates), weights: Float64Array.from(weights) };
}

/**
 * Rows whose outer products sum up to scale^2 (s P + (1 - s) u u') for the unit vector u = sum_j c_j b_j in the span of the b_j:
 * with T = sqrt(s) I + (1 - sqrt(s)) c c', T T' = s I + (1 - s) c c'. They are added to `out` [count x n].
 */
function addSpan(
  { basis, rows, count }: FaceSpan,
  u: Float64Array,
  share: number,
  scale: number,
  out: Float64Array,
): void {
  const d = u.length;
  const n = rows.length / count;
  const root = Math.sqrt(share);
  const along = new Float64Array(n); // sum_j c_j times row j
  const c = Float64Array.from({ length: count }, (_, j) => dotAt(basis, j * d, u, 0, d));
  for (let j = 0; j < count; j++) for (let k = 0; k < n; k++) along[k] += c[j] * rows[j * n + k];
  for (let j = 0; j < count; j++) {
    const more = scale * (1 - root) * c[j];
    for (let k = 0, at = j * n; k < n; k++, at++) out[at] += scale * root * rows[at] + more * along[k];
  }
}

/** Pooled blocks have rank d, so that they are better added to the rows, as long as these can be held. */
function pooledGramFits({ positions }: Pooling, rank: number, n: number): boolean {
  return positions === 1 && n <= DENSE_ROWS && rank * n > MAX_HELD;
}
