/** Descents whose neurons are multiplied in float32: as far as that tells lower from higher, and where it has digits for the data at all. */

import type { Kernels } from "../../kernels/types.js";
import {
  type Descent,
  type DeviceObjective,
  descendWorthwhile,
  type Worthwhile,
  watchedBy,
} from "../../linear/lbfgs.js";
import type { ConvexProgram } from "../../types.js";
import { type Axes, axesOf, offsetOf } from "../metric/index.js";
import { roughPassesOf } from "../passes.js";

/** A fall by this share is told from none in float32, and steps that are to bring it together. */
const TOLD = 1e-5;
const TOLD_WINDOW = 10;
/** |means| / |spreads| of columns that leave float32 digits for TOLD. */
const OFFSET = 30;

/** Whether neurons that feed all outputs descend in float32 first, where there is memory for them. */
export async function mayDescendRoughly(
  program: ConvexProgram,
  kernels: Kernels,
  pause: () => Promise<boolean>,
): Promise<boolean> {
  return kernels.roughLayer !== undefined && hasDigits(program, await axesOf(program.X, kernels, pause));
}

/** Whether m neurons that feed one output each do. */
export async function descendsRoughly(
  program: ConvexProgram,
  kernels: Kernels,
  m: number,
  pause: () => Promise<boolean>,
): Promise<boolean> {
  const axes = await axesOf(program.X, kernels, pause);
  if (!hasDigits(program, axes)) return false;
  const layer = roughPassesOf({ ...program, X: axes.X }, kernels, new Int32Array(m));
  layer?.dispose();
  return layer !== null;
}

/** Whether float32 has digits for the rows: those of a mean beside a small spread are lost, but along axes of the data. */
export function hasDigits({ X }: ConvexProgram, axes: Axes): boolean {
  return axes.squares !== null || offsetOf(X) <= OFFSET;
}

/**
 * A descent in float32, which ends where a window of steps has told no fall from none; `told` where it ended otherwise, and float64 has
 * nothing to add. The objective is let go of in the end.
 */
export async function roughly(
  objective: DeviceObjective,
  start: Float64Array,
  steps: number,
  pause: () => Promise<boolean>,
  wish: Worthwhile,
): Promise<Pick<Descent, "x" | "value" | "began" | "steps"> & { readonly told: boolean }> {
  let lowest = Number.POSITIVE_INFINITY;
  let before = Number.NaN;
  let step = 0;
  let level = false;
  const watched = watchedBy(objective, (value) => {
    lowest = Math.min(lowest, value);
  });
  const ending = async () => {
    if (await pause()) return true;
    if (step % TOLD_WINDOW === 0) {
      level = before - lowest <= TOLD * Math.abs(before);
      before = lowest;
    }
    step += 1;
    return level;
  };
  const lent = Object.assign(watched, { dispose: () => objective.dispose?.() });
  const { still, ...end } = await descendWorthwhile(lent, start, steps, ending, wish);
  return { ...end, told: !still && !level };
}
