/** Parallel ReLU networks on tensors: posed over arrangements of arrangements, and written into dense layers. */

import { referenceKernels } from "../../convex/kernels/index.js";
import { bindLoss } from "../../convex/losses/index.js";
import {
  enumerationRefusal,
  type ParallelProblem,
  type ParallelSolution,
  parallelNetworks,
  widthsOf,
} from "../../convex/parallel/index.js";
import { ConvexError } from "../../errors.js";
import { readData, refuseDegenerate, withColumn } from "../read/data.js";
import { type FitParallelOptions, readBlocks } from "./options.js";
import type { Network, Task } from "./run.js";
import { modelOf, type ParallelWish } from "./wish.js";
import { written } from "./written.js";

/** Blocks where not all of them are taken. */
const SAMPLED = 200;

export const reluNetwork: Network<ParallelWish, ParallelProblem, ParallelSolution> = {
  solve: (problem, budget) => parallelNetworks.build(problem).solve(referenceKernels, budget),
  modelOf,
  write: written,
  tooFew: (needed, { branches, hidden }) =>
    `expected at least ${needed} branches, which the optimum takes, got ${branches}. ` +
    `Build the model with ${widthsOf(hidden, needed).join(", ")} and ${needed} units, or raise the regularization.`,
};

/** @throws ConvexError "data/..." for data that do not fit, or are too many for what `arrangements` asks. */
export async function poseRelu(
  where: string,
  wish: ParallelWish,
  features: number,
  { x, y, settings, sampleWeight, classWeight }: Task,
  { arrangements }: FitParallelOptions,
): Promise<ParallelProblem> {
  const spec = { inputShape: [features], convolution: null, outputs: 1, loss: wish.loss, hiddenBias: wish.hiddenBias };
  const data = await readData(x, y, spec, { sampleWeight, classWeight });
  refuseDegenerate(data);
  const X = wish.hiddenBias ? withColumn(data.x, 1) : data.x;
  const all = enumerationRefusal(X, wish.hidden) === null;
  const problem: ParallelProblem = {
    X,
    loss: bindLoss(wish.loss, data.y, data.weights),
    outputBias: wish.outputBias ? { ridge: 0 } : null,
    beta: wish.regularization,
    hidden: wish.hidden,
    charge: wish.charge === "power" ? "sum" : "frobenius",
    blocks: readBlocks(where, arrangements) ?? (all ? { kind: "enumerate" } : { kind: "sample", count: SAMPLED }),
    seed: settings.seed,
  };
  const refusal = parallelNetworks.refuses(problem);
  if (refusal !== null) {
    throw new ConvexError(
      "data/size",
      `${where}: ${refusal}. Give fewer, or set arrangements: { kind: "sample", count: ${SAMPLED} }.`,
    );
  }
  return problem;
}
