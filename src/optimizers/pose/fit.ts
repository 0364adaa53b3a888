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
import { isLeftToUs } from "./regularization.js";
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
  const byItself = startsInSpan(warmStart, spec);
  const pause = () => clock.pause();
  const reduced = await reduce(spec, train, settings, chosen.kernels, pause, { before, byItself });
  const { reduction } = reduced;
  const gatesOf = model === null ? null : gatesOwner(model, spec, reduction);
  const sources = { gatesOf, warmStart, space: reduction?.space ?? null, rows: reduction?.X ?? null };
  const seen = reduced.data(train);
  const held = validation && reduced.data(validation);
  const data = { train: seen, validation: held };
  const posed = await poseAtBeta(reduced.spec, data, reduced.settings, chosen, sources, clock);
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

/**
 * The problem at the beta that is wished for. Where that is left to us, rows held out choose it, if there are enough of them and every part
 * of the rows makes a problem that can be posed.
 */
async function poseAtBeta(...[spec, data, settings, ...how]: Parameters<typeof poseHeldOut>): Promise<Problem> {
  const { train, validation } = data;
  if (settings.regularization === "held-out") return poseHeldOut(spec, data, settings, ...how);
  if (isLeftToUs(spec, settings.regularization) && train.x.rows >= HELD_OUT_ROWS) {
    const judges = validation !== null && validation.x.rows >= HELD_OUT_ROWS ? validation : null;
    try {
      return await poseHeldOut(spec, { train, validation: judges }, settings, ...how);
    } catch (error) {
      if (!(error instanceof ConvexError)) throw error; // what is wrong with all rows is refused below
    }
  }
  return pose(spec, train, settings, ...how);
}

/** False where a start has gates over all columns: in the span of the rows there are fewer. */
function startsInSpan(start: StartingPoint | null, { hiddenBias }: NetworkSpec): (columns: number) => boolean {
  return (columns) => start?.gates?.generators?.cols !== columns + (hiddenBias ? 1 : 0);
}
