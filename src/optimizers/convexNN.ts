/** Convex neural networks of tanh, sign or polynomial units: an l1 charge on the output weights alone. */

import type * as tf from "@tensorflow/tfjs";
import { count, flag, MOST_STARTS, oneOf, positive, refuse, refuseUnknown } from "../arguments.js";
import { chooseEngine, threadsOf } from "../convex/kernels/index.js";
import { norm } from "../convex/linear/vectors.js";
import { bindLoss, lossTraits } from "../convex/losses/index.js";
import { polynomialNetworks } from "../convex/matrices/index.js";
import type { LossName, Matrix, Status } from "../convex/types.js";
import {
  solveIncrementally,
  trivialUnitBeta,
  type UnitActivation,
  type UnitOptions,
  type UnitProblem,
  type UnitSolution,
} from "../convex/units/index.js";
import { ConvexError } from "../errors.js";
import { activationOf } from "./activation.js";
import { readOptions, type TrainerOptions } from "./options.js";
import { readData, refuseDegenerate, withColumn } from "./read/data.js";
import type { Weighting } from "./read/sampleWeights.js";
import type { Objective } from "./records.js";
import { clockOf } from "./solve/withinWidth.js";
import { asWritten, modelOf, objectiveOf } from "./write/unitModel.js";

type FromTrainer = "tolerance" | "maxIterations" | "timeLimit" | "signal" | "seed" | "engine" | "threads";

/** Options of `trainConvexNN`; those of the trainer mean what they mean there. */
export interface ConvexNNOptions extends Pick<TrainerOptions, FromTrainer>, Weighting {
  readonly loss: LossName;
  /**
   * What a hidden unit does; default "tanh". "sign" is 1 where its input is at least 0, else -1. { a, b, c }, or a layer
   * `polynomial(a, b, c)`, is a t^2 + b t + c of inputs t = x u with |u| = 1, the bias being an entry of u.
   */
  readonly activation?: UnitActivation;
  /** The factor beta of sum |a| over all output weights, or "auto" (default): 1e-3 of the smallest at which no unit helps. */
  readonly regularization?: number | "auto";
  /** Whether the outputs have a bias, which is not charged; default true. */
  readonly outputBias?: boolean;
  /** Whether hidden units have a bias; default true. Those of tanh and sign always have one. */
  readonly hiddenBias?: boolean;
  /** The largest input |x w + b| that a tanh unit may see on the data; default 10. Without a limit it would become a sign. */
  readonly reach?: number;
  /** Random starts of the search for a unit; default 60, at most 100,000. */
  readonly starts?: number;
  /** Units that are inserted a round at most; default 1, as in the paper. */
  readonly together?: number;
}

/** What is proven of a network of such units. */
export interface UnitCertificate {
  readonly primal: number; // the convex objective at the solution
  readonly dual: number; // a lower bound of it
  readonly relativeGap: number;
  readonly network: number; // objective of the network as written, by a plain forward pass in float64
  /** "all units": the bound is over every unit that there is, and networks of any width; "these units": over the units that were inserted. */
  readonly scope: "all units" | "these units";
  readonly claim: string;
  /** The largest worth of a unit that the last search found, in units of beta: at most 1 when none would help. */
  readonly bestRatio: number;
}

export interface ConvexNNResult {
  /**
   * [dense(tanh), dense], [dense, Sign, dense] or [OnesColumn, dense(unitNorm), PolynomialActivation, dense], compiled, whose last
   * kernel carries the l1 charge; the caller disposes.
   */
  readonly model: tf.Sequential;
  readonly certificate: UnitCertificate;
  readonly objective: Objective;
  readonly status: Status;
  readonly advice: string;
  readonly beta: number;
  readonly units: number;
  readonly rounds: number; // solves, each after a call of the oracle
  readonly engine: string;
  readonly seconds: number;
  readonly notes: readonly string[];
}

const NAMES = [
  "loss",
  "activation",
  "regularization",
  "outputBias",
  "hiddenBias",
  "reach",
  "starts",
  "together",
  "tolerance",
  "maxIterations",
  "timeLimit",
  "signal",
  "seed",
  "engine",
  "threads",
  "sampleWeight",
  "classWeight",
];
const AUTO_SHARE = 1e-3;
/** Of the time: what the search for the beta at which no unit helps may take. */
const BETA_SHARE = 0.25;
const REACH = 10;
const STARTS = 60;

/**
 * Trains a network of one hidden layer on x [n x d], y [n x C] by the incremental algorithm of Bengio, Le Roux, Vincent, Delalleau
 * and Marcotte (2006): the unit that the residual prices highest is inserted, all output weights are solved again under an l1
 * charge, and it ends when no unit is worth more than beta. The objective is tfjs's loss plus beta sum |a|.
 *
 * Polynomial units are priced exactly, by one eigendecomposition, so that the optimum is always proven over all of them; under a
 * smooth loss they also move (Bartan and Pilanci 2021). Where all sign patterns of the data can be enumerated (few features, some hundred rows) sign units are chosen exactly, and the
 * optimum is proven over all networks of such units; else the search's answer is evidence. The output weights are optimal for the
 * units, with a duality gap, in any case.
 *
 * @throws ConvexError "options/...", "data/..." for options or data that do not fit.
 *
 * @example
 * ```ts
 * const { model, certificate } = await trainConvexNN(x, y, { loss: "meanSquaredError", activation: "tanh", regularization: 0.05 });
 * certificate.relativeGap; // at most 1e-4
 * ```
 */
export async function trainConvexNN(x: tf.Tensor, y: tf.Tensor, options: ConvexNNOptions): Promise<ConvexNNResult> {
  refuseUnknown("trainConvexNN", options, NAMES);
  const began = performance.now();
  const { tolerance, maxIterations, timeLimit, signal, seed, engine, threads } = readOptions(trainerPart(options));
  const wish = readWish(options);
  // What is no tensor, or has no columns, is refused when it is read.
  const [features, outputs] = [x?.shape?.[1] ?? 1, y?.shape?.[1] ?? 1];
  const spec = { inputShape: [features], convolution: null, outputs, loss: wish.loss, hiddenBias: wish.hiddenBias };
  const { sampleWeight = null, classWeight = null } = options;
  const data = await readData(x, y, spec, { sampleWeight, classWeight });
  refuseDegenerate(data);
  const { kernels, reason } = await chooseEngine(engine, threads);
  const column = typeof wish.activation === "object" ? Number(wish.hiddenBias) : longestRow(data.x);
  const X = column > 0 ? withColumn(data.x, column) : data.x;
  const problem: UnitProblem = {
    X,
    loss: bindLoss(wish.loss, data.y, data.weights),
    outputBias: wish.outputBias ? { ridge: 0 } : null,
    activation: wish.activation,
    radius: wish.reach / longestRow(X),
  };
  refuseUnfit(problem);
  const search: UnitOptions = { starts: wish.starts, together: wish.together, seed };
  const clock = clockOf({ timeLimit, signal });
  const early = clock.part(BETA_SHARE);
  const pause = () => early.pause();
  const beta = await betaOf(wish.regularization, () => trivialUnitBeta(problem, kernels, search, pause));
  const budget = { tolerance, maxIterations, seconds: clock.left, stopped: clock.stopped };
  const { activation } = problem;
  const solution =
    typeof activation === "object"
      ? await polynomialNetworks.build({ ...problem, beta, activation }).solve(kernels, budget)
      : await solveIncrementally(problem, beta, kernels, budget, search);
  const units = asWritten(solution.units, column);
  const bias = solution.bias.map(Math.fround);
  const objective = objectiveOf(problem, units, bias, beta);
  return {
    model: modelOf(units, bias, { ...wish, beta, features, outputs, column }),
    certificate: certificateOf(solution, objective.total, wish.activation),
    objective,
    status: solution.status,
    advice: solution.advice,
    beta,
    units: units.length,
    rounds: solution.rounds,
    engine: reason + threadsOf(kernels),
    seconds: (performance.now() - began) / 1000,
    notes: notesOf(wish, solution, beta, objective.total),
  };
}

/** What the formulation of polynomial units does not take, before any work. */
function refuseUnfit(problem: UnitProblem): void {
  const { activation } = problem;
  const reason =
    typeof activation === "object" ? polynomialNetworks.refuses({ ...problem, beta: 1, activation }) : null;
  if (reason === null) return;
  throw new ConvexError(
    "data/size",
    `trainConvexNN: ${reason}. Bring x to fewer columns, for instance its first principal components.`,
  );
}

interface Wish {
  readonly loss: LossName;
  readonly activation: UnitActivation;
  readonly regularization: number | "auto";
  readonly outputBias: boolean;
  readonly hiddenBias: boolean;
  readonly reach: number;
  readonly starts: number;
  readonly together: number;
}

function trainerPart(options: ConvexNNOptions): TrainerOptions {
  const { tolerance, maxIterations, timeLimit, signal, seed, engine, threads } = options;
  const given = { tolerance, maxIterations, timeLimit, signal, seed, engine, threads };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

function readWish(options: ConvexNNOptions): Wish {
  const { loss, activation = "tanh", regularization = "auto", outputBias = true, hiddenBias = true } = options;
  const { reach = REACH, starts = STARTS, together = 1 } = options;
  const where = (name: string) => `trainConvexNN: ${name}`;
  oneOf(where("loss"), loss, Object.keys(lossTraits) as LossName[]);
  const plain = activationOf(where("activation"), activation, ["tanh", "sign"] as const);
  if (
    regularization !== "auto" &&
    !(typeof regularization === "number" && regularization > 0 && regularization < 1e300)
  ) {
    refuse(where("regularization"), 'a finite number above 0 or "auto"', regularization);
  }
  flag(where("outputBias"), outputBias);
  flag(where("hiddenBias"), hiddenBias);
  if (!hiddenBias && typeof plain === "string") {
    refuse(where("hiddenBias"), `true, or no such option, for activation "${plain}"`, hiddenBias);
  }
  positive(where("reach"), reach);
  count(where("starts"), starts, MOST_STARTS);
  count(where("together"), together, MOST_STARTS);
  return { loss, activation: plain, regularization, outputBias, hiddenBias, reach, starts, together };
}

async function betaOf(wish: number | "auto", trivial: () => Promise<number>): Promise<number> {
  if (wish !== "auto") return wish;
  const beta = AUTO_SHARE * (await trivial());
  if (beta > 0) return beta;
  throw new ConvexError(
    "data/target",
    `trainConvexNN: expected targets that a unit can improve on, got a gradient of zero without units, so that "auto" has no ` +
      `scale. Check y, or set regularization to a number.`,
  );
}

function longestRow({ rows, cols, data }: Matrix): number {
  let longest = 0;
  for (let k = 0; k < rows; k++) longest = Math.max(longest, norm(data.subarray(k * cols, (k + 1) * cols)));
  return longest;
}

function certificateOf(
  { gap, exact, bestRatio }: UnitSolution,
  network: number,
  activation: UnitActivation,
): UnitCertificate {
  const name = typeof activation === "string" ? activation : "polynomial";
  const among = exact ? `any ${name} units` : "these units";
  return {
    primal: gap.primal,
    dual: gap.dual,
    relativeGap: gap.relative,
    network,
    scope: exact ? "all units" : "these units",
    claim:
      `No network of ${among} has an objective below ${gap.dual.toPrecision(8)}; ` +
      `this one has ${network.toPrecision(8)}.`,
    bestRatio,
  };
}

function notesOf(
  { activation, reach, outputBias, hiddenBias, regularization }: Wish,
  solution: UnitSolution,
  beta: number,
  network: number,
) {
  const notes = [
    `The objective is the loss plus ${beta.toPrecision(4)} times the sum of |a| over all output weights, which the last layer carries.`,
  ];
  if (regularization === "auto") notes.push("beta is 1e-3 of the smallest at which no unit helps.");
  if (activation === "tanh") notes.push(`Units are tanh(x w + b) with |x w + b| at most ${reach} on the data.`);
  if (typeof activation === "object") {
    const { a, b, c } = activation;
    notes.push(`Units are ${a} t^2 + ${b} t + ${c} of t = x u with |u| = 1${hiddenBias ? ", u with its bias" : ""}.`);
  }
  if (outputBias) notes.push("The output bias is free and solved exactly.");
  if (network > solution.gap.primal * (1 + 1e-5)) {
    notes.push(
      "In float32 some units see a row on the other side than in float64: the network's objective is higher for it.",
    );
  }
  return notes;
}
