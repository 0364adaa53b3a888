/**
 * The leading principal axes of many columns, by products: subspace iteration with Chebyshev polynomials of the Gram matrix of the
 * shorter side, which leave little of what is below the smallest Ritz value (Saad 2011, chapter 5; Zhou, Saad, Tiago and Chelikowsky
 * 2006). Whenever it is told to end it has axes, orthonormal ones at least.
 */

import type { Kernels } from "../../kernels/types.js";
import { eigenInPieces } from "../../linear/eigen/index.js";
import { log } from "../../linear/elementary.js";
import type { Pieces } from "../../linear/pieces.js";
import { gaussianSource } from "../../linear/random.js";
import { dotAt, lengthsOfRows, norm, transpose, turned } from "../../linear/vectors.js";
import type { Matrix } from "../../types.js";
import { lessMean, meanOf, PIECE, ROUNDING, type RowSpace, rowsInAxes } from "./rowSpace.js";
import { takeOff } from "./takeOff.js";

/** A side up to which, and a share of axes from which on, all eigenvectors are cheaper. */
const SMALL = 160;
const MANY = 0.25;
/** Residuals of an axis, as a share of its own eigenvalue and of the largest, that rounding leaves. */
const EXACT = { own: 2 ** -34, largest: 2 ** -49 };
/** More rounds than these, and all eigenvectors are cheaper. */
const ROUNDS = 60;
/** What a polynomial may make of the largest axis beside the smallest of the block, and its highest degree. */
const SWELLING = 1e6;
const DEGREE = 20;
/** Eigenvalues of a Gram matrix below this share of the largest are the rounding of its sums. */
const NOTHING = 2 ** -44;
/** Rows at a time, of which fewer would make a product slow. */
const FEWEST = 32;

/**
 * The first `rank` principal axes of X, of its rows less their mean where `centred`; fewer where no more are above rounding. `tail` is a
 * Frobenius norm.
 */
export function* leadingAxes(X: Matrix, rank: number, centred: boolean, kernels: Kernels): Pieces<RowSpace> {
  const { rows: n, cols: d } = X;
  const mean = centred ? meanOf(X) : null;
  yield;
  const rows = mean === null ? X.data : lessMean(X, mean).data;
  yield;
  const wide = n < d;
  const side = Math.min(n, d);
  const { gram, whole } = yield* wide ? gramOfRows(rows, n, d, kernels) : gramOfColumns(rows, n, d, kernels);
  const all = side <= SMALL || rank > MANY * side ? yield* allAxes(gram, side) : null;
  const { vectors, exact } = all ?? (yield* iterated(gram, side, rank, kernels));
  const most = Math.min(rank, side);
  let axes = vectors.subarray(0, most * side);
  if (wide) {
    axes = new Float64Array(most * d);
    kernels.multiply(vectors, rows, axes, most, n, d);
    yield* orthonormal(axes, d);
  }
  const across = turned({ rows: most, cols: d, data: axes });
  const scores = yield* rowsInAxes({ rows: n, cols: d, data: rows }, { basis: across, mean: null }, kernels);
  const along = new Float64Array(scores.data.length);
  transpose(scores.data, n, most, along);
  yield;
  const sizes = lengthsOfRows(along, n);
  const order = Array.from(sizes.keys()).sort((a, b) => sizes[b] - sizes[a]);
  const kept = order.filter((k) => sizes[k] > ROUNDING * sizes[order[0]]);
  const data = new Float64Array(kept.length * d);
  kept.forEach((k, to) => {
    data.set(axes.subarray(k * d, (k + 1) * d), to * d);
  });
  const square = dotAt(rows, 0, rows, 0, n * d);
  const held = kept.reduce((sum, k) => sum + sizes[k] ** 2, 0);
  const known = exact && whole;
  return {
    basis: turned({ rows: kept.length, cols: d, data }),
    mean,
    largest: known ? sizes[order[0]] : Math.sqrt(square),
    tail: Math.sqrt(Math.max(0, square - held) + ROUNDING ** 2 * square),
    share: known ? null : held / (square || 1),
  };
}

interface Gram {
  readonly gram: Float64Array; // [side x side]
  readonly whole: boolean;
}

/** X'X [d x d]; told to end, it is that of the rows so far. */
function* gramOfColumns(rows: Float64Array, n: number, d: number, kernels: Kernels): Pieces<Gram> {
  const gram = new Float64Array(d * d);
  const height = Math.max(FEWEST, Math.ceil(PIECE / d ** 2));
  let seen = 0;
  for (let over = false; seen < n && !over; over = (yield) === true) {
    const to = Math.min(n, seen + height);
    kernels.addOuter(gram, rows.subarray(seen * d, to * d), d, to - seen, 1);
    seen = to;
  }
  for (let p = 0; p < d; p++) for (let q = 0; q < p; q++) gram[q * d + p] = gram[p * d + q];
  return { gram, whole: seen === n };
}

/** X X' [n x n], all of it: without some of its rows it is nothing. */
function* gramOfRows(rows: Float64Array, n: number, d: number, kernels: Kernels): Pieces<Gram> {
  const gram = new Float64Array(n * n);
  const height = Math.max(1, Math.ceil(PIECE / (n * d)));
  for (let from = 0; from < n; from += height) {
    const to = Math.min(n, from + height);
    kernels.multiplyTransposed(rows.subarray(from * d, to * d), rows, gram.subarray(from * n, to * n), to - from, d, n);
    yield;
  }
  return { gram, whole: true };
}

interface Axes {
  readonly vectors: Float64Array; // [at least rank x side], the leading first
  readonly exact: boolean;
}

function* allAxes(gram: Float64Array, side: number): Pieces<Axes | null> {
  const eigen = yield* eigenInPieces(gram, side);
  return eigen && { vectors: leadingFirst(eigen.vectors).data, exact: true };
}

function leadingFirst({ rows, cols, data }: Matrix): Matrix {
  const out = new Float64Array(data.length);
  for (let k = 0; k < rows; k++) out.set(data.subarray(k * cols, (k + 1) * cols), (rows - 1 - k) * cols);
  return { rows, cols, data: out };
}

function* iterated(gram: Float64Array, side: number, rank: number, kernels: Kernels): Pieces<Axes> {
  const width = Math.min(side, rank + Math.max(8, Math.ceil(rank / 2)));
  const draw = gaussianSource(1);
  let V: Float64Array = Float64Array.from({ length: width * side }, draw);
  yield* orthonormal(V, side);
  for (let round = 1; ; round++) {
    const image = yield* times(V, gram, side, kernels);
    const small = new Float64Array(width * width);
    kernels.multiplyTransposed(V, image, small, width, side, width);
    const eigen = yield* eigenInPieces(small, width);
    if (eigen === null) {
      yield* orthonormal(image, side);
      return { vectors: image, exact: false };
    }
    const turn = leadingFirst(eigen.vectors).data;
    const values = eigen.values.slice().reverse();
    const [axes, images] = [new Float64Array(V.length), new Float64Array(V.length)];
    kernels.multiply(turn, V, axes, width, width, side);
    kernels.multiply(turn, image, images, width, width, side);
    const settled = settledOf(axes, images, values, side);
    if (settled >= rank) return { vectors: axes, exact: true };
    if (yield) {
      yield* orthonormal(images, side); // a step nearer
      return { vectors: images, exact: false };
    }
    if (round === ROUNDS) return (yield* allAxes(gram, side)) ?? { vectors: axes, exact: false };
    V = axes;
    const open = { axes: axes.subarray(settled * side), images: images.subarray(settled * side) };
    const product = (of: Float64Array) => times(of, gram, side, kernels);
    const apart = (of: Float64Array) => takeOff(of, axes.subarray(0, settled * side), side, kernels);
    V.set(yield* filtered(open, values.subarray(settled), side, product, apart), settled * side);
    yield* orthonormal(V, side);
  }
}

/** How many of the first axes are eigenvectors, up to rounding. */
function settledOf(axes: Float64Array, images: Float64Array, values: Float64Array, side: number): number {
  for (let k = 0; k < values.length; k++) {
    let square = 0;
    for (let at = k * side; at < (k + 1) * side; at++) square += (images[at] - values[k] * axes[at]) ** 2;
    if (!(Math.sqrt(square) <= EXACT.own * values[k] + EXACT.largest * values[0])) return k;
  }
  return values.length;
}

/** T(2 A / edge - I) of the axes that are open, T the Chebyshev polynomial of a degree that keeps the smallest of them above rounding. */
function* filtered(
  { axes, images }: { readonly axes: Float64Array; readonly images: Float64Array },
  values: Float64Array,
  side: number,
  product: (of: Float64Array) => Pieces<Float64Array>,
  apart: (of: Float64Array) => void,
): Pieces<Float64Array> {
  const edge = values[values.length - 1];
  if (edge <= NOTHING * values[0]) {
    // The rest is rounding: one product is enough for what is not.
    return images.map((value, at) => (values[Math.floor(at / side)] > NOTHING * values[0] ? value : axes[at]));
  }
  const degree = Math.min(DEGREE, Math.floor(arcosh(SWELLING) / arcosh((2 * values[0]) / edge - 1)));
  let before = axes;
  let now: Float64Array = images.map((value, at) => (2 / edge) * value - axes[at]);
  for (let k = 2; k <= degree; k++) {
    const image = yield* product(now);
    for (let at = 0; at < image.length; at++) image[at] = 2 * ((2 / edge) * image[at] - now[at]) - before[at];
    apart(image);
    [before, now] = [now, image];
  }
  return now;
}

function arcosh(x: number): number {
  return log(x + Math.sqrt(x * x - 1));
}

/** V A [width x side] for a symmetric A. */
function* times(V: Float64Array, A: Float64Array, side: number, kernels: Kernels): Pieces<Float64Array> {
  const out = new Float64Array(V.length);
  const width = V.length / side;
  const height = Math.max(1, Math.ceil(PIECE / side ** 2));
  for (let from = 0; from < width; from += height) {
    const to = Math.min(width, from + height);
    kernels.multiply(
      V.subarray(from * side, to * side),
      A,
      out.subarray(from * side, to * side),
      to - from,
      side,
      side,
    );
    yield;
  }
  return out;
}

/** Makes rows orthonormal in place, each against those before it, twice since what is taken off is rounded. */
function* orthonormal(rows: Float64Array, width: number): Pieces<void> {
  for (let at = 0; at < rows.length; at += width) {
    for (let turn = 0; turn < 2; turn++) {
      for (let other = 0; other < at; other += width) {
        const along = dotAt(rows, at, rows, other, width);
        for (let p = 0; p < width; p++) rows[at + p] -= along * rows[other + p];
      }
      const length = norm(rows.subarray(at, at + width));
      if (length > 0) for (let p = 0; p < width; p++) rows[at + p] /= length;
    }
    yield;
  }
}
