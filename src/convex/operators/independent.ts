/**
 * Columns of the same span as others, orthogonal and of the length sqrt(n): what is clearly independent by a Cholesky factor of the Gram
 * matrix, twice ("CholeskyQR2", Yamamoto et al. 2015), which an engine does fast; what the rest has beside it by Gram and Schmidt's method.
 */

import type { Kernels } from "../kernels/index.js";
import type { Pieces } from "../linear/pieces.js";
import { concatenated, dot, dotAt, norm } from "../linear/vectors.js";

/** A column of which the others leave less than this share is theirs. */
const DEPENDENT = 1e-10;
/** Of the square of a column's length, what the others must leave of it for the Gram matrix to say so: it squares what was rounded. */
const CLEAR = 1e-6;
/** Products of two numbers in a piece of work: a tenth of a second or so. */
const PIECE = 2 ** 27;

/** Vectors as rows, [k x n], and what each is of the columns at first: vectors = turn columns. */
export interface Combined {
  readonly vectors: Float64Array; // [k x n]
  readonly turn: Float64Array; // [k x m]
  readonly count: number; // k
}

/** Of columns as rows [m x n]; `least` [m]: of a column, what is no longer than that is nothing, be it all of it or what the others leave. */
export function* independent(
  columns: Float64Array,
  m: number,
  n: number,
  kernels: Kernels,
  least?: Float64Array,
): Pieces<Combined> {
  const lengths = Float64Array.from({ length: m }, (_, k) => norm(columns.subarray(k * n, (k + 1) * n)));
  const nothing = lengths.map((length, k) => Math.max(DEPENDENT * length, least?.[k] ?? 0));
  const some = [...lengths.keys()].filter((k) => lengths[k] > nothing[k]);
  const units = new Float64Array(some.length * n);
  some.forEach((k, row) => {
    for (let j = 0; j < n; j++) units[row * n + j] = columns[k * n + j] / lengths[k];
  });
  const shares = Float64Array.from(some, (k) => Math.max(CLEAR, (nothing[k] / lengths[k]) ** 2));
  const clear = yield* clearPivots(yield* gramOf(units, some.length, n, kernels), some.length, shares);
  const taken = clear.map((row) => some[row]);
  let found: Combined = {
    vectors: rowsAt(units, clear, n),
    turn: rowsAt(scaledUnits(lengths, m), taken, m),
    count: taken.length,
  };
  for (let pass = 0; pass < 2; pass++) found = yield* whitenedOnce(found, n, kernels);
  const left = some.filter((k) => !taken.includes(k));
  const rest: Combined = {
    vectors: rowsAt(columns, left, n),
    turn: rowsAt(scaledUnits(null, m), left, m),
    count: left.length,
  };
  const beside = yield* withoutThem(rest, found, n, kernels);
  return yield* withRest(
    found,
    beside,
    left.map((k) => ({ length: lengths[k], least: nothing[k] })),
    n,
  );
}

/** The lower triangle of V V', V [k x n]; the upper one mirrors it. */
export function* gramOf(V: Float64Array, k: number, n: number, kernels: Kernels): Pieces<Float64Array> {
  const G = new Float64Array(k * k);
  const height = Math.max(1, Math.floor(PIECE / Math.max(1, n * k)));
  for (let from = 0; from < k; from += height) {
    const to = Math.min(k, from + height);
    const part = new Float64Array((to - from) * to);
    kernels.multiplyTransposed(V.subarray(from * n, to * n), V.subarray(0, to * n), part, to - from, n, to);
    for (let p = from; p < to; p++) {
      for (let q = 0; q <= p; q++) G[p * k + q] = G[q * k + p] = part[(p - from) * to + q];
    }
    if (to < k) yield;
  }
  return G;
}

/** Those vectors less their part along orthogonal ones, twice since what is taken off is rounded. */
export function* withoutThem(rest: Combined, others: Combined, n: number, kernels: Kernels): Pieces<Combined> {
  const k = others.count;
  if (k === 0 || rest.count === 0) return rest;
  const m = rest.turn.length / rest.count;
  const vectors = rest.vectors.slice();
  const turn = rest.turn.slice();
  const height = Math.max(1, Math.floor(PIECE / (n * k)));
  for (let from = 0; from < rest.count; from += height) {
    const count = Math.min(height, rest.count - from);
    const rows = vectors.subarray(from * n, (from + count) * n);
    const turns = turn.subarray(from * m, (from + count) * m);
    for (let pass = 0; pass < 2; pass++) {
      const shares = new Float64Array(count * k);
      kernels.multiplyTransposed(rows, others.vectors, shares, count, n, k);
      for (let at = 0; at < shares.length; at++) shares[at] /= n; // the squares of their lengths
      subtract(rows, product(shares, others.vectors, count, k, n, kernels));
      subtract(turns, product(shares, others.turn, count, k, m, kernels));
    }
    yield;
  }
  return { ...rest, vectors, turn };
}

/**
 * Places of vectors of length one that are clearly independent, the least dependent first, by a Cholesky factor with pivots: of their
 * squares more than `shares` [k] is left.
 */
function* clearPivots(gram: Float64Array, k: number, shares: Float64Array): Pieces<number[]> {
  const L = new Float64Array(k * k); // row p: what vector p is of those taken
  const left = Float64Array.from({ length: k }, (_, p) => gram[p * k + p]);
  const taken: number[] = [];
  while (taken.length < k) {
    const step = taken.length;
    let next = -1;
    for (let p = 0; p < k; p++) if (left[p] > shares[p] && (next < 0 || left[p] > left[next])) next = p;
    if (next < 0) break;
    const root = Math.sqrt(left[next]);
    for (let p = 0; p < k; p++) {
      if (left[p] === Number.NEGATIVE_INFINITY) continue;
      const entry = (gram[p * k + next] - dotAt(L, p * k, L, next * k, step)) / root;
      L[p * k + step] = entry;
      left[p] -= entry ** 2;
    }
    left[next] = Number.NEGATIVE_INFINITY;
    taken.push(next);
    if (step % Math.max(1, Math.floor(PIECE / (k * k))) === 0 && step > 0) yield;
  }
  return taken;
}

/** V := sqrt(n) L^-1 V, where V V' = L L'. */
function* whitenedOnce({ vectors, turn, count: k }: Combined, n: number, kernels: Kernels): Pieces<Combined> {
  if (k === 0) return { vectors, turn, count: k };
  const m = turn.length / k;
  const L = yield* gramOf(vectors, k, n, kernels);
  kernels.factor(L, k);
  yield;
  const inverse = new Float64Array(k * k); // of L, lower; kept by its columns, in rows
  for (let q = 0; q < k; q++) {
    for (let p = q; p < k; p++) {
      const sum = (p === q ? 1 : 0) - dotAt(L, p * k + q, inverse, q * k + q, p - q);
      inverse[q * k + p] = sum / L[p * k + p];
    }
    if (q % Math.max(1, Math.floor(PIECE / (k * k))) === 0 && q > 0) yield;
  }
  const scale = Math.sqrt(n);
  const rows = new Float64Array(k * k);
  for (let p = 0; p < k; p++) for (let q = 0; q <= p; q++) rows[p * k + q] = scale * inverse[q * k + p];
  const out = { vectors: new Float64Array(k * n), turn: new Float64Array(k * m), count: k };
  const height = Math.max(1, Math.floor(PIECE / (n * k)));
  for (let from = 0; from < k; from += height) {
    const to = Math.min(k, from + height);
    const part = rows.subarray(from * k, to * k);
    out.vectors.set(product(part, vectors, to - from, k, n, kernels), from * n);
    out.turn.set(product(part, turn, to - from, k, m, kernels), from * m);
    yield;
  }
  return out;
}

/** What is left of others that are nearly dependent, one by one, the least dependent first. */
function* withRest(
  found: Combined,
  beside: Combined,
  sizes: readonly { readonly length: number; readonly least: number }[],
  n: number,
): Pieces<Combined> {
  const m = beside.count > 0 ? beside.turn.length / beside.count : 0;
  const kept = listOf(found, n);
  const first = kept.length;
  let rest = listOf(beside, n).map((row, k) => ({ ...row, ...sizes[k] }));
  for (;;) {
    rest = rest.filter(({ vector, least }) => norm(vector) > least);
    if (rest.length === 0) break;
    const share = ({ vector, length }: (typeof rest)[number]) => norm(vector) / length;
    const next = rest.reduce((best, row) => (share(row) > share(best) ? row : best));
    // Once more, since what has been taken off was rounded.
    for (const row of kept) takeOff(next, row);
    rest = rest.filter((row) => row !== next);
    if (!(norm(next.vector) > next.least)) continue;
    const scale = Math.sqrt(n) / norm(next.vector);
    for (let j = 0; j < n; j++) next.vector[j] *= scale;
    for (let j = 0; j < m; j++) next.turn[j] *= scale;
    kept.push(next);
    for (const row of rest) for (let pass = 0; pass < 2; pass++) takeOff(row, next);
    yield;
  }
  if (kept.length === first) return found;
  return {
    vectors: concatenated(...kept.map(({ vector }) => vector)),
    turn: concatenated(...kept.map(({ turn }) => turn)),
    count: kept.length,
  };
}

interface Row {
  readonly vector: Float64Array;
  readonly turn: Float64Array;
}

function listOf({ vectors, turn, count }: Combined, n: number): Row[] {
  const m = count > 0 ? turn.length / count : 0;
  return Array.from({ length: count }, (_, k) => ({
    vector: vectors.slice(k * n, (k + 1) * n),
    turn: turn.slice(k * m, (k + 1) * m),
  }));
}

function takeOff(row: Row, other: Row): void {
  const share = dot(row.vector, other.vector) / row.vector.length;
  for (let j = 0; j < row.vector.length; j++) row.vector[j] -= share * other.vector[j];
  for (let j = 0; j < row.turn.length; j++) row.turn[j] -= share * other.turn[j];
}

/** A [m x k] B [k x n]. */
function product(A: Float64Array, B: Float64Array, m: number, k: number, n: number, kernels: Kernels): Float64Array {
  const out = new Float64Array(m * n);
  kernels.multiply(A, B, out, m, k, n);
  return out;
}

function subtract(out: Float64Array, other: Float64Array): void {
  for (let k = 0; k < out.length; k++) out[k] -= other[k];
}

function rowsAt(M: Float64Array, rows: readonly number[], n: number): Float64Array {
  const out = new Float64Array(rows.length * n);
  rows.forEach((row, k) => {
    out.set(M.subarray(row * n, (row + 1) * n), k * n);
  });
  return out;
}

/** The identity [m x m], or the inverse lengths on its diagonal. */
function scaledUnits(lengths: Float64Array | null, m: number): Float64Array {
  const out = new Float64Array(m * m);
  for (let k = 0; k < m; k++) out[k * (m + 1)] = lengths === null ? 1 : lengths[k] > 0 ? 1 / lengths[k] : 0;
  return out;
}
