/** Networks that are the mean of branches, and their loss on a plane through trained weights (Zhang, Shao and Salakhutdinov 2019, figure 1). */

import * as tf from "@tensorflow/tfjs";
import { gaussianSource } from "../../src/convex/linear/random.js";

/** Two classes: x [n x d] and labels -1 and 1. */
export interface Task {
  readonly x: tf.Tensor2D;
  readonly y: tf.Tensor2D;
}

/** A branch: hidden layers of so many ReLU units each, and a read-out. */
function branch(input: tf.SymbolicTensor, layers: number, units: number, seed: number): tf.SymbolicTensor {
  const dense = (count: number, activation: "relu" | "linear", k: number) =>
    tf.layers.dense({ units: count, activation, kernelInitializer: tf.initializers.heNormal({ seed: seed + k }) });
  let at = input;
  for (let k = 0; k < layers; k++) at = dense(units, "relu", k).apply(at) as tf.SymbolicTensor;
  return dense(1, "linear", layers).apply(at) as tf.SymbolicTensor;
}

/** The mean of some branches, which share `units` units a layer among them. */
export function meanOfBranches(inputs: number, branches: number, layers: number, units: number, seed: number) {
  const input = tf.input({ shape: [inputs] });
  const each = Array.from({ length: branches }, (_, k) =>
    branch(input, layers, Math.round(units / branches), seed + 100 * k),
  );
  const output = each.length === 1 ? each[0] : (tf.layers.average().apply(each) as tf.SymbolicTensor);
  return tf.model({ inputs: input, outputs: output });
}

/** The hinge loss, and `decay` / 2 times the branches' mean squared length of weights. */
export function objectiveOf(model: tf.LayersModel, { x, y }: Task, branches: number, decay: number): tf.Scalar {
  return tf.tidy(() => {
    const f = model.apply(x, { training: false }) as tf.Tensor2D;
    const loss = tf.mean(tf.relu(tf.sub(1, tf.mul(y, f)))) as tf.Scalar;
    const squares = model.trainableWeights.map((weight) => tf.sum(tf.square(weight.read())) as tf.Scalar);
    return tf.add(loss, tf.mul(decay / (2 * branches), tf.addN(squares))) as tf.Scalar;
  });
}

/** Adam on all rows. */
export function descend(model: tf.LayersModel, task: Task, branches: number, decay: number, steps: number): void {
  const optimizer = tf.train.adam(0.01);
  for (let step = 0; step < steps; step++) {
    optimizer.minimize(() => objectiveOf(model, task, branches, decay));
  }
  optimizer.dispose();
}

export interface Surface {
  readonly side: number;
  readonly values: Float64Array; // [side x side]
}

/** The objective on a plane around the model's weights, in random directions that are as long as each unit's weights (Li et al. 2018). */
export async function surfaceOf(
  model: tf.LayersModel,
  task: Task,
  { branches, decay, side, span, seed }: Readonly<Record<"branches" | "decay" | "side" | "span" | "seed", number>>,
): Promise<Surface> {
  const variables = model.trainableWeights.map((weight) => weight.read() as tf.Variable);
  const center = variables.map((variable) => tf.clone(variable));
  const draw = gaussianSource(seed);
  const along = [0, 1].map(() => center.map((weights) => direction(weights, draw)));
  const values = new Float64Array(side * side);
  for (let k = 0; k < values.length; k++) {
    const [s, t] = [k % side, Math.floor(k / side)].map((at) => span * ((2 * at) / (side - 1) - 1));
    const value = tf.tidy(() => {
      variables.forEach((variable, j) => {
        variable.assign(tf.addN([center[j], tf.mul(s, along[0][j]), tf.mul(t, along[1][j])]));
      });
      return objectiveOf(model, task, branches, decay);
    });
    values[k] = (await value.data())[0];
    value.dispose();
  }
  variables.forEach((variable, j) => void variable.assign(center[j]));
  tf.dispose([center, along]);
  return { side, values };
}

/** Gaussian, each column (a unit's weights) as long as the model's; biases stay as they are. */
function direction(weights: tf.Tensor, draw: () => number): tf.Tensor {
  if (weights.rank < 2) return tf.zerosLike(weights);
  return tf.tidy(() => {
    const random = tf.tensor(Float32Array.from({ length: weights.size }, draw), weights.shape);
    const length = (of: tf.Tensor) => tf.sqrt(tf.sum(tf.square(of), 0, true));
    return tf.mul(random, tf.divNoNan(length(weights), length(random)));
  });
}

/**
 * How far from convex a surface looks: over its rows, columns and diagonals, the most by which a line is above its convex envelope, as a
 * share of the surface's range. Zero for a convex one.
 */
export function unevenness({ side, values }: Surface): number {
  const at = (i: number, j: number) => values[i * side + j];
  const lines: number[][] = [];
  for (let k = 0; k < side; k++) {
    lines.push(
      Array.from({ length: side }, (_, j) => at(k, j)),
      Array.from({ length: side }, (_, i) => at(i, k)),
    );
  }
  for (let shift = 1 - side; shift < side; shift++) {
    const along = Array.from({ length: side - Math.abs(shift) }, (_, k) => k + Math.max(0, -shift));
    lines.push(
      along.map((i) => at(i, i + shift)),
      along.map((i) => at(i, side - 1 - i - shift)),
    );
  }
  const range = Math.max(...values) - Math.min(...values);
  return range > 0 ? Math.max(...lines.map(aboveEnvelope)) / range : 0;
}

/** The most by which equally spaced values are above their lower convex envelope. */
function aboveEnvelope(line: readonly number[]): number {
  const corners: number[] = [];
  line.forEach((value, k) => {
    while (corners.length > 1) {
      const [a, b] = [corners[corners.length - 2], corners[corners.length - 1]];
      if ((line[b] - line[a]) * (k - a) < (value - line[a]) * (b - a)) break;
      corners.pop();
    }
    corners.push(k);
  });
  let most = 0;
  for (let c = 1; c < corners.length; c++) {
    const [a, b] = [corners[c - 1], corners[c]];
    for (let k = a + 1; k < b; k++) {
      most = Math.max(most, line[k] - (line[a] + ((line[b] - line[a]) * (k - a)) / (b - a)));
    }
  }
  return most;
}
