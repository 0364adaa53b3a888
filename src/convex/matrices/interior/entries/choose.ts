/** Which programs have few enough entries for their rows, and in which coordinates they are solved. */

import type { Kernels } from "../../../kernels/types.js";
import type { Loss } from "../../../types.js";
import type { SignForms } from "../../signForms.js";
import type { InteriorProblem, Pause } from "../cones.js";
import { curvedProgram } from "./curved.js";
import { entriesOf } from "./forms.js";
import type { EntryProgram } from "./program.js";
import { squaredProgram } from "./squared.js";

/** Entries up to which a step's F x F system is cheap, up to which it is cheaper than descents from far, and of the rows: from where on these are as good. */
const MOST_ENTRIES = 600;
const MOST_FROM_FAR = 1500;
const SHARE = 0.8;
/** Rows of other losses than the squared one, which are summed up in every step. */
const MOST_ROWS = 600;
/** Multiplications that summing up may take: a few seconds. */
const MOST_WORK = 2 ** 34;

/** Whether a program has few enough entries for its rows; `far` says whether descents would have a long way. */
export function entriesTake(loss: Loss, forms: SignForms, far: () => boolean): boolean {
  const { rows } = loss;
  if (!isSmooth(loss) || (!isSquared(loss) && rows > MOST_ROWS)) return false;
  const F = entriesOf(forms).count;
  if (F > SHARE * rows || F > MOST_FROM_FAR || rows * F * F > MOST_WORK) return false;
  return F <= MOST_ENTRIES || far();
}

/** Whether it has few enough for its rows to be turned into orthonormal coordinates, where all else ended early. */
export function turningTakes(loss: Loss, forms: SignForms): boolean {
  return isSmooth(loss) && loss.rows <= MOST_ROWS && entriesOf(forms).count <= MOST_ENTRIES;
}

function isSmooth({ separable, beside, hessianTimes, curvature }: Loss): boolean {
  return separable && beside === undefined && hessianTimes === undefined && Number.isFinite(curvature);
}

function isSquared({ name }: Loss): boolean {
  return name === "meanSquaredError";
}

/** Null where the loss has no gradient as small as the charge asks for, and when time is up. */
export function entryProgram(problem: InteriorProblem, kernels: Kernels, pause: Pause): Promise<EntryProgram | null> {
  return isSquared(problem.loss) ? squaredProgram(problem, kernels, pause) : curvedProgram(problem, kernels, pause);
}
