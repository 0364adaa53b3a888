/** The hyperplanes of data in exact arithmetic: float64 rows are integers up to positive factors, which signs don't see. */

import type { Matrix } from "../types.js";
import { type ExactVector, exactVector, magnitude, parts, primitive } from "./exactVector.js";

/** The distinct hyperplanes {h : row h = 0} of the rows of X in as many dimensions as their rank. */
export interface Hyperplanes {
  readonly normals: readonly ExactVector[]; // pairwise not parallel, of `rank` entries
  readonly rank: number;
  /** Of every row of X: the place of its hyperplane, -1 for a zero row. */
  readonly place: Int32Array; // [n]
  /** 1 where the row points as its normal does, -1 where it is opposite to it. */
  readonly side: Int8Array; // [n]
  /** Whether rows of both sides lie along a normal. */
  readonly twoSided: readonly boolean[];
  /** The columns of X whose entries of g a direction h names (others are zero), and what X h was divided by there. */
  readonly columns: readonly number[]; // [rank]
  readonly scales: readonly number[]; // [rank]; g[columns[k]] is h[k] / scales[k]
}

/** A prime below 2^26, so that products of remainders are exact in float64. */
const PRIME = 67_108_859;

/** At most the rank of X, and mostly the rank: that of its remainders by a prime. */
export function rankAtLeast(X: Matrix): number {
  const { whole } = integerRows(X);
  const rows = whole.map((row) => Float64Array.from(row, (value) => Number(((value % P) + P) % P)));
  let rank = 0;
  for (let p = 0; p < X.cols && rank < rows.length; p++) {
    const pivot = rows.findIndex((row, j) => j >= rank && row[p] !== 0);
    if (pivot < 0) continue;
    [rows[rank], rows[pivot]] = [rows[pivot], rows[rank]];
    const top = rows[rank];
    const inverse = inverseOf(top[p]);
    for (let j = rank + 1; j < rows.length; j++) {
      const factor = (rows[j][p] * inverse) % PRIME;
      if (factor === 0) continue;
      for (let q = p; q < X.cols; q++) rows[j][q] = (rows[j][q] + (PRIME - factor) * top[q]) % PRIME;
    }
    rank += 1;
  }
  return rank;
}

const P = BigInt(PRIME);

/** value^(PRIME - 2), by Fermat. */
function inverseOf(value: number): number {
  let [result, base] = [1, value];
  for (let rest = PRIME - 2; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result = (result * base) % PRIME;
    base = (base * base) % PRIME;
  }
  return result;
}

export function hyperplanesOf(X: Matrix): Hyperplanes {
  const { whole, scales } = integerRows(X);
  const columns = independentColumns(whole, X.cols);
  const place = new Int32Array(X.rows).fill(-1);
  const side = new Int8Array(X.rows);
  const normals: ExactVector[] = [];
  const twoSided: boolean[] = [];
  const seen = new Map<string, number>();
  const first: number[] = []; // the side of the first row of each
  whole.forEach((row, j) => {
    const kept = columns.map((column) => row[column]);
    const lead = kept.find((value) => value !== 0n);
    if (lead === undefined) return; // in the columns of full rank a row is zero only where it is
    const canonical = primitive(lead < 0n ? kept.map((value) => -value) : kept);
    const key = canonical.join();
    const found = seen.get(key) ?? normals.length;
    if (found === normals.length) {
      seen.set(key, found);
      normals.push(exactVector(canonical));
      twoSided.push(false);
      first.push(lead < 0n ? -1 : 1);
    }
    place[j] = found;
    side[j] = lead < 0n ? -1 : 1;
    if (side[j] !== first[found]) twoSided[found] = true;
  });
  return { normals, rank: columns.length, place, side, twoSided, columns, scales: columns.map((c) => scales[c]) };
}

/** X = whole diag(scales), column by column: powers of two, and a constant column as ones. */
function integerRows(X: Matrix): { whole: bigint[][]; scales: Float64Array } {
  const { rows: n, cols: d, data } = X;
  const whole = Array.from({ length: n }, () => new Array<bigint>(d).fill(0n));
  const scales = new Float64Array(d).fill(1);
  for (let p = 0; p < d; p++) {
    const column = Array.from({ length: n }, (_, j) => data[j * d + p]);
    if (column[0] !== 0 && column.every((value) => value === column[0])) {
      for (let j = 0; j < n; j++) whole[j][p] = 1n;
      scales[p] = column[0];
      continue;
    }
    const split = column.map(parts);
    const least = split.reduce(
      (low, { mantissa, exponent }) => (mantissa === 0n ? low : Math.min(low, exponent)),
      Number.POSITIVE_INFINITY,
    );
    if (least === Number.POSITIVE_INFINITY) continue;
    split.forEach(({ mantissa, exponent }, j) => {
      if (mantissa !== 0n) whole[j][p] = mantissa << BigInt(exponent - least);
    });
    scales[p] = 2 ** least;
  }
  return { whole, scales };
}

/** The first columns that span all: X g takes all its values with the other entries of g zero. Fraction-free elimination. */
function independentColumns(whole: readonly (readonly bigint[])[], d: number): number[] {
  const rows = whole.map((row) => [...primitive(row)]);
  const columns: number[] = [];
  for (let p = 0; p < d && columns.length < rows.length; p++) {
    const rank = columns.length;
    const pivot = rows.findIndex((row, j) => j >= rank && row[p] !== 0n);
    if (pivot < 0) continue;
    [rows[rank], rows[pivot]] = [rows[pivot], rows[rank]];
    const top = rows[rank];
    for (let j = rank + 1; j < rows.length; j++) {
      const factor = rows[j][p];
      if (factor === 0n) continue;
      rows[j] = [...primitive(rows[j].map((value, q) => (q < p ? 0n : value * top[p] - top[q] * factor)))];
    }
    columns.push(p);
  }
  return columns;
}

/** Normals on the hyperplane of `normal`, whose points are told by their entries other than `pivot`; parallel ones are one. */
export interface Restriction {
  readonly normals: readonly ExactVector[];
  /** Which of the normals given lie along each. */
  readonly sources: readonly (readonly number[])[];
  lift(point: ExactVector): ExactVector;
}

/** Restricts normals to a hyperplane with integers: x_j becomes |n_p| x_j - sign(n_p) x_jp n without entry p. */
export function restrict(normal: ExactVector, normals: readonly ExactVector[]): Restriction {
  const { whole: n } = normal;
  // The pivot of the largest share: lifted points then are no longer than they must be.
  let pivot = 0;
  for (let p = 1; p < n.length; p++) if (magnitude(n[p]) > magnitude(n[pivot])) pivot = p;
  const size = magnitude(n[pivot]);
  const sign = n[pivot] > 0n ? 1n : -1n;
  const restricted: ExactVector[] = [];
  const sources: number[][] = [];
  const seen = new Map<string, number>();
  normals.forEach(({ whole: x }, j) => {
    const factor = sign * x[pivot];
    const rest: bigint[] = [];
    for (let q = 0; q < n.length; q++) if (q !== pivot) rest.push(size * x[q] - factor * n[q]);
    const lead = rest.find((value) => value !== 0n);
    if (lead === undefined) return;
    const canonical = primitive(lead < 0n ? rest.map((value) => -value) : rest);
    const key = canonical.join();
    const found = seen.get(key);
    if (found !== undefined) {
      sources[found].push(j);
      return;
    }
    seen.set(key, restricted.length);
    restricted.push(exactVector(canonical));
    sources.push([j]);
  });
  return {
    normals: restricted,
    sources,
    lift({ whole: h }) {
      const lifted: bigint[] = [];
      let missing = 0n;
      let at = 0;
      for (let q = 0; q < n.length; q++) {
        if (q === pivot) {
          lifted.push(0n);
          continue;
        }
        missing += n[q] * h[at];
        lifted.push(size * h[at++]);
      }
      lifted[pivot] = -sign * missing;
      return exactVector(lifted);
    },
  };
}
