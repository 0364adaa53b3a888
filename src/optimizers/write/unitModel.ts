/** A network of tanh, sign or polynomial units in float32 numbers: its objective by the definition, and the tf.Sequential that it is. */

import * as tf from "@tensorflow/tfjs";
import { lossTraits } from "../../convex/losses/index.js";
import type { Loss, LossName, Matrix } from "../../convex/types.js";
import { activate, type SolvedUnit, type UnitActivation } from "../../convex/units/index.js";
import { onesColumn, polynomial, signLayer } from "../../layers/index.js";
import type { Objective } from "../records.js";
import { OPTIMIZER } from "./template.js";
import { ownOptimizer } from "./width.js";

/** The numbers that float32 layers hold; the bias of a unit is its last weight times the column (0: no bias). */
export function asWritten(units: readonly SolvedUnit[], column: number): SolvedUnit[] {
  return units.map(({ weights, outputs }) => ({
    weights: weights.map((value, p) =>
      column > 0 && p === weights.length - 1 ? Math.fround(value * column) / column : Math.fround(value),
    ),
    outputs: outputs.map(Math.fround),
  }));
}

/** Loss and l1 charge of a network as written, by the definition. */
export function objectiveOf(
  { X, loss, activation }: { readonly X: Matrix; readonly loss: Loss; readonly activation: UnitActivation },
  units: readonly SolvedUnit[],
  bias: Float64Array,
  beta: number,
): Objective {
  const C = loss.outputs;
  const Z = Float64Array.from({ length: X.rows * C }, (_, k) => bias[k % C]);
  let charge = 0;
  for (const { weights, outputs } of units) {
    for (const a of outputs) charge += beta * Math.abs(a);
    for (let k = 0; k < X.rows; k++) {
      let z = 0;
      for (let p = 0; p < X.cols; p++) z += X.data[k * X.cols + p] * weights[p];
      const h = activate(activation, z);
      for (let c = 0; c < C; c++) Z[k * C + c] += h * outputs[c];
    }
  }
  const value = loss.value(Z);
  return { loss: value, regularization: charge, total: value + charge };
}

/** What the model is to be. */
export interface ModelShape {
  readonly loss: LossName;
  readonly activation: UnitActivation;
  readonly outputBias: boolean;
  readonly beta: number;
  readonly features: number;
  readonly outputs: number;
  readonly column: number;
}

/** The compiled model; a network without units keeps one, which is zero. */
export function modelOf(units: readonly SolvedUnit[], bias: Float64Array, shape: ModelShape): tf.Sequential {
  const { loss, activation, features: d, outputs: C, column, beta } = shape;
  const m = Math.max(1, units.length);
  // A polynomial's units have length one, their bias included: it stands in the kernel, behind a column of ones.
  const round = typeof activation === "object";
  const inputs = round && column > 0 ? d + 1 : d;
  const hidden = tf.layers.dense({
    units: m,
    inputShape: [inputs],
    activation: activation === "tanh" ? "tanh" : "linear",
    ...(round ? { useBias: false, kernelConstraint: tf.constraints.unitNorm({ axis: 0 }) } : {}),
  });
  const last = tf.layers.dense({
    units: C,
    useBias: shape.outputBias,
    activation: lossTraits[loss].activation,
    kernelRegularizer: tf.regularizers.l1({ l1: beta }),
  });
  const model = tf.sequential({ layers: layersOf(activation, hidden, last, inputs > d ? d : null) });
  model.compile({
    optimizer: OPTIMIZER,
    loss: loss === "huberLoss" ? (tf.losses.huberLoss as unknown as string) : loss,
  });
  tf.tidy(() => {
    const kernel = new Float32Array(inputs * m);
    const offset = new Float32Array(m);
    const output = new Float32Array(m * C);
    units.forEach(({ weights, outputs }, j) => {
      for (let p = 0; p < inputs; p++) kernel[p * m + j] = weights[p];
      if (!round) offset[j] = weights[d] * column;
      output.set(outputs, j * C);
    });
    // Units of a network that has none: of length one as well.
    if (round && units.length === 0) kernel[0] = 1;
    const seen = tf.tensor2d(kernel, [inputs, m]);
    hidden.setWeights(round ? [seen] : [seen, tf.tensor1d(offset)]);
    const read = tf.tensor2d(output, [m, C]);
    last.setWeights(shape.outputBias ? [read, tf.tensor1d(Float32Array.from(bias))] : [read]);
  });
  return ownOptimizer(model);
}

/** `features` where a column of ones is to be put behind them. */
function layersOf(
  activation: UnitActivation,
  hidden: tf.layers.Layer,
  last: tf.layers.Layer,
  features: number | null,
): tf.layers.Layer[] {
  if (activation === "tanh") return [hidden, last];
  if (activation === "sign") return [hidden, signLayer(), last];
  const { a, b, c } = activation;
  const before = features === null ? [] : [onesColumn({ inputShape: [features] })];
  return [...before, hidden, polynomial(a, b, c), last];
}
