/** Parallel three-layer networks on five rows: the convex program, and model.fit on the same objective with K branches. */

import * as tf from "@tensorflow/tfjs";
import { gaussianSource } from "../../src/convex/linear/random.js";
import { branchPower, type ParallelResult, trainParallel } from "../../src/index.js";
import { secondsNow } from "../support/clock.js";
import { type Points, tensorsOf } from "../support/points.js";
import { objectiveOf } from "../support/train.js";

/** (n, d, m1, beta, batch) = (5, 2, 3, 0.002, 5). */
export const SETTING = { n: 5, d: 2, hidden: 3, beta: 0.002, batch: 5 } as const;
/** Epochs between two looks at the objective. */
const LOOK = 100;

export function makeRows(seed: number): Points {
  const { n, d } = SETTING;
  const draw = gaussianSource(seed);
  return {
    n,
    d,
    x: Float32Array.from({ length: n * d }, draw),
    y: Float32Array.from({ length: n }, draw),
  };
}

/** The optimum over parallel networks of any number of branches; the caller disposes the model. */
export async function convexParallel(points: Points, tolerance = 1e-6): Promise<ParallelResult> {
  const { x, y } = tensorsOf(points);
  const { hidden, beta } = SETTING;
  const options = {
    loss: "meanSquaredError",
    hidden,
    regularization: beta,
    hiddenBias: false,
    outputBias: false,
  } as const;
  const result = await trainParallel(x, y, { ...options, tolerance });
  tf.dispose([x, y]);
  return result;
}

/** K branches for model.fit, each kernel charged with their third powers; `descendParallel` holds the second to its blocks. */
export function plainParallel(branches: number, rate: number, seed: number): tf.Sequential {
  const { d, hidden, beta } = SETTING;
  const power = (along: "outputs" | "inputs") => branchPower({ factor: beta / 3, branches, along });
  const kernel = (offset: number, along: "outputs" | "inputs" = "outputs") => ({
    useBias: false,
    kernelInitializer: tf.initializers.glorotNormal({ seed: seed + offset }),
    kernelRegularizer: power(along),
  });
  const model = tf.sequential({
    layers: [
      tf.layers.dense({ units: branches * hidden, inputShape: [d], activation: "relu", ...kernel(0) }),
      tf.layers.dense({ units: branches, activation: "relu", ...kernel(1) }),
      tf.layers.dense({ units: 1, ...kernel(2, "inputs") }),
    ],
  });
  model.compile({ optimizer: tf.train.sgd(rate), loss: "meanSquaredError" });
  return model;
}

export interface Descent {
  readonly lowest: number;
  readonly points: readonly { readonly seconds: number; readonly objective: number }[];
}

/**
 * model.fit with the whole data as its batch. TensorFlow.js knows no block-diagonal kernel, so that the second one is set back to its blocks after each
 * epoch: one step of SGD on the entries within them.
 */
export async function descendParallel(model: tf.Sequential, points: Points, epochs: number): Promise<Descent> {
  const { x, y } = tensorsOf(points);
  const second = model.layers[1];
  const [rows, branches] = second.getWeights()[0].shape as [number, number];
  const hidden = rows / branches;
  const mask = tf.tidy(() =>
    tf.tensor2d(
      Array.from({ length: rows }, (_, k) =>
        Array.from({ length: branches }, (_, c) => Number(c === Math.floor(k / hidden))),
      ),
    ),
  );
  const seen: { seconds: number; objective: number }[] = [];
  const hold = () => tf.tidy(() => second.setWeights([tf.mul(second.getWeights()[0], mask)]));
  hold();
  const began = secondsNow();
  const callbacks = { onEpochEnd: async () => hold() };
  for (let done = 0; done < epochs; done += LOOK) {
    await model.fit(x, y, {
      epochs: LOOK,
      batchSize: SETTING.batch,
      shuffle: false,
      verbose: 0,
      callbacks,
      yieldEvery: "never",
    });
    seen.push({ seconds: secondsNow() - began, objective: objectiveOf(model, x, y) });
  }
  tf.dispose([x, y, mask]);
  return { lowest: Math.min(...seen.map(({ objective }) => objective)), points: seen };
}
