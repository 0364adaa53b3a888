/** Gated branches solved for on tensors: the program of their layers, or of gates that are drawn. */

import type * as tf from "@tensorflow/tfjs";
import { chooseEngine } from "../../../convex/kernels/index.js";
import { bindLoss } from "../../../convex/losses/index.js";
import {
  type BranchGates,
  behindSizes,
  distinctGates,
  drawBranchGates,
  type GatedBranchProblem,
  type GatedBranchSolution,
  pathCount,
  refusesGated,
  solveGatedBranches,
} from "../../../convex/parallel/gated/index.js";
import type { Matrix } from "../../../convex/types.js";
import { ConvexError } from "../../../errors.js";
import { readData, refuseDegenerate, withColumn } from "../../read/data.js";
import type { ParallelResult } from "../result.js";
import { fitted, type Network, type Task } from "../run.js";
import { type GatedParts, type GatedWish, gatedModelOf, gatedPartsOf, gatedWishOf } from "./wish.js";
import { heldBranches, writtenGated } from "./written.js";

export { type GatedParts, type GatedWish, gatedPartsOf } from "./wish.js";

/** Branches whose gates are drawn where nobody says how many. */
export const GATED = 40;

export const gatedNetwork: Network<GatedWish, GatedBranchProblem, GatedBranchSolution> = {
  async solve(problem, budget) {
    const { kernels } = await chooseEngine("auto");
    return solveGatedBranches(problem, kernels, budget);
  },
  modelOf: gatedModelOf,
  write: (model, wish, K, solved) => writtenGated(gatedPartsOf(model) as GatedParts, wish, K, solved),
  tooFew: (needed, { branches }) =>
    `expected at least ${needed} branches, of which several share gates, got ${branches}. ` +
    `Build the layer with branches: ${needed}, or raise the regularization.`,
};

/** Gates of as many branches as are wished for. */
export function drawnGates(where: string, wish: GatedWish, features: number, seed: number): BranchGates {
  const inputs = features + Number(wish.hiddenBias);
  refuseMany(where, inputs, wish);
  return drawBranchGates(inputs, wish.hidden, wish.branches, seed);
}

/** The program over the gates that a model's layer has. */
export async function fitGated<M extends tf.LayersModel>(
  where: string,
  model: M,
  parts: GatedParts,
  features: number,
  task: Task,
): Promise<ParallelResult<M>> {
  const wish = gatedWishOf(model, parts);
  const held = (await heldBranches(parts)).layers.gates;
  refuseNaN(where, parts, held.first.data, ...held.behind);
  const { distinct } = distinctGates(held);
  return fitted(where, gatedNetwork, model, wish, task, () => poseGated(where, wish, features, task, distinct));
}

/** @throws ConvexError "data/..." for data that do not fit, "model/loss" for a loss that has no program under its charge. */
export async function poseGated(
  where: string,
  wish: GatedWish,
  features: number,
  { x, y, sampleWeight, classWeight }: Task,
  gates: BranchGates,
): Promise<GatedBranchProblem> {
  const { outputs, loss: name, hiddenBias, labels = "as the loss has them" } = wish;
  const spec = { inputShape: [features], convolution: null, outputs, loss: name, hiddenBias, labels };
  const data = await readData(x, y, spec, { sampleWeight, classWeight });
  refuseDegenerate(data);
  const X: Matrix = hiddenBias ? withColumn(data.x, 1) : data.x;
  refuseMasks(where, X.rows, gates);
  const problem: GatedBranchProblem = {
    ...{ X, loss: bindLoss(name, data.y, data.weights), outputBias: wish.outputBias ? { ridge: 0 } : null },
    ...{ beta: wish.regularization, gates, charge: wish.charge === "power" ? "sum" : "frobenius" },
  };
  const refusal = refusesGated(problem);
  if (refusal !== null) {
    throw new ConvexError("model/loss", `${where}: ${refusal}. Choose another loss, or charge: "power".`);
  }
  return problem;
}

/** Numbers of the gates of all branches together: 2 GB. */
const MOST_NUMBERS = 2 ** 28;

function refuseMany(where: string, inputs: number, { branches, hidden }: GatedWish): void {
  const numbers = branches * behindSizes(hidden).reduce((all, size) => all + size, inputs * hidden[0]);
  if (numbers <= MOST_NUMBERS) return;
  throw new ConvexError(
    "data/size",
    `${where}: expected gates of at most ${MOST_NUMBERS} numbers, got ${branches} branches of ${hidden.join(", ")} neurons on ${inputs} columns, ` +
      `${numbers}. Ask for fewer branches or neurons.`,
  );
}

function refuseMasks(where: string, rows: number, gates: BranchGates): void {
  const paths = pathCount(gates);
  const words = Math.ceil(rows / 32) * paths;
  if (words <= MOST_NUMBERS) return;
  const what = gates.hidden.length === 1 ? "neurons" : "paths of neurons";
  throw new ConvexError(
    "data/size",
    `${where}: expected at most ${32 * MOST_NUMBERS} rows times hidden ${what}, got ${rows} rows and ${paths} ${what}. ` +
      `Ask for fewer branches or neurons, or give fewer rows.`,
  );
}

function refuseNaN(where: string, { branches }: GatedParts, ...gates: readonly Float64Array[]): void {
  if (gates.every((values) => values.every(Number.isFinite))) return;
  throw new ConvexError(
    "model/weights",
    `${where}: expected finite gates in layer "${branches.name}", got NaN or infinite ones. Draw them anew.`,
  );
}
