/**
 * The sizes of neurons whose directions and bias are held: min over x >= 0 of loss(sum_j x_j phi_j + 1 c') + beta sum_j x_j, phi_j
 * the outputs of neuron j at size one. A lasso, whose solution needs few neurons: the others leave at once, where a descent would
 * shrink them for ever (the corrective step of sliding Frank-Wolfe, Denoyelle et al. 2019).
 */

import type { Kernels } from "../kernels/types.js";
import { boundedQuadratic } from "../linear/boundedQuadratic.js";
import { dot } from "../linear/vectors.js";
import type { ConvexProgram } from "../types.js";
import { activationsOf, type MovingNeurons, picked } from "./descents/index.js";

/** Newton steps at most, halvings of one, and its exchanges of neurons between zero and more. */
const STEPS = 8;
const HALVINGS = 12;
const EXCHANGES = 50;
/** Of the largest entry, on the diagonal of the Hessian: neurons may be twins, or do nothing where the loss is curved. */
const SHIFT = 1e-8;
/** Neurons whose Hessian is factored in a moment. */
const MOST_NEURONS = 1024;
/** Outputs of neurons one by one that may be held: 128 MB. */
const HELD = 2 ** 24;
/** Of these, how many are gone through at once. */
const PART = 2 ** 19;
/** A step that gains a smaller share is the last. */
const ENOUGH = 1e-5;

/**
 * The neurons, of |w| = |a| each, with better sizes, without those of size zero; as far as it came when `pause` answers true, and
 * null where it cannot be solved.
 */
export async function resized(
  program: ConvexProgram,
  kernels: Kernels,
  neurons: MovingNeurons,
  pause: () => Promise<boolean>,
): Promise<MovingNeurons | null> {
  const { loss, beta, X } = program;
  const { bias, scales } = neurons;
  const [n, C, m, d] = [loss.rows, loss.outputs, scales.length, X.cols];
  // Beyond n neurons the lasso has many solutions, and its Hessian is singular.
  if (m >= n || m > MOST_NEURONS || m * n > HELD || (await pause())) return null;
  const column = neurons.outputs.map((output) => output % C);
  const price = scales.map((a) => beta * a * a); // |w| = |a|
  // Phi [n x m], at the sizes that there are
  const Phi = activationsOf(program, kernels, neurons);
  const Z = new Float64Array(n * C);
  const N = new Float64Array(n * C);
  /** Rows of Phi, some at a time, so that the host can breathe. */
  const eachPart = async (use: (from: number, to: number) => void) => {
    const rows = Math.ceil(PART / m);
    for (let from = 0; from < n; from += rows, await pause()) use(from, Math.min(n, from + rows));
  };
  const valueAt = async (x: Float64Array) => {
    for (let k = 0; k < Z.length; k++) Z[k] = bias[k % C];
    await eachPart((from, to) => {
      for (let s = from, at = from * m; s < to; s++)
        for (let j = 0; j < m; j++, at++) Z[s * C + column[j]] += x[j] * Phi[at];
    });
    return loss.value(Z) + dot(price, x);
  };
  let x = new Float64Array(m).fill(1);
  let value = await valueAt(x);
  for (let step = 0, gain = 1; step < STEPS && gain > ENOUGH; step++) {
    const q = price.slice();
    loss.gradient(Z, N);
    await eachPart((from, to) => {
      for (let s = from, at = from * m; s < to; s++)
        for (let j = 0; j < m; j++, at++) q[j] += N[s * C + column[j]] * Phi[at];
    });
    loss.hessianDiagonal(Z, N);
    const S = new Float64Array(m * m);
    await eachPart((from, to) => {
      const W = Phi.slice(from * m, to * m);
      for (let s = from, at = 0; s < to; s++)
        for (let j = 0; j < m; j++, at++) W[at] *= Math.sqrt(N[s * C + column[j]]);
      kernels.addOuter(S, W, m, to - from, 1);
    });
    for (let j = 0; j < m; j++) {
      for (let k = 0; k < j; k++) S[k * m + j] = S[j * m + k] *= column[j] === column[k] ? 1 : 0;
    }
    let largest = 0;
    for (let j = 0; j < m; j++) largest = Math.max(largest, S[j * m + j]);
    for (let j = 0; j < m; j++) S[j * m + j] += SHIFT * largest;
    const a = boundedQuadratic(
      S,
      q,
      x.map((value) => -value),
      Array.from(x, (value) => value > 0),
      kernels,
      EXCHANGES,
    );
    if (a === null && step === 0) return null;
    if (a === null) break;
    gain = 0;
    for (let half = 0, t = 1; half < HALVINGS; half++, t /= 2) {
      const next = x.map((value, j) => Math.max(0, value + t * a[j]));
      const lower = await valueAt(next);
      if (!(lower < value)) continue;
      gain = 1 - lower / value;
      x = next;
      value = lower;
      break;
    }
    if (await pause()) break;
  }
  const kept = Array.from(x.keys()).filter((j) => x[j] > 0);
  if (kept.length === 0) return null;
  const root = x.map(Math.sqrt);
  return picked(
    {
      ...neurons,
      weights: neurons.weights.map((w, k) => w * root[Math.floor(k / d)]),
      scales: scales.map((a, j) => a * root[j]),
    },
    kept,
  );
}
