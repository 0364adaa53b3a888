/** The trainer: what a user calls in place of model.fit. */

import type * as tf from "@tensorflow/tfjs";
import { refuseUnknown } from "../arguments.js";
import { chooseEngine } from "../convex/kernels/index.js";
import { type NetworkWeights, undecidedGates } from "../convex/network.js";
import { isStandardized } from "../convex/operators/coordinates.js";
import { advice } from "../convex/solvers/solution.js";
import type { Solution, SolveBudget } from "../convex/solvers/solve.js";
import type { Certificate, Status } from "../convex/types.js";
import { ConvexError } from "../errors.js";
import {
  CROSS_VALIDATION_ARGS,
  type CrossValidation,
  type CrossValidationArgs,
  crossValidate,
} from "./crossValidate.js";
import { readOptions, type Settings, type TrainerOptions } from "./options.js";
import { followPath, PATH_ARGS, type PathArgs, type PathResult } from "./path.js";
import { certificateOf } from "./pose/constraint.js";
import { pose } from "./pose/pose.js";
import {
  certificateNear,
  chargedObjective,
  endedNear,
  gatesOwner,
  layerRows,
  layerWeights,
  reduce,
  writtenObjective,
} from "./pose/reduction.js";
import { modelObjective, notesOf } from "./pose/regularization.js";
import { columnNotes } from "./pose/standardize.js";
import { pointOn } from "./pose/startingPoint.js";
import { refuseDegenerate, type Weighting } from "./read/data.js";
import { type Batches, type Gathered, gathered } from "./read/dataset.js";
import { type NetworkSpec, readModel } from "./read/model.js";
import { type HeldOut, readSplit } from "./read/split.js";
import { trunkOf } from "./read/trunk.js";
import { white, whitened } from "./read/whitening.js";
import type { Problem, StartingPoint } from "./records.js";
import { cutOff, metWithin } from "./report/ended.js";
import type { Callbacks } from "./report/progress.js";
import { FitResult } from "./report/result.js";
import { Watch } from "./report/watch.js";
import { solveOn } from "./solve/onEngine.js";
import { budgetOf, recovered, solvePosed } from "./solve/posed.js";
import { sharedNetwork, sharingNotes, wantsSharing, withShared } from "./solve/sharing.js";
import {
  clockOf,
  SHARING_SHARE,
  shareOf,
  solutionWithin,
  statusWithin,
  WidthProbe,
  withinWidth,
} from "./solve/withinWidth.js";
import { type ModelWish, OPTIMIZER, templateOf } from "./write/template.js";
import { weightsBefore, writeWeights } from "./write/weights.js";
import { resized, unitsFor } from "./write/width.js";

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

/** Arguments of `fitDataset`, named as those of model.fitDataset. */
export interface FitDatasetArgs extends Omit<FitArgs, "validationData" | "validationSplit" | "sampleWeight"> {
  /** Batches that are taken of the data set; default all. */
  readonly batchesPerEpoch?: number;
  readonly validationData?: readonly [tf.Tensor, tf.Tensor] | Batches | null;
  readonly validationBatches?: number;
  /** Called after each batch that was gathered. */
  readonly onBatch?: (progress: Gathered) => unknown;
}

/** Arguments of `train`: those of `fit`, and what the model is to be. */
export interface TrainArgs extends FitArgs, ModelWish {}

const FIT_ARGS = [
  "validationData",
  "validationSplit",
  "sampleWeight",
  "classWeight",
  "callbacks",
  "verbose",
  "warmStart",
];
const DATASET_ARGS = [
  ...FIT_ARGS.filter((name) => name !== "validationSplit" && name !== "sampleWeight"),
  "batchesPerEpoch",
  "validationBatches",
  "onBatch",
];
const TRAIN_ARGS = [...FIT_ARGS, "loss", "metrics", "hiddenBias", "outputBias"];

/**
 * Trains two-layer ReLU and gated ReLU networks to global optimality for given gates, with a duality gap that proves it
 * (Pilanci and Ergen 2020, theorem 1).
 *
 * @example
 * ```ts
 * const model = tf.sequential({
 *   layers: [tf.layers.dense({ units: 64, activation: "relu", inputShape: [2] }), tf.layers.dense({ units: 1 })],
 * });
 * model.compile({ optimizer: "adam", loss: "meanSquaredError" });
 * const result = await new ConvexReLUTrainer({ tolerance: 1e-3 }).fit(model, x, y);
 * result.certificate.relativeGap; // at most 1e-3
 * ```
 */
export class ConvexReLUTrainer {
  private readonly settings: Settings;

  /** @throws ConvexError "options/unknown" or "options/value". */
  constructor(options: TrainerOptions = {}) {
    this.settings = readOptions(options);
  }

  /**
   * Solves the convex program of a compiled model on x, y and writes the recovered weights into its own layers. The model may be
   * a tf.Sequential or a tf.model, with models within, of one input and one output:
   *
   * - what comes first and is frozen (`trainable = false`) or has no weights is computed once a sample and stays as it is;
   * - then one hidden layer that is trained, dense, conv1d or conv2d with ReLU (fused or as a layer; batch normalisation before it
   *   where it is dense) or without activation, or GatedDense or GatedConv2D; or none at all;
   * - then what joins the places of a convolution (global average pooling, average pooling and flatten, or flatten), and a dense
   *   read-out with the activation that the loss wants. Dropout and noise take no part.
   *
   * y is [n x C] (or [n]), with class numbers for sparseCategoricalCrossentropy.
   *
   * The weights change only when everything succeeded, callbacks too. Numerical trouble is a `status` with `advice`, never an exception.
   *
   * @throws ConvexError for a model, data or option that does not fit; the message says what to do.
   */
  async fit<M extends tf.LayersModel>(model: M, x: tf.Tensor, y: tf.Tensor, args: FitArgs = {}): Promise<FitResult<M>> {
    refuseUnknown("fit", args, FIT_ARGS);
    return this.run(model, x, y, args, this.settings.width, false);
  }

  /**
   * The same on a tf.data.Dataset of batches { xs, ys }, which is gathered first: convex training sees all rows at once.
   *
   * @throws ConvexError as `fit`; "data/size" with the bytes, as soon as they are known not to fit.
   */
  async fitDataset<M extends tf.LayersModel>(
    model: M,
    dataset: Batches,
    args: FitDatasetArgs = {},
  ): Promise<FitResult<M>> {
    refuseUnknown("fitDataset", args, DATASET_ARGS);
    readModel(model, this.settings.formulation, "fit");
    const { batchesPerEpoch, validationBatches, validationData = null, onBatch, ...rest } = args;
    const data = await gathered(dataset, { batches: readCount("batchesPerEpoch", batchesPerEpoch), onBatch });
    const held: tf.Tensor[] = [];
    try {
      let pair = validationData as readonly [tf.Tensor, tf.Tensor] | null;
      if (validationData !== null && !Array.isArray(validationData)) {
        const batches = readCount("validationBatches", validationBatches);
        const { x, y } = await gathered(validationData as Batches, { batches });
        held.push(x, y);
        pair = [x, y];
      }
      return await this.fit(model, data.x, data.y, { ...rest, validationData: pair });
    } finally {
      for (const tensor of [data.x, data.y, ...held]) tensor.dispose();
    }
  }

  /**
   * The same without a model: builds a compiled tf.LayersModel exactly as wide as needed, whose layers carry the regularizers
   * that the objective charges.
   */
  async train(x: tf.Tensor, y: tf.Tensor, args: TrainArgs): Promise<FitResult> {
    refuseUnknown("train", args, TRAIN_ARGS);
    const { loss, metrics: _metrics, hiddenBias: _hiddenBias, outputBias: _outputBias, ...rest } = args;
    // What is no tensor, or has no columns, is refused when it is read.
    const [features, outputs] = [x?.shape?.[1] ?? 1, y?.shape?.[1] ?? 1];
    const template = templateOf({ ...args, loss }, this.settings.formulation ?? "relu", features, outputs);
    let result: FitResult | null = null;
    try {
      result = await this.run(template, x, y, rest, "resize", true);
      return result;
    } finally {
      if (result?.model !== template) template.dispose();
    }
  }

  /**
   * Solves along many betas, each solve begun at the one before, and judges every point; see `PathResult` for writing one. ReLU
   * neurons feed one output each.
   *
   * @throws ConvexError as `fit`; "model/regularizer" for a model whose layers charge a beta of their own.
   */
  async path<M extends tf.LayersModel>(
    model: M,
    x: tf.Tensor,
    y: tf.Tensor,
    args: PathArgs = {},
  ): Promise<PathResult<M>> {
    refuseUnknown("path", args, PATH_ARGS);
    return followPath(this.settings, model, x, y, args);
  }

  /**
   * Chooses beta by cross-validation along the path, and writes the fit of all rows with the best one into the model.
   *
   * @throws ConvexError as `path`.
   */
  async crossValidate<M extends tf.LayersModel>(
    model: M,
    x: tf.Tensor,
    y: tf.Tensor,
    args: CrossValidationArgs = {},
  ): Promise<CrossValidation<M>> {
    refuseUnknown("crossValidate", args, CROSS_VALIDATION_ARGS);
    return crossValidate(this.settings, model, x, y, args);
  }

  private async run<M extends tf.LayersModel>(
    model: M,
    x: tf.Tensor,
    y: tf.Tensor,
    args: FitArgs,
    width: "keep" | "resize",
    ours: boolean,
  ): Promise<FitResult<M>> {
    const { settings } = this;
    const clock = clockOf(settings);
    const pause = () => clock.pause();
    const read = readModel(model, settings.formulation, "fit");
    const trunk = trunkOf(model);
    const split = await readSplit(x, y, read, args, trunk);
    refuseDegenerate(split.train);
    const spec = whitened(read, split.train);
    const train = white(split.train, spec);
    const validation = split.validation && white(split.validation, spec);
    const chosen = await chooseEngine(settings.engine, settings.threads);
    const before = args.warmStart?.regularization?.standardized ?? null;
    const reduced = reduce(spec, train, settings, { before, byItself: startsInSpan(args.warmStart, spec) });
    const space = reduced.reduction?.space ?? null;
    const own = ours ? null : gatesOwner(model, spec, reduced.reduction);
    const sources = { gatesOf: own, warmStart: args.warmStart ?? null, space };
    const seen = reduced.data(train);
    const posed = await pose(reduced.spec, seen, reduced.settings, chosen, sources, clock);
    const problem = { ...posed, spec, reduction: reduced.reduction };
    const { column, regularization } = problem;
    const from = sources.warmStart === null ? null : pointOn(problem.program, sources.warmStart, chosen.kernels);
    if (chosen.kernels.iterate !== undefined) await keepOnHost(model);
    const watch = new Watch(
      model,
      reduced.spec,
      problem,
      { train: seen, validation: validation === null ? null : reduced.data(validation) },
      {
        callbacks: args.callbacks,
        verbose: args.verbose ?? 0,
        tolerance: settings.tolerance,
        timeLimit: settings.timeLimit,
        shares: wantsSharing(problem, settings),
      },
    );
    const room = width === "keep" ? spec.units : Number.POSITIVE_INFINITY;
    try {
      await watch.progress.begin(train.x.rows, settings.maxIterations, watch.names);
      const probe = new WidthProbe(problem, room, chosen.kernels, settings, pause);
      const limited = Number.isFinite(room) ? probe.limited.bind(probe) : undefined;
      const { solution, engine } = await solveOn(problem.program, chosen, settings, (kernels, before) => {
        const start = before?.blocks ?? from ?? undefined;
        const budget = this.budget(watch, clock.left * shareOf(problem, settings, room));
        return solvePosed(problem, kernels, budget, settings.seed, start, undefined, limited);
      });
      const { program, blocks } = solution;
      const spoilt = (found: Solution) => untouched(model, watch, found, problem, engine);
      if (!Number.isFinite(solution.gap.primal) || solution.contradicted) return await spoilt(solution);
      const shared = await sharedNetwork(
        problem,
        solution,
        await recovered({ ...problem, program }, blocks, pause),
        chosen.kernels,
        settings,
        clock.part(Number.isFinite(room) ? SHARING_SHARE : 1),
        room,
        (round) => watch.sharedRound(round, program, solution),
      );
      // Without a bound for neurons that feed all outputs, each feeds one.
      const apart = program.cones && program.loss.outputs > 1 && shared.bound === null;
      const wish = apart ? { ...settings, vectorPenalty: "perOutput" as const } : settings;
      const known = apart ? null : probe.network;
      const fitting = await withinWidth(problem, program, shared.network, room, chosen.kernels, wish, pause, known);
      const { network } = fitting;
      const units = unitsFor(spec, Math.max(1, network.neurons.length), width);
      const weights = layerWeights(problem, network, units);
      if (!isFinite32(weights)) return await spoilt({ ...solution, status: "nonFinite", advice: advice.nonFinite });
      const written = writtenObjective(problem, weights);
      const charged = chargedObjective(problem, network, units, written);
      const within = await solutionWithin(solution, shared, fitting, chosen.kernels, pause);
      const proven = withShared(certificateOf(problem, within.solution, weights, charged), within.shared);
      const near = certificateNear(
        proven,
        { ...problem, program: within.solution.program },
        within.shared.dualPoint ?? solution.dualPoint,
        chosen.kernels,
      );
      const ended = cutOff(
        metWithin(
          endedNear(within.shared, near.certificate, problem, settings.tolerance),
          solution.gap,
          problem,
          settings.tolerance,
        ),
        near.certificate,
        problem,
        settings.tolerance,
      );
      // A mean moves the bias: the layer's is not the one that the program charges.
      const carried = ours && space?.mean == null;
      const standardized = space !== null && isStandardized(space);
      const leftOut = column.charged && !carried && !standardized;
      const target = this.target(model, spec, units, ours ? problem : null);
      const restore = target === model ? await weightsBefore(model) : () => target.dispose();
      try {
        writeWeights(target, spec, weights, column.value);
        await watch.progress.end();
      } catch (error) {
        restore();
        throw error;
      }
      return new FitResult(watch.progress.epoch, watch.progress.history, {
        model: target,
        certificate: near.certificate,
        objective: modelObjective(written, weights.kernel, regularization.hidden, leftOut),
        ...statusWithin(
          heldInFloat32(ended, near.certificate, problem, settings.tolerance),
          fitting,
          near.certificate.dual,
          spec,
          settings,
        ),
        neurons: network.neurons.length,
        regularization,
        notes: [
          ...(trunk.note === null ? [] : [trunk.note]),
          ...notesOf(spec, regularization, column, carried),
          ...columnNotes(train, spec),
          ...problem.gateNotes,
          ...sharingNotes(proven),
          ...near.notes,
          ...gateNotes(undecidedGates(weights, layerRows(problem))),
        ],
        solver: solution.solver,
        engine,
        seconds: solution.seconds,
        gates: program.gates,
        blocks,
        problem: { ...problem, program },
      });
    } finally {
      watch.progress.close();
    }
  }

  private budget(watch: Watch, seconds: number): SolveBudget {
    return { ...budgetOf(this.settings, seconds), onRound: (round) => watch.round(round) };
  }

  /** The model itself when it has the width, else a new one; one of our own carries what the program charges. */
  private target<M extends tf.LayersModel>(model: M, spec: NetworkSpec, units: number, owned: Problem | null): M {
    if (owned === null) return units === spec.units ? model : resized(model, units);
    const { hidden, output, outputBias, constraint, standardized } = owned.regularization;
    // Regularizers of a layer charge its own weights.
    if (constraint !== null || standardized) return resized(model, units, null, OPTIMIZER);
    const { value } = owned.column;
    const hiddenBias = value > 0 && owned.reduction?.space.mean == null ? hidden / value ** 2 : 0;
    return resized(model, units, { hidden, hiddenBias, output, outputBias }, OPTIMIZER);
  }
}

/** False where a start has gates over all columns: in the span of the rows there are fewer. */
function startsInSpan(start: StartingPoint | undefined, { hiddenBias }: NetworkSpec): (columns: number) => boolean {
  return (columns) => start?.gates?.generators?.cols !== columns + (hiddenBias ? 1 : 0);
}

function readCount(name: string, given: number | undefined): number | undefined {
  if (given === undefined || (Number.isInteger(given) && given >= 1)) return given;
  throw new ConvexError(
    "options/value",
    `${name}: expected an integer of at least 1, got ${given}. Change it or leave it out.`,
  );
}

/** tfjs keeps on the host what was once read: so the weights outlive a GPU that goes away while it works for the solver. */
async function keepOnHost(model: tf.LayersModel): Promise<void> {
  await Promise.all(model.getWeights().map((weight) => weight.data()));
}

/** False when a weight is beyond the range of float32, in which layers hold them. */
function isFinite32({ kernel, output, bias }: NetworkWeights): boolean {
  return [kernel.data, output.data, bias].every((values) => values.every(Number.isFinite));
}

/** The answer when there is no finite point, or none in float32: nothing is written, and the status says why. */
async function untouched<M extends tf.LayersModel>(
  model: M,
  watch: Watch,
  solution: Solution,
  problem: Problem,
  engine: string,
): Promise<FitResult<M>> {
  await watch.progress.end();
  const { program, regularization } = problem;
  return new FitResult(watch.progress.epoch, watch.progress.history, {
    model,
    certificate: certificateOf(problem, { ...solution, program, evidence: null, allGates: null }, null, null),
    objective: { loss: Number.NaN, regularization: Number.NaN, total: Number.NaN },
    status: solution.status,
    advice: solution.advice,
    neurons: 0,
    regularization,
    notes: [whyUntouched(problem, solution)],
    solver: solution.solver,
    engine,
    seconds: solution.seconds,
    gates: program.gates,
    blocks: solution.blocks,
    problem,
  });
}

/** Differences below this share of the zero network's loss are none in float32. */
const RESOLUTION = 2 ** -23;

/** Solved is the network as it stands in the layers: where rounding to float32 has spoilt it, the status says so. */
function heldInFloat32(
  { status, advice: said }: { readonly status: Status; readonly advice: string },
  { network, dual }: Certificate,
  { loss, constraint }: Problem,
  tolerance: number,
): { readonly status: Status; readonly advice: string } {
  const floor = RESOLUTION * loss.value(new Float64Array(loss.rows * loss.outputs));
  const room = 2 * tolerance * Math.abs(network) + floor;
  if (status !== "solved" || constraint !== null || !(network - dual > room)) return { status, advice: said };
  return { status: "stalled", advice: COARSE };
}

const COARSE =
  "The program is solved, but its network loses more than the tolerance when its weights are rounded to float32: bring the columns " +
  "of x, and the targets, to sizes near one.";

function whyUntouched({ constraint }: Problem, { contradicted }: Solution): string {
  if (contradicted) return "The bound and the objective contradict each other: the weights are as they were.";
  return constraint === null
    ? "No point with finite float32 weights was found: the weights are as they were."
    : "No network that meets the constraint was found: the weights are as they were.";
}

function gateNotes(undecided: number): string[] {
  if (undecided === 0) return [];
  return [
    `${undecided} pairs of a row and a neuron lie so close to the boundary of the gate that float32 may decide them otherwise: ` +
      `model.evaluate may differ from objective.loss by them.`,
  ];
}
