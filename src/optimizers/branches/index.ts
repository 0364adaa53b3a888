/** How far from convex a family of branches is, and the duality gap of networks that are the mean of many of them. */

import type * as tf from "@tensorflow/tfjs";
import { abortSignal, count, counted, integer, positive, refuseAs, refuseUnknown } from "../../arguments.js";
import { bestBranches, farthestStep, staircaseOf, tangentAt } from "../../convex/branches/index.js";
import { inTurns } from "../../convex/linear/pieces.js";
import { Clock } from "../../convex/solvers/clock.js";
import type { Matrix } from "../../convex/types.js";
import { readMatrix } from "../read/data.js";
import { type BranchFunction, type Candidates, candidatesOf } from "./family.js";

export type { BranchFunction } from "./family.js";

export interface BranchGapOptions {
  /** Numbers of branches, 1 to this; default 20. */
  readonly branches?: number;
  /** Of the mean cost of the branches; default where one branch is farthest from convex. */
  readonly budget?: number;
  /** Of the loss max(0, 1 - y f / tau); default the largest output of a candidate, the least that the theorem is about. */
  readonly tau?: number;
  /** Weights lie within [-span, span]; default 1. */
  readonly span?: number;
  /** Branches that are tried at most, default 2000: a grid for up to three weights, else random ones, and for a model the points of descents. */
  readonly candidates?: number;
  /** Descents on a model's loss from random weights, each of up to 61 of the candidates; default 16, fewer where these do not suffice, none for up to three weights. */
  readonly descents?: number;
  /** Default 0. */
  readonly seed?: number;
  /** Stops the work: the promise is rejected with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** The best network of some number of branches. */
export interface BranchPoint {
  readonly branches: number;
  /** inf P: its loss. */
  readonly loss: number;
  /** inf P - sup D. */
  readonly gap: number;
  /** What the theorem says that the gap is at most: 2 delta / branches. */
  readonly bound: number;
  /** Its branches, as rows of `candidates`. */
  readonly chosen: readonly number[];
  /** False where some sums of branches were let go: then loss and gap are upper bounds. */
  readonly exact: boolean;
}

export interface BranchGap {
  /** How far one branch is from convex: the most by which its least loss within a cost is above what mixtures reach at that cost. */
  readonly delta: number;
  /** sup D: the loss of the best mixture, which no number of branches goes below. */
  readonly dual: number;
  readonly tau: number;
  readonly budget: number;
  readonly points: readonly BranchPoint[]; // of 1, 2, .. branches
  readonly candidates: Matrix; // [N x p], weights of the branches that were tried
  /** The least loss of a branch within each cost, where it changes, and the best mixture's there. */
  readonly curve: { readonly cost: Float64Array; readonly loss: Float64Array; readonly mixture: Float64Array };
  /** What is proven, and of what. */
  readonly claim: string;
}

const OPTIONS = ["branches", "budget", "tau", "span", "candidates", "descents", "seed", "signal"];
const MOST_BRANCHES = 100;
const MOST_CANDIDATES = 1e6;
const MOST_DESCENTS = 1000;
/** Of an output, which float32 may round. */
const ROUNDING = 1e-6;

/**
 * The duality gap of f = (f(w_1; x) + .. + f(w_I; x)) / I, branches w_i of one family, under the loss mean max(0, 1 - y f / tau) and a
 * budget of their mean cost (Zhang, Shao and Salakhutdinov 2019): inf P over I branches, sup D over all mixtures of branches, and the
 * bound 2 delta / I of their difference. The theorem is about tau at least as large as any output, where the loss adds up over the branches; smaller ones are
 * refused, as the bound does not hold of them (docs/claims.md, entry 6).
 *
 * All of it is about finitely many branches of the family, its candidates, for which it is exact: networks of other weights may have lower
 * losses, and delta of the whole family, which nobody can compute for more than a few weights, may be another. A model has its
 * weights as before at the end; its regularizers are the cost, or half the squared length of its weights where it has none.
 *
 * @throws ConvexError "options/...", "data/..." or "model/..." for what does not fit.
 *
 * @example
 * ```ts
 * const branch = { weights: 1, output: ([w], [x]) => Math.sin(3 * w * x) + w };
 * const { points } = await branchGap(branch, tf.tensor2d([[0.3], [-1], [2]]), tf.tensor1d([1, -1, 1]), { budget: 0.1 });
 * points[9].gap <= points[9].bound; // true, of ten branches
 * ```
 */
export async function branchGap(
  branch: tf.LayersModel | BranchFunction,
  x: tf.Tensor,
  y: tf.Tensor,
  options: BranchGapOptions = {},
): Promise<BranchGap> {
  refuseUnknown("branchGap", options, OPTIONS);
  const { branches = 20, budget, tau, span = 1, candidates = 2000, descents = 16, seed = 0, signal } = options;
  count("branchGap: branches", branches, MOST_BRANCHES);
  count("branchGap: candidates", candidates, MOST_CANDIDATES);
  if (descents !== 0) count("branchGap: descents", descents, MOST_DESCENTS);
  integer("branchGap: seed", seed);
  positive("branchGap: span", span);
  for (const [name, value] of Object.entries({ budget, tau }))
    if (value !== undefined) positive(`branchGap: ${name}`, value);
  if (signal !== undefined) abortSignal("branchGap: signal", signal);
  const labels = await readLabels(y, x);
  const clock = new Clock(Number.POSITIVE_INFINITY, () => false);
  const pause = async () => {
    signal?.throwIfAborted();
    return clock.pause();
  };
  const tried = await candidatesOf(branch, x, labels, { candidates, span, descents, seed }, pause);
  const least = tried.largest > 0 ? tried.largest : 1;
  if (tau !== undefined && tau < least * (1 - ROUNDING)) {
    refuseAs(
      "branchGap: tau",
      `at least ${least.toPrecision(6)}, the largest output of a branch, below which the loss bends and the bound does not hold`,
      String(tau),
      "Raise it, leave it out, or lower `span`.",
    );
  }
  return gapOf(tried, tau ?? least, budget, branches, pause);
}

async function gapOf(
  { weights, gains, costs }: Candidates,
  tau: number,
  wished: number | undefined,
  most: number,
  pause: () => Promise<boolean>,
): Promise<BranchGap> {
  const stairs = staircaseOf(
    gains.map((gain) => 1 - gain / tau),
    costs,
  );
  const { delta, between } = farthestStep(stairs);
  const budget = wished ?? (between[0] + between[1]) / 2;
  if (budget < stairs.costs[0]) {
    const cheapest = stairs.costs[0].toPrecision(6);
    refuseAs("branchGap: budget", `at least ${cheapest}, the cost of the cheapest branch`, String(budget), "Raise it.");
  }
  const dual = tangentAt(stairs, budget).value;
  const best = await inTurns(bestBranches(stairs, budget, most), pause);
  const points = best.map(({ loss, steps, exact }, k) => ({
    branches: k + 1,
    loss,
    gap: Math.max(0, loss - dual),
    bound: (2 * delta) / (k + 1),
    chosen: steps.map((step) => stairs.candidates[step]),
    exact,
  }));
  return {
    ...{ delta, dual, tau, budget, points, candidates: weights, claim: claimOf(weights.rows, tau) },
    curve: {
      cost: stairs.costs,
      loss: stairs.losses,
      mixture: stairs.costs.map((cost) => tangentAt(stairs, cost).value),
    },
  };
}

async function readLabels(y: tf.Tensor, x: tf.Tensor): Promise<Float64Array> {
  const { rows, data } = await readMatrix("y", y, [1], "a branch with one output");
  if (x?.shape?.[0] !== undefined && x.shape[0] !== rows)
    refuseAs(
      "branchGap",
      `as many rows of y as of x, ${x.shape[0]}`,
      String(rows),
      "Check how the two were cut.",
      "data/shape",
    );
  const bits = data.every((label) => label === 0 || label === 1);
  const wrong = data.findIndex((label) => label !== 1 && label !== (bits ? 0 : -1));
  if (wrong >= 0)
    refuseAs(
      "branchGap",
      "labels -1 and 1, or 0 and 1, in y",
      `${data[wrong]} in row ${wrong}`,
      "Change y.",
      "data/target",
    );
  return bits ? data.map((label) => 2 * label - 1) : data;
}

function claimOf(candidates: number, tau: number): string {
  return (
    `Of the ${counted(candidates, "branch")} that ${candidates === 1 ? "was" : "were"} tried: with tau ${tau.toPrecision(4)}, at least any output, the loss adds up over branches, and the gap ` +
    "of I branches is at most 2 delta / I (Zhang, Shao and Salakhutdinov 2019). Of the hinge loss itself and of other weights this says nothing."
  );
}
