/** [GatedConv2D, global average pooling, dense]: trained convexly, and by SGD and Adam with the same gates and objective. */

import * as tf from "@tensorflow/tfjs";
import { gatedConv2D, gatedDense, patches } from "../../src/index.js";
import { type Comparison, type ComparisonSettings, fitConvex } from "../support/comparison.js";
import type { LabelledImages } from "../support/images.js";
import { race } from "../support/rivals.js";

export interface Settings extends ComparisonSettings {
  readonly gates: number;
  readonly kernelSize: number;
  readonly strides: number;
}

/** With more than one output a gate serves as many filters as there are outputs: no network with these gates is wider. */
export async function compare(train: LabelledImages, test: LabelledImages, settings: Settings): Promise<Comparison> {
  const {
    gates,
    kernelSize,
    strides,
    decay,
    tolerance,
    starts,
    times,
    trialShare = 0.05,
    grids,
    report,
    timeLimit,
    looksApart = false,
    nextLook,
  } = settings;
  const outputs = train.y.shape[1];
  const inputShape = train.x.shape.slice(1);
  const kernelRegularizer = tf.regularizers.l2({ l2: decay });
  const units = gates * outputs;
  const loss = outputs === 1 ? "binaryCrossentropy" : "categoricalCrossentropy";
  const last = (seed: number) => {
    const kernelInitializer = tf.initializers.glorotNormal({ seed });
    const activation = outputs === 1 ? "sigmoid" : "softmax";
    return tf.layers.dense({ units: outputs, activation, kernelRegularizer, kernelInitializer });
  };

  const first = gatedConv2D({ filters: units, kernelSize, strides, useBias: false, inputShape, kernelRegularizer });
  const pool = tf.layers.globalAveragePooling2d({ dataFormat: "channelsLast" });
  const model = tf.sequential({ layers: [first, pool, last(1)] });
  model.compile({ optimizer: "sgd", loss, metrics: ["accuracy"] });
  const h = kernelSize * kernelSize * inputShape[2];
  const gate = tf.tidy(() => tf.tile(tf.randomNormal([h, gates], 0, 1, "float32", 1), [1, outputs]));
  tf.tidy(() =>
    first.setWeights([first.getWeights()[0], gate.reshape([kernelSize, kernelSize, inputShape[2], units])]),
  );
  const options = { tolerance, ...(timeLimit && { timeLimit }) };
  const convex = await fitConvex(model, { ...train, test }, options, looksApart);

  report?.(
    `Convex: ${convex.objective.toFixed(6)} in ${convex.seconds.toFixed(1)} s, test accuracy ` +
      `${(100 * convex.testAccuracy).toFixed(2)} %. ${convex.result.certificate.claim}`,
  );

  // TensorFlow.js has no gradient of conv2d on its fast backend, and of dense layers it has: images are cut once.
  const cutter = patches({ kernelSize, strides, inputShape });
  const cut = (images: tf.Tensor4D) => tf.tidy(() => cutter.apply(images) as tf.Tensor3D);
  const data = { x: cut(train.x), y: train.y, test: { x: cut(test.x), y: test.y } };
  const build = (optimizer: tf.Optimizer, seed: number) => {
    const kernelInitializer = tf.initializers.glorotNormal({ seed: 1000 + seed });
    const size = [data.x.shape[1], h];
    const hidden = gatedDense({ units, useBias: false, inputShape: size, kernelRegularizer, kernelInitializer });
    const rival = tf.sequential({ layers: [hidden, tf.layers.globalAveragePooling1d(), last(seed)] });
    hidden.setWeights([hidden.getWeights()[0], gate]);
    rival.compile({ optimizer, loss });
    return rival;
  };
  const seconds = times * convex.seconds;
  const trial = trialShare * seconds;
  const rivals = await race(build, data, {
    seconds,
    starts,
    trial,
    ...(grids && { grids }),
    ...(nextLook && { nextLook }),
    ...(report && { report }),
  });
  tf.dispose([gate, data.x, data.test.x]);
  return { convex, rivals };
}
