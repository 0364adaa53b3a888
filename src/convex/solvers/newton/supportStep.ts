/**
 * One Newton step from a point near the optimum, on the blocks that it has and those that its prices are about to open.
 *
 * With xi = L'(Z), t_i = |v_i| / beta and u_i = -A_i' xi / |A_i' xi|, an optimum has v_i = -t_i A_i' xi, where |A_i' xi| = beta
 * or t_i = 0: in the variables t this is multiple kernel learning (Bach, Lanckriet and Jordan 2004). To first order, with
 * a_i >= -|v_i| what the lengths gain,
 *
 *   xi+ = xi + M^-1 (r + W a),   v_i+ = a_i u_i - t_i A_i' xi+,
 *   M = T + sum_i t_i A_i A_i',   T = 1 / L''(Z),   w_i = A_i u_i,   r = -sum_i A_i (v_i + t_i A_i' xi),
 *
 * and a minimises 1/2 (r + W a)' M^-1 (r + W a) + sum_i a_i (beta - |A_i' xi|): which blocks enter and leave is decided with
 * their curvature, and the steps converge quadratically. An output bias is one more column of ones, without a bound or beta.
 */

import type { CholeskyFactor } from "../../kernels/types.js";
import { boundedQuadratic } from "../../linear/boundedQuadratic.js";
import { dotAt } from "../../linear/vectors.js";
import type { SparseBlocks } from "../../types.js";
import type { Setting } from "../solver.js";

/** Most blocks that may enter in a step. */
export const MOST_ENTERING = 96;
/** Relative, on the diagonal of the quadratic program: two gates may be the same on the data. */
const SHIFT = 1e-12;

/** A point of a program with one output and without cones. */
export interface SupportPoint {
  readonly blocks: SparseBlocks;
  readonly Z: Float64Array; // [n]
  readonly xi: Float64Array; // [n]: the gradient of the loss at Z
  readonly prices: Float64Array; // [P]: |A_i' xi|
}

/** The blocks of a step, those of the point first. */
interface Rays {
  readonly gates: Int32Array; // [m]
  readonly own: number;
  readonly G: Float64Array; // [m x d]: A_i' xi
  readonly units: Float64Array; // [m x d]: u_i
  readonly prices: Float64Array; // [m]
  readonly lengths: Float64Array; // [m]: |v_i|
}

/** The quadratic program over a, and what says where xi moves. */
interface Model {
  readonly S: Float64Array; // [k x k], k = m, or m + 1 with an output bias
  readonly q: Float64Array; // [k]
  readonly moves: Float64Array; // [n x (k + 1)]: sqrt(L'') M^-1 (W, r), without the last sqrt(L'')
}

/** The point after the step; null where its system could not be solved. */
export function supportStep(setting: Setting, at: SupportPoint): SparseBlocks | null {
  const { program, kernels } = setting;
  const n = program.loss.rows;
  const rays = raysOf(setting, at);
  const { own, lengths } = rays;
  const count = lengths.length;
  if (rays.prices.some((price) => !(price > 0))) return null;
  const root = new Float64Array(n);
  program.loss.hessianDiagonal(at.Z, root);
  for (let j = 0; j < n; j++) root[j] = Math.sqrt(root[j]);
  const factor = factorOf(setting, rays, root);
  if (factor === null) return null;
  const { S, q, moves } = modelOf(setting, at, rays, root, factor);
  factor.dispose();
  const k = q.length;
  const low = Float64Array.from({ length: k }, (_, i) => (i < count ? -lengths[i] : Number.NEGATIVE_INFINITY));
  const open = Array.from({ length: k }, (_, i) => i < own || i >= count);
  const a = boundedQuadratic(S, q, low, open, kernels);
  if (a === null) return null;
  const xi = at.xi.slice();
  for (let j = 0; j < n; j++) {
    const row = j * (k + 1);
    xi[j] += root[j] * (moves[row + k] + dotAt(moves, row, a, 0, k));
  }
  const bias = at.blocks.bias.slice();
  if (k > count) bias[0] += a[count];
  return { ...movedBlocks(setting, rays, a, xi), bias };
}

/** The point's blocks, and the dearest of those that are no further below beta than the point's own are from it. */
function raysOf({ program, products }: Setting, { blocks, xi, prices }: SupportPoint): Rays {
  const { beta, X } = program;
  const d = X.cols;
  const own = blocks.index.length;
  const mine = new Set(blocks.index);
  let miss = 0;
  prices.forEach((price, gate) => {
    if (price > beta || mine.has(gate)) miss = Math.max(miss, Math.abs(price - beta));
  });
  const others = Array.from(prices.keys())
    .filter((gate) => prices[gate] > beta - miss && !mine.has(gate))
    .sort((a, b) => prices[b] - prices[a]);
  const gates = Int32Array.of(...blocks.index, ...others.slice(0, MOST_ENTERING));
  const G = new Float64Array(gates.length * d);
  products.adjoint(xi, 1, gates, G);
  // Not the judge's prices, which are those of a point that it may have balanced.
  const cost = Float64Array.from(gates, (_, k) => Math.sqrt(dotAt(G, k * d, G, k * d, d)));
  const units = G.map((value, at) => -value / cost[Math.floor(at / d)]);
  const lengths = new Float64Array(gates.length);
  for (let k = 0; k < own; k++) lengths[k] = Math.sqrt(dotAt(blocks.vectors, k * d, blocks.vectors, k * d, d));
  return { gates, own, G, units, prices: cost, lengths };
}

/** Factor of I + sqrt(L'') (sum_i t_i A_i A_i') sqrt(L''), which holds M where L'' vanishes too. */
function factorOf({ program, products, kernels }: Setting, rays: Rays, root: Float64Array): CholeskyFactor | null {
  const n = root.length;
  const H = new Float64Array(n * n);
  const weights = rays.lengths.subarray(0, rays.own).map((length) => length / program.beta);
  if (rays.own > 0) products.addMaskedGram(H, rays.gates.subarray(0, rays.own), weights);
  for (let j = 0; j < n; j++) {
    for (let k = 0, to = j * n; k <= j; k++, to++) H[to] *= root[j] * root[k];
    H[j * n + j] += 1;
  }
  return kernels.cholesky(H, n);
}

function modelOf(setting: Setting, at: SupportPoint, rays: Rays, root: Float64Array, factor: CholeskyFactor): Model {
  const { beta, outputBias } = setting.program;
  const n = root.length;
  const { own, gates, prices, lengths } = rays;
  const count = gates.length;
  const W = columnsOf(setting, rays, root);
  const k = W.length / n;
  const width = k + 1;
  const d = setting.program.X.cols;
  const misses = at.blocks.vectors.map((value, p) => value + (lengths[Math.floor(p / d)] / beta) * rays.G[p]);
  const r = new Float64Array(n);
  const minus = new Float64Array(own).fill(-1);
  setting.products.forward(gates.subarray(0, own), new Int32Array(own), minus, misses, 1, r);
  const moves = new Float64Array(n * width);
  for (let i = 0; i < k; i++) for (let j = 0, to = i; j < n; j++, to += width) moves[to] = W[i * n + j];
  for (let j = 0; j < n; j++) moves[j * width + k] = root[j] * r[j];
  factor.solve(moves, width);
  const inner = new Float64Array(k * width);
  setting.kernels.multiply(W, moves, inner, k, n, width);
  const S = new Float64Array(k * k);
  const q = new Float64Array(k);
  for (let i = 0; i < k; i++) {
    for (let j = 0; j < k; j++) S[i * k + j] = (inner[i * width + j] + inner[j * width + i]) / 2;
    S[i * k + i] *= 1 + SHIFT;
    q[i] = inner[i * width + k] + (i < count ? beta - prices[i] : 0);
  }
  if (outputBias !== null) {
    S[k * k - 1] += 2 * outputBias.ridge;
    q[count] += 2 * outputBias.ridge * at.blocks.bias[0] + at.xi.reduce((sum, value) => sum + value, 0);
  }
  return { S, q, moves };
}

/** [k x n]: sqrt(L'') w_i, then sqrt(L'') alone for an output bias. */
function columnsOf({ program, products }: Setting, { gates, units }: Rays, root: Float64Array): Float64Array {
  const { X, outputBias } = program;
  const n = root.length;
  const d = X.cols;
  const count = gates.length;
  const W = new Float64Array((outputBias === null ? count : count + 1) * n);
  for (let i = 0; i < count; i++) {
    const w = W.subarray(i * n, (i + 1) * n);
    products.rows(gates[i], units.subarray(i * d, (i + 1) * d), 1, w);
    for (let j = 0; j < n; j++) w[j] *= root[j];
  }
  if (outputBias !== null) W.set(root, count * n);
  return W;
}

/** v_i+ of the blocks whose lengths are not at zero. */
function movedBlocks(
  { program, products }: Setting,
  { gates, units, lengths }: Rays,
  a: Float64Array,
  xi: Float64Array, // xi+
): Pick<SparseBlocks, "index" | "vectors"> {
  const d = program.X.cols;
  const turned = new Float64Array(gates.length * d);
  products.adjoint(xi, 1, gates, turned);
  const left = Array.from(gates.keys())
    .filter((i) => a[i] > -lengths[i])
    .sort((i, j) => gates[i] - gates[j]);
  const vectors = new Float64Array(left.length * d);
  left.forEach((i, to) => {
    const weight = lengths[i] / program.beta;
    for (let p = 0; p < d; p++) vectors[to * d + p] = a[i] * units[i * d + p] - weight * turned[i * d + p];
  });
  return { index: Int32Array.from(left, (i) => gates[i]), vectors };
}
