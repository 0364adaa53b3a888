/**
 * The Newton system of the dual: H = blockdiag_c(T_c + sum of rank-one rows + masked Gram) + sigma_bias 1 1' + coupling.
 *
 * Dense in the samples (n x n an output) by Cholesky; in the rows when there are fewer of them than samples (Woodbury).
 * A loss that couples its outputs (softmax) adds T-weighted rank-one terms across outputs, one a sample: conjugate gradients
 * with the block-diagonal factor as preconditioner.
 */

import type { CholeskyFactor, GatedProducts, Kernels } from "../kernels/types.js";
import { dot } from "../vectors.js";
import type { Setting } from "./solver.js";

/** Relative residual of the conjugate gradients: enough for a quadratic step. */
const RESIDUAL = 1e-10;
/** The same where every step costs a pass over the gates: an inexact Newton step still converges fast. */
const COUPLED_RESIDUAL = 0.1;
const MAX_CONJUGATE_STEPS = 200;
/** Rows of data up to which an n x n matrix is held. */
export const DENSE_ROWS = 6000;
/** Added to the diagonal, relative to its mean, where Cholesky meets a pivot that is not positive; grows by 100. */
const FIRST_SHIFT = 1e-13;

/** The curvature of one output: rank-one rows, and gates whose whole D_i K D_i enters with a weight. */
export interface OutputCurvature {
  readonly rows: Float64Array; // [m x n], scaled: H gets the sum of their outer products
  readonly rowCount: number; // m
  readonly gates: Int32Array;
  readonly weights: Float64Array;
}

/** What a system is solved with; `pause` lets the host breathe and says whether to hurry. */
export type Machinery = Pick<Setting, "kernels" | "products" | "pause">;

export interface NewtonSystem {
  readonly n: number;
  readonly outputs: number;
  readonly diagonal: Float64Array; // [n x C]: T
  readonly spread: Float64Array | null; // [n x C]: sample k adds spread_k spread_k' across the outputs
  readonly curvature: readonly OutputCurvature[]; // [C]
}

/** Solves H x = b in place of b [n x C]. False when no shift of the diagonal made the system positive definite. */
export async function solveNewton(
  system: NewtonSystem,
  { kernels, products, pause }: Machinery,
  b: Float64Array,
): Promise<boolean> {
  const { n, outputs, spread } = system;
  const factors: Factor[] = [];
  try {
    for (let c = 0; c < outputs; c++) {
      const factor = factorOutput(system, c, kernels, products);
      if (factor === null) return false;
      factors.push(factor);
    }
    const column = new Float64Array(n);
    const eachOutput = (x: Float64Array, use: (factor: Factor, b: Float64Array) => void) => {
      for (let c = 0; c < outputs; c++) {
        for (let k = 0; k < n; k++) column[k] = x[k * outputs + c];
        use(factors[c], column);
        for (let k = 0; k < n; k++) x[k * outputs + c] = column[k];
      }
    };
    const precondition = (x: Float64Array) => eachOutput(x, (factor, part) => factor.solve(part, 1));
    if (spread === null) {
      precondition(b);
      return true;
    }
    await conjugateGradients(b, RESIDUAL, pause, precondition, (x, out) => {
      out.set(x);
      eachOutput(out, (factor, part) => factor.multiply(part, 1));
      addSpread(spread, x, out, n, outputs);
    });
    return true;
  } finally {
    for (const factor of factors) factor.dispose();
  }
}

/** The Newton system of blocks whose curvature couples their outputs: known by its products only. */
export interface CoupledSystem {
  readonly n: number;
  readonly outputs: number;
  readonly diagonal: Float64Array; // [n x C]: T
  readonly spread: Float64Array | null;
  /** Gates and weights of an approximation sum_i weight_i D_i K D_i of the curvature, the same for every output. */
  readonly gates: Int32Array;
  readonly weights: Float64Array;
  readonly bias: number; // weight of 1 1' in every output
  /** out += the blocks' curvature times x, both [n x C]. */
  addCurvature(x: Float64Array, out: Float64Array): void;
}

/** Solves a coupled system in place of b by conjugate gradients; the preconditioner is one n x n factor for all outputs. */
export async function solveCoupled(
  system: CoupledSystem,
  { kernels, products, pause }: Machinery,
  b: Float64Array,
): Promise<boolean> {
  const { n, outputs, diagonal, spread, bias } = system;
  const mean = new Float64Array(n);
  for (let k = 0; k < diagonal.length; k++) mean[Math.floor(k / outputs)] += diagonal[k] / outputs;
  const rows = new Float64Array(bias > 0 ? n : 0).fill(Math.sqrt(bias));
  const curvature = [{ rows, rowCount: bias > 0 ? 1 : 0, gates: system.gates, weights: system.weights }];
  const shared: NewtonSystem = { n, outputs: 1, diagonal: mean, spread: null, curvature };
  const factor = factorOutput(shared, 0, kernels, products);
  if (factor === null) return false;
  const precondition = (x: Float64Array) => factor.solve(x, outputs);
  try {
    await conjugateGradients(b, COUPLED_RESIDUAL, pause, precondition, (x, out) => {
      for (let k = 0; k < x.length; k++) out[k] = diagonal[k] * x[k];
      if (spread !== null) addSpread(spread, x, out, n, outputs);
      if (bias > 0) {
        for (let c = 0; c < outputs; c++) {
          let sum = 0;
          for (let k = c; k < x.length; k += outputs) sum += x[k];
          for (let k = c; k < x.length; k += outputs) out[k] += bias * sum;
        }
      }
      system.addCurvature(x, out);
    });
    return true;
  } finally {
    factor.dispose();
  }
}

/** out += sum over samples of spread_k spread_k' x_k. */
function addSpread(spread: Float64Array, x: Float64Array, out: Float64Array, n: number, outputs: number): void {
  for (let k = 0; k < n; k++) {
    let product = 0;
    for (let c = 0; c < outputs; c++) product += spread[k * outputs + c] * x[k * outputs + c];
    for (let c = 0; c < outputs; c++) out[k * outputs + c] += product * spread[k * outputs + c];
  }
}

/** What solves the system of one output. */
type Factor = CholeskyFactor;

function factorOutput(system: NewtonSystem, c: number, kernels: Kernels, products: GatedProducts): Factor | null {
  const { n, outputs, diagonal } = system;
  const { rows, rowCount, gates, weights } = system.curvature[c];
  const T = new Float64Array(n);
  let smallest = Number.POSITIVE_INFINITY;
  let mean = 0;
  for (let k = 0; k < n; k++) {
    T[k] = diagonal[k * outputs + c];
    smallest = Math.min(smallest, T[k]);
    mean += T[k] / n;
  }
  if (gates.length === 0 && (rowCount < n / 2 || n > DENSE_ROWS) && smallest > 1e-9 * mean) {
    const factor = woodbury(T, rows, rowCount, n, kernels);
    if (factor !== null) return factor;
  }
  if (n > DENSE_ROWS) return null;
  const H = new Float64Array(n * n);
  for (let shift = 0; shift <= 1e-3; shift = shift === 0 ? FIRST_SHIFT : 100 * shift) {
    H.fill(0);
    if (gates.length > 0) products.addMaskedGram(H, gates, weights);
    if (rowCount > 0) kernels.addOuter(H, rows, n, rowCount, 1);
    let trace = 0;
    for (let k = 0; k < n; k++) {
      H[k * n + k] += T[k];
      trace += H[k * n + k];
    }
    for (let k = 0; k < n; k++) H[k * n + k] += (shift * trace) / n;
    const factor = kernels.cholesky(H, n);
    if (factor !== null) return factor;
  }
  return null;
}

/** For one column: (T + Y' Y)^-1 = T^-1 - T^-1 Y' (I + Y T^-1 Y')^-1 Y T^-1. */
function woodbury(T: Float64Array, Y: Float64Array, m: number, n: number, kernels: Kernels): Factor | null {
  const scaled = new Float64Array(m * n);
  for (let i = 0; i < m; i++) {
    for (let k = 0; k < n; k++) scaled[i * n + k] = Y[i * n + k] / Math.sqrt(T[k]);
  }
  const S = new Float64Array(m * m);
  kernels.multiplyTransposed(scaled, scaled, S, m, n, m);
  for (let i = 0; i < m; i++) S[i * m + i] += 1;
  if (m > 0 && !kernels.factor(S, m)) return null;
  const inner = new Float64Array(m);
  return {
    solve: (b) => {
      for (let k = 0; k < n; k++) b[k] /= Math.sqrt(T[k]);
      for (let i = 0; i < m; i++) {
        let sum = 0;
        for (let k = 0; k < n; k++) sum += scaled[i * n + k] * b[k];
        inner[i] = sum;
      }
      if (m > 0) kernels.solve(S, m, inner);
      for (let i = 0; i < m; i++) for (let k = 0; k < n; k++) b[k] -= inner[i] * scaled[i * n + k];
      for (let k = 0; k < n; k++) b[k] /= Math.sqrt(T[k]);
    },
    multiply: (b) => {
      for (let i = 0; i < m; i++) {
        let sum = 0;
        for (let k = 0; k < n; k++) sum += Y[i * n + k] * b[k];
        inner[i] = sum;
      }
      for (let k = 0; k < n; k++) b[k] *= T[k];
      for (let i = 0; i < m; i++) for (let k = 0; k < n; k++) b[k] += inner[i] * Y[i * n + k];
    },
    dispose: () => undefined,
  };
}

/** Preconditioned conjugate gradients (Hestenes and Stiefel 1952) for H x = b, x in place of b. */
async function conjugateGradients(
  b: Float64Array,
  residual: number,
  pause: () => Promise<boolean>,
  precondition: (x: Float64Array) => void,
  multiply: (x: Float64Array, out: Float64Array) => void,
): Promise<void> {
  const size = b.length;
  const x = new Float64Array(size);
  const r = Float64Array.from(b);
  const z = Float64Array.from(b);
  precondition(z);
  const p = Float64Array.from(z);
  const Hp = new Float64Array(size);
  let rho = dot(r, z);
  const goal = residual * Math.sqrt(dot(b, b));
  for (let step = 0; step < MAX_CONJUGATE_STEPS; step++) {
    multiply(p, Hp);
    const alpha = rho / dot(p, Hp);
    if (!Number.isFinite(alpha)) break;
    for (let k = 0; k < size; k++) {
      x[k] += alpha * p[k];
      r[k] -= alpha * Hp[k];
    }
    if (Math.sqrt(dot(r, r)) <= goal || (await pause())) break;
    z.set(r);
    precondition(z);
    const next = dot(r, z);
    for (let k = 0; k < size; k++) p[k] = z[k] + (next / rho) * p[k];
    rho = next;
  }
  b.set(x);
}
