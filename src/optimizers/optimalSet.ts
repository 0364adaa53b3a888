/** All optima of a fit: the whole set of networks with its objective, what they need, and the ways between them. */

import type * as tf from "@tensorflow/tfjs";
import {
  count,
  counted,
  integer,
  isRecord,
  MOST_POINTS,
  MOST_STARTS,
  positive,
  tolerance as readTolerance,
  refuseAs,
  refuseUnknown,
  shown,
} from "../arguments.js";
import { chooseEngine, hostKernels, type Kernels } from "../convex/kernels/index.js";
import { norm } from "../convex/linear/vectors.js";
import { bindLoss } from "../convex/losses/index.js";
import { type Network, slopeOf } from "../convex/network.js";
import { rowsIn } from "../convex/operators/coordinates.js";
import { type Candidate, type Candidates, candidatesOf, distinct } from "../convex/optimalSet/candidates.js";
import { Optima, type Optimum, type Waypoint } from "../convex/optimalSet/optima.js";
import { Clock } from "../convex/solvers/clock.js";
import { type Solution, solve, withProducts } from "../convex/solvers/solve.js";
import { ConvexError } from "../errors.js";

import { layerWeights } from "./pose/reduction.js";
import { decayOf } from "./pose/regularization.js";
import { readData } from "./read/data.js";
import { inputRows } from "./read/inputRows.js";
import { readModel } from "./read/model.js";
import { white } from "./read/normalization/index.js";
import { trunkOf } from "./read/trunk.js";
import { FitResult } from "./report/result.js";
import { writeWeights } from "./write/weights.js";
import { resized, unitsFor } from "./write/width.js";

export type { Optimum, Waypoint } from "../convex/optimalSet/optima.js";

export interface OptimalSetOptions {
  /** Relative duality gap to which the program is solved again first, so that its dual point is sharp; default 1e-12. */
  readonly tolerance?: number;
  /** A block counts as active when its price is above (1 - slack) beta; default 1e-6. */
  readonly slack?: number;
  /** Seconds for solving again; default 60. */
  readonly timeLimit?: number;
  /** Other results of the same objective on the same data, to be found among the `solutions` of the set. */
  readonly others?: readonly FitResult<tf.LayersModel>[];
}

type AnyResult = FitResult<tf.LayersModel>;

const OPTIONS = ["tolerance", "slack", "timeLimit", "others"];
const ROUNDS = 400;
/** Two results have the same optimum when their objectives differ by no more than this share beyond their gaps. */
const SAME_OBJECTIVE = 1e-6;

/**
 * The set of all optima of the convex program behind a fit (Mishkin and Pilanci 2023): a polyhedron of sizes of candidate
 * neurons. For losses that are strictly convex in the predictions (mean squared error, the cross entropies) these are all
 * optima with the given gates; for the others they are those with the same predictions, and for the hinge loss those made of
 * the solution's own neurons. With the nuclear norm: those made of the singular vectors at hand. Convolutions have the same
 * program over patches; their neurons are filters.
 *
 * @example
 * ```ts
 * const result = await new ConvexReLUTrainer().fit(model, x, y);
 * const set = await optimalSet(result);
 * set.dimension; // 0: the optimum is unique
 * const small = set.fewest();
 * set.write(model, small); // the same objective with the fewest neurons found
 * ```
 *
 * @throws ConvexError "options/..." for options that don't fit, or a result whose fit found no finite weights.
 */
export async function optimalSet<M extends tf.LayersModel>(
  result: FitResult<M>,
  options: OptimalSetOptions = {},
): Promise<OptimalSet<M>> {
  refuseUnknown("optimalSet", options, OPTIONS);
  const { tolerance = 1e-12, slack = 1e-6, timeLimit = 60, others = [] } = options;
  readTolerance("optimalSet: tolerance", tolerance);
  for (const [name, value] of Object.entries({ slack, timeLimit })) positive(`optimalSet: ${name}`, value);
  if (!Array.isArray(others))
    refuseAs("optimalSet", "others: an array of results", shown(others), "Change it or leave it out.");
  for (const each of [result, ...others]) refuseUnsolved(each);
  for (const other of others) refuseOtherProblem(result, other);
  const { kernels } = await chooseEngine("auto");
  const { program } = result.problem;
  const sharp = await sharpened(result, kernels, tolerance, timeLimit);
  const found = withProducts(program, kernels, (products) => candidatesOf(program, products, sharp.blocks, slack));
  const more = others.map((other) => neuronsOf(other));
  const list = distinct([...found.list, ...more.flat().map(({ neuron }) => ({ neuron, size: 0 }))]);
  const { column, regularization } = result.problem;
  const optima = new Optima(program, decayOf(regularization), column.value, { ...found, list }, sharp.blocks.bias);
  return new OptimalSet(
    result,
    optima,
    found,
    sharp,
    others.map((other, k) => pointOf(optima, list, more[k], other)),
  );
}

/** What `optimalSet` answers with. */
export class OptimalSet<M extends tf.LayersModel = tf.Sequential> {
  /** Neurons that some optimum may use. */
  readonly candidates: number;
  /** Dimension of the set of directions that keep the predictions; 0: the optimum is unique. */
  readonly dimension: number;
  /** The optimum at hand, solved again to `relativeGap`, then those of the other results. */
  readonly solutions: readonly Optimum[];
  readonly relativeGap: number;
  /** Prices in units of beta: the least that counted as active and the largest that did not; far apart: a clear cut. */
  readonly prices: { readonly cheapestInside: number; readonly dearestOutside: number };

  /** @internal */
  constructor(
    private readonly result: FitResult<M>,
    private readonly optima: Optima,
    found: Candidates,
    sharp: Solution,
    others: readonly Float64Array[],
  ) {
    this.candidates = optima.size;
    this.dimension = optima.polyhedron.dimension;
    this.solutions = [optima.polyhedron.start, ...others].map((point) => optima.optimum(point));
    this.relativeGap = sharp.gap.relative;
    this.prices = { cheapestInside: found.cheapestInside, dearestOutside: found.dearestOutside };
  }

  /**
   * An optimum with few neurons: the smallest of `tries` vertices of the set. At a vertex no neuron can be taken out without
   * changing another's direction (a minimal network); that none has fewer is certain only where the set is one point.
   */
  fewest(options: { readonly tries?: number; readonly seed?: number } = {}): Optimum {
    refuseUnknown("OptimalSet.fewest", options, ["tries", "seed"]);
    const { tries = 50, seed = 0 } = options;
    count("OptimalSet.fewest: tries", tries, MOST_STARTS);
    integer("OptimalSet.fewest: seed", seed);
    return this.optima.fewest(tries, seed);
  }

  /** The optimum whose program variables have the least Euclidean norm: there is one. */
  minimumNorm(): Optimum {
    return this.optima.minimumNorm();
  }

  /**
   * The optimum with the least loss on validation data x [rows x d], y [rows x C] (for the hinge loss: squared hinge): test error
   * may differ a lot over one optimal training objective. The caller keeps the tensors.
   *
   * @throws ConvexError "data/..." as fit does.
   */
  async choose(inputs: tf.Tensor, y: tf.Tensor): Promise<Optimum> {
    const { spec, column, reduction } = this.result.problem;
    const seen = await trunkOf(this.result.model, "read", spec.cut).see("x", inputs);
    const clock = new Clock(Number.POSITIVE_INFINITY, () => false);
    const data = await white(await readData(seen, y, spec), spec, await hostKernels({}), () => clock.pause());
    const x = reduction === null ? data.x : rowsIn(data.x, reduction.space);
    const X = inputRows(spec, x, column.value);
    return this.optima.best(bindLoss(spec.loss === "hinge" ? "squaredHinge" : spec.loss, data.y), X);
  }

  /** sqrt(sum_i |v_i - v'_i|^2) in the variables of the program. */
  distance(a: Optimum, b: Optimum): number {
    this.refuseForeign(a, b);
    return this.optima.distance(a.point, b.point);
  }

  /**
   * The straight way between two optima in the program's variables: `steps` + 1 networks whose weights change continuously, each
   * neuron in its place, with one objective up to rounding (mode connectivity without a barrier).
   */
  path(from: Optimum, to: Optimum, options: { readonly steps?: number } = {}): Waypoint[] {
    this.refuseForeign(from, to);
    refuseUnknown("OptimalSet.path", options, ["steps"]);
    const { steps = 20 } = options;
    count("OptimalSet.path: steps", steps, MOST_POINTS);
    return this.optima.path(from, to, steps);
  }

  /** Writes a network of the set into a model with the layers of the fitted one and units (filters) enough. */
  write(model: tf.LayersModel, optimum: { readonly network: Network }): void {
    const network = networkOf(optimum);
    const { problem } = this.result;
    const spec = readModel(model, problem.spec.formulation, "fit", true, problem.spec.deep.length > 0 ? "head" : null);
    const { inputs, outputs } = problem.spec;
    const of = ({ inputShape, hiddenBias, outputBias, convolution, negativeSlope, normalization }: typeof spec) =>
      JSON.stringify({ inputShape, hiddenBias, outputBias, convolution, negativeSlope, normalization });
    const fits = spec.outputs === outputs && of(spec) === of(problem.spec);
    if (!fits) {
      throw new ConvexError(
        "model/layer",
        `OptimalSet.write: expected a model of ${counted(inputs, "input")} and ${counted(outputs, "output")} with the biases and patches of the fitted one, ` +
          `got one of ${counted(spec.inputs, "input")} and ${counted(spec.outputs, "output")}. Use the fitted model, or modelOf.`,
      );
    }
    const units = unitsFor(spec, Math.max(1, network.neurons.length), "keep");
    writeWeights(
      model,
      { ...spec, inputs, whitening: problem.spec.whitening },
      layerWeights(problem, network, units),
      problem.column.value,
    );
  }

  /** A new model of the fitted layers, as wide as the network; the caller disposes. */
  modelOf(optimum: { readonly network: Network }): M {
    const network = networkOf(optimum);
    const { problem, model: fitted } = this.result;
    const units = Math.max(1, network.neurons.length);
    const model = resized(fitted, units);
    writeWeights(model, problem.spec, layerWeights(problem, network, units), problem.column.value);
    return model;
  }

  private refuseForeign(...points: readonly Optimum[]): void {
    for (const each of points) {
      if (isRecord(each) && each.point?.length === this.solutions[0].point.length) continue;
      const got = isRecord(each) && each.point ? `one of ${counted(each.point.length, "candidate")}` : shown(each);
      refuseAs("optimalSet", "an optimum of this set", got, "Take it from this set's own methods.");
    }
  }
}

function networkOf(optimum: { readonly network: Network }): Network {
  const network = isRecord(optimum) ? optimum.network : undefined;
  if (network !== undefined && Array.isArray(network.neurons)) return network;
  return refuseAs(
    "optimalSet",
    "an optimum or a waypoint of this set",
    shown(optimum),
    "Take it from this set's own methods.",
  );
}

function sharpened(result: AnyResult, kernels: Kernels, tolerance: number, seconds: number): Promise<Solution> {
  return solve(result.problem.program, kernels, { tolerance, maxIterations: ROUNDS, seconds }, result.blocks);
}

function neuronsOf({ problem, blocks }: AnyResult): Candidate[] {
  return problem.formulation.recover(problem.program, blocks).neurons.map((neuron) => {
    const size = norm(neuron.output);
    return { neuron: { ...neuron, output: neuron.output.map((value) => value / size) }, size };
  });
}

/** The sizes that a network has among the candidates, and its output bias where that is free. */
function pointOf(
  optima: Optima,
  list: readonly Candidate[],
  own: readonly Candidate[],
  result: AnyResult,
): Float64Array {
  const point = new Float64Array(optima.polyhedron.start.length);
  const sizes = distinct([...list.map(({ neuron }) => ({ neuron, size: 0 })), ...own]);
  sizes.forEach(({ size }, j) => {
    point[j] = size;
  });
  if (point.length > sizes.length) point.set(result.blocks.bias, sizes.length);
  return point;
}

function refuseUnsolved(result: AnyResult): void {
  if (result instanceof FitResult && result.problem.spec.formulation === "affine") {
    refuseAs(
      "optimalSet",
      "a result of a hidden layer and a read-out",
      "one of a single layer",
      "Its program has one optimum, or a linear space.",
    );
  }
  if (result instanceof FitResult && result.problem.spec.skip !== null) {
    refuseAs(
      "optimalSet",
      "a result of layers that follow one another",
      "one with a linear layer beside the hidden one",
      "Its optima are not told apart here: fit a model without that layer.",
    );
  }
  if (result instanceof FitResult && Number.isFinite(result.objective.total)) return;
  const got = result instanceof FitResult ? `one with status "${result.status}"` : shown(result);
  refuseAs("optimalSet", "the result of a fit with finite weights", got, "Pass what fit or train returned.");
}

function refuseOtherProblem(result: AnyResult, other: AnyResult): void {
  const [a, b] = [result.problem.program, other.problem.program];
  const same =
    a.X.rows === b.X.rows &&
    a.X.cols === b.X.cols &&
    a.cones === b.cones &&
    slopeOf(a.pooling) === slopeOf(b.pooling) &&
    a.X.data.every((v, k) => v === b.X.data[k]);
  const [p, q] = [result, other].map(({ certificate }) => certificate.perOutput ?? certificate);
  const room = SAME_OBJECTIVE + Math.max(0, p.relativeGap) + Math.max(0, q.relativeGap);
  if (same && a.beta === b.beta && Math.abs(p.primal - q.primal) <= room * Math.abs(p.primal)) return;
  refuseAs(
    "optimalSet",
    "others: results on the same data with the same regularization and objective",
    same ? `objectives ${p.primal.toPrecision(8)} and ${q.primal.toPrecision(8)}` : "one on other data",
    "Fit all with the same data and gates (or with all gates).",
  );
}
