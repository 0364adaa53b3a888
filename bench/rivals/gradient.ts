/** What model.fit is given against the trainer: the backend that suits, and a tuned learning rate. */

import * as tf from "@tensorflow/tfjs";
import "@tensorflow/tfjs-backend-wasm";
import type { Matrix } from "../../src/convex/types.js";

export { type Choice, tune } from "../../examples/support/tune.js";

/** The optimizers and the learning rates that each may choose from. */
export const rivals: readonly {
  readonly name: string;
  readonly rates: readonly number[];
  readonly make: (rate: number) => tf.Optimizer;
}[] = [
  { name: "SGD", rates: [1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1], make: (rate) => tf.train.sgd(rate) },
  { name: "Adam", rates: [1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1], make: (rate) => tf.train.adam(rate) },
];

export type BuildModel = (optimizer: tf.Optimizer, seed: number) => tf.Sequential;

export interface TensorPair {
  readonly x: tf.Tensor2D;
  readonly y: tf.Tensor2D;
}

/** The model with its optimizer, whose moments model.dispose() leaves. */
export function disposeWhole(model: tf.Sequential): void {
  const { optimizer } = model;
  model.dispose();
  optimizer?.dispose();
}

/** Tensors of a data set; the caller disposes. */
export function tensorsOf(x: Matrix, y: Matrix): TensorPair {
  const tensor = ({ rows, cols, data }: Matrix) => tf.tensor2d(Float32Array.from(data), [rows, cols]);
  return { x: tensor(x), y: tensor(y) };
}

/** Backends that run in Node: tfjs-node's native one where it is installed, then what needs no native library. */
export async function backends(): Promise<string[]> {
  const names: string[] = [];
  const native = "@tensorflow/tfjs-node";
  await import(native).then(
    () => names.push("tensorflow"),
    () => undefined,
  );
  for (const name of ["wasm", "cpu"]) if (await tf.setBackend(name).catch(() => false)) names.push(name);
  return names;
}

/** Sets the backend on which an epoch on these rows (at most 1,000 of them) takes least; answers with its name. */
export async function takeFastestBackend(build: BuildModel, data: TensorPair, batchSize: number): Promise<string> {
  const times: { name: string; seconds: number }[] = [];
  for (const name of await backends()) {
    await tf.setBackend(name);
    const rows = Math.min(1000, data.x.shape[0]);
    const [x, y] = tf.tidy(() => [data.x.slice(0, rows), data.y.slice(0, rows)]);
    const model = build(tf.train.sgd(1e-3), 1);
    await model.fit(x, y, { epochs: 1, batchSize, verbose: 0 });
    const start = performance.now();
    await model.fit(x, y, { epochs: 1, batchSize, verbose: 0 });
    times.push({ name, seconds: (performance.now() - start) / 1000 });
    disposeWhole(model);
    tf.dispose([x, y]);
  }
  const { name } = times.reduce((best, next) => (next.seconds < best.seconds ? next : best));
  await tf.setBackend(name);
  return name;
}
