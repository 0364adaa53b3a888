/** The second step of a ReLU generator: the least network that generates the rows of the first. */

import * as tf from "@tensorflow/tfjs";
import type { Certificate, Matrix, Status } from "../../convex/types.js";
import { ConvexReLUTrainer } from "../convexReLUTrainer.js";
import type { TrainerOptions } from "../options.js";
import type { Objective } from "../records.js";
import type { DenseWeights } from "../write/generatorModel.js";
import { OPTIMIZER } from "../write/template.js";
import { ownOptimizer } from "../write/width.js";

/** What the second program said; its outputs are the coordinates of generated rows in their own directions. */
export interface SecondStep {
  readonly certificate: Certificate;
  readonly objective: Objective;
  readonly status: Status;
  readonly advice: string;
  readonly neurons: number;
}

/** Rows to be generated, as mean + coordinates times directions. */
export interface Generated {
  readonly rows: Matrix; // [m x d]
  readonly mean: Float64Array; // [d]
  readonly directions: Matrix; // [r x d], orthonormal rows
}

/**
 * Fits (z U)_+ A + b to the rows from `latents`. Rows in r directions have the kernel A = A' V' with |A'| = |A|, so that the program has
 * r outputs, not d.
 */
export async function fitToRows(
  latents: tf.Tensor2D,
  given: Generated,
  width: number | null, // null: as many units as it takes
  options: TrainerOptions,
): Promise<{ readonly layers: readonly DenseWeights[]; readonly step: SecondStep }> {
  const inputs = latents.shape[1];
  const { rows: r, cols: d } = given.directions;
  const small = tf.sequential({
    layers: [
      tf.layers.dense({ units: width ?? 1, activation: "relu", useBias: false, inputShape: [inputs] }),
      tf.layers.dense({ units: r }),
    ],
  });
  small.compile({ optimizer: OPTIMIZER, loss: "meanSquaredError" });
  const y = tf.tensor2d(Float32Array.from(coordinatesOf(given)), [given.rows.rows, r]);
  let found: tf.LayersModel = small;
  try {
    const fit = await new ConvexReLUTrainer({ ...options, width: width === null ? "resize" : "keep" }).fit(
      small,
      latents,
      y,
    );
    found = fit.model;
    const [U, A, b] = await Promise.all(
      found.getWeights().map(async (weight) => Float64Array.from(await weight.data())),
    );
    const units = A.length / r;
    const along = (coordinates: Float64Array, from: Float64Array) =>
      spread({ rows: coordinates.length / r, cols: r, data: coordinates }, given.directions, from);
    const layers = [
      { W: { rows: inputs, cols: units, data: U }, bias: null, activation: "relu" },
      {
        W: { rows: units, cols: d, data: along(A, new Float64Array(d)) },
        bias: along(b, given.mean),
        activation: "linear",
      },
    ] as const;
    const { certificate, objective, status, advice, neurons } = fit;
    return { layers, step: { certificate, objective, status, advice, neurons } };
  } finally {
    y.dispose();
    if (found !== small) found.dispose();
    ownOptimizer(small).dispose();
  }
}

/** (rows - mean) V [m x r]. */
function coordinatesOf({ rows, mean, directions }: Generated): Float64Array {
  const { rows: r, cols: d } = directions;
  const out = new Float64Array(rows.rows * r);
  for (let i = 0; i < rows.rows; i++) {
    for (let k = 0; k < r; k++) {
      for (let p = 0; p < d; p++) out[i * r + k] += (rows.data[i * d + p] - mean[p]) * directions.data[k * d + p];
    }
  }
  return out;
}

/** from + coordinates V', as float32 numbers. */
function spread(coordinates: Matrix, { rows: r, cols: d, data }: Matrix, from: Float64Array): Float64Array {
  const out = new Float64Array(coordinates.rows * d);
  for (let i = 0; i < coordinates.rows; i++) {
    for (let p = 0; p < d; p++) {
      let value = from[p];
      for (let k = 0; k < r; k++) value += coordinates.data[i * r + k] * data[k * d + p];
      out[i * d + p] = Math.fround(value);
    }
  }
  return out;
}
