/** The path of a fit, each step one call into its wing: read, pose, solve, certify, write. */

import type * as tf from "@tensorflow/tfjs";
import type { Settings } from "./options.js";
import { type Posed, poseFit } from "./pose/fit.js";
import { readFit } from "./read/fit.js";
import type { Weighting } from "./read/sampleWeights.js";
import type { HeldOut } from "./read/split.js";
import type { StartingPoint } from "./records.js";
import { CONTRADICTED, contradicts } from "./report/ended.js";
import { factsOf, proveFit, unwritten } from "./report/fit.js";
import type { Callbacks } from "./report/progress.js";
import { FitResult } from "./report/result.js";
import { Watch } from "./report/watch.js";
import { type Solved, solveFit, type Unsolved } from "./solve/fit.js";
import { wantsSharing } from "./solve/sharing.js";
import { clockOf } from "./solve/withinWidth.js";
import { keepOnHost, writeFit } from "./write/fit.js";
import { unitsFor } from "./write/width.js";

/** Arguments of `fit`, named as those of model.fit. */
export interface FitArgs extends Weighting, HeldOut {
  readonly callbacks?: Callbacks | null;
  /** 1 shows progress with the time left in Node: a bar in a terminal, lines elsewhere; default 0. */
  readonly verbose?: number;
  /**
   * An earlier result, or a certificate of a model, whose gates fit these data: they are used, and the solve begins at its point,
   * or, where that is no network of this program, at the nearest one that is.
   */
  readonly warmStart?: StartingPoint;
}

/** A model, and how it is to be fitted. */
export interface Order<M extends tf.LayersModel> {
  readonly model: M;
  readonly x: tf.Tensor;
  readonly y: tf.Tensor;
  readonly args: FitArgs;
  readonly settings: Settings;
  readonly width: "keep" | "resize";
  /** The model is a template of our own, to be as wide as needed, with the regularizers that the program charges. */
  readonly ours: boolean;
  /** False where nobody hears of its epochs, so that metrics need not be computed; default true. */
  readonly heard?: boolean;
}

/** Nothing is written unless every step succeeds. */
export async function fitModel<M extends tf.LayersModel>(order: Order<M>): Promise<FitResult<M>> {
  const { model, x, y, args, settings, width, ours } = order;
  const clock = clockOf(settings);
  const read = await readFit(model, x, y, settings, args, () => clock.pause());
  const posed = await poseFit(read, ours ? null : model, settings, clock, args.warmStart ?? null);
  const { problem, chosen } = posed;
  if (chosen.kernels.iterate !== undefined) await keepOnHost(model);
  const watch = watchOf(order, posed);
  const { progress } = watch;
  const result = (summary: ConstructorParameters<typeof FitResult<M>>[2]) =>
    new FitResult<M>(progress.epoch, progress.history, summary);
  try {
    await progress.begin(read.train.x.rows, settings.maxIterations, watch.names);
    const room = width === "keep" ? read.spec.units : Number.POSITIVE_INFINITY;
    const solved = await solveFit(posed, settings, clock, room, watch);
    const nothing = async (ended: Solved | Unsolved, fits = true) => {
      await progress.end();
      return result({ ...unwritten(posed, ended, fits), model });
    };
    if (!solved.hasNetwork) return await nothing(solved);
    const neurons = solved.fitting.network.neurons.length;
    const units = unitsFor(read.spec, Math.max(1, neurons), width);
    const proven = await proveFit(read, posed, solved, settings, units, ours, clock);
    if (proven === null) return await nothing(solved, false);
    if (contradicts(proven.certificate)) {
      return await nothing({ ...solved, solution: { ...solved.solution, ...CONTRADICTED } });
    }
    const { weights, ...said } = proven;
    const target = await writeFit(model, problem, weights, units, ours, () => progress.end());
    return result({ ...factsOf(posed, solved), ...said, neurons, model: target });
  } finally {
    progress.close();
  }
}

function watchOf(
  { model, args, settings, heard = true }: Order<tf.LayersModel>,
  { problem, spec, train, validation }: Posed,
): Watch {
  const { tolerance, timeLimit } = settings;
  const shares = wantsSharing(problem, settings);
  const how = { callbacks: args.callbacks, verbose: args.verbose ?? 0, tolerance, timeLimit, shares, heard };
  return new Watch(model, spec, problem, { train, validation }, how);
}
