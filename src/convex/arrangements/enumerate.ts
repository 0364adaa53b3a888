/**
 * Every arrangement of the data exactly once: the cells of {g : x_j g != 0} with one interior point each.
 *
 * Hyperplanes are added one at a time. A hyperplane H cuts a cell in two exactly where the arrangement restricted to H has a
 * cell, so the new cells are found by the same enumeration in H, one dimension lower: a point of a cell of the restriction,
 * moved a little to either side of H, lies in the two halves (Edelsbrunner 1987, chapter 7). Repeated, opposite and zero rows
 * span no new hyperplane; rows of lower rank are met by restricting to their span.
 */

import { wordsPerGate } from "../linear/bits.js";
import { atOnce, type Pieces } from "../linear/pieces.js";
import { dot } from "../linear/vectors.js";
import type { GateSet, Matrix } from "../types.js";
import { checkRows } from "./checkRows.js";
import { arrangementBound, refuseBytes } from "./count.js";
import { GateCollector } from "./gateCollector.js";
import { PatternSet } from "./patternSet.js";

/** Two unit rows are parallel, and a row depends on others, below this sine. */
const PARALLEL = 1e-10;
/** Gates that are taken where there was no time to find them all. */
const PARTIAL = 512;

/**
 * All sign patterns 1[X g >= 0] of directions g in general position; a zero row counts as active.
 *
 * For points in general position of rank r there are 2 sum_{k < r} C(n - 1, k) (Cover 1965); never more.
 *
 * @throws ConvexError "gates/count" when that many would not fit in memory, "data/nonFinite" for data that are not numbers.
 */
export function enumerateGates(X: Matrix): GateSet {
  return atOnce(enumerating(X));
}

/** The same in pieces; when it has to end before its time it answers with some of the gates, which do not call themselves complete. */
export function* enumerating(X: Matrix): Pieces<GateSet> {
  checkRows("enumerateGates", X);
  const rows = directions(X);
  const { basis, rank } = spanOf(rows, X.cols);
  refuseBytes("enumerateGates", Math.max(1, arrangementBound(rows.length, rank)), X);
  const reduced = rows.map((row) => coordinates(row, basis, rank, X.cols));
  const { points, complete } = rank === 0 ? ORIGIN : yield* cellsOf(reduced, rank);
  const gates = new GateCollector(X);
  // Cells of the first few rows are next to one another in the list: a part of them should not be the first part.
  const few = complete ? points.length : Math.min(points.length, PARTIAL);
  for (let k = 0; k < few; k++) {
    if ((k & 63) === 0 && (yield) && complete && few > PARTIAL) return gates.gateSet(false);
    const point = points[Math.floor((k * points.length) / few)];
    const g = new Float64Array(X.cols);
    for (let i = 0; i < rank; i++) for (let p = 0; p < X.cols; p++) g[p] += point[i] * basis[i * X.cols + p];
    gates.add(g);
  }
  return gates.gateSet(complete);
}

/** Interior points of cells; not `complete`: of those of the first hyperplanes only, as far as the time went. */
interface Cells {
  readonly points: readonly Float64Array[];
  readonly complete: boolean;
}

const ORIGIN: Cells = { points: [new Float64Array(0)], complete: true };

/** One interior point of every cell of the hyperplanes {g : row g = 0} in R^r; the rows are unit and pairwise not parallel. */
function* cellsOf(rows: readonly Float64Array[], r: number): Pieces<Cells> {
  if (rows.length === 0) return { points: [unit(0, r)], complete: true };
  if (r === 1) return { points: [Float64Array.of(1), Float64Array.of(-1)], complete: true };
  let cells: Float64Array[] = [rows[0].slice(), rows[0].map((value) => -value)];
  for (let k = 1; k < rows.length; k++) {
    const before = rows.slice(0, k);
    const seen = new SignSet(k + 1);
    const next: Float64Array[] = [];
    const keep = (point: Float64Array) => {
      if (seen.add(rows, point)) next.push(point);
    };
    for (const point of cells) if (Math.abs(dot(rows[k], point)) > PARALLEL) keep(point);
    if (yield) return { points: cells, complete: false };
    const { points, complete } = yield* onHyperplane(rows[k], before, r);
    if (!complete) return { points: cells, complete };
    for (const [i, point] of points.entries()) {
      if ((i & 255) === 255 && (yield)) return { points: cells, complete: false };
      const stride = 0.5 * roomAround(point, rows[k], before);
      keep(moved(point, rows[k], stride));
      keep(moved(point, rows[k], -stride));
    }
    cells = next.map(normalised);
  }
  return { points: cells, complete: true };
}

/** Interior points, in R^r, of the cells into which the hyperplane of `normal` is cut by the others. */
function* onHyperplane(normal: Float64Array, others: readonly Float64Array[], r: number): Pieces<Cells> {
  const basis = complementOf(normal, r); // [r - 1 x r]
  const restricted: Float64Array[] = [];
  for (const row of others) {
    const inside = coordinates(row, basis, r - 1, r);
    const length = Math.sqrt(dot(inside, inside));
    if (length <= PARALLEL) continue;
    for (let p = 0; p < inside.length; p++) inside[p] /= length;
    if (!restricted.some((other) => parallel(other, inside))) restricted.push(inside);
  }
  const { points, complete } = yield* cellsOf(restricted, r - 1);
  const lifted = points.map((point) => {
    const moved = new Float64Array(r);
    for (let k = 0; k < r - 1; k++) for (let p = 0; p < r; p++) moved[p] += point[k] * basis[k * r + p];
    return moved;
  });
  return { points: lifted, complete };
}

/** How far a point may move along `direction` before it meets another hyperplane (at most 1). */
function roomAround(point: Float64Array, direction: Float64Array, rows: readonly Float64Array[]): number {
  let room = 1;
  for (const row of rows) {
    const speed = Math.abs(dot(row, direction));
    const distance = Math.abs(dot(row, point));
    if (speed > 0 && distance < room * speed) room = distance / speed;
  }
  return room;
}

/** The distinct hyperplanes of the rows: unit, zero rows left out, parallel and opposite rows merged. */
function directions(X: Matrix): Float64Array[] {
  const found: Float64Array[] = [];
  for (let j = 0; j < X.rows; j++) {
    const row = X.data.slice(j * X.cols, (j + 1) * X.cols);
    const length = Math.sqrt(dot(row, row));
    if (length === 0) continue;
    for (let p = 0; p < row.length; p++) row[p] /= length;
    if (!found.some((other) => parallel(other, row))) found.push(row);
  }
  return found;
}

/** An orthonormal basis [rank x d] of the span of the rows, by Gram-Schmidt with a second pass. */
function spanOf(rows: readonly Float64Array[], d: number): { basis: Float64Array; rank: number } {
  const basis = new Float64Array(Math.min(rows.length, d) * d);
  let rank = 0;
  for (const row of rows) {
    if (rank === d) break;
    const rest = row.slice();
    for (let pass = 0; pass < 2; pass++) subtractProjection(rest, basis, rank, d);
    const length = Math.sqrt(dot(rest, rest));
    if (length <= PARALLEL) continue;
    for (let p = 0; p < d; p++) basis[rank * d + p] = rest[p] / length;
    rank += 1;
  }
  return { basis, rank };
}

/** An orthonormal basis [r - 1 x r] of the vectors orthogonal to a unit vector. */
function complementOf(normal: Float64Array, r: number): Float64Array {
  const basis = new Float64Array(r * r);
  basis.set(normal);
  let rank = 1;
  // Axes far from the normal first: what is left of them is long.
  const axes = Array.from({ length: r }, (_, p) => p).sort((p, q) => Math.abs(normal[p]) - Math.abs(normal[q]));
  for (const axis of axes.slice(0, r - 1)) {
    const rest = unit(axis, r);
    for (let pass = 0; pass < 2; pass++) subtractProjection(rest, basis, rank, r);
    const length = Math.sqrt(dot(rest, rest));
    for (let p = 0; p < r; p++) basis[rank * r + p] = rest[p] / length;
    rank += 1;
  }
  return basis.slice(r);
}

function subtractProjection(vector: Float64Array, basis: Float64Array, rank: number, d: number): void {
  for (let k = 0; k < rank; k++) {
    let product = 0;
    for (let p = 0; p < d; p++) product += basis[k * d + p] * vector[p];
    for (let p = 0; p < d; p++) vector[p] -= product * basis[k * d + p];
  }
}

function coordinates(row: Float64Array, basis: Float64Array, rank: number, d: number): Float64Array {
  return Float64Array.from({ length: rank }, (_, k) => {
    let product = 0;
    for (let p = 0; p < d; p++) product += basis[k * d + p] * row[p];
    return product;
  });
}

/** Sign patterns of points, to meet each cell once. */
class SignSet {
  private readonly seen = new PatternSet();
  private readonly words: Uint32Array;

  constructor(private readonly count: number) {
    this.words = new Uint32Array(wordsPerGate(count));
  }

  add(rows: readonly Float64Array[], point: Float64Array): boolean {
    this.words.fill(0);
    for (let j = 0; j < this.count; j++) if (dot(rows[j], point) > 0) this.words[j >>> 5] |= 1 << (j & 31);
    return this.seen.add(this.words);
  }
}

/** The sine between two unit vectors is below the tolerance (their cosine alone cannot tell: it is flat at 1). */
function parallel(a: Float64Array, b: Float64Array): boolean {
  const cosine = dot(a, b);
  let square = 0;
  for (let p = 0; p < a.length; p++) square += (b[p] - cosine * a[p]) ** 2;
  return Math.sqrt(square) <= PARALLEL;
}

function moved(point: Float64Array, direction: Float64Array, stride: number): Float64Array {
  return point.map((value, p) => value + stride * direction[p]);
}

function normalised(point: Float64Array): Float64Array {
  const length = Math.sqrt(dot(point, point));
  return point.map((value) => value / length);
}

function unit(axis: number, r: number): Float64Array<ArrayBuffer> {
  const vector = new Float64Array(r);
  vector[axis] = 1;
  return vector;
}
