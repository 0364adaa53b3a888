/** What a user may ask of parallel networks, with defaults, and the refusal of everything else. */

import { count, counts, flag, isRecord, oneOf, refuse, refuseAs, refuseUnknown } from "../../arguments.js";
import { lossTraits } from "../../convex/losses/index.js";
import { hasTails, type ParallelProblem } from "../../convex/parallel/index.js";
import type { LossName } from "../../convex/types.js";
import { readOptions, type Settings, type TrainerOptions } from "../options.js";
import type { Weighting } from "../read/sampleWeights.js";
import type { Callbacks } from "../report/progress.js";
import { NO_PROGRAM, ONE_TAIL, type ParallelCharge, type ParallelWish } from "./wish.js";

const FROM_TRAINER = ["tolerance", "maxIterations", "timeLimit", "signal", "seed"] as const;
type FromTrainer = (typeof FROM_TRAINER)[number];

/** How a parallel network is solved for; the options of the trainer mean what they mean there. */
export interface FitParallelOptions extends Pick<TrainerOptions, FromTrainer>, Weighting {
  /**
   * Which blocks - patterns of all hidden neurons and of their sum - the program has: all of them, or so many that Gaussian branches lie in.
   * Default: all where there are at most 14 rows, of more than three layers at most 6, and few enough tuples of hidden neurons, else 200 sampled ones.
   */
  readonly arrangements?: { readonly kind: "enumerate" } | { readonly kind: "sample"; readonly count: number };
  /** As model.fit takes them: an epoch is a round of the solver, with its objective as `loss`, `relativeGap` and `seconds`. */
  readonly callbacks?: Callbacks | null;
  /** 1 shows progress with the time left in Node: a bar in a terminal, lines elsewhere; default 0. */
  readonly verbose?: number;
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
  /**
   * Hidden neurons m of each branch, or m_1, .., m_L-2 for networks of L layers: gated those of the lower hidden layers, of ReLUs those that feed
   * each neuron of the next one, at most 64 first neurons a branch.
   */
  readonly hidden: number | readonly number[];
  /** Branches that the model has at least; default as many as the optimum takes. Gated: whose gates are drawn; default 40. */
  readonly branches?: number;
  /** The weight beta of the charge, above 0. */
  readonly regularization: number;
  /**
   * "power": beta/3 sum_k (|W_1k|_F^3 + |w_2k|^3 + |w_3k|^3), as `branchPower` on each kernel; of L layers beta/L and the power L. Of ReLUs with one
   * neuron a branch in each layer above the first, else it has no program.
   * "path": neurons below layer L - 1 of length 1 and beta/2 sum_k (|w_L-1,k|^2 + w_Lk^2), which is path regularization, of three layers
   * beta sum_k |w_3k| (sum_j |w_1kj|^2 w_2kj^2)^(1/2). Gated of three layers.
   * Default "power", where it has a program.
   */
  readonly charge?: ParallelCharge;
  /** Whether hidden neurons have a bias, charged as part of their weights (a column of ones before the first layer); default true. */
  readonly hiddenBias?: boolean;
  /** Whether the output has a bias, which is not charged; default true. */
  readonly outputBias?: boolean;
}

export const FIT_NAMES = [...FROM_TRAINER, ..."arrangements sampleWeight classWeight callbacks verbose".split(" ")];
const NAMES = [..."units loss hidden branches regularization charge hiddenBias outputBias".split(" "), ...FIT_NAMES];
const SMOOTH: readonly LossName[] = ["meanSquaredError", "binaryCrossentropy", "squaredHinge", "huberLoss", "logcosh"];
const MOST_HIDDEN = 64;
const MOST_BRANCHES = 4096;
const MOST_GATED = 1e6;
const MOST_SAMPLED = 1e5;

/** @throws ConvexError "options/unknown" or "options/value". */
export function readParallel(
  where: string,
  options: ParallelOptions,
): { readonly units: Units; readonly wish: ParallelWish } {
  refuseUnknown(where, options, NAMES);
  const { units: wanted = "relu" } = options;
  const units = oneOf(`${where}: units`, wanted, ["relu", "gated"] as const);
  return { units, wish: readWish(where, options, units) };
}

type Units = "relu" | "gated";

/** The options that mean what they mean to the trainer. */
export function settingsOf(options: FitParallelOptions): Settings {
  const given = FROM_TRAINER.filter((name) => options[name] !== undefined).map((name) => [name, options[name]]);
  return readOptions(Object.fromEntries(given) as TrainerOptions);
}

function readWish(where: string, options: ParallelOptions, units: Units): ParallelWish {
  const { loss, hidden, branches = 1, regularization, charge: wanted, hiddenBias = true, outputBias = true } = options;
  oneOf(`${where}: loss`, loss, Object.keys(lossTraits) as LossName[]);
  if (units === "relu") refuseKinks(where, loss);
  // Gated branches of many paths have as many gates.
  const neurons = counts(`${where}: hidden`, hidden, units === "gated" ? MOST_BRANCHES : MOST_HIDDEN);
  const paths = neurons.reduce((all, m) => all * m, 1);
  count(`${where}: branches`, branches, units === "relu" ? MOST_BRANCHES : Math.floor(MOST_GATED / paths));
  if (!(typeof regularization === "number" && regularization > 0 && regularization < 1e300)) {
    refuse(`${where}: regularization`, "a finite number above 0, without which there is no bound", regularization);
  }
  const ofTails = units === "relu" && hasTails(neurons);
  const charge = wanted === undefined ? (ofTails ? "path" : "power") : wanted;
  oneOf(`${where}: charge`, charge, ["power", "path"]);
  if (units === "gated" && charge === "path" && neurons.length > 1) {
    const todo = 'Choose "power", or one number as `hidden`.';
    refuseAs(`${where}: charge`, '"power" for more than three gated layers', '"path"', todo);
  }
  if (ofTails && charge === "power") {
    const todo = 'Choose "path", one number as `hidden`, or units: "gated".';
    refuseAs(`${where}: charge`, ONE_TAIL, NO_PROGRAM, todo);
  }
  flag(`${where}: hiddenBias`, hiddenBias);
  flag(`${where}: outputBias`, outputBias);
  return { loss, hidden: neurons, branches, regularization, charge, hiddenBias, outputBias };
}

export function refuseKinks(where: string, loss: LossName): void {
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

export function readBlocks(where: string, given: unknown): ParallelProblem["blocks"] | null {
  if (given === undefined) return null;
  const name = `${where}: arrangements`;
  if (!isRecord(given)) refuse(name, '{ kind: "enumerate" } or { kind: "sample", count }', given);
  const { kind, count: wanted } = given as Readonly<Record<string, unknown>>;
  oneOf(`${name}.kind`, kind, ["enumerate", "sample"]);
  refuseUnknown(name, given, kind === "enumerate" ? ["kind"] : ["kind", "count"]);
  if (kind === "enumerate") return { kind: "enumerate" };
  return { kind: "sample", count: count(`${name}.count`, wanted, MOST_SAMPLED) };
}
