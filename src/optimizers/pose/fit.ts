/** Posing, the second step of a fit: the convex program, on which engine it is, and where its solve begins. */

import type * as tf from "@tensorflow/tfjs";
import { type ChosenEngine, chooseEngine } from "../../convex/kernels/index.js";
import type { Clock } from "../../convex/solvers/clock.js";
import type { SparseBlocks } from "../../convex/types.js";
import { ConvexError } from "../../errors.js";
import type { Settings } from "../options.js";
import type { Dataset } from "../read/data.js";
import type { Read } from "../read/fit.js";
import type { NetworkSpec } from "../read/model.js";
import type { Problem, StartingPoint } from "../records.js";
import { poseHeldOut } from "./heldOut.js";
import { pose } from "./pose.js";
import { gatesOwner, reduce } from "./reduction.js";
import { pointOn } from "./startingPoint.js";

/** Fewer rows say too little about which beta predicts best. */
const HELD_OUT_ROWS = 30;

/** A problem, and the data and the network in the columns in which it is posed. */
export interface Posed {
  readonly problem: Problem;
  readonly spec: NetworkSpec;
  readonly train: Dataset;
  readonly validation: Dataset | null;
  readonly chosen: ChosenEngine;
  readonly start: SparseBlocks | null;
}

/** `model` is the one whose gates are taken where no option names others; null where there is none. */
export async function poseFit(
  { spec, train, validation }: Read,
  model: tf.LayersModel | null,
  settings: Settings,
  clock: Clock,
  warmStart: StartingPoint | null,
): Promise<Posed> {
  const chosen = await chooseEngine(settings.engine, settings.threads);
  const before = warmStart?.regularization?.standardized ?? null;
  const reduced = reduce(spec, train, settings, { before, byItself: startsInSpan(warmStart, spec) });
  const { reduction } = reduced;
  const gatesOf = model === null ? null : gatesOwner(model, spec, reduction);
  const sources = { gatesOf, warmStart, space: reduction?.space ?? null, rows: reduction?.X ?? null };
  const seen = reduced.data(train);
  const held = validation && reduced.data(validation);
  const how = [reduced.settings, chosen, sources, clock] as const;
  const posed =
    settings.regularization === "held-out"
      ? await poseHeldOut(reduced.spec, { train: seen, validation: held }, ...how)
      : isLeftToUs(reduced.spec, settings) && seen.x.rows >= HELD_OUT_ROWS
        ? await poseHeldOutIfPossible(reduced.spec, { train: seen, validation: enough(held) }, ...how)
        : await pose(reduced.spec, seen, ...how);
  const problem = { ...posed, spec, reduction };
  return {
    problem,
    spec: reduced.spec,
    train: seen,
    validation: held,
    chosen,
    start: warmStart === null ? null : pointOn(problem.program, warmStart, chosen.kernels),
  };
}

/** Whether beta is asked for, and nothing says how it is to be found. */
function isLeftToUs({ formulation, l2 }: NetworkSpec, { regularization: wish }: Settings): boolean {
  if (l2.hidden > 0 || l2.output > 0) return false;
  return wish === "auto" || (wish === null && formulation !== "affine");
}

/** Validation rows, where they are as many as may judge. */
function enough(held: Dataset | null): Dataset | null {
  return held !== null && held.x.rows >= HELD_OUT_ROWS ? held : null;
}

/** By rows held out, or, where a part of the rows makes no problem that can be posed, by the share that is taken of all of them. */
async function poseHeldOutIfPossible(...order: Parameters<typeof poseHeldOut>): Promise<Problem> {
  try {
    return await poseHeldOut(...order);
  } catch (error) {
    if (!(error instanceof ConvexError)) throw error;
    const [spec, { train }, ...how] = order;
    return pose(spec, train, ...how); // refuses what is wrong with all rows
  }
}

/** False where a start has gates over all columns: in the span of the rows there are fewer. */
function startsInSpan(start: StartingPoint | null, { hiddenBias }: NetworkSpec): (columns: number) => boolean {
  return (columns) => start?.gates?.generators?.cols !== columns + (hiddenBias ? 1 : 0);
}
