/** Network weights -> layer weights, all or nothing. */

import * as tf from "@tensorflow/tfjs";
import type { NetworkWeights } from "../convex/network.js";
import type { Matrix } from "../convex/types.js";
import type { NetworkSpec } from "./readModel.js";

/**
 * Writes the weights into a model of `spec`. The last row of the kernels holds the hidden bias over `biasColumn`, the constant
 * that stood in the data for it.
 */
export function writeWeights(
  model: tf.Sequential,
  spec: NetworkSpec,
  weights: NetworkWeights,
  biasColumn: number,
): void {
  const layers = model.layers.filter((layer) => layer.getClassName() !== "InputLayer");
  const d = spec.inputs;
  const { kernel, gates, output } = weights;
  tf.tidy(() => {
    const first: tf.Tensor[] = [upper(kernel, d)];
    if (spec.hiddenBias) first.push(lastRow(kernel, biasColumn));
    if (gates !== null) {
      first.push(upper(gates, d));
      if (spec.hiddenBias) first.push(lastRow(gates, biasColumn));
    }
    const second: tf.Tensor[] = [tf.tensor2d(Float32Array.from(output.data), [output.rows, output.cols])];
    if (spec.outputBias) second.push(tf.tensor1d(Float32Array.from(weights.bias)));
    // Every tensor exists before the first is written; setWeights checks all shapes of a layer before it assigns.
    layers[0].setWeights(first);
    layers[1].setWeights(second);
  });
}

/** L2 factors that a new model is to carry in its layers; 0 for none. */
export interface LayerDecay {
  readonly hidden: number;
  readonly hiddenBias: number;
  readonly output: number;
  readonly outputBias: number;
}

/** A new model of the same layers and compile arguments, `units` wide, with other regularizers where they are given. */
export function resized(
  model: tf.Sequential,
  units: number,
  optimizer: string | tf.Optimizer,
  decay: LayerDecay | null = null,
): tf.Sequential {
  const layers = model.layers.filter((layer) => layer.getClassName() !== "InputLayer");
  const wider = tf.sequential();
  layers.forEach((layer, k) => {
    const config: tf.serialization.ConfigDict = { ...layer.getConfig() };
    if (k === 0) {
      config.units = units;
      config.batchInputShape = layer.batchInputShape ?? [null, layer.weights[0].shape[0]];
    }
    if (decay !== null) {
      config.kernelRegularizer = l2(k === 0 ? decay.hidden : decay.output);
      config.biasRegularizer = l2(k === 0 ? decay.hiddenBias : decay.outputBias);
    }
    const kind = layer.constructor as unknown as tf.serialization.SerializableConstructor<tf.layers.Layer>;
    wider.add(kind.fromConfig(kind, config));
  });
  wider.compile({ optimizer, loss: model.loss, metrics: model.metrics as string[] });
  return wider;
}

/** An optimizer of the same kind and settings, without the state that belongs to another model's weights. */
export function freshOptimizer(model: tf.Sequential): tf.Optimizer {
  const kind = model.optimizer.constructor as unknown as tf.serialization.SerializableConstructor<tf.Optimizer>;
  return kind.fromConfig(kind, model.optimizer.getConfig());
}

function l2(factor: number): tf.serialization.ConfigDict | null {
  return factor > 0 ? { className: "L1L2", config: { l1: 0, l2: factor } } : null;
}

function upper(matrix: Matrix, rows: number): tf.Tensor2D {
  return tf.tensor2d(Float32Array.from(matrix.data.subarray(0, rows * matrix.cols)), [rows, matrix.cols]);
}

function lastRow(matrix: Matrix, scale: number): tf.Tensor1D {
  const row = matrix.data.subarray((matrix.rows - 1) * matrix.cols);
  return tf.tensor1d(Float32Array.from(row, (value) => value * scale));
}
