/** [conv2d, polynomial, average pooling, dense]: a quadratic convolutional network, trained convexly, and descents on the same objective. */

import * as tf from "@tensorflow/tfjs";
import { type PolynomialResult, patches, polynomial, trainPolynomial } from "../../src/index.js";
import type { LabelledImages } from "../support/images.js";
import type { Coefficients } from "./experiment.js";

export interface ConvolutionShape {
  readonly kernelSize: number;
  readonly strides: number;
  readonly window: number; // of average pooling, which is global at 0
  readonly activation: Coefficients;
  readonly beta: number;
}

/** unitNorm over the axes of a filter; the types of TensorFlow.js 4.22 know one axis. */
const unitFilters = (axis: number | readonly number[]) => tf.constraints.unitNorm({ axis: axis as number });

/** For two classes, compiled; `trainPolynomial` makes it as wide as it has to be. */
export function quadraticConvolution(inputShape: readonly number[], shape: ConvolutionShape): tf.Sequential {
  const { kernelSize, strides, window, activation, beta } = shape;
  const { a, b, c } = activation;
  const pooling =
    window === 0
      ? [tf.layers.globalAveragePooling2d({ dataFormat: "channelsLast" })]
      : [tf.layers.averagePooling2d({ poolSize: window, strides: window }), tf.layers.flatten()];
  const kernelConstraint = unitFilters([0, 1, 2]);
  const model = tf.sequential({
    layers: [
      tf.layers.conv2d({
        filters: 1,
        kernelSize,
        strides,
        useBias: false,
        kernelConstraint,
        inputShape: [...inputShape],
      }),
      polynomial(a, b, c),
      ...pooling,
      tf.layers.dense({ units: 1, activation: "sigmoid", kernelRegularizer: tf.regularizers.l1({ l1: beta }) }),
    ],
  });
  model.compile({ optimizer: "sgd", loss: "binaryCrossentropy" });
  return model;
}

/** The global optimum over filters of any number; the caller disposes the model. */
export async function convexConvolution(
  { x, y }: LabelledImages,
  shape: ConvolutionShape,
  tolerance: number,
): Promise<PolynomialResult<tf.Sequential>> {
  const narrow = quadraticConvolution(x.shape.slice(1), shape);
  const result = await trainPolynomial(narrow, x, y, { width: "resize", tolerance });
  narrow.dispose();
  return result;
}

/** The share of images of the right class. */
export function accuracyOf(model: tf.LayersModel, { x, y }: LabelledImages): number {
  return tf.tidy(() => {
    const said = tf.greater(model.predict(x, { batchSize: 64 }) as tf.Tensor, 0.5);
    return tf.equal(said, tf.greater(y, 0.5)).mean().dataSync()[0];
  });
}

/** Where a descent was. */
export interface Look {
  readonly objective: number;
  readonly testAccuracy: number;
}

/**
 * Descends on batches, filters brought back to length one after each epoch, `epochs` times or until `enough`. TensorFlow.js has no
 * gradient of conv2d on its fast backend, so that images are cut into patches once, and the filters are columns of a dense kernel.
 */
export async function descendConvolution(
  train: LabelledImages,
  test: LabelledImages,
  shape: ConvolutionShape & { readonly filters: number },
  optimizer: tf.Optimizer,
  { epochs, batchSize, seed }: { readonly epochs: number; readonly batchSize: number; readonly seed: number },
  look: (look: Look) => boolean,
): Promise<Look> {
  const { kernelSize, strides, window, activation, beta, filters } = shape;
  const { a, b, c } = activation;
  const cutter = patches({ kernelSize, strides, inputShape: train.x.shape.slice(1) });
  const [x, held] = [train, test].map((images) => tf.tidy(() => cutter.apply(images.x) as tf.Tensor3D));
  const kernelInitializer = tf.initializers.glorotNormal({ seed });
  const side = Math.sqrt(x.shape[1]);
  const pooling =
    window === 0
      ? [tf.layers.globalAveragePooling1d()]
      : [
          tf.layers.reshape({ targetShape: [side, side, filters] }),
          tf.layers.averagePooling2d({ poolSize: window, strides: window }),
          tf.layers.flatten(),
        ];
  const model = tf.sequential({
    layers: [
      tf.layers.dense({ units: filters, useBias: false, inputShape: x.shape.slice(1), kernelInitializer }),
      polynomial(a, b, c),
      ...pooling,
      tf.layers.dense({
        ...{ units: 1, activation: "sigmoid", kernelInitializer, kernelRegularizer: tf.regularizers.l1({ l1: beta }) },
      }),
    ],
  });
  model.compile({ optimizer, loss: "binaryCrossentropy" });
  let best: Look = { objective: Number.POSITIVE_INFINITY, testAccuracy: Number.NaN };
  for (let epoch = 0; epoch <= epochs; epoch++) {
    if (epoch > 0) await model.fit(x, train.y, { epochs: 1, batchSize, verbose: 0 });
    const seen = tf.tidy(() => {
      const [kernel] = model.layers[0].getWeights();
      model.layers[0].setWeights([tf.div(kernel, tf.norm(kernel, 2, 0, true))]);
      const loss = (model.evaluate(x, train.y, { batchSize: 256 }) as tf.Scalar).dataSync()[0];
      const objective = model.calculateLosses().reduce((sum, term) => sum + term.dataSync()[0], loss);
      const said = tf.greater(model.predict(held, { batchSize: 256 }) as tf.Tensor, 0.5);
      return { objective, testAccuracy: tf.equal(said, tf.greater(test.y, 0.5)).mean().dataSync()[0] };
    });
    if (seen.objective < best.objective) best = seen;
    if (look(seen)) break;
  }
  model.dispose();
  tf.dispose([x, held]);
  return best;
}
