/**
 * The linear layer beside the hidden one, as columns of the program, all of the length sqrt(n): free ones, which are orthogonal, and
 * charged ones less their part along these.
 */

import { counted } from "../../arguments.js";
import type { Kernels } from "../../convex/kernels/index.js";
import { atOnce, type Pieces } from "../../convex/linear/pieces.js";
import { concatenated, norm, transpose } from "../../convex/linear/vectors.js";
import { hasConstant, withLinearPart } from "../../convex/losses/beside/index.js";
import { forward, type NetworkWeights } from "../../convex/network.js";
import { type Coordinates, isStandardized } from "../../convex/operators/coordinates.js";
import { type Combined, gramOf, independent, withoutThem } from "../../convex/operators/independent.js";
import { minimiseOverBias } from "../../convex/operators/outputBias.js";
import { rowsOfX } from "../../convex/operators/standardized.js";
import type { LinearColumns, LinearPart, Loss, Matrix, OutputBias } from "../../convex/types.js";
import { ConvexError } from "../../errors.js";
import type { NetworkSpec } from "../read/model.js";
import type { Problem } from "../records.js";

/** A charged column of which free ones leave less than this share is theirs. */
const NOTHING = 1e-14;
/** Products of two numbers that are made without a look at the time: a second or so of all that is made of them. */
const AT_ONCE = 2 ** 27;

/** The loss and the output bias of the program; with a linear layer beside the hidden one both are part of the loss. */
export function* lossBeside(
  loss: Loss,
  spec: NetworkSpec,
  x: Matrix, // [n x r], in the program's columns
  space: Coordinates | null,
  kernels: Kernels,
  part: RowsOf | null = null,
): Pieces<{ readonly loss: Loss; readonly outputBias: OutputBias | null }> {
  if (spec.skip === null) return { loss, outputBias: spec.outputBias ? { ridge: spec.l2.outputBias } : null };
  const bias = spec.outputBias ? spec.l2.outputBias : null;
  const making = columnsOf(x, space, spec.skip.l2, bias, kernels, part);
  const columns = x.rows * x.cols ** 2 > AT_ONCE ? yield* inTime(making) : atOnce(making);
  return { loss: withLinearPart(loss, columns), outputBias: null };
}

/** Which rows these are, where they are not all: some are held out of a fold. */
export interface RowsOf {
  readonly whole: number; // rows in all
  readonly advice: string; // what to do where a fold has too few
}

function* columnsOf(
  x: Matrix,
  space: Coordinates | null,
  l2: number,
  bias: number | null,
  kernels: Kernels,
  part: RowsOf | null,
): Pieces<LinearColumns> {
  const { rows: n } = x;
  const toLayers = space !== null && isStandardized(space) ? rowsOfX(space) : null;
  const d = toLayers?.cols ?? x.cols;
  // The rows' columns and the constant one.
  const all = new Float64Array((d + 1) * n);
  if (toLayers === null) transpose(x.data, n, d, all);
  else yield* turned(x, toLayers, all, kernels);
  all.fill(1, d * n);
  const charges = Float64Array.from({ length: d + 1 }, (_, p) => (p < d ? l2 : (bias ?? Number.NaN)));
  const places = [...(bias === null ? [] : [d]), ...Array.from({ length: d }, (_, p) => p)];
  const taken = (ofThese: (charge: number) => boolean) => {
    const rows = places.filter((p) => ofThese(charges[p]));
    const vectors = new Float64Array(rows.length * n);
    rows.forEach((p, k) => {
      vectors.set(all.subarray(p * n, (p + 1) * n), k * n);
    });
    return { rows, vectors };
  };
  const atNothing = taken((charge) => charge === 0);
  const own = yield* independent(atNothing.vectors, atNothing.rows.length, n, kernels);
  if (own.count >= n) refuseMany(d, bias, l2, n, part);
  const free: Combined = { ...own, turn: spread(own, atNothing.rows, d + 1) };
  const paid = taken((charge) => charge > 0);
  const units = new Float64Array(paid.rows.length * (d + 1));
  paid.rows.forEach((p, k) => {
    units[k * (d + 1) + p] = 1;
  });
  const beside = { vectors: paid.vectors, turn: units, count: paid.rows.length };
  const rest = yield* withoutThem(beside, free, n, kernels);
  const ridge: number[] = new Array(free.count).fill(0);
  const vectors = [free.vectors];
  const turns = [free.turn];
  paid.rows.forEach((p, k) => {
    const length = norm(rest.vectors.subarray(k * n, (k + 1) * n));
    if (!(length > NOTHING * norm(all.subarray(p * n, (p + 1) * n)))) return;
    const scale = Math.sqrt(n) / length;
    vectors.push(rest.vectors.slice(k * n, (k + 1) * n).map((value) => scale * value));
    turns.push(rest.turn.slice(k * (d + 1), (k + 1) * (d + 1)).map((value) => scale * value));
    ridge.push(charges[p] * scale ** 2);
  });
  const k = ridge.length;
  const rows = concatenated(...vectors);
  const gram = yield* gramOf(rows, k, n, kernels);
  const layers = turnedOver(concatenated(...turns), k, d + 1);
  return {
    F: turnedOver(rows, k, n),
    gram,
    ridge: Float64Array.from(ridge),
    maps: { layers, program: toLayers === null ? layers : inProgram(layers, toLayers, kernels) },
  };
}

/** Work that is no use unless it ends: stopped, it is refused, and nothing has been changed. */
function* inTime<T>(work: Pieces<T>): Pieces<T> {
  for (;;) {
    const { done, value } = work.next(false);
    if (done) return value;
    if (yield) {
      throw new ConvexError(
        "options/value",
        "fit: expected the time to make the columns of the linear layer beside the hidden one independent, which the program is " +
          "made of, got a timeLimit or a signal that ended it before. Raise timeLimit, give that layer tf.regularizers.l2, or leave it out.",
      );
    }
  }
}

function refuseMany(d: number, bias: number | null, l2: number, n: number, part: RowsOf | null): never {
  const where =
    part === null
      ? `on ${counted(n, "row")}`
      : `on the ${counted(n, "row")} that a fold trains on, of ${part.whole} with those that it holds out,`;
  const more = part === null ? "more rows" : `more rows, or ${part.advice}`;
  if (l2 > 0) {
    throw new ConvexError(
      "model/regularizer",
      `fit: expected a biasRegularizer beside a linear layer, or more than one row, since a free output bias ${where} fits any targets ` +
        `alone, got none. Give the biases tf.regularizers.l2, or ${more}.`,
    );
  }
  throw new ConvexError(
    "model/regularizer",
    `fit: expected a kernelRegularizer in the linear layer beside the hidden one, which ${where} of ${counted(d, "column")} fits any targets alone` +
      `${bias === 0 ? " (with its free bias)" : ""}, got none. Give it tf.regularizers.l2, or ${more}.`,
  );
}

/** out [d x n] := the first d of the columns [x, 1] turn, as rows. */
function* turned(x: Matrix, turn: Matrix, out: Float64Array, kernels: Kernels): Pieces<void> {
  const { rows: n, cols: r, data } = x;
  const { cols: d } = turn;
  const across = new Float64Array(r * n);
  transpose(data, n, r, across);
  const rows = new Float64Array(d * r);
  transpose(turn.data, r, d, rows);
  kernels.multiply(rows, across, out, d, r, n);
  for (let p = 0; p < d; p++) for (let j = 0; j < n; j++) out[p * n + j] += turn.data[r * d + p];
  yield;
}

/** Combinations of columns at these places of `width`. */
function spread({ turn, count }: Combined, places: readonly number[], width: number): Float64Array {
  const out = new Float64Array(count * width);
  for (let k = 0; k < count; k++) {
    places.forEach((place, q) => {
      out[k * width + place] = turn[k * places.length + q];
    });
  }
  return out;
}

/** The map for the program's columns: [x, 1] = [z, 1] (toLayers, e). */
function inProgram({ rows, cols: k, data }: Matrix, toLayers: Matrix, kernels: Kernels): Matrix {
  const { rows: height, cols: d } = toLayers;
  const out = new Float64Array(height * k);
  kernels.multiply(toLayers.data, data.subarray(0, d * k), out, height, d, k);
  for (let q = 0; q < k; q++) out[(height - 1) * k + q] += data[(rows - 1) * k + q];
  return { rows: height, cols: k, data: out };
}

/** Rows [k x n] as a matrix [n x k]. */
function turnedOver(rows: Float64Array, k: number, n: number): Matrix {
  const data = new Float64Array(n * k);
  transpose(rows, k, n, data);
  return { rows: n, cols: k, data };
}

/**
 * Weights with the best linear layer beside them, on the rows X on which they act: for the program's own columns as it is, for those of
 * layers in float32 numbers.
 */
export function withBestSkip(
  { program, regularization }: Pick<Problem, "program" | "regularization">,
  weights: NetworkWeights,
  X: Matrix,
  columns: keyof LinearPart["maps"],
): NetworkWeights {
  const { beside } = program.loss;
  if (beside === undefined) return weights;
  const C = weights.bias.length;
  const c = beside.best(forward({ ...weights, bias: new Float64Array(C) }, X));
  const { rows, cols: k, data } = beside.maps[columns];
  const d = rows - 1;
  const exact = new Float64Array(rows * C);
  for (let p = 0; p < rows; p++) {
    for (let q = 0; q < k; q++) for (let o = 0; o < C; o++) exact[p * C + o] += data[p * k + q] * c[q * C + o];
  }
  const kernel = exact.slice(0, d * C);
  const bias = exact.slice(d * C);
  if (columns === "program") return { ...weights, skip: { rows: d, cols: C, data: kernel }, bias };
  const skip = { rows: d, cols: C, data: kernel.map(Math.fround) };
  const written = { ...weights, skip };
  if (!hasConstant(beside)) return written;
  // The bias that is best beside the kernel as rounded.
  const Z = forward({ ...written, bias: new Float64Array(C) }, X);
  const best = minimiseOverBias(beside.loss, Z, { ridge: regularization.outputBias });
  return { ...written, bias: best.map(Math.fround) };
}
