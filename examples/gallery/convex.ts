/** The convex fit in a worker, with what the page shows of it; loads TensorFlow.js, so it is imported when it is needed. */

import * as tf from "@tensorflow/tfjs";
import {
  type FitResult,
  type LossSurface,
  lossSurface,
  registerLayers,
  type TrainerOptions,
  WorkerTrainer,
} from "../../src/index.js";
import { buildModel, disposeModel } from "./model.js";
import type { Weight } from "./network.js";
import type { Settings } from "./settings.js";
import { type Task, targetsOf } from "./task.js";

/** One round of the solver. */
export interface ConvexRound {
  readonly seconds: number;
  readonly primal: number;
  readonly dual: number;
}

const SAVED = "indexeddb://tfjs-convex-gallery";

/** Options that say the same as the form. */
export function trainerOptions({ formulation, arrangements, gates, tolerance }: Settings): TrainerOptions {
  const which =
    arrangements === "enumerate" ? ({ kind: arrangements } as const) : ({ kind: arrangements, count: gates } as const);
  return {
    ...(formulation === "relu" ? { arrangements: which } : {}), // a gated layer has its gates
    tolerance,
    width: "resize",
  };
}

/** Trains a model; the caller disposes it with `discard`. */
export async function fitConvex(
  worker: Worker,
  task: Task,
  settings: Settings,
  signal: AbortSignal,
  killed: Promise<never>,
  onRound: (round: ConvexRound) => void,
): Promise<FitResult> {
  await tf.setBackend("cpu"); // the page itself only holds the weights
  const targets = targetsOf(task, settings.loss);
  const x = tf.tensor2d(task.x, [task.rows, task.cols]);
  const y = tf.tensor2d(targets, [task.rows, targets.length / task.rows]);
  const model = buildModel(task, settings, 1);
  let result: FitResult | null = null;
  try {
    const trainer = new WorkerTrainer(worker, { ...trainerOptions(settings), signal });
    const fit = trainer.fit(model, x, y, {
      callbacks: {
        onEpochEnd: async (_epoch: number, logs?: tf.Logs) => {
          if (logs === undefined) return;
          const { loss, relativeGap, seconds } = logs;
          onRound({ seconds, primal: loss, dual: loss - relativeGap * Math.abs(loss) });
        },
      },
    });
    result = await Promise.race([fit, killed]);
    return result;
  } finally {
    tf.dispose([x, y]);
    if (result?.model !== model) disposeModel(model);
  }
}

export function weightsOf(model: tf.Sequential): Weight[] {
  return model.getWeights().map((weight) => ({ shape: weight.shape, values: weight.dataSync() as Float32Array }));
}

/** The objective on a plane through the weights of a trained model. */
export async function surfaceOf(model: tf.Sequential, task: Task, settings: Settings): Promise<LossSurface> {
  const targets = targetsOf(task, settings.loss);
  const x = tf.tensor2d(task.x, [task.rows, task.cols]);
  const y = tf.tensor2d(targets, [task.rows, targets.length / task.rows]);
  try {
    return await lossSurface(model, x, y);
  } finally {
    tf.dispose([x, y]);
  }
}

export function discard(model: tf.Sequential): void {
  disposeModel(model);
}

export function tensors(): number {
  return tf.memory().numTensors;
}

/** The files of a model as tf.io has them: model.json, and the weights that it names. */
export async function modelFiles(model: tf.Sequential): Promise<{ json: Blob; weights: Blob }> {
  const files: { json?: Blob; weights?: Blob } = {};
  await model.save(
    tf.io.withSaveHandler(async ({ weightData, weightSpecs, ...topology }) => {
      const weightsManifest = [{ paths: ["./model.weights.bin"], weights: weightSpecs }];
      files.json = new Blob([JSON.stringify({ ...topology, weightsManifest })], { type: "application/json" });
      files.weights = new Blob([tf.io.CompositeArrayBuffer.join(weightData)], { type: "application/octet-stream" });
      return { modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: "JSON" } };
    }),
  );
  const { json, weights } = files;
  if (json === undefined || weights === undefined) throw new Error("The model could not be written.");
  return { json, weights };
}

export async function save(model: tf.Sequential): Promise<void> {
  await model.save(SAVED);
}

/** When a model was saved in this browser, and its bytes; null without one. */
export async function savedModel(): Promise<{ date: Date; bytes: number } | null> {
  const info = (await tf.io.listModels())[SAVED];
  if (info === undefined) return null;
  return { date: new Date(info.dateSaved), bytes: (info.weightDataBytes ?? 0) + (info.modelTopologyBytes ?? 0) };
}

export async function forget(): Promise<void> {
  await tf.io.removeModel(SAVED);
}

/** The saved model's predictions on a task, one row of outputs a sample. */
export async function predictSaved(task: Task): Promise<{ outputs: number; values: Float32Array }> {
  await tf.setBackend("cpu");
  registerLayers();
  const model = await tf.loadLayersModel(SAVED);
  try {
    const inputs = model.inputs[0].shape[1];
    if (inputs !== task.cols) throw new Error(`The saved model takes ${inputs} columns, these data have ${task.cols}.`);
    const prediction = tf.tidy(() => model.predict(tf.tensor2d(task.x, [task.rows, task.cols])) as tf.Tensor2D);
    const values = (await prediction.data()) as Float32Array;
    prediction.dispose();
    return { outputs: prediction.shape[1], values };
  } finally {
    model.dispose();
  }
}
