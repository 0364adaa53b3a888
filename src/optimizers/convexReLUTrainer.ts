/** The trainer: what a user calls in place of model.fit. */

import type * as tf from "@tensorflow/tfjs";
import { refuseUnknown } from "../arguments.js";
import { chooseEngine } from "../convex/kernels/index.js";
import { type NetworkWeights, undecidedGates } from "../convex/network.js";
import { isStandardized } from "../convex/operators/coordinates.js";
import { advice } from "../convex/solvers/solution.js";
import type { Solution, SolveBudget } from "../convex/solvers/solve.js";
import type { Certificate, Status } from "../convex/types.js";
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
import { type NetworkSpec, readModel } from "./read/model.js";
import { type HeldOut, readSplit } from "./read/split.js";
import type { Problem, StartingPoint } from "./records.js";
import type { Callbacks } from "./report/progress.js";
import { FitResult } from "./report/result.js";
import { Watch } from "./report/watch.js";
import { solveOn } from "./solve/onEngine.js";
import { budgetOf, recovered, solvePosed } from "./solve/posed.js";
import { sharedNetwork, sharingNotes, wantsSharing, withShared } from "./solve/sharing.js";
import { type ModelWish, OPTIMIZER, templateOf } from "./write/template.js";
import { weightsBefore, writeWeights } from "./write/weights.js";
import { resized, unitsFor } from "./write/width.js";

/** Arguments of `fit`, named as those of model.fit. */
export interface FitArgs extends Weighting, HeldOut {
  readonly callbacks?: Callbacks | null;
  /** 1 draws a progress bar in a Node terminal; default 0. */
  readonly verbose?: number;
  /**
   * An earlier result, or a certificate of a model, whose gates fit these data: they are used, and the solve begins at its point,
   * or, where that is no network of this program, at the nearest one that is.
   */
  readonly warmStart?: StartingPoint;
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
   * Solves the convex program of a compiled model on x, y [n x C] and writes the recovered weights into the model:
   * [dense(units, relu) or GatedDense, dense(C)] on x [n x d], or [conv1d or conv2d (relu) or GatedConv2D, global average pooling
   * or flatten, dense(C)] on images x [n x height x width x channels] or signals x [n x length x channels].
   *
   * The weights change only when everything succeeded, callbacks too. Numerical trouble is a `status` with `advice`, never an exception.
   *
   * @throws ConvexError for a model, data or option that does not fit; the message says what to do.
   */
  async fit(model: tf.Sequential, x: tf.Tensor, y: tf.Tensor, args: FitArgs = {}): Promise<FitResult> {
    refuseUnknown("fit", args, FIT_ARGS);
    return this.run(model, x, y, args, this.settings.width, false);
  }

  /**
   * The same without a model: builds a compiled tf.Sequential exactly as wide as needed, whose layers carry the regularizers
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
  async path(model: tf.Sequential, x: tf.Tensor, y: tf.Tensor, args: PathArgs = {}): Promise<PathResult> {
    refuseUnknown("path", args, PATH_ARGS);
    return followPath(this.settings, model, x, y, args);
  }

  /**
   * Chooses beta by cross-validation along the path, and writes the fit of all rows with the best one into the model.
   *
   * @throws ConvexError as `path`.
   */
  async crossValidate(
    model: tf.Sequential,
    x: tf.Tensor,
    y: tf.Tensor,
    args: CrossValidationArgs = {},
  ): Promise<CrossValidation> {
    refuseUnknown("crossValidate", args, CROSS_VALIDATION_ARGS);
    return crossValidate(this.settings, model, x, y, args);
  }

  private async run(
    model: tf.Sequential,
    x: tf.Tensor,
    y: tf.Tensor,
    args: FitArgs,
    width: "keep" | "resize",
    ours: boolean,
  ): Promise<FitResult> {
    const { settings } = this;
    const began = performance.now();
    const left = () => Math.max(0, settings.timeLimit - (performance.now() - began) / 1000);
    const spec = readModel(model, settings.formulation);
    const { train, validation } = await readSplit(x, y, spec, args);
    refuseDegenerate(train);
    const chosen = await chooseEngine(settings.engine, settings.threads);
    const before = args.warmStart?.regularization?.standardized ?? null;
    const reduced = reduce(spec, train, settings, undefined, before);
    const space = reduced.reduction?.space ?? null;
    const own = ours ? null : gatesOwner(model, spec, reduced.reduction);
    const sources = { gatesOf: own, warmStart: args.warmStart ?? null, space };
    const seen = reduced.data(train);
    const posed = await pose(reduced.spec, seen, reduced.settings, chosen, sources);
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
        shares: wantsSharing(problem, settings),
      },
    );
    try {
      await watch.progress.begin(train.x.rows, settings.maxIterations, watch.names);
      const { solution, engine } = await solveOn(problem.program, chosen, settings, (kernels, before) => {
        const start = before?.blocks ?? from ?? undefined;
        return solvePosed(problem, kernels, this.budget(watch, left()), settings.seed, start);
      });
      const { program, blocks } = solution;
      const spoilt = (found: Solution) => untouched(model, watch, found, problem, engine);
      if (!Number.isFinite(solution.gap.primal) || solution.contradicted) return await spoilt(solution);
      const shared = await sharedNetwork(
        problem,
        solution,
        recovered({ ...problem, program }, blocks),
        chosen.kernels,
        settings,
        left(),
        width === "keep" ? spec.units : Number.POSITIVE_INFINITY,
        (round) => watch.sharedRound(round, program, solution),
      );
      const { network } = shared;
      const units = unitsFor(spec, Math.max(1, network.neurons.length), width);
      const weights = layerWeights(problem, network, units);
      if (!isFinite32(weights)) return await spoilt({ ...solution, status: "nonFinite", advice: advice.nonFinite });
      const written = writtenObjective(problem, weights);
      const charged = chargedObjective(problem, network, units, written);
      const proven = withShared(certificateOf(problem, solution, weights, charged), shared);
      const near = certificateNear(proven, { ...problem, program }, solution.dualPoint, chosen.kernels);
      // A mean moves the bias: the layer's is not the one that the program charges.
      const carried = ours && space?.mean == null;
      const standardized = space !== null && isStandardized(space);
      const apart = column.charged && !carried && !standardized;
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
        objective: modelObjective(written, weights.kernel, regularization.hidden, apart),
        ...heldInFloat32(shared, near.certificate, problem, settings.tolerance),
        neurons: network.neurons.length,
        regularization,
        notes: [
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
  private target(model: tf.Sequential, spec: NetworkSpec, units: number, owned: Problem | null): tf.Sequential {
    if (owned === null) return units === spec.units ? model : resized(model, units);
    const { hidden, output, outputBias, constraint, standardized } = owned.regularization;
    // Regularizers of a layer charge its own weights.
    if (constraint !== null || standardized) return resized(model, units, null, OPTIMIZER);
    const { value } = owned.column;
    const hiddenBias = value > 0 && owned.reduction?.space.mean == null ? hidden / value ** 2 : 0;
    return resized(model, units, { hidden, hiddenBias, output, outputBias }, OPTIMIZER);
  }
}

/** tfjs keeps on the host what was once read: so the weights outlive a GPU that goes away while it works for the solver. */
async function keepOnHost(model: tf.Sequential): Promise<void> {
  await Promise.all(model.getWeights().map((weight) => weight.data()));
}

/** False when a weight is beyond the range of float32, in which layers hold them. */
function isFinite32({ kernel, output, bias }: NetworkWeights): boolean {
  return [kernel.data, output.data, bias].every((values) => values.every(Number.isFinite));
}

/** The answer when there is no finite point, or none in float32: nothing is written, and the status says why. */
async function untouched(
  model: tf.Sequential,
  watch: Watch,
  solution: Solution,
  problem: Problem,
  engine: string,
): Promise<FitResult> {
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
