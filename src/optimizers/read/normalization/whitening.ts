/**
 * Batch normalisation between a dense layer and its ReLU, as data: the program of a network with it is that of one without it on
 * whitened rows (Ergen, Sahiner, Ozturkler, Pauly, Mardani and Pilanci 2021, theorem 3).
 *
 * The white rows are an orthogonal basis of the columns of X less their means, of the length sqrt(n): of mean 0, variance 1 and without
 * correlation, so that a normalised unit gamma (x w - mean) / deviation + beta is a unit u, b on them with |u| = gamma, and what is
 * charged is gamma, beta and the read-out. Which basis it is changes nothing, nor does the scale of a column.
 */

import type { Kernels } from "../../../convex/kernels/index.js";
import { inTurns, type Pieces } from "../../../convex/linear/pieces.js";
import { turned } from "../../../convex/linear/vectors.js";
import {
  findingSpan,
  lessMean,
  meanOf,
  ROUNDING,
  type RowSpace,
  rowsInAxes,
} from "../../../convex/operators/axes/index.js";
import { independent } from "../../../convex/operators/independent.js";
import type { Matrix } from "../../../convex/types.js";
import type { Dataset } from "../data.js";
import type { Whitening } from "../layers/batchNormalization.js";
import type { NetworkSpec } from "../model.js";

type Pause = () => Promise<unknown>;

/** A spec on white rows, and what makes rows white; both as they were where nothing is normalised. With turns for the host, to the end. */
export async function whitened(
  spec: NetworkSpec,
  { x }: Dataset,
  kernels: Kernels,
  pause: Pause,
): Promise<NetworkSpec> {
  const { normalization } = spec;
  if (normalization === null) return spec;
  const found = await toTheEnd(whitening(x, kernels), pause);
  return { ...spec, inputs: found.map.cols, whitening: { ...found, ...normalization } };
}

/** Rows as the program of a spec has them. With turns for the host, to the end. */
export async function white(
  data: Dataset,
  { whitening }: Pick<NetworkSpec, "whitening">,
  kernels: Kernels,
  pause: Pause,
): Promise<Dataset> {
  if (whitening === null) return data;
  const { mean, map } = whitening;
  return { ...data, x: await toTheEnd(rowsInAxes(data.x, { basis: map, mean }, kernels), pause) };
}

/** Without white rows there is no program that a limit of time could leave unsolved. */
function toTheEnd<T>(work: Pieces<T>, pause: Pause): Promise<T> {
  return inTurns(work, async () => {
    await pause();
    return false;
  });
}

/** The mean, the map and the way back, of rows that come as they are. */
function* whitening(x: Matrix, kernels: Kernels): Pieces<Pick<Whitening, "mean" | "map" | "back">> {
  const { rows: n, cols: d } = x;
  const mean = meanOf(x);
  const centred = lessMean(x, mean);
  // Of a column, what float32 has rounded of it as it was.
  const least = lengthsOfColumns(x).map((length) => ROUNDING * length);
  yield;
  const { vectors, map } = yield* d < n ? ofColumns(centred, least, kernels) : ofFewRows(centred, least, kernels);
  const r = map.cols;
  const back = new Float64Array(r * d);
  kernels.multiply(vectors, centred.data, back, r, n, d);
  yield;
  return { mean, map, back: { rows: r, cols: d, data: back.map((value) => value / n) } };
}

/** White rows as columns behind one another, [r x n], and the map that makes them of centred rows. */
interface White {
  readonly vectors: Float64Array;
  readonly map: Matrix; // [d x r]
}

function* ofColumns(centred: Matrix, least: Float64Array | undefined, kernels: Kernels): Pieces<White> {
  const { rows: n, cols: d } = centred;
  const { vectors, turn, count } = yield* independent(turned(centred).data, d, n, kernels, least);
  return { vectors, map: turned({ rows: count, cols: d, data: turn }) };
}

/** Of more columns than rows, which are taken at one length: in a basis of the rows' span. */
function* ofFewRows(centred: Matrix, least: Float64Array, kernels: Kernels): Pieces<White> {
  const { cols: d, data } = centred;
  const scales = lengthsOfColumns(centred).map((length, p) => (length > least[p] ? 1 / length : 0));
  const scaled = { ...centred, data: data.map((value, at) => scales[at % d] * value) };
  yield;
  const { basis } = (yield* findingSpan(scaled, ROUNDING, kernels)) as RowSpace; // nobody ends it before
  const seen = yield* rowsInAxes(scaled, { basis, mean: null }, kernels);
  const { vectors, map } = yield* ofColumns(seen, undefined, kernels);
  const product = new Float64Array(d * map.cols);
  kernels.multiply(basis.data, map.data, product, d, basis.cols, map.cols);
  return {
    vectors,
    map: { rows: d, cols: map.cols, data: product.map((value, at) => scales[Math.floor(at / map.cols)] * value) },
  };
}

function lengthsOfColumns({ cols: d, data }: Matrix): Float64Array {
  const squares = new Float64Array(d);
  for (let at = 0; at < data.length; at++) squares[at % d] += data[at] ** 2;
  return squares.map(Math.sqrt);
}
