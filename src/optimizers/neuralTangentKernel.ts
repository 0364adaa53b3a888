/** What a wide network would do on your data: its tangent kernel, the rate of gradient descent, and the number of its steps. */

import type * as tf from "@tensorflow/tfjs";
import { abortSignal, count, counted, flag, oneOf, positive, refuseAs, refuseUnknown, shown } from "../arguments.js";
import { eigenvaluesOf, stepped, type Tridiagonal, tridiagonalise, turnedBy } from "../convex/linear/eigen/index.js";
import { log } from "../convex/linear/elementary.js";
import { inTurns } from "../convex/linear/pieces.js";
import { dot, dotAt } from "../convex/linear/vectors.js";
import { Clock } from "../convex/solvers/clock.js";
import { type TangentActivation, tangentActivations, tangentGram } from "../convex/tangent/index.js";
import type { Matrix } from "../convex/types.js";
import { readMatrix, refuseTensor } from "./read/data.js";

export interface TangentOptions {
  /** Layers of weights, the read-out among them; default 2: one hidden layer. */
  readonly layers?: number;
  /** Of the hidden layers; default "relu". */
  readonly activation?: TangentActivation;
  /** Whether the read-out is trained too; default false. */
  readonly trainReadOut?: boolean;
  /** Of gradient descent on 1/2 |f(x) - y|^2; default 1 over the largest eigenvalue. */
  readonly stepSize?: number;
  /** Stops the work: the promise is rejected with the signal's reason. */
  readonly signal?: AbortSignal;
}

const OPTIONS = ["layers", "activation", "trainReadOut", "stepSize", "signal"];
const MOST_LAYERS = 100;
const MOST_STEPS = 1e6;
/** Rows whose eigenvalues take a minute or so, and half a gigabyte. */
const MOST_ROWS = 4000;
/** An eigenvalue below so many roundings of the largest, times the rows, is zero. */
const ROUNDINGS = 4;
/** Rows this close to length one are of unit length: x was float32. */
const UNIT = 1e-5;

/**
 * The neural tangent kernel of the rows x [n x d], without biases (append a column of ones for them), for a network of infinite
 * width m,
 *
 *     f(x) = m^(-1/2) sum_r a_r s(w_r'h(x)),   a_r = -1 or 1, standard normal weights,
 *
 * h(x) = x with one hidden layer, else what layers before make of it, scaled so that lengths stay. Its least eigenvalue tells how fast
 * full-batch gradient descent takes f to any targets: while m is large the errors r = f(x) - y go like (I - stepSize kernel)^k r.
 *
 * What is proven of that, for which networks, `claim` says; widths that the theorems ask for are far beyond any that is used, and
 * nothing is said about new rows. ReLU in closed form, the others as mixtures of closed forms, within 1e-12 or so for rows of any length.
 * The kernel and its eigenvalues are made in pieces between which the host breathes: seconds for 2,000 rows, eight times that for the 4,000
 * that are the most.
 *
 * @throws ConvexError "options/..." and "data/..." for options or rows that don't fit.
 *
 * @example
 * ```ts
 * const ntk = await neuralTangentKernel(x);
 * ntk.leastEigenvalue; // 0: two rows have the same direction, or one is zero
 * ntk.steps(1e-3); // of gradient descent, after which |f(x) - y|^2 is at most a thousandth of what it was
 * ```
 */
export async function neuralTangentKernel(x: tf.Tensor, options: TangentOptions = {}): Promise<TangentKernel> {
  refuseUnknown("neuralTangentKernel", options, OPTIONS);
  const { layers = 2, activation = "relu", trainReadOut = false, stepSize, signal } = options;
  count("neuralTangentKernel: layers", layers, MOST_LAYERS, 2);
  oneOf("neuralTangentKernel: activation", activation, tangentActivations);
  flag("neuralTangentKernel: trainReadOut", trainReadOut);
  if (stepSize !== undefined) positive("neuralTangentKernel: stepSize", stepSize);
  if (signal !== undefined) abortSignal("neuralTangentKernel: signal", signal);
  refuseTensor("x", x, [null], "a table");
  const X = await readMatrix("x", x, x.shape.slice(1), "a table");
  if (X.rows > MOST_ROWS) {
    refuseAs(
      "neuralTangentKernel",
      `at most ${MOST_ROWS} rows, all of whose eigenvalues are computed`,
      String(X.rows),
      "Give fewer rows.",
      "data/size",
    );
  }
  const clock = new Clock(Number.POSITIVE_INFINITY, () => false);
  const pause = async () => {
    const over = await clock.pause();
    signal?.throwIfAborted();
    return over;
  };
  signal?.throwIfAborted();
  const data = await inTurns(tangentGram(X, layers, activation, trainReadOut), pause);
  const kernel = { rows: X.rows, cols: X.rows, data };
  const form = await inTurns(tridiagonalise(data, X.rows), pause);
  const eigenvalues = await inTurns(eigenvaluesOf(form), pause);
  const claim = claimOf(X, layers, activation, trainReadOut, eigenvalues);
  return new TangentKernel(kernel, eigenvalues, form, stepSize ?? null, claim);
}

/** What `neuralTangentKernel` answers with. */
export class TangentKernel {
  readonly leastEigenvalue: number; // 0 where it is rounding
  readonly largestEigenvalue: number;
  readonly stepSize: number;
  /** The rate of tf.train.sgd that has this step on the loss "meanSquaredError", whose gradient is 2 / n times as large. */
  readonly learningRate: number;
  /**
   * What |f(x) - y|^2 is at most multiplied by in a step, as the kernel predicts it: 1 - stepSize leastEigenvalue / 2, the form of the
   * theorems' rate (of which eigenvalue theirs is, `claim` says), or (1 - stepSize largestEigenvalue)^2 where that is more, as it may
   * be for steps beyond 1.5 over the largest eigenvalue.
   */
  readonly rate: number;

  /** @internal */
  constructor(
    /** Theta [n x n]. */
    readonly kernel: Matrix,
    readonly eigenvalues: Float64Array, // [n], increasing
    private readonly form: Tridiagonal, // of the kernel
    stepSize: number | null,
    /** What is proven, and what is not. */
    readonly claim: string,
  ) {
    const n = kernel.rows;
    this.largestEigenvalue = eigenvalues[n - 1];
    this.leastEigenvalue = isZero(eigenvalues) ? 0 : eigenvalues[0];
    this.stepSize = stepSize ?? (this.largestEigenvalue > 0 ? 1 / this.largestEigenvalue : 1);
    this.learningRate = (n * this.stepSize) / 2;
    // With u = stepSize times an eigenvalue (1 - u)^2 <= 1 - u / 2 up to u = 1.5; beyond, it grows with u.
    const longest = 1 - this.stepSize * this.largestEigenvalue;
    this.rate = Math.max(1 - (this.stepSize * this.leastEigenvalue) / 2, longest * longest);
  }

  /**
   * Steps until the kernel has |f(x) - y|^2 at most this share of what it was, whatever the targets, by `rate`; Infinity where the least
   * eigenvalue is zero, or the step too long (2 over the largest eigenvalue, or beyond) to converge.
   */
  steps(share: number): number {
    if (!(typeof share === "number" && share > 0 && share < 1))
      refuseAs("TangentKernel.steps", "a share between 0 and 1", shown(share), "Change it.");
    return this.rate < 1 ? Math.ceil(log(share) / log(this.rate)) : Number.POSITIVE_INFINITY;
  }

  /**
   * |f(x) - y|^2 at the start and after each of `steps` steps, as the kernel predicts it of errors f(x) - y [n] at the start: along
   * each eigenvector as its eigenvalue says, so that it is far below what `rate` bounds where targets lie along the large ones.
   */
  errors(residual: ArrayLike<number>, steps: number): Float64Array {
    count("TangentKernel.errors: steps", steps, MOST_STEPS);
    const n = this.kernel.rows;
    if (typeof residual !== "object" || residual === null || residual.length !== n)
      refuseAs("TangentKernel.errors", counted(n, "number"), shown(residual), "Give f(x) - y of each row.");
    const r = Float64Array.from(residual, (value) => (typeof value === "number" ? value : Number.NaN));
    const wrong = r.findIndex((value) => !Number.isFinite(value));
    if (wrong >= 0) refuseAs("TangentKernel.errors", "finite numbers", shown(residual[wrong]), "Change it.");
    const out = new Float64Array(steps + 1);
    let turned = turnedBy(this.form, r);
    for (let step = 0; step <= steps; step++) {
      if (step > 0) turned = stepped(this.form, this.stepSize, turned);
      out[step] = dot(turned, turned);
    }
    return out;
  }
}

function isZero(values: Float64Array): boolean {
  const n = values.length;
  return values[0] <= ROUNDINGS * n * Number.EPSILON * values[n - 1];
}

function claimOf(
  { rows: n, cols: d, data }: Matrix,
  layers: number,
  activation: TangentActivation,
  readOut: boolean,
  eigenvalues: Float64Array,
): string {
  if (isZero(eigenvalues)) {
    const rows =
      activation === "relu"
        ? "rows in the same direction, or a zero one"
        : "equal rows, a zero one, or, under tanh and sigmoid, opposite ones";
    return `The least eigenvalue is zero (${rows}): no rate follows, and targets that such rows don't allow are never met.`;
  }
  let unit = true;
  for (let k = 0; k < n; k++) unit &&= Math.abs(Math.sqrt(dotAt(data, k * d, data, k * d, d)) - 1) <= UNIT;
  const where = unit
    ? ""
    : " The theorem is about rows of length one, which these are not: the kernel and its dynamics hold, its constants do not.";
  if (layers === 2 && activation === "relu" && !readOut) {
    return (
      "Proven for ReLU (Du, Zhai, Poczos and Singh 2019): there is a width, polynomial in the rows and 1 / leastEigenvalue, from which on gradient " +
      `descent on the hidden layer with a small enough step has this rate with high probability.${where}`
    );
  }
  if (activation === "relu") {
    return (
      "Not covered by the theorems that this rate is from: for ReLU they have one hidden layer with a fixed read-out, for several layers smooth " +
      "activations (Du, Lee, Li, Wang and Zhai 2019). That training follows this kernel is the limit of infinite width (Jacot et al. 2018)."
    );
  }
  return (
    "Proven for smooth activations, several layers too, at a width that is exponential in the layers (Du, Lee, Li, Wang and Zhai 2019), with the " +
    `least eigenvalue of the last hidden layer's part in place of this one, which is no smaller.${where}`
  );
}
