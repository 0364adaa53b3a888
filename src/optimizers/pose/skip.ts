/** The linear layer beside the hidden one, as columns of the program: free ones orthonormal, charged ones of length one beside them. */

import { dot, norm } from "../../convex/linear/vectors.js";
import { hasConstant, withLinearPart } from "../../convex/losses/linearPart.js";
import { forward, type NetworkWeights } from "../../convex/network.js";
import { type Coordinates, isStandardized } from "../../convex/operators/coordinates.js";
import { rowsOfX } from "../../convex/operators/standardized.js";
import type { LinearColumns, LinearPart, Loss, Matrix, OutputBias } from "../../convex/types.js";
import { ConvexError } from "../../errors.js";
import type { NetworkSpec } from "../read/model.js";
import type { Problem } from "../records.js";

/** A free column of which the others leave less than this share, and a charged one of which they leave less, are theirs. */
const DEPENDENT = 1e-10;
const NOTHING = 1e-14;

/** A column of F, and what it is of the columns of the rows and the constant one. */
interface Column {
  readonly values: Float64Array; // [n]
  readonly map: Float64Array; // [d + 1]
  readonly ridge: number;
  readonly length: number; // of the values at first
}

/** The loss and the output bias of the program; with a linear layer beside the hidden one both are part of the loss. */
export function lossBeside(
  loss: Loss,
  spec: NetworkSpec,
  x: Matrix, // [n x r], in the program's columns
  space: Coordinates | null,
): { readonly loss: Loss; readonly outputBias: OutputBias | null } {
  if (spec.skip === null) return { loss, outputBias: spec.outputBias ? { ridge: spec.l2.outputBias } : null };
  const bias = spec.outputBias ? spec.l2.outputBias : null;
  return { loss: withLinearPart(loss, columnsOf(x, space, spec.skip.l2, bias)), outputBias: null };
}

function columnsOf(x: Matrix, space: Coordinates | null, l2: number, bias: number | null): LinearColumns {
  const toLayers = space !== null && isStandardized(space) ? rowsOfX(space) : identity(x.cols);
  const { rows: n } = x;
  const d = toLayers.cols;
  const rows = Array.from({ length: d }, (_, p) => mapped(x, toLayers, p));
  const all = rows.map((values, p) => columnOf(values, unit(d + 1, p), l2));
  if (bias !== null) all.unshift(columnOf(new Float64Array(n).fill(1), unit(d + 1, d), bias));
  const free = orthonormal(
    all.filter(({ ridge }) => ridge === 0),
    n,
  );
  if (free.length >= n) refuseMany(d, n);
  const charged = all
    .filter(({ ridge }) => ridge > 0)
    .map((column) => without(column, free))
    .filter(({ values, length }) => norm(values) > NOTHING * length)
    .map((column) => scaled(column, n));
  const list = [...free, ...charged];
  const layers = matrixOf(list.map(({ map }) => map));
  return {
    F: matrixOf(list.map(({ values }) => values)),
    ridge: Float64Array.from(list, ({ ridge }) => ridge),
    maps: { layers, program: inProgram(layers, toLayers) },
  };
}

function refuseMany(d: number, n: number): never {
  throw new ConvexError(
    "model/regularizer",
    `fit: expected a kernelRegularizer in the linear layer beside the hidden one, which on ${n} rows of ${d} columns fits any targets alone, ` +
      `got none. Give it tf.regularizers.l2, or more rows.`,
  );
}

/** Columns of the same span, orthogonal and of the length sqrt(n), by Gram and Schmidt's method, the least dependent first. */
function orthonormal(columns: readonly Column[], n: number): Column[] {
  const kept: Column[] = [];
  let rest = columns.filter(({ length }) => length > 0);
  while (rest.length > 0) {
    const shares = rest.map(({ values, length }) => norm(values) / length);
    const place = shares.indexOf(Math.max(...shares));
    // Once more, since what has been taken off was rounded.
    const next = without(rest[place], kept);
    if (!(norm(next.values) > DEPENDENT * next.length)) break;
    kept.push(scaled(next, n));
    rest = rest.filter((_, k) => k !== place).map((column) => without(column, kept.slice(-1)));
  }
  return kept;
}

/** A column less its part along orthogonal others, each of which is charged nothing. */
function without(column: Column, others: readonly Column[]): Column {
  const values = column.values.slice();
  const map = column.map.slice();
  for (let pass = 0; pass < 2; pass++) {
    for (const other of others) {
      const share = dot(values, other.values) / dot(other.values, other.values);
      for (let k = 0; k < values.length; k++) values[k] -= share * other.values[k];
      for (let p = 0; p < map.length; p++) map[p] -= share * other.map[p];
    }
  }
  return { ...column, values, map };
}

/** The column at the length sqrt(n), so that entries are near one; its charge with it. */
function scaled({ values, map, ridge, length }: Column, n: number): Column {
  const scale = Math.sqrt(n) / norm(values);
  const times = (all: Float64Array) => all.map((value) => scale * value);
  return { values: times(values), map: times(map), ridge: ridge * scale ** 2, length };
}

function columnOf(values: Float64Array, map: Float64Array, ridge: number): Column {
  return { values, map, ridge, length: norm(values) };
}

/** The map for the program's columns: [x, 1] = [z, 1] (toLayers, e). */
function inProgram({ rows, cols: k, data }: Matrix, { rows: height, cols: d, data: turn }: Matrix): Matrix {
  const out = new Float64Array(height * k);
  for (let i = 0; i < height; i++) {
    for (let p = 0; p < d; p++) for (let q = 0; q < k; q++) out[i * k + q] += turn[i * d + p] * data[p * k + q];
  }
  for (let q = 0; q < k; q++) out[(height - 1) * k + q] += data[(rows - 1) * k + q];
  return { rows: height, cols: k, data: out };
}

/** Column p of [x, 1] times a matrix. */
function mapped({ rows: n, cols: r, data }: Matrix, { cols: d, data: turn }: Matrix, p: number): Float64Array {
  return Float64Array.from({ length: n }, (_, j) => {
    let sum = turn[r * d + p];
    for (let i = 0; i < r; i++) sum += data[j * r + i] * turn[i * d + p];
    return sum;
  });
}

function identity(d: number): Matrix {
  const data = new Float64Array((d + 1) * d);
  for (let p = 0; p < d; p++) data[p * (d + 1)] = 1;
  return { rows: d + 1, cols: d, data };
}

function unit(length: number, at: number): Float64Array {
  const vector = new Float64Array(length);
  vector[at] = 1;
  return vector;
}

function matrixOf(columns: readonly Float64Array[]): Matrix {
  const rows = columns[0]?.length ?? 0;
  const data = new Float64Array(rows * columns.length);
  columns.forEach((column, q) => {
    for (let p = 0; p < rows; p++) data[p * columns.length + q] = column[p];
  });
  return { rows, cols: columns.length, data };
}

/**
 * Weights with the best linear layer beside them, on the rows X on which they act: for the program's own columns as it is, for those of
 * layers in float32 numbers, the bias from the kernel as rounded.
 */
export function withBestSkip(
  { program }: Pick<Problem, "program">,
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
  const rounded = kernel.map(Math.fround);
  if (hasConstant(beside)) {
    for (let p = 0; p < d; p++) {
      let mean = 0;
      for (let j = 0; j < X.rows; j++) mean += X.data[j * X.cols + p] / X.rows;
      for (let o = 0; o < C; o++) bias[o] += mean * (kernel[p * C + o] - rounded[p * C + o]);
    }
  }
  return { ...weights, skip: { rows: d, cols: C, data: rounded }, bias: bias.map(Math.fround) };
}
