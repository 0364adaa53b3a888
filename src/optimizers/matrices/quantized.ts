/** Networks whose hidden weights are -1 and 1 (or a few more levels), with a lower bound, and the optimum where it can be had. */

import * as tf from "@tensorflow/tfjs";
import { count, flag, MOST_STARTS, oneOf, refuse, refuseUnknown } from "../../arguments.js";
import { chooseEngine, threadsOf } from "../../convex/kernels/index.js";
import { bindLoss, lossTraits } from "../../convex/losses/index.js";
import {
  KRIVINE,
  type QuantizedProblem,
  type QuantizedSolution,
  quantizedNetworks,
  type SignUnit,
} from "../../convex/matrices/index.js";
import type { Loss, LossName, Matrix, Status } from "../../convex/types.js";
import { ConvexError } from "../../errors.js";
import { pairProducts, polynomial } from "../../layers/index.js";
import { activationOf } from "../activation.js";
import { readOptions, type TrainerOptions } from "../options.js";
import { readData, refuseDegenerate, withColumn } from "../read/data.js";
import type { Weighting } from "../read/sampleWeights.js";
import type { Objective } from "../records.js";
import { OPTIMIZER } from "../write/template.js";
import { ownOptimizer } from "../write/width.js";

type FromTrainer = "tolerance" | "maxIterations" | "timeLimit" | "signal" | "seed" | "engine" | "threads";

/** Options of `trainQuantized`; those of the trainer mean what they mean there. */
export interface QuantizedOptions extends Pick<TrainerOptions, FromTrainer>, Weighting {
  readonly loss: LossName;
  /** "bilinear" (default): units (x u)(x v). { a, b, c }, or a layer `polynomial(a, b, c)`: units a t^2 + b t + c of t = x u. */
  readonly activation?: SignUnit;
  /** The factor beta of sum |a| over all output weights: a number above 0. */
  readonly regularization: number;
  /** Whether hidden units have a bias, which is quantized as well; default true. */
  readonly hiddenBias?: boolean;
  /** Whether the outputs have a bias, which is neither charged nor quantized; default true. */
  readonly outputBias?: boolean;
  /** Values that a hidden weight may take: 2 (default): -1, 1; 4: -3, -1, 1, 3; 8: the odd numbers from -7 to 7. */
  readonly levels?: 2 | 4 | 8;
  /** Units that are sampled from the relaxation, for each output and sign; default 400. */
  readonly samples?: number;
  /** Whether to price every unit there is where they are few enough, which proves the optimum; default true. */
  readonly enumerate?: boolean;
}

/** What is proven of a quantized network. */
export interface QuantizedCertificate {
  readonly primal: number; // the objective at the solution, in float64
  /** No network of such units has less: the semidefinite bound, or where every unit was priced the dual of the lasso over all. */
  readonly dual: number;
  readonly relativeGap: number;
  readonly network: number; // objective of the network as written, by a plain forward pass in float64
  readonly bound: number; // the semidefinite bound
  readonly ratio: number; // network over bound; for the best bilinear network at most 1.7823
  /** True when every unit there is was priced, so that the gap closes at the optimum. */
  readonly enumerated: boolean;
  readonly scope: "all units";
  readonly claim: string;
}

export interface QuantizedResult {
  /**
   * [dense, PairProducts, dense] or [dense, PolynomialActivation, dense], compiled; the first kernel and bias hold odd integers and
   * are frozen, the last kernel carries the l1 charge. The caller disposes.
   */
  readonly model: tf.Sequential;
  readonly certificate: QuantizedCertificate;
  readonly objective: Objective;
  readonly status: Status;
  readonly advice: string;
  readonly units: number;
  /** What the weights take when hidden ones are packed as bits and the others are float32, and what they take as float32. */
  readonly packed: { readonly hiddenBits: number; readonly bytes: number; readonly float32Bytes: number };
  readonly rounds: number;
  readonly engine: string;
  readonly seconds: number;
}

const NAMES = [
  ..."loss activation regularization hiddenBias outputBias levels samples enumerate".split(" "),
  ..."tolerance maxIterations timeLimit signal seed engine threads sampleWeight classWeight".split(" "),
];
const SAMPLES = 400;
/** Units that are inserted a round. */
const TOGETHER = 8;
const RELAXED =
  "The output weights are optimal for the units that were found. The bound is of a relaxation, which the best network may exceed " +
  "(bilinear units by a factor of up to 1.7823): fewer features or levels let every unit be priced.";

/**
 * Trains a network of one hidden layer with weights -1 and 1 on x [n x d], y [n x C] (Bartan and Pilanci, ICML 2021): tfjs's loss
 * plus beta sum |a| over the output weights. Units come from a semidefinite relaxation, which also bounds every such network from
 * below; output weights are optimal for them. Where sign vectors are few (some 20 weights a unit) every unit is priced, and the
 * result is the optimum, proven to the tolerance; elsewhere it is a network with a bound.
 *
 * @throws ConvexError "options/...", "data/..." for options or data that do not fit.
 *
 * @example
 * ```ts
 * const { model, certificate, packed } = await trainQuantized(x, y, { loss: "meanSquaredError", regularization: 0.1 });
 * certificate.ratio; // of the objective to the semidefinite bound
 * packed.bytes; // of the weights, one bit a hidden weight
 * ```
 */
export async function trainQuantized(x: tf.Tensor, y: tf.Tensor, options: QuantizedOptions): Promise<QuantizedResult> {
  refuseUnknown("trainQuantized", options, NAMES);
  const began = performance.now();
  const wish = readWish(options);
  const { tolerance, maxIterations, timeLimit, signal, seed, engine, threads } = readOptions(trainerPart(options));
  const [features, outputs] = [x?.shape?.[1] ?? 1, y?.shape?.[1] ?? 1];
  const spec = { inputShape: [features], convolution: null, outputs, loss: wish.loss, hiddenBias: wish.hiddenBias };
  const { sampleWeight = null, classWeight = null } = options;
  const data = await readData(x, y, spec, { sampleWeight, classWeight });
  refuseDegenerate(data);
  const { kernels, reason } = await chooseEngine(engine, threads);
  const problem: QuantizedProblem = {
    X: wish.hiddenBias ? withColumn(data.x, 1) : data.x,
    loss: bindLoss(wish.loss, data.y, data.weights),
    outputBias: wish.outputBias ? { ridge: 0 } : null,
    beta: wish.regularization,
    units: wish.activation,
    bits: 31 - Math.clz32(wish.levels),
    samples: wish.samples,
    together: TOGETHER,
    enumerate: wish.enumerate,
    seed,
  };
  const refusal = quantizedNetworks.refuses(problem);
  if (refusal !== null) {
    throw new ConvexError(
      "data/shape",
      `trainQuantized: ${refusal}. Drop columns of x, project them, or take fewer levels.`,
    );
  }
  const budget = { tolerance, maxIterations, seconds: timeLimit, stopped: () => signal?.aborted === true };
  const solution = await quantizedNetworks.build(problem).solve(kernels, budget);
  const [hidden, output] = quantizedNetworks.recover(problem, solution);
  const last = { kernel: output.kernel.data.map(Math.fround), bias: solution.bias.map(Math.fround) };
  const objective = objectiveOf(problem, hidden.kernel, last.kernel, last.bias);
  const closed = solution.gap.relative <= tolerance;
  const relaxed = solution.status === "solved" && !closed;
  const m = solution.units.length;
  const hiddenBits = hidden.kernel.data.length * problem.bits;
  const floats = m * outputs + (wish.outputBias ? outputs : 0);
  return {
    model: modelOf(wish, features, outputs, hidden.kernel, last.kernel, last.bias),
    certificate: certificateOf(solution, objective.total, wish.activation),
    objective,
    status: relaxed ? "stalled" : solution.status,
    advice: relaxed ? RELAXED : solution.advice,
    units: m,
    packed: {
      hiddenBits,
      bytes: Math.ceil(hiddenBits / 8) + 4 * floats,
      float32Bytes: 4 * (hidden.kernel.data.length + floats),
    },
    rounds: solution.rounds,
    engine: reason + threadsOf(kernels),
    seconds: (performance.now() - began) / 1000,
  };
}

type Wish = Required<Omit<QuantizedOptions, FromTrainer | keyof Weighting>>;

function trainerPart(options: QuantizedOptions): TrainerOptions {
  const { tolerance, maxIterations, timeLimit, signal, seed, engine, threads } = options;
  const given = { tolerance, maxIterations, timeLimit, signal, seed, engine, threads };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

function readWish(options: QuantizedOptions): Wish {
  const { loss, activation = "bilinear", regularization, levels = 2, samples = SAMPLES } = options;
  const { hiddenBias = true, outputBias = true, enumerate = true } = options;
  const where = (name: string) => `trainQuantized: ${name}`;
  oneOf(where("loss"), loss, Object.keys(lossTraits) as LossName[]);
  const kind = activationOf(where("activation"), activation, ["bilinear"] as const);
  if (!(typeof regularization === "number" && regularization > 0 && regularization < 1e300)) {
    refuse(where("regularization"), "a finite number above 0, without which there is no bound", regularization);
  }
  flag(where("hiddenBias"), hiddenBias);
  flag(where("outputBias"), outputBias);
  flag(where("enumerate"), enumerate);
  if (![2, 4, 8].includes(levels)) refuse(where("levels"), "2, 4 or 8", levels);
  count(where("samples"), samples, MOST_STARTS);
  return { loss, activation: kind, regularization, levels, samples, hiddenBias, outputBias, enumerate };
}

/** Loss and charge by the definition, of the numbers as written. */
function objectiveOf(
  { X, loss, beta, units }: { X: Matrix; loss: Loss; beta: number; units: SignUnit },
  hidden: Matrix,
  output: Float64Array,
  bias: Float64Array,
): Objective {
  const C = loss.outputs;
  const m = output.length / C;
  const Z = Float64Array.from({ length: X.rows * C }, (_, k) => bias[k % C]);
  const at = (k: number, j: number) => {
    let t = 0;
    for (let p = 0; p < X.cols; p++) t += X.data[k * X.cols + p] * hidden.data[p * hidden.cols + j];
    return t;
  };
  for (let k = 0; k < X.rows; k++) {
    for (let j = 0; j < m; j++) {
      const t = at(k, j);
      const h = units === "bilinear" ? t * at(k, m + j) : (units.a * t + units.b) * t + units.c;
      for (let c = 0; c < C; c++) Z[k * C + c] += h * output[j * C + c];
    }
  }
  const value = loss.value(Z);
  const charge = beta * output.reduce((sum, a) => sum + Math.abs(a), 0);
  return { loss: value, regularization: charge, total: value + charge };
}

function certificateOf(
  { gap, bound, enumerated }: QuantizedSolution,
  network: number,
  units: SignUnit,
): QuantizedCertificate {
  const { primal, dual, relative } = gap;
  const best =
    units === "bilinear" ? `, and the best one has at most ${(KRIVINE * bound).toPrecision(8)} (Krivine)` : "";
  return {
    primal,
    dual,
    relativeGap: relative,
    network,
    bound,
    ratio: network / bound,
    enumerated,
    scope: "all units",
    claim:
      `No network of any units with such weights has an objective below ${dual.toPrecision(8)}; this one has ` +
      `${network.toPrecision(8)}${enumerated ? "" : best}.`,
  };
}

function modelOf(
  wish: Wish,
  d: number,
  C: number,
  hidden: Matrix,
  output: Float64Array,
  bias: Float64Array,
): tf.Sequential {
  const { loss, activation, hiddenBias, outputBias, regularization } = wish;
  const halves = activation === "bilinear" ? 2 : 1;
  const m = Math.max(1, hidden.cols / halves);
  const first = tf.layers.dense({ units: halves * m, inputShape: [d], useBias: hiddenBias, trainable: false });
  const between = activation === "bilinear" ? pairProducts() : polynomial(activation.a, activation.b, activation.c);
  const last = tf.layers.dense({
    units: C,
    useBias: outputBias,
    activation: lossTraits[loss].activation,
    kernelRegularizer: tf.regularizers.l1({ l1: regularization }),
  });
  const model = tf.sequential({ layers: [first, between, last] });
  model.compile({
    optimizer: OPTIMIZER,
    loss: loss === "huberLoss" ? (tf.losses.huberLoss as unknown as string) : loss,
  });
  tf.tidy(() => {
    // A network without units keeps one of weights 1, which no output reads.
    const kernel = hidden.cols > 0 ? Float32Array.from(hidden.data) : new Float32Array((d + 1) * halves).fill(1);
    const width = halves * m;
    const parts = [tf.tensor2d(kernel.slice(0, d * width), [d, width])];
    first.setWeights(hiddenBias ? [...parts, tf.tensor1d(kernel.slice(d * width, (d + 1) * width))] : parts);
    const read = tf.tensor2d(output.length > 0 ? Float32Array.from(output) : new Float32Array(C), [m, C]);
    last.setWeights(outputBias ? [read, tf.tensor1d(Float32Array.from(bias))] : [read]);
  });
  return ownOptimizer(model);
}
