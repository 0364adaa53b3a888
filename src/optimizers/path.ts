/** The regularization path: one model class, data set and gate set, many betas, each solve begun at the one before. */

import type * as tf from "@tensorflow/tfjs";
import { refuse } from "../arguments.js";
import { certify } from "../convex/certificate/index.js";
import { chooseEngine, type Kernels, threadsOf } from "../convex/kernels/index.js";
import { forward, type Network } from "../convex/network.js";
import { Clock } from "../convex/solvers/clock.js";
import type { Certificate, GateSet, SparseBlocks, Status } from "../convex/types.js";
import type { Settings } from "./options.js";
import { betasOf, type PathGrid, poseForPath, refuseOwnBeta } from "./pose/betas.js";
import { programWeights } from "./pose/programWeights.js";
import { certificateNear, chargedObjective, layerRows, layerWeights, writtenObjective } from "./pose/reduction.js";
import { modelObjective } from "./pose/regularization.js";
import { refuseDegenerate } from "./read/data.js";
import { frozenCharge } from "./read/frozenCharge.js";
import { readModel } from "./read/model.js";
import { white, whitened } from "./read/normalization/index.js";
import type { Weighting } from "./read/sampleWeights.js";
import { type HeldOut, readSplit } from "./read/split.js";
import { trunkOf } from "./read/trunk.js";
import type { Objective, PosedSolution, Problem, Regularization } from "./records.js";
import { endWithin } from "./report/ended.js";
import { SplitEvaluator } from "./report/evaluate.js";
import { claimedOfHead } from "./report/head.js";
import { chargedFor, eachBeta, fittingNetwork } from "./solve/alongBetas.js";
import { engineOn } from "./solve/onEngine.js";
import { alone } from "./solve/sharing.js";
import { clockOf, type Fitting, solutionWithin } from "./solve/withinWidth.js";
import { writePoint } from "./write/point.js";

/** Arguments of `path`. */
export interface PathArgs extends PathGrid, HeldOut, Weighting {
  /** Called after every point; answering false ends the path there. */
  readonly onPoint?: (point: PathPoint) => unknown;
}

/** One beta of a path. */
export interface PathPoint {
  readonly beta: number;
  readonly status: Status;
  readonly certificate: Certificate;
  readonly objective: Objective;
  readonly neurons: number;
  /** Says what beta is charged on: pass `standardize: regularization.standardized` to a fit at the same beta. */
  readonly regularization: Regularization;
  /** Loss and metrics by their names in model.evaluate, those of held out rows after "val_". */
  readonly metrics: Readonly<Record<string, number>>;
  readonly seconds: number;
  readonly gates: GateSet;
  readonly blocks: SparseBlocks;
}

/** A path, from the largest beta to the smallest. */
export interface PathResult<M extends tf.LayersModel = tf.Sequential> {
  readonly points: readonly PathPoint[];
  readonly engine: string;
  readonly seconds: number;
  /**
   * Writes the network of a point into the model, or into a wider one with width "resize", and answers with it.
   */
  write(point: PathPoint): M;
}

export const GRID_ARGS = ["betas", "count", "ratio"];
export const PATH_ARGS = [...GRID_ARGS, "validationData", "validationSplit", "sampleWeight", "classWeight", "onPoint"];

/** Solves along the betas of `args` for a compiled model without l2 regularizers; nothing is written until `write`. */
export async function followPath<M extends tf.LayersModel>(
  settings: Settings,
  model: M,
  x: tf.Tensor,
  y: tf.Tensor,
  args: PathArgs,
  clock: Clock = clockOf(settings),
): Promise<PathResult<M>> {
  if (args.onPoint !== undefined && typeof args.onPoint !== "function")
    refuse("path", "onPoint to be a function", args.onPoint);
  const read = readModel(model, settings.formulation, "fit", true, settings.depth);
  refuseOwnBeta(read);
  const split = await readSplit(x, y, read, args, trunkOf(model, "write", read.cut));
  refuseDegenerate(split.train);
  const pause = () => clock.pause();
  const chosen = await chooseEngine(settings.engine, settings.threads);
  const spec = await whitened(read, split.train, chosen.kernels, pause);
  const train = await white(split.train, spec, chosen.kernels, pause);
  const validation = split.validation && (await white(split.validation, spec, chosen.kernels, pause));
  const free = args.betas === undefined;
  const { posed, reduced } = await poseForPath(model, spec, train, settings, chosen.kernels, free, clock);
  const engine = await engineOn(posed.program, chosen, settings);
  const betas = betasOf(posed, engine.kernels, args);
  const evaluator = new SplitEvaluator(model, reduced.spec, posed.program.X, posed.column.value, {
    train: reduced.data(train),
    validation: validation === null ? null : reduced.data(validation),
  });
  const frozen = await frozenCharge(model, "write", read.cut);
  const points: PathPoint[] = [];
  const networks = new Map<PathPoint, Network>();
  let before: Network | null = null;
  await eachBeta(posed, betas, engine.kernels, settings, clock, async (problem, solution) => {
    const fitting = await fittingNetwork(problem, solution, chosen.kernels, settings, clock, before);
    before = fitting.network;
    const point = await pointOf(problem, solution, fitting, evaluator, chosen.kernels, settings, frozen);
    points.push(point);
    networks.set(point, fitting.network);
    return args.onPoint?.(point) !== false;
  });
  return {
    points,
    engine: engine.reason + threadsOf(engine.kernels),
    seconds: clock.seconds,
    write(point) {
      return writePoint(model, spec, settings, posed.column.value, networks.get(point), (network, units) =>
        layerWeights({ ...posed, regularization: chargedFor(posed.regularization, point.beta) }, network, units),
      );
    },
  };
}

/** What is said of one beta. */
async function pointOf(
  problem: Problem,
  solution: PosedSolution,
  fitting: Fitting,
  evaluator: SplitEvaluator,
  kernels: Kernels,
  settings: Settings,
  frozen: number,
): Promise<PathPoint> {
  const { network } = fitting;
  const { program, regularization, column } = problem;
  const units = Math.max(1, network.neurons.length);
  const weights = layerWeights(problem, network, units);
  const Z = forward(weights, layerRows(problem));
  const written = writtenObjective(problem, weights, kernels, Z);
  const charged = chargedObjective(problem, weights, written);
  const { solution: own } = await solutionWithin(
    solution,
    alone(solution, network),
    fitting,
    kernels,
    new Clock(Number.POSITIVE_INFINITY, () => false),
  );
  const proven = certify(own.gap, charged.total, own.program, solution.evidence, solution.allGates);
  const { certificate } = certificateNear(proven, { ...problem, program: own.program }, solution.dualPoint, kernels);
  return {
    beta: regularization.beta,
    status: endWithin(solution, { problem, gap: solution.gap, certificate, fitting, tolerance: settings.tolerance })
      .status,
    certificate: claimedOfHead(certificate, problem.spec),
    objective: modelObjective(
      written,
      weights.kernel,
      regularization.hidden,
      column.charged && !regularization.standardized,
      frozen,
    ),
    neurons: network.neurons.length,
    regularization,
    metrics: await (problem.reduction === null
      ? evaluator.judge(weights, Z)
      : evaluator.judge(programWeights(problem, network))),
    seconds: solution.seconds,
    gates: program.gates,
    blocks: solution.blocks,
  };
}
