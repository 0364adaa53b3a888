/** A program in coordinates of the outputs that matrices make, and where the interior method begins in it. */

import type { Kernels } from "../../../kernels/types.js";
import { type Cone, coneAt, type InteriorLoss, type InteriorProblem, isWellInside, type Pause } from "../cones.js";
import { matricesOf } from "../matrices.js";
import type { InteriorStart } from "../start.js";
import type { EntryForms } from "./forms.js";

/** The program in entries, and the way back to rows. */
export interface EntryProgram {
  readonly loss: InteriorLoss;
  readonly grams: EntryForms;
  /** Least loss: where G theta = h. */
  readonly best: Float64Array; // [rows of the loss]
  /** Outputs [n] and the output bias at entries [F]. */
  outputsAt(entries: Float64Array): { readonly Z: Float64Array; readonly bias: number };
  /** Outputs [n] at coordinates, bias included. */
  rowsAt(t: Float64Array): Float64Array;
}

/**
 * Part of the way to the least loss at which the gradient is well inside, and matrices with these outputs, `more` of the mean eigenvalue
 * in all of them; null where there is none in time.
 */
export async function startInEntries(
  problem: InteriorProblem,
  { loss, grams, best }: EntryProgram,
  kernels: Kernels,
  pause: Pause,
  more: number,
): Promise<InteriorStart | null> {
  const { forms, signs, diagonals } = problem;
  const D = forms.size;
  const N = new Float64Array(loss.rows);
  for (let share = 0.5; share > Number.EPSILON && !(await pause()); share /= 2) {
    const Z = best.map((entry) => (1 - share) * entry);
    loss.gradient(Z, N);
    const Q = grams.matrix(N);
    if (!isWellInside(problem, Q, kernels)) continue;
    const matrices = matricesOf(grams.form(Z), signs, D, kernels, more);
    if (matrices === null) return null;
    const cones: Cone[] = [];
    for (const [s, sign] of signs.entries()) {
      const cone = coneAt(problem, Q, sign, new Float64Array(diagonals.count), kernels);
      if (cone === null) return null;
      cones.push({ ...cone, W: matrices[s] });
    }
    return { Z, bias: 0, cones };
  }
  return null;
}
