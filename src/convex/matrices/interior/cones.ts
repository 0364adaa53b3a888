/** The program of `index.ts`, its matrix variables W_s with their partners K_s, and how far both may go. */

import type { Kernels } from "../../kernels/types.js";
import { choleskyInPlace, choleskySolve } from "../../linear/cholesky.js";
import type { Loss, OutputBias } from "../../types.js";
import type { SignForms } from "../signForms.js";
import type { Diagonals } from "./diagonals.js";

/** Lets the host breathe; true when time is up or someone asked to stop. */
export type Pause = () => Promise<boolean>;

export interface InteriorProblem {
  readonly forms: SignForms;
  readonly loss: Loss; // of one output, smooth
  readonly outputBias: OutputBias | null;
  readonly signs: readonly (1 | -1)[];
  readonly charge: Float64Array; // [D], above 0
  readonly diagonals: Diagonals;
}

/** What the method asks of a loss; `inverseHessian` [rows x rows] is there where that is no diagonal, null where there is none. */
export interface InteriorLoss extends Pick<Loss, "rows" | "curvature" | "value" | "gradient" | "hessianDiagonal"> {
  inverseHessian?(Z: Float64Array): Float64Array | null;
}

/** What a Newton step asks of forms, whose outputs are <M_k, W>. */
export interface Grams {
  outputs(W: Float64Array): Float64Array;
  /** sum_k N_k M_k [D x D]. */
  matrix(N: Float64Array): Float64Array;
  /** H [n x n] += tr(M_k W M_l V) in its lower half; the answer is tr(M_k W diag(g_j) V) [n x q]. */
  addCone(W: Float64Array, V: Float64Array, diagonals: Diagonals, H: Float64Array): Float64Array;
}

/** One matrix variable, and its partner. */
export interface Cone {
  readonly sign: 1 | -1;
  W: Float64Array;
  K: Float64Array;
  inverse: Float64Array; // of K
  multipliers: Float64Array; // [q]
}

/** K = diag(charge) + sign sum_k N_k M_k + sum_j multipliers_j diag(g_j). */
export function partner(
  { forms, charge, diagonals }: Pick<InteriorProblem, "forms" | "charge" | "diagonals">,
  Q: Float64Array, // sum_k N_k M_k
  sign: 1 | -1,
  multipliers: Float64Array,
): Float64Array {
  const D = forms.size;
  const K = signed(Q, sign);
  for (let i = 0; i < D; i++) K[i * D + i] += charge[i];
  diagonals.addTo(K, multipliers);
  return K;
}

/** Whether N, and twice N, are feasible without multipliers; Q = sum_k N_k M_k. */
export function isWellInside(problem: InteriorProblem, Q: Float64Array, kernels: Kernels): boolean {
  const { forms, signs, diagonals } = problem;
  const twice = Q.map((value) => 2 * value);
  const none = new Float64Array(diagonals.count);
  return signs.every((sign) => kernels.factor(partner(problem, twice, sign, none), forms.size));
}

/** K and its inverse, and that for W until there is a better one; null where K has none. */
export function coneAt(
  problem: Pick<InteriorProblem, "forms" | "charge" | "diagonals">,
  Q: Float64Array,
  sign: 1 | -1,
  multipliers: Float64Array,
  kernels: Kernels,
): Cone | null {
  const K = partner(problem, Q, sign, multipliers);
  const inverse = inverseOf(K, problem.forms.size, kernels);
  return inverse && { sign, K, inverse, W: inverse, multipliers };
}

export function signed(Q: Float64Array, sign: 1 | -1): Float64Array {
  const out = Q.slice();
  if (sign < 0) for (let i = 0; i < out.length; i++) out[i] = -out[i];
  return out;
}

/** Whether `at` + length `along` is positive definite; `room` [D x D] is overwritten. */
export function inside(
  at: Float64Array,
  along: Float64Array,
  length: number,
  D: number,
  kernels: Kernels,
  room: Float64Array,
): boolean {
  for (let i = 0; i < room.length; i++) room[i] = at[i] + length * along[i];
  return kernels.factor(room, D);
}

/** <W + t dW, K + t dK>. */
export function dotMoved(W: Float64Array, dW: Float64Array, K: Float64Array, dK: Float64Array, t: number): number {
  let sum = 0;
  for (let i = 0; i < W.length; i++) sum += (W[i] + t * dW[i]) * (K[i] + t * dK[i]);
  return sum;
}

/** The inverse of a positive definite matrix, or null. */
export function inverseOf(K: Float64Array, D: number, kernels: Kernels): Float64Array | null {
  const L = K.slice();
  if (kernels.inverse !== undefined) return kernels.inverse(L, D) ? L : null;
  if (!choleskyInPlace(L, D)) return null;
  const inverse = new Float64Array(D * D);
  const column = new Float64Array(D);
  for (let j = 0; j < D; j++) {
    column.fill(0);
    column[j] = 1;
    choleskySolve(L, D, column);
    inverse.set(column, j * D);
  }
  return inverse;
}
