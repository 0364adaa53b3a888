/**
 * [GatedConv2D, average pooling, flatten, dense] with squared loss on one-hot targets: trained convexly with the nuclear norm
 * over places and classes, and by SGD and Adam with the same gates and objective.
 */

import * as tf from "@tensorflow/tfjs";
import { gatedConv2D, gatedDense, patches } from "../../src/index.js";
import { type Comparison, type ComparisonSettings, fitConvex } from "../support/comparison.js";
import type { LabelledImages } from "../support/images.js";
import { optimizers, race } from "../support/rivals.js";

export interface Settings extends ComparisonSettings {
  readonly gates: number;
  readonly kernelSize: number;
  readonly strides: number;
  readonly window: number; // side of the squares of patches that are averaged
}

/** The mean of squares over ten classes wants other rates of SGD than a cross entropy. */
const GRIDS = optimizers.map((grid) => (grid.name === "SGD" ? { ...grid, rates: [0.1, 0.3, 1, 3, 10, 30] } : grid));

/**
 * A gate with A places and C classes serves up to min(A C, kernel size^2) filters: no network with these gates is wider, and the
 * convex model is. Its rivals are narrower, and so faster: a gate serves twice as many filters as the optimum uses on average.
 */
export async function compareConvolutions(
  train: LabelledImages,
  test: LabelledImages,
  settings: Settings,
): Promise<Comparison> {
  const { gates, kernelSize, strides, window, decay, tolerance, starts, times, grids = GRIDS, report } = settings;
  const { trialShare = 0.02, timeLimit } = settings;
  const inputShape = train.x.shape.slice(1);
  const outputs = train.y.shape[1];
  const kernelRegularizer = tf.regularizers.l2({ l2: decay });
  const side = Math.floor((inputShape[0] - kernelSize) / strides) + 1;
  const h = kernelSize * kernelSize * inputShape[2];
  const copies = Math.min(Math.floor(side / window) ** 2 * outputs, h);
  const units = gates * copies;
  const gate = tf.randomNormal<tf.Rank.R2>([h, gates], 0, 1, "float32", 1);
  const readOut = (seed: number) => [
    tf.layers.averagePooling2d({ poolSize: window }),
    tf.layers.flatten(),
    tf.layers.dense({
      units: outputs,
      kernelRegularizer,
      kernelInitializer: tf.initializers.glorotNormal({ seed }),
    }),
  ];

  const first = gatedConv2D({ filters: units, kernelSize, strides, useBias: false, inputShape, kernelRegularizer });
  const model = tf.sequential({ layers: [first, ...readOut(1)] });
  model.compile({ optimizer: "sgd", loss: "meanSquaredError", metrics: ["accuracy"] });
  tf.tidy(() =>
    first.setWeights([
      first.getWeights()[0],
      gate.tile([1, copies]).reshape([kernelSize, kernelSize, inputShape[2], units]),
    ]),
  );
  const convex = await fitConvex(model, { ...train, test }, { tolerance, ...(timeLimit && { timeLimit }) });
  report?.(
    `Convex: ${convex.objective.toFixed(6)} in ${convex.seconds.toFixed(1)} s. ${convex.result.certificate.claim}`,
  );

  // TensorFlow.js has no gradient of conv2d on its fast backend, and of dense layers it has: images are cut once.
  const cutter = patches({ kernelSize, strides, inputShape });
  const cut = (images: tf.Tensor4D) => tf.tidy(() => cutter.apply(images) as tf.Tensor3D);
  const data = { x: cut(train.x), y: train.y, test: { x: cut(test.x), y: test.y } };
  const served = Math.ceil((2 * convex.result.neurons) / gates);
  const filters = gates * served;
  report?.(`${convex.result.neurons} filters are not zero; rivals have ${filters}.`);
  const build = (optimizer: tf.Optimizer, seed: number) => {
    const kernelInitializer = tf.initializers.glorotNormal({ seed: 1000 + seed });
    const hidden = gatedDense({
      units: filters,
      useBias: false,
      inputShape: [side * side, h],
      kernelRegularizer,
      kernelInitializer,
    });
    const places = tf.layers.reshape({ targetShape: [side, side, filters] });
    const rival = tf.sequential({ layers: [hidden, places, ...readOut(seed)] });
    tf.tidy(() => hidden.setWeights([hidden.getWeights()[0], gate.tile([1, served])]));
    rival.compile({ optimizer, loss: "meanSquaredError" });
    return rival;
  };
  const seconds = times * convex.seconds;
  const rivals = await race(build, data, {
    seconds,
    starts,
    trial: trialShare * seconds,
    grids,
    ...(report && { report }),
  });
  tf.dispose([gate, data.x, data.test.x]);
  return { convex, rivals };
}
