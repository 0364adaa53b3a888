/** The regularization path: one model class, data set and gate set, many betas, each solve begun at the one before. */

import type * as tf from "@tensorflow/tfjs";
import { MOST_POINTS, count as readCount, shown } from "../arguments.js";
import { certify, smallestTrivialBeta } from "../convex/certificate.js";
import { chooseEngine, type Kernels, threadsOf } from "../convex/kernels/index.js";
import { exp, log } from "../convex/linear/elementary.js";
import { forward, type Network } from "../convex/network.js";
import type { Clock } from "../convex/solvers/clock.js";
import { extrapolate, type PathStop } from "../convex/solvers/extrapolate.js";
import { withProducts } from "../convex/solvers/solve.js";
import { Workbench } from "../convex/solvers/workbench.js";
import type { Certificate, GateSet, SparseBlocks, Status } from "../convex/types.js";
import { ConvexError } from "../errors.js";
import type { Settings } from "./options.js";
import { pose } from "./pose/pose.js";
import { programWeights } from "./pose/programWeights.js";
import {
  certificateNear,
  chargedObjective,
  gatesOwner,
  layerRows,
  layerWeights,
  type Reduced,
  reduce,
  writtenObjective,
} from "./pose/reduction.js";
import { modelObjective } from "./pose/regularization.js";
import { type Dataset, refuseDegenerate, type Weighting } from "./read/data.js";
import { frozenCharge } from "./read/frozenCharge.js";
import { type NetworkSpec, readModel } from "./read/model.js";
import { type HeldOut, readSplit } from "./read/split.js";
import { trunkOf } from "./read/trunk.js";
import { white, whitened } from "./read/whitening.js";
import type { Objective, PosedSolution, Problem, Regularization } from "./records.js";
import { SplitEvaluator } from "./report/evaluate.js";
import { engineOn } from "./solve/onEngine.js";
import { budgetOf, recovered, solvePosed } from "./solve/posed.js";
import { alone } from "./solve/sharing.js";
import { clockOf, type Fitting, solutionWithin, statusWithin, withinWidth } from "./solve/withinWidth.js";
import { writeWeights } from "./write/weights.js";
import { resized, unitsFor } from "./write/width.js";

const COUNT = 50;
const RATIO = 1e-3;
/** Of one beta to the next: below it the line through the last two solutions leads astray. */
const LONG_STEP = 0.8;

/** Which betas a path visits. */
export interface PathGrid {
  /** The betas themselves, in any order. */
  readonly betas?: readonly number[];
  /** Or how many, in equal ratios down from the smallest at which the zero network is optimal; default 50. */
  readonly count?: number;
  /** The smallest beta over the largest; default 1e-3. */
  readonly ratio?: number;
}

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
    refuse("onPoint to be a function", shown(args.onPoint), "Change it or leave it out.");
  const read = readModel(model, settings.formulation, "fit");
  refuseOwnBeta(read);
  const split = await readSplit(x, y, read, args, trunkOf(model));
  refuseDegenerate(split.train);
  const spec = whitened(read, split.train);
  const train = white(split.train, spec);
  const validation = split.validation && white(split.validation, spec);
  const chosen = await chooseEngine(settings.engine, settings.threads);
  const free = args.betas === undefined;
  const { posed, reduced } = await poseForPath(model, spec, train, settings, chosen.kernels, free, clock);
  const engine = await engineOn(posed.program, chosen, settings);
  const betas = betasOf(posed, engine.kernels, args);
  const evaluator = new SplitEvaluator(model, reduced.spec, posed.program.X, posed.column.value, {
    train: reduced.data(train),
    validation: validation === null ? null : reduced.data(validation),
  });
  const frozen = await frozenCharge(model);
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
      const network = networks.get(point);
      if (network === undefined) {
        throw new ConvexError(
          "options/value",
          "write: expected a point of this path, got another. Pass one of `points`.",
        );
      }
      const units = unitsFor(spec, Math.max(1, network.neurons.length), settings.width);
      const { regularization, column } = posed;
      const weights = layerWeights({ ...posed, regularization: at(regularization, point.beta) }, network, units);
      const target = units === spec.units ? model : resized(model, units);
      writeWeights(target, spec, weights, column.value);
      return target;
    },
  };
}

/** The program of the path, in fewer dimensions where the settings say so; its beta is yet to be set. */
export async function poseForPath(
  model: tf.LayersModel,
  spec: NetworkSpec,
  data: Dataset,
  settings: Settings,
  kernels: Kernels,
  free: boolean, // no option names a beta
  clock: Clock,
): Promise<{ readonly posed: Problem; readonly reduced: Reduced }> {
  const reduced = reduce(spec, data, { ...settings, regularization: 1 }, { free });
  const { reduction } = reduced;
  const sources = { gatesOf: gatesOwner(model, spec, reduction), warmStart: null, space: reduction?.space ?? null };
  const posed = await pose(reduced.spec, reduced.data(data), reduced.settings, { kernels, reason: "" }, sources, clock);
  return { posed: { ...posed, spec, reduction }, reduced };
}

/** Visits every beta with what was solved there; `visit` answers whether to go on. */
export async function eachBeta(
  posed: Problem,
  betas: readonly number[],
  kernels: Kernels,
  settings: Settings,
  clock: Clock,
  visit: (problem: Problem, solution: PosedSolution) => Promise<boolean>,
): Promise<void> {
  const bench = posed.growth === null ? new Workbench(posed.program, kernels) : undefined;
  let { program } = posed;
  const stops: PathStop[] = []; // the last two
  try {
    for (const beta of betas) {
      program = { ...program, beta };
      const problem = { ...posed, program, regularization: at(posed.regularization, beta) };
      const budget = budgetOf(settings, clock.left);
      const solution = await solvePosed(problem, kernels, budget, settings.seed, startAt(problem, stops), bench);
      program = solution.program;
      stops.push({ beta, blocks: solution.blocks });
      if (stops.length > 2) stops.shift();
      const more = await visit({ ...problem, program }, solution);
      if (!more || clock.over || clock.stopped()) break;
    }
  } finally {
    bench?.dispose();
  }
}

/** The start at the program's beta: on the line through the last two solutions, or at the last. */
function startAt({ program, growth }: Problem, stops: readonly PathStop[]): SparseBlocks | undefined {
  const [before, last] = stops.length > 1 ? stops : [undefined, stops[0]];
  // From zero a growth finds better neurons afresh than from the gates that zero has left it.
  if (last === undefined || (growth !== null && last.blocks.index.length === 0)) return undefined;
  // The line leaves the cones; solutions turn too often where singular values vanish or the loss has kinks.
  const { beta, cones, penalty, loss, X } = program;
  const smooth = !cones && penalty.separable && Number.isFinite(loss.curvature);
  if (before === undefined || !smooth || beta < LONG_STEP * last.beta) return last.blocks;
  return extrapolate(before, last, beta, X.cols);
}

/** The betas in falling order. */
export function betasOf(posed: Problem, kernels: Kernels, { betas, count = COUNT, ratio = RATIO }: PathGrid): number[] {
  if (betas !== undefined) {
    if (
      !Array.isArray(betas) ||
      betas.length === 0 ||
      betas.length > MOST_POINTS ||
      !betas.every((beta) => typeof beta === "number" && beta > 0 && Number.isFinite(beta))
    ) {
      refuse("betas to be finite numbers above 0", shown(betas), "Give at least one, or a count.");
    }
    return [...new Set<number>(betas)].sort((a, b) => b - a);
  }
  readCount("path: count", count, MOST_POINTS);
  if (!(typeof ratio === "number" && ratio > 0 && ratio < 1))
    refuse("ratio to be a number between 0 and 1", shown(ratio), "Change it.");
  const largest = withProducts(posed.program, kernels, (products) => smallestTrivialBeta(posed.program, products));
  if (!(largest > 0)) {
    throw new ConvexError(
      "data/target",
      `path: expected targets that a network can improve on, got a gradient of zero at the zero network. Check y.`,
    );
  }
  return Array.from({ length: count }, (_, k) => largest * exp(log(ratio) * (count === 1 ? 0 : k / (count - 1))));
}

export function refuseOwnBeta({ l2 }: NetworkSpec): void {
  if (l2.hidden === 0 && l2.output === 0) return;
  throw new ConvexError(
    "model/regularizer",
    `path: expected a model without l2 kernel regularizers, since the path sets them, got ${l2.hidden} and ${l2.output}. ` +
      `Remove them from the layers.`,
  );
}

/** The same layers charged for another beta. */
function at(regularization: Regularization, beta: number): Regularization {
  const output = regularization.output === 0 ? 0 : beta / 2; // one layer alone has no other
  return { ...regularization, beta, hidden: beta / 2, output, source: "option" };
}

/** The network of a point, within the layer's width where that is to be kept; begun from that of the point before, too. */
export async function fittingNetwork(
  problem: Problem,
  { blocks, program }: PosedSolution,
  kernels: Kernels,
  settings: Settings,
  clock: Clock,
  before: Network | null,
): Promise<Fitting> {
  const pause = () => clock.pause();
  const network = await recovered(problem, blocks, pause);
  const room = settings.width === "keep" ? problem.spec.units : Number.POSITIVE_INFINITY;
  const apart = { ...settings, vectorPenalty: program.cones ? ("perOutput" as const) : settings.vectorPenalty };
  return withinWidth(problem, program, network, room, kernels, apart, pause, before);
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
  const written = writtenObjective(problem, weights, Z);
  const charged = chargedObjective(problem, network, units, written);
  const { solution: own } = await solutionWithin(
    solution,
    alone(solution, network),
    fitting,
    kernels,
    async () => false,
  );
  const proven = certify(own.gap, charged.total, own.program, solution.evidence, solution.allGates);
  const { certificate } = certificateNear(proven, { ...problem, program: own.program }, solution.dualPoint, kernels);
  return {
    beta: regularization.beta,
    status: statusWithin(solution, fitting, certificate.dual, problem.spec, settings).status,
    certificate,
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

function refuse(expected: string, got: string, todo: string): never {
  throw new ConvexError("options/value", `path: expected ${expected}, got ${got}. ${todo}`);
}
