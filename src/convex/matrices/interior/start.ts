/** Where the interior method begins: well inside, or where it ended on a loss that was rounded off more. */

import type { Kernels } from "../../kernels/types.js";
import { norm } from "../../linear/vectors.js";
import { biasAlone, dualPointAt } from "../../operators/dualPoint.js";
import { type Cone, coneAt, type InteriorProblem, isWellInside, type Pause } from "./cones.js";
import type { FormGrams } from "./formGrams.js";
import { matricesNear } from "./matrices.js";

/** How far outputs go along a gradient in search of a start, in units of 1 / curvature. */
const FAR = 1e13;

export interface InteriorStart {
  readonly Z: Float64Array; // [n]
  readonly bias: number;
  readonly cones: Cone[];
}

/** Outputs whose gradient is well inside, and matrices that are near them, or where it is to be `blank` W = mu K^-1. */
export async function startInside(
  problem: InteriorProblem,
  grams: FormGrams,
  kernels: Kernels,
  pause: Pause,
  blank = false,
): Promise<InteriorStart | null> {
  const { forms, loss, signs, diagonals } = problem;
  const D = forms.size;
  const n = loss.rows;
  if (!problem.charge.every((value) => value > 0)) return null;
  const [bias] = biasAlone(problem);
  const Z0 = new Float64Array(n).fill(bias);
  const N0 = dualPointAt(problem, Z0);
  const far = FAR / loss.curvature;
  const steepness = new Float64Array(n);
  for (let share = 1; share > Number.EPSILON && !(await pause()); share /= 2) {
    const Z = new Float64Array(n);
    loss.prox(
      N0.map((value) => far * share * value),
      far,
      Z,
      steepness,
      null,
    );
    const N = new Float64Array(n);
    loss.gradient(Z, N);
    const Q = grams.matrix(N);
    if (!isWellInside(problem, Q, kernels)) continue;
    const cones: Cone[] = [];
    for (const sign of signs) {
      if (await pause()) return null;
      const cone = coneAt(problem, Q, sign, new Float64Array(diagonals.count), kernels);
      if (cone === null) return null;
      cones.push(cone);
    }
    const spread = cones.reduce((sum, { W }) => sum + norm(grams.outputs(W)), 0);
    const size = Math.min(loss.value(Z0) / (signs.length * D), norm(N0) / loss.curvature / spread);
    for (const cone of cones) cone.W = cone.inverse.map((value) => size * value);
    const near = blank
      ? null
      : matricesNear(
          problem,
          grams,
          kernels,
          Z.map((value) => value - bias),
        );
    near?.forEach((W, s) => {
      cones[s].W = W;
    });
    return { Z, bias, cones };
  }
  return null;
}

/**
 * The same matrices and dual point under a loss with a larger curvature, both Moreau envelopes of one loss: N is its subgradient at
 * Y = Z - N / curvature, and the gradient of any envelope at Y + N / curvature.
 */
export function continuedFrom(
  problem: InteriorProblem,
  grams: FormGrams,
  kernels: Kernels,
  { matrices, multipliers, bias, Z, N, curvature }: Continued,
): InteriorStart | null {
  const { loss, signs } = problem;
  const shift = 1 / loss.curvature - 1 / curvature;
  const Q = grams.matrix(N);
  const cones: Cone[] = [];
  for (const [s, sign] of signs.entries()) {
    const cone = coneAt(problem, Q, sign, multipliers[s], kernels);
    if (cone === null) return null;
    cones.push({ ...cone, W: matrices[s] });
  }
  return { Z: Z.map((value, k) => value + shift * N[k]), bias, cones };
}

/** What is known of a point on the other loss. */
export interface Continued {
  readonly matrices: readonly Float64Array[]; // W_s [D x D]
  readonly multipliers: readonly Float64Array[];
  readonly bias: number;
  readonly Z: Float64Array; // [n]
  readonly N: Float64Array; // [n]
  readonly curvature: number; // of the other loss
}
