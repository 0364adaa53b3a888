/** Every sign pattern that directions can have on the rows, counted in exact arithmetic, each with a float64 direction that makes it. */

import { packPattern, wordsPerGate } from "../linear/bits.js";
import { atOnce, type Pieces } from "../linear/pieces.js";
import type { GateSet, Matrix } from "../types.js";
import { boundaryPoints } from "./boundary.js";
import { findingCells } from "./cells.js";
import { checkRows } from "./checkRows.js";
import { arrangementBound, refuseBytes } from "./count.js";
import { type ExactVector, exponentOf, signOfProduct } from "./exactVector.js";
import { GateCollector } from "./gateCollector.js";
import { type Hyperplanes, hyperplanesOf, rankAtLeast } from "./hyperplanes.js";
import { PatternSet } from "./patternSet.js";
import { widest } from "./widest.js";

/** Lengths at which a direction is rounded in turn until its rounding has the pattern that it stands for. */
const LENGTHS = Array.from({ length: 24 }, (_, k) => 1 + k / 24);

/** Gates that are taken where there was no time to find them all. */
const PARTIAL = 512;

export interface EnumerateOptions {
  /**
   * Also the patterns of directions on which rows lie exactly (those rows are on), that of zero among them: the gates of gated
   * networks may be any of these. ReLU neurons are zero on such rows, so that a pattern without them does as well. Default false.
   */
  readonly boundary?: boolean;
  /** What a direction becomes before it is held to its pattern: itself, or numbers that a layer can hold. */
  readonly written?: (g: Float64Array) => Float64Array;
}

/**
 * All sign patterns 1[X g >= 0] of directions g on which no row lies; a zero row counts as active.
 *
 * For points in general position of rank r there are 2 sum_{k < r} C(n - 1, k) (Cover 1965); never more. Data are taken as the
 * exact numbers that they are, of whatever scale. The set calls itself complete unless float64 (or what is `written`) has no
 * direction for some pattern, whose region is too narrow; such a pattern is left out.
 *
 * @throws ConvexError "gates/count" when that many would not fit in memory, "data/nonFinite" for data that are not numbers.
 */
export function enumerateGates(X: Matrix, options: EnumerateOptions = {}): GateSet {
  return atOnce(enumerating(X, options));
}

/** The same in pieces; when it has to end before its time it answers with some of the gates, which do not call themselves complete. */
export function* enumerating(X: Matrix, options: EnumerateOptions = {}): Pieces<GateSet> {
  const { boundary = false, written = (g) => g } = options;
  checkRows("enumerateGates", X);
  refuseBytes("enumerateGates", Math.max(1, arrangementBound(X.rows, rankAtLeast(X))), X);
  const hyperplanes = hyperplanesOf(X);
  refuseBytes("enumerateGates", Math.max(1, arrangementBound(hyperplanes.normals.length, hyperplanes.rank)), X);
  const gates = new GateCollector(X);
  const pattern = new Uint32Array(wordsPerGate(X.rows));
  let complete = true;
  const fits = (exact: Uint32Array, g: Float64Array) => {
    if (!g.every(Number.isFinite)) return false;
    packPattern(X, g, pattern);
    if (!pattern.every((word, k) => word === exact[k])) return false;
    gates.add(g);
    return true;
  };
  const taken = (exact: Uint32Array, point: ExactVector) => {
    // Points of cells lie off their walls by half a way of half a way, in many dimensions too little for float64.
    let found = LENGTHS.some((length) => fits(exact, written(direction(point, hyperplanes, X.cols, length))));
    const inner = found ? null : widest(X, exact);
    if (inner !== null) found = fits(exact, written(inner));
    complete &&= found;
    return true;
  };
  const some = (point: ExactVector) => gates.add(written(direction(point, hyperplanes, X.cols, 1)));
  const all = yield* eachPattern(hyperplanes, X.rows, boundary, Number.POSITIVE_INFINITY, taken, some);
  return gates.gateSet(complete && all);
}

/** True when no pattern of any direction is missing (of any on which no row lies, without `boundary`); masks are taken as they are. */
export function holdsEveryPattern({ count, bits }: GateSet, X: Matrix, boundary: boolean): boolean {
  // As many rows as the rank are independent, and have all patterns.
  if (2 ** rankAtLeast(X) > count) return false;
  const words = wordsPerGate(X.rows);
  const masks = new PatternSet(count);
  for (let i = 0; i < count; i++) masks.add(bits.subarray(i * words, (i + 1) * words));
  const within = (pattern: Uint32Array) => masks.find(pattern) >= 0;
  return atOnce(eachPattern(hyperplanesOf(X), X.rows, boundary, masks.count, within));
}

/**
 * Calls `use` with the patterns, some of the boundary more than once; false when they are more than `most`, or `use` is false of one,
 * or time is up: where that is before the cells are known, `instead` gets points of some of them.
 */
function* eachPattern(
  hyperplanes: Hyperplanes,
  rows: number,
  boundary: boolean,
  most: number,
  use: (pattern: Uint32Array, point: ExactVector) => boolean,
  instead: (point: ExactVector) => unknown = () => {},
): Pieces<boolean> {
  const { normals, rank, twoSided } = hyperplanes;
  const cells = yield* findingCells(normals, rank, most);
  if (cells === null) return false;
  if (cells.partial) {
    // Cells of the first few rows are next to one another in the list: a part of them should not be the first part.
    const few = Math.min(cells.points.length, PARTIAL);
    for (let k = 0; k < few; k++) instead(cells.points[Math.floor((k * cells.points.length) / few)]);
    return false;
  }
  const pattern = new Uint32Array(wordsPerGate(rows));
  const patternAt = (sideOf: (normal: number) => number) => {
    pattern.fill(0);
    for (let j = 0; j < rows; j++) {
      const on = hyperplanes.place[j] < 0 || hyperplanes.side[j] * sideOf(hyperplanes.place[j]) >= 0;
      if (on) pattern[j >>> 5] |= 1 << (j & 31);
    }
    return pattern;
  };
  let openEverywhere = false;
  for (const [i, point] of cells.points.entries()) {
    const cell = cells.patterns[i];
    const exact = patternAt((normal) => ((cell[normal >>> 5] >>> (normal & 31)) & 1 ? 1 : -1));
    openEverywhere ||= isFull(exact, rows);
    if (!use(exact, point) || ((i & 63) === 63 && (yield))) return false;
  }
  // Where one direction has all rows on its open side, every direction has its pattern without touching a row: see boundary.ts.
  if (!boundary || openEverywhere) return true;
  const seen = new PatternSet();
  const more = boundaryPoints(normals, twoSided, rank, Number.POSITIVE_INFINITY) ?? [];
  for (const point of more) {
    const exact = patternAt((normal) => signOfProduct(normals[normal], point));
    if (seen.add(exact) && !use(exact, point)) return false;
  }
  return true;
}

function isFull(pattern: Uint32Array, rows: number): boolean {
  for (let j = 0; j < rows; j++) if (((pattern[j >>> 5] >>> (j & 31)) & 1) === 0) return false;
  return true;
}

/** A point as a direction g [d] for the rows of X, with a largest entry of `length` or up to twice that. */
function direction({ near }: ExactVector, { columns, scales }: Hyperplanes, d: number, length: number): Float64Array {
  const g = new Float64Array(d);
  let largest = 0;
  columns.forEach((column, k) => {
    g[column] = near[k] / scales[k];
    largest = Math.max(largest, Math.abs(g[column]));
  });
  // By a power of two, which rounds nothing.
  const scale = largest > 0 ? length * 2 ** -exponentOf(largest) : 1;
  return g.map((value) => value * scale);
}
