/**
 * The Newton system of the dual: H = blockdiag_c(T_c + sum of rank-one rows + masked Gram) + sigma_bias 1 1' + coupling.
 *
 * Dense in the samples (n x n an output) by Cholesky; in the rows when there are fewer of them than samples (Woodbury).
 * A loss that couples its outputs (softmax) adds T-weighted rank-one terms across outputs, one a sample: conjugate gradients
 * with a factor of everything as preconditioner where the rows are few, else with the block-diagonal one.
 */

import type { CholeskyFactor, GatedProducts, Kernels } from "../../kernels/types.js";
import { conjugateGradients } from "../../linear/conjugateGradients.js";
import { jointWoodbury } from "./jointWoodbury.js";
import { addSpread, type Machinery, type NewtonSystem } from "./newtonSystem.js";
import { woodbury } from "./woodbury.js";

/** Relative residual of the conjugate gradients: enough for a quadratic step. */
const RESIDUAL = 1e-10;
/** Rows of data up to which an n x n matrix is held. */
export const DENSE_ROWS = 6000;
/** Added to the diagonal, relative to its mean, where Cholesky meets a pivot that is not positive; grows by 100. */
const FIRST_SHIFT = 1e-13;

/** Solves H x = b in place of b [n x C]. False when no shift of the diagonal made the system positive definite. */
export async function solveNewton(system: NewtonSystem, machinery: Machinery, b: Float64Array): Promise<boolean> {
  const { kernels, products, pause } = machinery;
  const { n, outputs, spread } = system;
  const joint = spread === null ? null : jointWoodbury(system, machinery);
  if (joint !== null) {
    await conjugateGradients(b, RESIDUAL, pause, joint);
    joint.dispose();
    return true;
  }
  const factors: CholeskyFactor[] = [];
  try {
    for (let c = 0; c < outputs; c++) {
      const factor = factorOutput(system, c, kernels, products);
      if (factor === null) return false;
      factors.push(factor);
      await pause();
    }
    const column = new Float64Array(n);
    const eachOutput = (x: Float64Array, use: (factor: CholeskyFactor, b: Float64Array) => void) => {
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
    const multiply = (x: Float64Array, out: Float64Array) => {
      out.set(x);
      eachOutput(out, (factor, part) => factor.multiply(part, 1));
      addSpread(spread, x, out, n, outputs);
    };
    await conjugateGradients(b, RESIDUAL, pause, { multiply, precondition });
    return true;
  } finally {
    for (const factor of factors) factor.dispose();
  }
}

/** What solves the system of one output; null when no shift of the diagonal made it positive definite. */
export function factorOutput(
  system: NewtonSystem,
  c: number,
  kernels: Kernels,
  products: GatedProducts,
): CholeskyFactor | null {
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
