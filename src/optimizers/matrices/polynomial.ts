/** Networks of polynomial units in a model of the user's own, dense or convolutional, to the global optimum. */

import type * as tf from "@tensorflow/tfjs";
import { oneOf, refuseUnknown } from "../../arguments.js";
import { chooseEngine, threadsOf } from "../../convex/kernels/index.js";
import { bindLoss } from "../../convex/losses/index.js";
import { type PolynomialProblem, polynomialNetworks, polynomialObjective } from "../../convex/matrices/index.js";
import { patchMatrix } from "../../convex/operators/patches.js";
import { Clock } from "../../convex/solvers/clock.js";
import type { Matrix, Status } from "../../convex/types.js";
import type { UnitNetwork, UnitSolution } from "../../convex/units/index.js";
import { ConvexError } from "../../errors.js";
import type { UnitCertificate } from "../convexNN.js";
import { readOptions, type TrainerOptions } from "../options.js";
import { readData, refuseDegenerate, withColumn } from "../read/data.js";
import { refuseModel } from "../read/layers/layer.js";
import type { Weighting } from "../read/sampleWeights.js";
import type { Objective } from "../records.js";
import { widened } from "../write/width.js";
import { type PolynomialLayers, readPolynomialLayers, writePolynomialLayers } from "./polynomialLayers.js";

type FromTrainer = "tolerance" | "maxIterations" | "timeLimit" | "signal" | "engine" | "threads";

/** Options of `trainPolynomial`; those of the trainer mean what they mean there. */
export interface PolynomialOptions extends Pick<TrainerOptions, FromTrainer>, Weighting {
  /**
   * When the optimum has more units than the model: "keep" (default) is refused, with how many it takes; "resize" returns a new
   * model with as many as it has.
   */
  readonly width?: "keep" | "resize";
}

export interface PolynomialResult<M extends tf.LayersModel = tf.LayersModel> {
  readonly model: M; // the one that was given, or with width "resize" a new one, which the caller disposes
  /** Whether the solution is in the model; false where its weights were left alone. */
  readonly written: boolean;
  readonly certificate: UnitCertificate;
  readonly objective: Objective; // of the numbers in the layers, by a plain forward pass in float64
  readonly status: Status;
  readonly advice: string;
  readonly beta: number; // of the last layer's l1 regularizer
  readonly units: number; // or filters, that feed anything in the solution
  readonly rounds: number;
  readonly engine: string;
  readonly seconds: number;
}

const NAMES = [..."tolerance maxIterations timeLimit signal engine threads width sampleWeight classWeight".split(" ")];
/** Steps of descents, which are cheap beside epochs. */
const STEPS = 20_000;
const LEFT = "The model's weights are as they were.";
/** Numbers in all patches, float64: a gigabyte. */
const MOST_NUMBERS = 2 ** 27;

/**
 * Trains a compiled model with units a t^2 + b t + c of t = x u, |u| = 1, to the global optimum over networks of any width (Bartan and
 * Pilanci 2021), in its own layers, on x [n x ...] and y [n x C]:
 *
 * - [dense, polynomial(a, b, c), dense];
 * - [conv1d or conv2d, polynomial(a, b, c), average pooling, flatten or both, dense], a quadratic convolutional network.
 *
 * The first kernel has kernelConstraint unitNorm and no bias (`onesColumn()` before it puts one inside), the last an l1 regularizer; any loss
 * that the trainer knows. The bound is over all units, or filters. Weights are left alone where a signal ends it, and where it ends early
 * with a higher objective than the model had: `written` says so.
 *
 * @throws ConvexError "model/..." for layers that the program has not, and for fewer units than what was found takes; "options/...", "data/...".
 *
 * @example
 * ```ts
 * const { certificate, units } = await trainPolynomial(model, x, y, { width: "resize" });
 * certificate.scope; // "all units"
 * certificate.relativeGap; // at most 1e-4
 * ```
 */
export async function trainPolynomial<M extends tf.LayersModel>(
  model: M,
  x: tf.Tensor,
  y: tf.Tensor,
  options: PolynomialOptions = {},
): Promise<PolynomialResult<M>> {
  const clock = new Clock(Number.POSITIVE_INFINITY, () => false);
  refuseUnknown("trainPolynomial", options, NAMES);
  const { width = "keep", sampleWeight = null, classWeight = null, ...given } = options;
  oneOf("trainPolynomial: width", width, ["keep", "resize"]);
  const { tolerance, maxIterations, timeLimit, signal, engine, threads } = readOptions({
    maxIterations: STEPS,
    ...known(given),
  });
  const layers = readPolynomialLayers(model);
  const { loss, labels, outputs, inputShape, convolution, beta } = layers;
  const spec = { ...{ inputShape, convolution, outputs, loss, labels }, hiddenBias: false };
  const data = await readData(x, y, spec, { sampleWeight, classWeight });
  refuseDegenerate(data);
  const problem: PolynomialProblem = {
    X: rowsOf(layers, data.x),
    loss: bindLoss(loss, data.y, data.weights),
    outputBias: layers.outputBias,
    ...{ beta, activation: layers.activation, pooling: convolution?.pooling ?? null },
  };
  const refusal = polynomialNetworks.refuses(problem);
  if (refusal !== null) {
    throw new ConvexError(
      "data/size",
      `trainPolynomial: ${refusal}. Bring x to fewer columns, or make filters smaller.`,
    );
  }
  const { kernels, reason } = await chooseEngine(engine, threads);
  const budget = {
    tolerance,
    maxIterations,
    seconds: Math.max(0, timeLimit - clock.seconds),
    stopped: () => signal?.aborted === true,
  };
  const solution = await polynomialNetworks.build(problem).solve(kernels, budget);
  const units = solution.units.length;
  const { target, written, objective } =
    width === "keep" ? await kept(model, layers, problem, solution) : await resized(model, layers, problem, solution);
  return {
    ...{ model: target, written },
    certificate: certificateOf(solution, objective.total, convolution === null ? "units" : "filters"),
    objective,
    ...{ status: solution.status, advice: written ? solution.advice : `${solution.advice} ${LEFT}`, beta, units },
    rounds: solution.rounds,
    engine: reason + threadsOf(kernels),
    seconds: clock.seconds,
  };
}

interface Written<M> {
  readonly target: M;
  readonly written: boolean;
  readonly objective: Objective; // of the numbers in the target's layers
}

/** The model itself, with the solution in it unless that is no gain. */
async function kept<M extends tf.LayersModel>(
  model: M,
  layers: PolynomialLayers,
  problem: PolynomialProblem,
  solution: UnitSolution,
): Promise<Written<M>> {
  const { status, gap, units } = solution;
  if (status !== "solved") {
    const objective = await polynomialObjective(problem, await networkIn(layers));
    if (status === "cancelled" || objective.total <= gap.primal) return { target: model, written: false, objective };
  }
  if (units.length > layers.units) refuseWidth(layers, solution);
  writePolynomialLayers(layers, polynomialNetworks.recover(problem, solution));
  return { target: model, written: true, objective: await polynomialObjective(problem, await networkIn(layers)) };
}

/** A new model with as many units as the solution has. */
async function resized<M extends tf.LayersModel>(
  model: M,
  { hidden }: PolynomialLayers,
  problem: PolynomialProblem,
  solution: UnitSolution,
): Promise<Written<M>> {
  const target = widened(model, hidden, Math.max(1, solution.units.length));
  try {
    const layers = readPolynomialLayers(target);
    writePolynomialLayers(layers, polynomialNetworks.recover(problem, solution));
    return { target, written: true, objective: await polynomialObjective(problem, await networkIn(layers)) };
  } catch (error) {
    target.dispose();
    throw error;
  }
}

function known(options: TrainerOptions): TrainerOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

/** The rows that units see, ones included: samples, or patches. */
function rowsOf({ ones, inputShape, convolution }: PolynomialLayers, x: Matrix): Matrix {
  const channels = inputShape[inputShape.length - 1];
  const cells = x.cols / channels;
  const flat = ones ? withColumn({ rows: x.rows * cells, cols: channels, data: x.data }, 1) : x;
  const seen = { rows: x.rows, cols: cells * (channels + Number(ones)), data: flat.data };
  if (convolution === null) return seen;
  const { patches, entries } = convolution.geometry;
  const numbers = x.rows * patches * entries;
  if (numbers <= MOST_NUMBERS) return patchMatrix(seen, convolution.geometry);
  throw new ConvexError(
    "data/size",
    `trainPolynomial: expected at most ${MOST_NUMBERS} numbers in all patches, got ${numbers} (${x.rows} rows of ${patches} patches of ` +
      `${entries}). Give fewer rows, longer strides or smaller filters.`,
  );
}

function refuseWidth(
  { hidden, units: width, convolution }: PolynomialLayers,
  { status, units, gap }: UnitSolution,
): never {
  const needed = units.length;
  const found =
    status === "solved"
      ? "the optimum that was found"
      : `the network at which it ended, with status "${status}" and a gap of ${gap.relative.toPrecision(2)},`;
  const noun = convolution === null ? "units" : "filters";
  refuseModel(
    "model/units",
    `at least ${needed} ${noun} in layer "${hidden.name}", as many as ${found} has`,
    `${width}`,
    `Build it with ${noun}: ${needed}, raise the l1 regularizer, or set width: "resize" to get a model of that width.`,
  );
}

/** The network that the layers hold. */
async function networkIn({
  hidden,
  output,
  units: m,
  outputs: C,
  convolution,
}: PolynomialLayers): Promise<UnitNetwork> {
  const [kernel] = await Promise.all(hidden.getWeights().map(async (weight) => weight.data()));
  const [read, bias] = await Promise.all(output.getWeights().map(async (weight) => weight.data()));
  const places = read.length / (m * C);
  const patchesFastest = convolution?.readOut === "patchesFastest";
  const units = Array.from({ length: m }, (_, j) => ({
    weights: Float64Array.from({ length: kernel.length / m }, (_, p) => kernel[p * m + j]),
    outputs: Float64Array.from({ length: places * C }, (_, feed) => {
      const a = Math.floor(feed / C);
      return read[(patchesFastest ? j * places + a : a * m + j) * C + (feed % C)];
    }),
  }));
  return { units, bias: bias === undefined ? new Float64Array(C) : Float64Array.from(bias) };
}

function certificateOf({ gap, bestRatio }: UnitSolution, network: number, noun: "units" | "filters"): UnitCertificate {
  return {
    ...{ primal: gap.primal, dual: gap.dual, relativeGap: gap.relative, network, scope: "all units", bestRatio },
    claim:
      `No network of any polynomial ${noun} of length one has an objective below ${gap.dual.toPrecision(8)}; ` +
      `this one has ${network.toPrecision(8)}.`,
  };
}
