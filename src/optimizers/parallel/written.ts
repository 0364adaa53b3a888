/** The network in its model: weights, the objective that the layers have with them, and what is proven. */

import type * as tf from "@tensorflow/tfjs";
import { power } from "../../convex/linear/elementary.js";
import { deepOutputs, type LayerWeights } from "../../convex/matrices/index.js";
import {
  noBranch,
  type ParallelProblem,
  type ParallelSolution,
  parallelNetworks,
} from "../../convex/parallel/index.js";
import type { Loss, Matrix, Status } from "../../convex/types.js";
import type { Objective } from "../records.js";
import { writeDenseLayers } from "../write/denseLayers.js";
import { layersOf, type ParallelCharge, type ParallelWish } from "./wish.js";

/** What is proven of a parallel network. */
export interface ParallelCertificate {
  readonly primal: number; // the objective at the solution, in float64
  readonly dual: number; // no network that `scope` names has less
  readonly relativeGap: number;
  readonly network: number; // objective of the network as written, by a plain forward pass in float64
  /**
   * "all blocks": parallel networks of any number of branches of so many neurons. "these blocks": branches in the sampled blocks. "these gates":
   * gated branches, any number of them behind each of the gates.
   */
  readonly scope: "all blocks" | "these blocks" | "these gates";
  readonly claim: string;
}

/** A solve that was cut short is not gone on with: the next one begins anew. */
const ANEW: Partial<Record<Status, string>> = {
  iterationLimit: "The gap is still closing: raise `maxIterations`. A further call begins anew.",
  timeLimit: "The gap is still closing: raise `timeLimit`. A further call begins anew.",
};

/** What helps a parallel network that ended so. */
export function adviceFor({ status, advice }: { readonly status: Status; readonly advice: string }): string {
  return ANEW[status] ?? advice;
}

/** Writes the network into the model's K branches, those that it does not take zero, and judges what the layers hold then. */
export async function written(
  model: tf.LayersModel,
  wish: ParallelWish,
  K: number,
  { problem, solution }: { readonly problem: ParallelProblem; readonly solution: ParallelSolution },
) {
  const { dense } = layersOf(model);
  const idle = Array.from({ length: K - solution.branches.length }, () => noBranch(problem.X.cols, problem.hidden));
  writeDenseLayers(
    dense,
    parallelNetworks.recover(problem, { ...solution, branches: [...solution.branches, ...idle] }),
  );
  const objective = objectiveOf(problem, wish, await Promise.all(dense.map(heldBy)));
  const { status, branches, blocks, inserted, rounds } = solution;
  return {
    certificate: certificateOf(solution, objective.total, wish),
    objective,
    status,
    advice: adviceFor(solution),
    branches: branches.length,
    blocks: { count: blocks, solved: inserted },
    rounds,
  };
}

/** A dense layer's weights as it holds them, in float32. */
async function heldBy(layer: tf.layers.Layer): Promise<LayerWeights> {
  const [kernel, bias] = layer.getWeights();
  const [rows, cols] = kernel.shape as [number, number];
  return {
    kernel: { rows, cols, data: Float64Array.from(await kernel.data()) },
    bias: bias === undefined ? null : Float64Array.from(await bias.data()),
  };
}

/** Loss and charge by the definition, of the numbers as written. */
function objectiveOf(
  { X, loss }: { readonly X: Matrix; readonly loss: Loss },
  { charge, regularization: beta }: ParallelWish,
  layers: readonly LayerWeights[],
): Objective {
  const kernels = layers.map(({ kernel }) => kernel);
  const L = kernels.length;
  const bias = layers[L - 1].bias ?? new Float64Array(1);
  const value = loss.value(deepOutputs(X, kernels, bias, "relu"));
  const K = kernels[L - 1].rows;
  let sum = 0;
  for (let k = 0; k < K; k++) {
    const squares = kernels.map(({ data, cols, rows }, l) => {
      if (l === L - 1) return data[k] ** 2;
      const width = cols / K;
      let square = 0;
      for (let p = 0; p < rows; p++) for (let j = 0; j < width; j++) square += data[p * cols + k * width + j] ** 2;
      return square;
    });
    sum +=
      charge === "power"
        ? squares.reduce((all, square) => all + power(Math.sqrt(square), L), 0) / L
        : (squares[L - 2] + squares[L - 1]) / 2;
  }
  return { loss: value, regularization: beta * sum, total: value + beta * sum };
}

/** What branches of L layers are charged for, in words. */
export function chargeInWords(charge: ParallelCharge, L: number): string {
  const ordinal = ["third", "fourth", "fifth"][L - 3] ?? `${L}th`;
  return charge === "power" ? `${ordinal} powers of norms` : "path regularization";
}

/** The neurons of a branch, in words. */
function neuronsInWords(hidden: readonly number[]): string {
  if (hidden.length > 1) return `${hidden.join(", ")} neurons that feed each of the next layer`;
  return hidden[0] === 1 ? "1 hidden neuron each" : `${hidden[0]} hidden neurons each`;
}

function certificateOf(
  { gap, exact, blocks }: ParallelSolution,
  network: number,
  { hidden, charge }: ParallelWish,
): ParallelCertificate {
  const { primal, dual, relative } = gap;
  const kind = chargeInWords(charge, hidden.length + 2);
  const which = exact
    ? `No parallel network of any number of branches with ${neuronsInWords(hidden)} has an objective`
    : `No parallel network whose branches lie in the ${blocks} sampled blocks has an objective`;
  return {
    primal,
    dual,
    relativeGap: relative,
    network,
    scope: exact ? "all blocks" : "these blocks",
    claim: Number.isFinite(dual)
      ? `${which} (loss and ${kind}) below ${dual.toPrecision(8)}; this one has ${network.toPrecision(8)}.`
      : `Nothing is proven: it ended before any block had a price. This network has ${network.toPrecision(8)} (loss and ${kind}).`,
  };
}
