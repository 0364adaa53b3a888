/**
 * A ReLU network on the first principal components of images: trained convexly with growing gates, and by SGD and Adam on the
 * same components and with the same objective.
 */

import * as tf from "@tensorflow/tfjs";
import type { FitResult } from "../../src/index.js";
import { type Comparison, type ComparisonSettings, type ConvexRun, fitConvex } from "../support/comparison.js";
import type { LabelledImages } from "../support/images.js";
import { type Rival, race } from "../support/rivals.js";

export interface Settings extends ComparisonSettings {
  readonly components: number;
  /** Neurons of the narrow rivals; the wide ones have as many as the convex network. */
  readonly units: number;
  /** Weight of the hidden bias beside the kernel: it is charged as decay (b / biasScale)^2. */
  readonly biasScale: number;
}

/** Seconds and objective of the convex run are those of the solve on the components, as those of its rivals are. */
export async function compareOnComponents(
  train: LabelledImages,
  test: LabelledImages,
  settings: Settings,
): Promise<Comparison> {
  const { starts, times, trialShare = 0.05, grids, report, biasScale, decay, units } = settings;
  const convex = await fitOnComponents(train, test, settings);
  const { result } = convex;
  if (result.neurons === 0)
    report?.(`The time limit left a network without neurons (${result.status}): give it more time.`);
  const x = componentsOf(train.x, result);
  const unseen = componentsOf(test.x, result);
  const data = { x, y: train.y, test: { x: unseen, y: test.y } };
  const seconds = times * convex.seconds;
  const rivals: Rival[] = [];
  for (const width of new Set([units, Math.max(1, result.neurons)])) {
    const build = (optimizer: tf.Optimizer, seed: number) => {
      const biasDecay = decay / biasScale ** 2;
      return network(x.shape[1], width, decay, optimizer, { biasDecay, seed });
    };
    const trial = trialShare * seconds;
    report?.(`${width} neurons:`);
    const found = await race(build, data, {
      seconds,
      starts,
      trial,
      ...(grids && { grids }),
      ...(report && { report }),
    });
    rivals.push(...found.map((rival) => ({ ...rival, name: `${rival.name}, ${width} neurons` })));
  }
  tf.dispose([x, unseen]);
  return { convex, rivals };
}

/** The trainer with its option `pca`, which folds mean and rotation into the first layer of a network on the pixels. */
export async function fitOnComponents(
  train: LabelledImages,
  test: LabelledImages,
  { components, units, decay, biasScale, tolerance, timeLimit, report }: Settings,
  width: "keep" | "resize" = "resize",
): Promise<ConvexRun> {
  const flat = (images: tf.Tensor4D) => images.reshape([images.shape[0], -1]) as tf.Tensor2D;
  const data = { x: flat(train.x), y: train.y, test: { x: flat(test.x), y: test.y } };
  const model = network(data.x.shape[1], units, decay, "sgd");
  const run = await fitConvex(model, data, {
    arrangements: { kind: "grow" },
    pca: components,
    hiddenBiasScale: biasScale,
    tolerance,
    width,
    ...(timeLimit && { timeLimit }),
  });
  tf.dispose([data.x, data.test.x]);
  const { certificate, neurons, seconds } = run.result;
  if (run.result.model !== model) model.dispose();
  report?.(
    `Convex: ${certificate.network.toFixed(6)} with ${neurons} neurons in ${seconds.toFixed(1)} s, and ` +
      `${(run.seconds - seconds).toFixed(1)} s for the components and the looks. ${certificate.claim}`,
  );
  // The last look is taken when the solve is over.
  const late = (run.looks[run.looks.length - 1]?.seconds ?? 0) - seconds;
  const looks = run.looks.map((look) => ({ ...look, seconds: look.seconds - late }));
  return { ...run, looks, seconds, objective: certificate.network };
}

/** Images as the program sees them, without the column of its bias: (x - mean) V [count x components]. */
function componentsOf(images: tf.Tensor4D, { problem }: FitResult): tf.Tensor2D {
  const space = problem.reduction?.space;
  if (space === undefined || !("basis" in space)) throw new Error("componentsOf: expected a fit with the option pca.");
  const { basis, mean } = space;
  return tf.tidy(() => {
    const rows = images.reshape([images.shape[0], -1]);
    const centred = mean === null ? rows : rows.sub(Float32Array.from(mean));
    return centred.matMul(tf.tensor2d(Float32Array.from(basis.data), [basis.rows, basis.cols])) as tf.Tensor2D;
  });
}

function network(
  inputs: number,
  units: number,
  decay: number,
  optimizer: tf.Optimizer | string,
  { biasDecay = 0, seed = 1 }: { biasDecay?: number; seed?: number } = {},
): tf.Sequential {
  const kernelRegularizer = tf.regularizers.l2({ l2: decay });
  const initializer = (more: number) => tf.initializers.glorotNormal({ seed: 2 * seed + more });
  const hidden = tf.layers.dense({
    units,
    activation: "relu",
    inputShape: [inputs],
    kernelRegularizer,
    kernelInitializer: initializer(0),
    ...(biasDecay > 0 && { biasRegularizer: tf.regularizers.l2({ l2: biasDecay }) }),
  });
  const last = tf.layers.dense({
    units: 1,
    activation: "sigmoid",
    kernelRegularizer,
    kernelInitializer: initializer(1),
  });
  const model = tf.sequential({ layers: [hidden, last] });
  model.compile({ optimizer, loss: "binaryCrossentropy", metrics: ["accuracy"] });
  return model;
}
