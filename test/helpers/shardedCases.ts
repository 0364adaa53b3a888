/** Models and data of sharded fits, and the same data in one place. */

import * as tf from "@tensorflow/tfjs";
import { gatedDense } from "../../src/index.js";
import { type RowsWish, rowOf } from "./shardedRows.mjs";

export const LOAD = new URL("./shardedRows.mjs", import.meta.url);

export interface ShardedCase {
  readonly title: string;
  readonly loss: string | ((yTrue: tf.Tensor, yPred: tf.Tensor) => tf.Tensor);
  readonly rows: RowsWish;
  readonly units?: number;
  readonly useBias?: boolean;
  readonly activation?: "linear" | "sigmoid" | "softmax";
  readonly hidden?: "gated" | "relu"; // default gated
  readonly kinks?: true;
  readonly solver?: "stochastic"; // on shards
}

const base = { n: 120, d: 3 } as const;

export const cases: readonly ShardedCase[] = [
  { title: "squared error", loss: "meanSquaredError", rows: base },
  { title: "squared error without biases", loss: "meanSquaredError", rows: base, useBias: false },
  { title: "squared error of two outputs", loss: "meanSquaredError", rows: { ...base, outputs: 2 } },
  {
    title: "logistic loss",
    loss: "binaryCrossentropy",
    rows: { ...base, targets: "probability" },
    activation: "sigmoid",
  },
  { title: "squared hinge", loss: "squaredHinge", rows: { ...base, targets: "sign" } },
  { title: "Huber's loss", loss: tf.losses.huberLoss, rows: base },
  { title: "log cosh", loss: "logcosh", rows: base },
  {
    title: "softmax cross entropy",
    loss: "sparseCategoricalCrossentropy",
    rows: { ...base, outputs: 3, targets: "class" },
    activation: "softmax",
  },
  {
    title: "divergence",
    loss: "kullbackLeiblerDivergence",
    rows: { ...base, outputs: 3, targets: "distribution" },
    activation: "softmax",
  },
  { title: "hinge", kinks: true, loss: "hinge", rows: { ...base, targets: "sign" } },
  { title: "absolute errors", kinks: true, loss: "meanAbsoluteError", rows: base },
  {
    title: "absolute errors of two outputs, without biases",
    kinks: true,
    loss: "meanAbsoluteError",
    rows: { ...base, outputs: 2 },
    useBias: false,
  },
];

/** By steps over batches. */
export const batchCases: readonly ShardedCase[] = [0, 1, 3, 7].map((k) => ({
  ...cases[k],
  title: `${cases[k].title}, by batches`,
  solver: "stochastic",
}));

/** Of every way in which shards are asked: first-order and Newton steps, by batches, losses with and without kinks. */
export const waysOf = (): readonly ShardedCase[] => [
  cases[0],
  cases[9],
  cases[11],
  batchCases[3],
  { ...cases[3], title: `${cases[3].title}, ReLU`, hidden: "relu" },
  { ...cases[9], title: `${cases[9].title}, ReLU`, hidden: "relu" },
];

/** The same with ReLU. */
export const reluCases: readonly ShardedCase[] = cases.map((one) => ({
  ...one,
  title: `${one.title}, ReLU`,
  hidden: "relu",
}));

export function solverOf({ solver }: ShardedCase): { readonly solver?: "stochastic" } {
  return solver === undefined ? {} : { solver };
}

export function modelOf(one: ShardedCase): tf.Sequential {
  const { loss, rows, units = 12, useBias = true, activation = "linear", hidden = "gated" } = one;
  const outputs = rows.outputs ?? 1;
  const inputShape = [rows.d];
  const first =
    hidden === "relu"
      ? tf.layers.dense({ units, useBias, activation: "relu", inputShape })
      : gatedDense({ units, useBias, seed: 5, inputShape });
  const model = tf.sequential({ layers: [first, tf.layers.dense({ units: outputs, useBias, activation })] });
  model.compile({ optimizer: "adam", loss });
  return model;
}

/** x and y of all rows; the caller disposes them. */
export function inOnePlace({ rows }: ShardedCase): { x: tf.Tensor2D; y: tf.Tensor } {
  const all = Array.from({ length: rows.n }, (_, j) => rowOf(j, rows));
  const x = tf.tensor2d(all.map((row) => [...row.x]));
  const targets = all.map((row) => row.y);
  return {
    x,
    y: typeof targets[0] === "number" ? tf.tensor1d(targets as number[]) : tf.tensor2d(targets as number[][]),
  };
}

export async function weightsOf(model: tf.LayersModel): Promise<number[]> {
  const all = await Promise.all(model.getWeights().map((weight) => weight.data()));
  return all.flatMap((values) => [...values]);
}
