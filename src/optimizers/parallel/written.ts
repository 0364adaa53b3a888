/** The network in its model: weights, the objective that the layers have with them, and what is proven. */

import type * as tf from "@tensorflow/tfjs";
import { deepOutputs, type LayerWeights } from "../../convex/matrices/index.js";
import { type ParallelProblem, type ParallelSolution, parallelNetworks } from "../../convex/parallel/index.js";
import type { Loss, Matrix, Status } from "../../convex/types.js";
import type { Objective } from "../records.js";
import { writeDenseLayers } from "../write/denseLayers.js";
import { LAYERS, layersOf, type ParallelWish } from "./wish.js";

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
  const layers = withBranches(parallelNetworks.recover(problem, solution), wish, K);
  const { dense } = layersOf(model);
  writeDenseLayers(dense, layers);
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

/** The layers of a network with more branches, which are zero. */
function withBranches(
  layers: readonly LayerWeights[],
  { hidden: [m], charge }: ParallelWish,
  K: number,
): LayerWeights[] {
  const [first, second, third] = layers;
  const wider = ({ rows, cols, data }: Matrix, toRows: number, toCols: number): Matrix => {
    const all = new Float64Array(toRows * toCols);
    for (let k = 0; k < rows; k++) all.set(data.subarray(k * cols, (k + 1) * cols), k * toCols);
    return { rows: toRows, cols: toCols, data: all };
  };
  const kernel = wider(first.kernel, first.kernel.rows, K * m);
  if (charge === "path") kernel.data.fill(1, first.kernel.cols, K * m); // of length 1, and read by nothing
  return [
    { kernel, bias: null },
    { kernel: wider(second.kernel, K * m, K), bias: null },
    { kernel: wider(third.kernel, K, 1), bias: third.bias },
  ];
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
  const [first, second, third] = layers.map(({ kernel }) => kernel);
  const bias = layers[2].bias ?? new Float64Array(1);
  const value = loss.value(deepOutputs(X, [first, second, third], bias, "relu"));
  const K = second.cols;
  const m = second.rows / K;
  let sum = 0;
  for (let k = 0; k < K; k++) {
    const squares = [first, second, third].map(({ data, cols, rows }, layer) => {
      const width = layer === 0 ? m : 1;
      let square = 0;
      if (layer === 2) return data[k] ** 2;
      for (let p = 0; p < rows; p++) for (let j = 0; j < width; j++) square += data[p * cols + k * width + j] ** 2;
      return square;
    });
    sum +=
      charge === "power"
        ? squares.reduce((all, square) => all + square * Math.sqrt(square), 0) / LAYERS
        : (squares[1] + squares[2]) / 2;
  }
  return { loss: value, regularization: beta * sum, total: value + beta * sum };
}

function certificateOf(
  { gap, exact, blocks }: ParallelSolution,
  network: number,
  { hidden: [m], charge }: ParallelWish,
): ParallelCertificate {
  const { primal, dual, relative } = gap;
  const kind = charge === "power" ? "third powers of norms" : "path regularization";
  const neurons = m === 1 ? "1 hidden neuron" : `${m} hidden neurons`;
  const which = exact
    ? `No parallel network of any number of branches with ${neurons} each has an objective`
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
