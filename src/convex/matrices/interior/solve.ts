/** Where the interior method begins, and which of several starts it ends from. */

import type { Kernels } from "../../kernels/types.js";
import { norm } from "../../linear/vectors.js";
import { biasAlone, dualPointAt } from "../../operators/dualPoint.js";
import type { Loss } from "../../types.js";
import { formMatrix, type SignForms } from "../signForms.js";
import { type InteriorProblem, type Pause, partner } from "./cones.js";
import {
  curvedProgram,
  type EntryProgram,
  entriesTake,
  entryProgram,
  matrixOfRows,
  startInEntries,
  turningTakes,
} from "./entries/index.js";
import { startFitted } from "./fit.js";
import { FormGrams } from "./formGrams.js";
import { Interior } from "./point.js";
import { type Continued, continuedFrom, startInside } from "./start.js";

const MOST_STEPS = 60;
/** Above this a step's factorisation takes longer than descents. */
const MOST_ROWS = 600;
/** Sides of the matrices up to which inverses and products of them stay cheap. */
const MOST_SIDE = 200;
/** From so many times the charge on. */
const FAR = 1e3;
/** Of the way to the boundary: how far a step goes; and, where that led to the boundary and not to the optimum, from the start again. */
const SHARES = [0.985, 0.7];
/** Of entries: the same, and what their start has in all directions; more where the first led to the boundary. */
const ENTRY_STARTS = [
  [0.985, 0.1],
  [0.985, 1],
  [0.9, 10],
] as const;
/** The gap at which rounding may have ended it. */
const NEAR = 1e-3;
/** The gap that is said of a point whose N rounding took out of the cones. */
const OUTSIDE = 2 * NEAR;

export interface InteriorPoint extends Continued {
  readonly outputs: Float64Array; // [n], of the matrices; Z is where N is the gradient
  readonly steps: number;
  readonly primal: number;
  /** Between the values of both points, relative to the primal one's. */
  readonly gap: number;
}

/** Losses whose Hessian is a diagonal, on as many rows, or with as few entries, and with matrices of such a side as factorisations are cheap for. */
export function interiorTakes(loss: Loss, forms: SignForms, far = () => false): boolean {
  const { curvature, separable, rows, beside, hessianTimes } = loss;
  if (forms.size > MOST_SIDE) return false;
  if (rows > MOST_ROWS) return entriesTake(loss, forms, far);
  return Number.isFinite(curvature) && separable && beside === undefined && hessianTimes === undefined;
}

/** Whether units are worth far more than their charge where there are none: descents take the more steps. */
export function isFar(problem: Pick<InteriorProblem, "forms" | "loss" | "outputBias" | "charge">): boolean {
  const { forms, loss, charge } = problem;
  const [bias] = biasAlone(problem);
  const N = dualPointAt(problem, new Float64Array(loss.rows).fill(bias));
  return norm(formMatrix(forms, N)) > FAR * Math.min(...charge);
}

/**
 * Null where no start is found, in time; else the last point, whatever ended it. `from` is a point of the same program with the same loss
 * rounded off more.
 */
export async function solveInterior(
  problem: InteriorProblem,
  kernels: Kernels,
  tolerance: number,
  pause: Pause,
  from: InteriorPoint | null = null,
): Promise<InteriorPoint | null> {
  let best: InteriorPoint | null = null;
  let over = false;
  const asked = async () => {
    over ||= await pause();
    return over;
  };
  if (from === null && entriesTake(problem.loss, problem.forms, () => isFar(problem))) {
    best = await solveInEntries(problem, await entryProgram(problem, kernels, asked), kernels, tolerance, asked);
    if (over || (best !== null && best.gap <= NEAR) || problem.loss.rows > MOST_ROWS) return best;
  }
  const grams = new FormGrams(problem.forms, kernels);
  const inside = (blank: boolean) => async () =>
    from === null
      ? await startInside(problem, grams, kernels, asked, blank)
      : continuedFrom(problem, grams, kernels, from);
  // At another start last, which takes charges that are small beside the outputs.
  for (const [share, start] of [
    [SHARES[0], inside(false)],
    [SHARES[1], inside(true)],
    [SHARES[0], () => startFitted(problem, grams, kernels, asked)],
  ] as const) {
    const began = await start();
    if (over && began === null) break;
    if (began === null) continue;
    const point = new Interior(problem, kernels, grams, began.Z, began.bias, began.cones, share, asked);
    const { steps, gap } = await follow(point, tolerance, asked);
    if (best === null || gap < best.gap) best = { ...point.found(), steps, gap };
    if (best.gap <= NEAR || over) break;
  }
  if (over || from !== null || (best !== null && best.gap <= tolerance) || !turningTakes(problem.loss, problem.forms))
    return best;
  const turned = await solveInEntries(problem, await curvedProgram(problem, kernels, asked), kernels, tolerance, asked);
  return turned !== null && (best === null || turned.gap < best.gap) ? turned : best;
}

/** Steps until the gap is closed, or no step is left. */
async function follow(point: Interior, tolerance: number, asked: Pause): Promise<{ steps: number; gap: number }> {
  let steps = 0;
  let gap = point.gap();
  while (!(gap <= tolerance) && steps < MOST_STEPS && !(await asked())) {
    if (!(await point.step())) break;
    steps += 1;
    gap = point.gap();
  }
  return { steps, gap };
}

/** Whether N [n] is as feasible in rows as the tolerance asks: 1 - tolerance times it. */
function isInside(
  problem: InteriorProblem,
  N: Float64Array,
  multipliers: readonly Float64Array[],
  tolerance: number,
  kernels: Kernels,
): boolean {
  const less = (values: Float64Array) => values.map((value) => (1 - tolerance) * value);
  const Q = matrixOfRows(problem.forms, less(N));
  return problem.signs.every((sign, s) =>
    kernels.factor(partner(problem, Q, sign, less(multipliers[s])), problem.forms.size),
  );
}

/** The same where entries are fewer than rows. */
async function solveInEntries(
  problem: InteriorProblem,
  program: EntryProgram | null,
  kernels: Kernels,
  tolerance: number,
  asked: Pause,
): Promise<InteriorPoint | null> {
  const { loss } = problem;
  if (program === null) return null;
  let best: InteriorPoint | null = null;
  for (const [share, more] of ENTRY_STARTS) {
    const began = await startInEntries(problem, program, kernels, asked, more);
    if (began === null) break;
    const posed = { ...problem, loss: program.loss, outputBias: null };
    const point = new Interior(posed, kernels, program.grams, began.Z, 0, began.cones, share, asked);
    const { steps, gap } = await follow(point, tolerance, asked);
    if (best === null || gap < best.gap) {
      const found = point.found();
      const { grams } = program;
      const { Z: outputs, bias } = program.outputsAt(grams.entriesOf(point.form()));
      const Z = program.rowsAt(found.Z);
      const N = new Float64Array(loss.rows);
      loss.gradient(Z, N);
      const rounded = isInside(problem, N, found.multipliers, tolerance, kernels) ? gap : Math.max(gap, OUTSIDE);
      best = { ...found, outputs, bias, Z, N, curvature: loss.curvature, steps, gap: rounded };
    }
    if (best.gap <= tolerance || (await asked())) break;
  }
  return best;
}
