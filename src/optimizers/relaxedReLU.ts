/** A convex relaxation of one ReLU neuron, and the gradient that it suggests for several: a start, and something to study. */

import * as tf from "@tensorflow/tfjs";
import { abortSignal, count, integer, oneOf, positive, refuseAs, refuseUnknown } from "../arguments.js";
import { eigenSymmetric } from "../convex/linear/eigen/index.js";
import { inTurns, type Pieces } from "../convex/linear/pieces.js";
import { gaussianSource } from "../convex/linear/random.js";
import { dotAt, LEAST } from "../convex/linear/vectors.js";
import { Clock } from "../convex/solvers/clock.js";
import type { Matrix } from "../convex/types.js";
import { readMatrix, refuseTensor } from "./read/data.js";
import { OPTIMIZER, templateOf } from "./write/template.js";
import { resized } from "./write/width.js";

export interface RelaxedOptions {
  /** Neurons m; default 1, where the relaxation is convex. */
  readonly units?: number;
  /** "modified": that of the relaxation; "plain": that of the network itself, to compare with. Default "modified". */
  readonly gradient?: "modified" | "plain";
  /** Steps of gradient descent; default 2000. */
  readonly steps?: number;
  /** Default 1 / (2 m s), s the largest eigenvalue of x'x: for one neuron and y >= 0 one over what the modified gradient changes by at most. */
  readonly rate?: number;
  /** Of the normal weights at the start; default 0. */
  readonly seed?: number;
  /** Seconds after which the weights are taken as they are; default no limit. */
  readonly timeLimit?: number;
  /** Stops the descent; the weights are taken as they are. */
  readonly signal?: AbortSignal;
}

export interface RelaxedReLU {
  /** dense(units, relu) without bias, and a read-out of ones; the caller disposes. */
  readonly model: tf.Sequential;
  /** |f(x) - y|^2 at the start and after every step. */
  readonly errors: Float64Array; // [steps made + 1]
  /** The relaxation's value likewise: never below the error of the same weights. */
  readonly relaxed: Float64Array; // [steps made + 1]
  /** What follows from its last value, and what does not. */
  readonly claim: string;
}

const OPTIONS = ["units", "gradient", "steps", "rate", "seed", "timeLimit", "signal"];
const MOST_UNITS = 1e5;
const MOST_STEPS = 1e6;
/** Columns whose largest eigenvalue takes seconds. */
const MOST_COLUMNS = 1000;
/** Multiplications between looks at the clock. */
const PIECE = 1e6;
/** A relaxation below this share of |y|^2 has met the targets, as far as float32 layers can. */
const MET = 1e-10;

/**
 * Descends on f(w) = |sum_j (x w_j)_+ - y|^2 with the gradient of its relaxation (Ergen and Pilanci 2019),
 *
 *     2 X' D_j r + 2 X' D_0 r,   r = sum_j (X w_j)_+ - y,
 *
 * D_j the rows on which neuron j is on, D_0 those on which all neurons are off and y > 0: there the network's own gradient vanishes, and
 * this one pulls towards the row. For one neuron and y >= 0 it is the gradient of the convex f_r(w) = |(X w)_+|^2 - 2 y'X w + |y|^2.
 * Unlike the paper, rows with y <= 0 are not pulled while they are off, without which f_r would have no minimum; so f_r >= f for any y.
 *
 * When one neuron made the targets, y = (x w)_+ exactly, the minimisers of f_r are those of f, and both are zero. Otherwise they need
 * not be, and noise is enough (docs/claims.md, entry 3): what comes out is a start for `ConvexReLUTrainer` (through `certify`) or `model.fit`.
 *
 * @throws ConvexError "options/..." and "data/..." for options, x [n x d] or y [n x 1] that don't fit.
 *
 * @example
 * ```ts
 * const { model, errors, claim } = await relaxedReLU(x, y, { units: 4 });
 * ```
 */
export async function relaxedReLU(x: tf.Tensor, y: tf.Tensor, options: RelaxedOptions = {}): Promise<RelaxedReLU> {
  refuseUnknown("relaxedReLU", options, OPTIONS);
  const { units = 1, gradient = "modified", steps = 2000, rate, seed = 0, timeLimit, signal } = options;
  count("relaxedReLU: units", units, MOST_UNITS);
  count("relaxedReLU: steps", steps, MOST_STEPS);
  oneOf("relaxedReLU: gradient", gradient, ["modified", "plain"]);
  integer("relaxedReLU: seed", seed);
  for (const [name, value] of Object.entries({ rate, timeLimit }))
    if (value !== undefined) positive(`relaxedReLU: ${name}`, value);
  if (signal !== undefined) abortSignal("relaxedReLU: signal", signal);
  const clock = new Clock(timeLimit ?? Number.POSITIVE_INFINITY, () => signal?.aborted === true);
  refuseTensor("x", x, [null], "a table");
  const X = await readMatrix("x", x, x.shape.slice(1), "a table");
  const Y = await readMatrix("y", y, [1], "a network with one output");
  if (X.rows !== Y.rows)
    refuseAs(
      "relaxedReLU",
      `as many rows of y as of x, ${X.rows}`,
      String(Y.rows),
      "Check how the two were cut.",
      "data/shape",
    );
  if (X.cols > MOST_COLUMNS)
    refuseAs("relaxedReLU", `at most ${MOST_COLUMNS} columns`, String(X.cols), "Take fewer columns.", "data/size");
  const draw = gaussianSource(seed);
  const W = Float64Array.from({ length: units * X.cols }, draw);
  const step = rate ?? 1 / (2 * units * Math.max(largestEigenvalue(X), LEAST));
  const errors: number[] = [];
  const relaxed: number[] = [];
  for (let left = steps, over = false; left >= 0 && !over; left--) {
    over = (await clock.pause()) || left === 0;
    const descent = descend(W, X, Y.data, over ? 0 : step, gradient === "modified");
    const [error, value] = await inTurns(descent, () => clock.pause());
    if (!Number.isFinite(value)) {
      refuseAs(
        "relaxedReLU: rate",
        "one at which descent converges",
        `${step}, which diverges in step ${errors.length}`,
        "Lower it, or leave it out.",
      );
    }
    errors.push(error);
    relaxed.push(value);
  }
  return {
    model: modelOf(W, X.cols, units),
    errors: Float64Array.from(errors),
    relaxed: Float64Array.from(relaxed),
    claim: claimOf(relaxed[relaxed.length - 1], Y.data, units),
  };
}

/** One step in place, made whole even where time is up; the error and the relaxation's value before it. */
function* descend(
  W: Float64Array, // [m x d]
  { rows: n, cols: d, data: X }: Matrix,
  y: Float64Array,
  step: number,
  modified: boolean,
): Pieces<[number, number]> {
  const m = W.length / d;
  const on = new Uint8Array(m * n);
  const r = y.map((value) => -value);
  const sums = new Float64Array(n); // of all neurons, where all are off
  const idle = new Uint8Array(n).fill(1);
  const piece = Math.ceil(PIECE / (n * d)); // neurons
  for (let j = 0; j < m; j++) {
    if (j % piece === piece - 1) yield;
    for (let k = 0; k < n; k++) {
      const sum = dotAt(W, j * d, X, k * d, d);
      if (sum >= 0) {
        on[j * n + k] = 1;
        idle[k] = 0;
        r[k] += sum;
      }
      sums[k] += sum;
    }
  }
  let [error, relaxed] = [0, 0];
  for (let k = 0; k < n; k++) {
    error += r[k] * r[k];
    if (idle[k] === 1 && y[k] > 0) relaxed -= 2 * y[k] * sums[k];
  }
  for (let j = 0; j < m && step > 0; j++) {
    if (j % piece === piece - 1) yield;
    for (let k = 0; k < n; k++) {
      if (on[j * n + k] === 0 && !(modified && idle[k] === 1 && y[k] > 0)) continue;
      const pull = 2 * step * r[k];
      for (let p = 0; p < d; p++) W[j * d + p] -= pull * X[k * d + p];
    }
  }
  return [error, error + relaxed];
}

function largestEigenvalue({ rows: n, cols: d, data: X }: Matrix): number {
  const gram = new Float64Array(d * d);
  for (let k = 0; k < n; k++) {
    for (let p = 0; p < d; p++) for (let q = 0; q <= p; q++) gram[p * d + q] += X[k * d + p] * X[k * d + q];
  }
  return eigenSymmetric(gram, d).values[d - 1];
}

function modelOf(W: Float64Array, d: number, units: number): tf.Sequential {
  const template = templateOf({ loss: "meanSquaredError", hiddenBias: false, outputBias: false }, "relu", d, 1);
  const model = resized(template, units, null, OPTIMIZER);
  template.dispose();
  tf.tidy(() => {
    const kernel = tf.transpose(tf.tensor2d(Float32Array.from(W), [units, d]));
    model.setWeights([kernel, tf.ones([units, 1])]);
  });
  return model;
}

function claimOf(relaxed: number, y: Float64Array, units: number): string {
  const size = y.reduce((sum, value) => sum + value * value, 0);
  if (relaxed <= MET * size)
    return "The relaxation is at most 1e-10 of |y|^2, and so is the error, which is not above it: to this precision no network is better on these rows.";
  return units === 1
    ? "The relaxation is above 1e-10 of |y|^2: nothing is proven of the network. Unless one neuron made the targets without noise, its minimiser need not be the network's."
    : "Nothing is proven of the network: for several neurons the relaxation is neither convex nor continuous.";
}
