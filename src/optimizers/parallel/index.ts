/** Parallel three-layer networks, of ReLUs or behind gates, trained to the global optimum under the regularizations that have a convex program. */

import * as tf from "@tensorflow/tfjs";
import { count, flag, isRecord, oneOf, refuse, refuseAs, refuseUnknown } from "../../arguments.js";
import { referenceKernels } from "../../convex/kernels/index.js";
import { bindLoss, lossTraits } from "../../convex/losses/index.js";
import {
  enumerationRefusal,
  type ParallelProblem,
  type ParallelSolution,
  parallelNetworks,
} from "../../convex/parallel/index.js";
import type { LossName, Matrix, Status } from "../../convex/types.js";
import { ConvexError } from "../../errors.js";
import { readOptions, type TrainerOptions } from "../options.js";
import { readData, refuseDegenerate, withColumn } from "../read/data.js";
import type { Weighting } from "../read/sampleWeights.js";
import type { Objective } from "../records.js";
import { fitGated, gatedPartsOf, trainGated } from "./gated/index.js";
import { modelOf, type ParallelCharge, type ParallelWish, wishOf } from "./wish.js";
import { type ParallelCertificate, written } from "./written.js";

type FromTrainer = "tolerance" | "maxIterations" | "timeLimit" | "signal" | "seed";

/** How a parallel network is solved for; the options of the trainer mean what they mean there. */
export interface FitParallelOptions extends Pick<TrainerOptions, FromTrainer>, Weighting {
  /**
   * Which blocks - patterns of all hidden neurons and of their sum - the program has: all of them, or so many that Gaussian branches lie in.
   * Default: all where there are at most 14 rows and few enough tuples of hidden neurons, else 200 sampled ones.
   */
  readonly arrangements?: { readonly kind: "enumerate" } | { readonly kind: "sample"; readonly count: number };
}

/** What `trainParallel` is to build. */
export interface ParallelOptions extends FitParallelOptions {
  /**
   * "relu" (default), or "gated": patterns of all neurons are drawn and held, as `gatedBranches` does, the program has no cones, and data may be large.
   */
  readonly units?: "relu" | "gated";
  /**
   * "meanSquaredError", "binaryCrossentropy", "squaredHinge", "huberLoss" or "logcosh": a loss of one output without kinks. Gated: any loss with
   * any number of outputs, without kinks where the charge is "path".
   */
  readonly loss: LossName;
  /** Hidden neurons m of each branch. */
  readonly hidden: number;
  /** Branches that the model has at least; default as many as the optimum takes. Gated: whose gates are drawn; default 40. */
  readonly branches?: number;
  /** The weight beta of the charge, above 0. */
  readonly regularization: number;
  /**
   * "power" (default): beta/3 sum_k (|W_1k|_F^3 + |w_2k|^3 + |w_3k|^3), as `branchPower` on each kernel. "path": hidden neurons of
   * length 1 and beta/2 sum_k (|w_2k|^2 + w_3k^2), which is path regularization, beta sum_k |w_3k| (sum_j |w_1kj|^2 w_2kj^2)^(1/2).
   */
  readonly charge?: ParallelCharge;
  /** Whether hidden neurons have a bias, charged as part of their weights (a column of ones before the first layer); default true. */
  readonly hiddenBias?: boolean;
  /** Whether the output has a bias, which is not charged; default true. */
  readonly outputBias?: boolean;
}

export interface ParallelResult {
  /**
   * dense - dense - dense, before them an OnesColumn where hidden neurons have a bias; the second kernel is block diagonal. Gated:
   * GatedBranches - dense in their place, of several outputs with branches that share gates. Compiled, its regularizers those of the objective.
   * The caller disposes.
   */
  readonly model: tf.Sequential;
  readonly certificate: ParallelCertificate;
  readonly objective: Objective;
  readonly status: Status;
  readonly advice: string;
  readonly branches: number; // that are not zero
  /** Blocks that the bound is over, and those that the program was solved over in the end. */
  readonly blocks: { readonly count: number; readonly solved: number };
  readonly rounds: number;
  readonly seconds: number;
}

const COMMON = "tolerance maxIterations timeLimit signal seed arrangements sampleWeight classWeight".split(" ");
const NAMES = [..."units loss hidden branches regularization charge hiddenBias outputBias".split(" "), ...COMMON];
const SMOOTH: readonly LossName[] = ["meanSquaredError", "binaryCrossentropy", "squaredHinge", "huberLoss", "logcosh"];
const MOST_HIDDEN = 64;
const MOST_BRANCHES = 4096;
const MOST_GATED = 1e6;
const GATED = 40;
const SAMPLED = 200;
const MOST_SAMPLED = 1e5;

/**
 * Trains a network of parallel branches, sum_k ((x W_1k)_+ w_2k)_+ w_3k, on x [n x d], y [n x 1] (Ergen and Pilanci, ICML 2021): tfjs's loss plus
 * a charge under which the problem is a convex program over double arrangements. On few rows all of them are priced and the result is the optimum
 * over networks of any number of such branches, proven to the tolerance; on more rows it is that of the blocks that were sampled. With `units:
 * "gated"` the branches' patterns are drawn and held, and y may have several columns [n x C].
 *
 * Weight decay of all three layers is none of these charges, and has no such program.
 *
 * @throws ConvexError "options/...", "data/..." for options or data that do not fit.
 *
 * @example
 * ```ts
 * const options = { loss: "meanSquaredError", hidden: 2, regularization: 0.05 } as const;
 * const { model, certificate, branches } = await trainParallel(x, y, options);
 * certificate.scope; // "all blocks" on few rows
 * ```
 */
export async function trainParallel(x: tf.Tensor, y: tf.Tensor, options: ParallelOptions): Promise<ParallelResult> {
  const where = "trainParallel";
  refuseUnknown(where, options, NAMES);
  const { units: wanted = "relu" } = options;
  const units = oneOf(`${where}: units`, wanted, ["relu", "gated"] as const);
  const wish = readWish(where, options, units);
  if (units === "gated") {
    refuseBlocks(where, options.arrangements);
    const began = performance.now();
    const wide = { ...wish, branches: options.branches ?? GATED, outputs: y?.shape?.[1] ?? 1 };
    return { ...(await trainGated(where, wide, taskOf(x, y, options))), seconds: (performance.now() - began) / 1000 };
  }
  const solved = await solveFor(where, x, y, wish, options);
  const K = Math.max(1, wish.branches, solved.solution.branches.length);
  const model = modelOf(wish, solved.features, K);
  return { model, ...(await written(model, wish, K, solved)), seconds: (performance.now() - solved.began) / 1000 };
}

/**
 * The same for a compiled model dense - dense - dense, or gatedBranches - dense, with or without `onesColumn()` before it, whose layers say what the branches, the loss and the
 * charge are; the weights are written into it. It needs as many branches, units of the second layer, as the optimum takes.
 *
 * @throws ConvexError "model/regularizer" for weight decay of all layers, which has no convex program, and other charges that have none;
 * "model/units" where the optimum takes more branches, which are said; the weights are as they were.
 *
 * @example
 * ```ts
 * const power = (along) => ({ useBias: false, kernelRegularizer: branchPower({ factor: 0.05 / 3, branches: 8, along }) });
 * const deep = tf.sequential();
 * deep.add(tf.layers.dense({ units: 16, activation: "relu", inputShape: [2], ...power("outputs") }));
 * deep.add(tf.layers.dense({ units: 8, activation: "relu", ...power("outputs") }));
 * deep.add(tf.layers.dense({ units: 1, ...power("inputs") }));
 * deep.compile({ optimizer: "adam", loss: "meanSquaredError" });
 * const { certificate } = await fitParallel(deep, x, y);
 * ```
 */
export async function fitParallel<M extends tf.LayersModel>(
  model: M,
  x: tf.Tensor,
  y: tf.Tensor,
  options: FitParallelOptions = {},
): Promise<Omit<ParallelResult, "model"> & { readonly model: M }> {
  const where = "fitParallel";
  refuseUnknown(where, options, COMMON);
  if (!(model instanceof tf.LayersModel)) {
    refuse(where, "a tf.LayersModel", model, "Pass the model before x and y.", "model/kind");
  }
  const began = performance.now();
  const gated = gatedPartsOf(model);
  if (gated !== null) {
    refuseBlocks(where, options.arrangements);
    const said = await fitGated(where, model, gated, taskOf(x, y, options));
    return { model, ...said, seconds: (performance.now() - began) / 1000 };
  }
  const wish = wishOf(model);
  refuseKinks(where, wish.loss);
  const solved = await solveFor(where, x, y, wish, options, model.inputs[0].shape[1] ?? 1);
  const needed = solved.solution.branches.length;
  if (needed > wish.branches) {
    throw new ConvexError(
      "model/units",
      `${where}: expected at least ${needed} branches, which the optimum takes, got ${wish.branches}. ` +
        `Build the model with ${needed * wish.hidden} and ${needed} units, or raise the regularization.`,
    );
  }
  const said = await written(model, wish, wish.branches, solved);
  return { model, ...said, seconds: (performance.now() - solved.began) / 1000 };
}

function taskOf(x: tf.Tensor, y: tf.Tensor, options: FitParallelOptions) {
  const { sampleWeight = null, classWeight = null } = options;
  return { x, y, settings: readOptions(trainerPart(options)), sampleWeight, classWeight };
}

function refuseBlocks(where: string, given: unknown): void {
  if (given === undefined) return;
  const todo = "Leave it out: the gates are those of the layer, or as many as `branches` says are drawn.";
  refuse(`${where}: arrangements`, "none where units are gated", given, todo);
}

interface Solved {
  readonly problem: ParallelProblem;
  readonly solution: ParallelSolution;
  readonly features: number;
  readonly began: number;
}

async function solveFor(
  where: string,
  x: tf.Tensor,
  y: tf.Tensor,
  wish: ParallelWish,
  options: FitParallelOptions,
  features = x?.shape?.[1] ?? 1,
): Promise<Solved> {
  const began = performance.now();
  const { tolerance, maxIterations, timeLimit, signal, seed } = readOptions(trainerPart(options));
  const spec = { inputShape: [features], convolution: null, outputs: 1, loss: wish.loss, hiddenBias: wish.hiddenBias };
  const { sampleWeight = null, classWeight = null } = options;
  const data = await readData(x, y, spec, { sampleWeight, classWeight });
  refuseDegenerate(data);
  const X = wish.hiddenBias ? withColumn(data.x, 1) : data.x;
  const problem: ParallelProblem = {
    X,
    loss: bindLoss(wish.loss, data.y, data.weights),
    outputBias: wish.outputBias ? { ridge: 0 } : null,
    beta: wish.regularization,
    hidden: wish.hidden,
    charge: wish.charge === "power" ? "sum" : "frobenius",
    blocks: readBlocks(where, options.arrangements) ?? defaultBlocks(X, wish.hidden),
    seed,
  };
  const refusal = parallelNetworks.refuses(problem);
  if (refusal !== null) {
    throw new ConvexError(
      "data/size",
      `${where}: ${refusal}. Give fewer, or set arrangements: { kind: "sample", count: ${SAMPLED} }.`,
    );
  }
  const budget = { tolerance, maxIterations, seconds: timeLimit, stopped: () => signal?.aborted === true };
  return { problem, solution: await parallelNetworks.build(problem).solve(referenceKernels, budget), features, began };
}

function trainerPart(options: FitParallelOptions): TrainerOptions {
  const { tolerance, maxIterations, timeLimit, signal, seed } = options;
  const given = { tolerance, maxIterations, timeLimit, signal, seed };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

function readWish(where: string, options: ParallelOptions, units: "relu" | "gated"): ParallelWish {
  const {
    loss,
    hidden,
    branches = 1,
    regularization,
    charge = "power",
    hiddenBias = true,
    outputBias = true,
  } = options;
  oneOf(`${where}: loss`, loss, Object.keys(lossTraits) as LossName[]);
  if (units === "relu") refuseKinks(where, loss);
  count(`${where}: hidden`, hidden, units === "relu" ? MOST_HIDDEN : MOST_BRANCHES);
  count(`${where}: branches`, branches, units === "relu" ? MOST_BRANCHES : Math.floor(MOST_GATED / hidden));
  if (!(typeof regularization === "number" && regularization > 0 && regularization < 1e300)) {
    refuse(`${where}: regularization`, "a finite number above 0, without which there is no bound", regularization);
  }
  oneOf(`${where}: charge`, charge, ["power", "path"]);
  flag(`${where}: hiddenBias`, hiddenBias);
  flag(`${where}: outputBias`, outputBias);
  return { loss, hidden, branches, regularization, charge, hiddenBias, outputBias };
}

function refuseKinks(where: string, loss: LossName): void {
  if (SMOOTH.includes(loss)) return;
  const todo = "Choose one of these, or train two layers by ConvexReLUTrainer, which takes every loss.";
  refuseAs(
    `${where}: loss`,
    `a loss of one output without kinks, ${SMOOTH.join(", ")}`,
    `"${loss}"`,
    todo,
    "model/loss",
  );
}

function readBlocks(where: string, given: unknown): ParallelProblem["blocks"] | null {
  if (given === undefined) return null;
  const name = `${where}: arrangements`;
  if (!isRecord(given)) refuse(name, '{ kind: "enumerate" } or { kind: "sample", count }', given);
  const { kind, count: wanted } = given as Readonly<Record<string, unknown>>;
  oneOf(`${name}.kind`, kind, ["enumerate", "sample"]);
  refuseUnknown(name, given, kind === "enumerate" ? ["kind"] : ["kind", "count"]);
  if (kind === "enumerate") return { kind: "enumerate" };
  return { kind: "sample", count: count(`${name}.count`, wanted, MOST_SAMPLED) };
}

function defaultBlocks(X: Matrix, hidden: number): ParallelProblem["blocks"] {
  return enumerationRefusal(X, hidden) === null ? { kind: "enumerate" } : { kind: "sample", count: SAMPLED };
}
