/**
 * Where the matrices of the interior method begin: those of least size whose outputs are near given ones, made positive definite.
 *
 * sum_k alpha_k M_k with (Gram matrix of the M_k + ridge) alpha = outputs, M_k without what the equations of a matrix exclude. A matrix that knows nothing
 * of the outputs is so far from them that half of all steps go into the first digit.
 */

import type { Kernels } from "../../kernels/types.js";
import { choleskySolve } from "../../linear/cholesky.js";
import { eigenSymmetric, type SymmetricEigen } from "../../linear/eigen/index.js";
import { norm } from "../../linear/vectors.js";
import { type Grams, type InteriorProblem, inside } from "./cones.js";
import { solved } from "./newtonSystem.js";

/** Of the mean of the Gram matrix' diagonal: what stands for rows that others make. */
const RIDGE = 1e-3;
/** Of the mean size of the eigenvalues: what all of them have more in each matrix, by default. */
const MORE = 0.1;
/** By how much the multiple of the identity grows that is tried next. */
const WIDER = 1.3;

/** W_s [D x D] with sum_s s <M_k, W_s> near `outputs` [n], which are overwritten; null where there is none, for some rounding. */
export function matricesNear(
  { forms, signs, diagonals }: InteriorProblem,
  grams: Grams,
  kernels: Kernels,
  outputs: Float64Array,
): Float64Array[] | null {
  const n = outputs.length;
  const D = forms.size;
  const q = diagonals.count;
  const identity = new Float64Array(D * D);
  for (let i = 0; i < D; i++) identity[i * D + i] = 1;
  const H = new Float64Array(n * n);
  const B = grams.addCone(identity, identity, diagonals, H);
  const G = diagonals.weighted(identity, identity);
  if (!kernels.factor(G, q)) return null;
  kernels.addOuter(H, solved(G, B, q, n), n, q, -1);
  let trace = 0;
  for (let k = 0; k < n; k++) trace += H[k * n + k];
  for (let k = 0; k < n; k++) H[k * n + k] += (RIDGE * trace) / n;
  if (!kernels.factor(H, n)) return null;
  choleskySolve(H, n, outputs);
  const theta = grams.matrix(outputs);
  const excluded = new Float64Array(q);
  for (let k = 0; k < n; k++) for (let j = 0; j < q; j++) excluded[j] -= B[k * q + j] * outputs[k];
  choleskySolve(G, q, excluded);
  diagonals.addTo(theta, excluded);
  return matricesOf(theta, signs, D, kernels);
}

/** W_s with the outputs of theta [D x D], whose diagonal is what the equations want; null where it is zero. */
export function matricesOf(
  theta: Float64Array,
  signs: readonly (1 | -1)[],
  D: number,
  kernels: Kernels,
  more = MORE,
): Float64Array[] | null {
  if (signs.length === 1) return lifted(theta, more, D, kernels);
  const eigen = eigenSymmetric(theta, D);
  const size = (more * eigen.values.reduce((sum, value) => sum + Math.abs(value), 0)) / D;
  return size > 0 ? splitForm(eigen, signs, size, D) : null;
}

/** The same outputs by a matrix whose eigenvalues are above zero: signs of units see nothing of multiples of the identity. */
function lifted(theta: Float64Array, more: number, D: number, kernels: Kernels): Float64Array[] | null {
  const size = (more * norm(theta)) / Math.sqrt(D); // no less than the mean size of eigenvalues has it
  if (!(size > 0)) return null;
  const room = new Float64Array(D * D);
  const identity = new Float64Array(D * D);
  for (let i = 0; i < D; i++) identity[i * D + i] = 1;
  let shift = size;
  while (!inside(theta, identity, shift - size, D, kernels, room)) shift *= WIDER;
  return [theta.map((value, i) => value + shift * identity[i])];
}

/** A form with <J, theta> = 0, J = diag(1, ..., 1, -1), as the difference of two matrices with the same, no eigenvalue below `size`. */
export function splitForm(
  { values, vectors }: SymmetricEigen,
  signs: readonly (1 | -1)[],
  size: number,
  D: number,
): Float64Array[] {
  return signs.map((sign) => {
    const W = new Float64Array(D * D);
    for (let i = 0; i < D - 1; i++) W[i * D + i] = size;
    W[D * D - 1] = size * (D - 1);
    values.forEach((value, k) => {
      if (sign * value <= 0) return;
      const v = vectors.data.subarray(k * D, (k + 1) * D);
      for (let i = 0; i < D; i++) for (let j = 0; j < D; j++) W[i * D + j] += sign * value * v[i] * v[j];
    });
    // <J, W> = 0 again, which no output sees, as both matrices lack the same.
    let lack = -W[D * D - 1];
    for (let i = 0; i < D - 1; i++) lack += W[i * D + i];
    if (lack > 0) W[D * D - 1] += lack;
    else for (let i = 0; i < D - 1; i++) W[i * D + i] -= lack / (D - 1);
    return W;
  });
}
