/**
 * Every cell of an arrangement of hyperplanes through the origin exactly once, by an interior point, in exact arithmetic.
 *
 * Hyperplanes are added one at a time. A hyperplane H cuts a cell in two exactly where the arrangement restricted to H has a
 * cell, so the cells that are cut are found by the same enumeration in H, one dimension lower: a point of a cell of the
 * restriction, moved a little to either side of H, lies in the two halves (Edelsbrunner 1987, chapter 7). In the plane lines are
 * sorted by their angle.
 */

import { wordsPerGate } from "../linear/bits.js";
import { atOnce, type Pieces } from "../linear/pieces.js";
import { type ExactVector, exactVector, exponentOf, magnitude, product, signOfProduct } from "./exactVector.js";
import { restrict } from "./hyperplanes.js";
import { PatternSet } from "./patternSet.js";

/** Cells by their points, and which side of each normal they are on. */
export interface Cells {
  readonly points: readonly ExactVector[];
  /** Bit j of pattern i: point i is on the positive side of normal j. */
  readonly patterns: readonly Uint32Array[]; // each of ceil(normals / 32) words
  /** True where time was up: these are the cells of the first normals only. */
  readonly partial?: boolean;
}

/**
 * The cells of {h : normal h != 0} in R^r, the normals being pairwise not parallel; null as soon as they are more than `most`.
 */
export function cellsOf(normals: readonly ExactVector[], r: number, most: number): Cells | null {
  return atOnce(findingCells(normals, r, most));
}

/** The same in pieces. */
export function* findingCells(normals: readonly ExactVector[], r: number, most: number): Pieces<Cells | null> {
  const points = yield* pointsOf(normals, r, most);
  if (points === null || "patterns" in points) return points;
  return { points, patterns: points.map((point) => patternOf(normals, point, normals.length)) };
}

/** Without the patterns where these are not known anyway. */
function* pointsOf(
  normals: readonly ExactVector[],
  r: number,
  most: number,
): Pieces<readonly ExactVector[] | Cells | null> {
  if (normals.length === 0) return [axis(r)];
  if (r === 1) return 2 > most ? null : [exactVector([1n]), exactVector([-1n])];
  if (r === 2) return 2 * normals.length > most ? null : inPlane(normals);
  return yield* oneByOne(normals, r, most);
}

function* oneByOne(normals: readonly ExactVector[], r: number, most: number): Pieces<Cells | null> {
  const words = wordsPerGate(normals.length);
  const points: ExactVector[] = [normals[0], negated(normals[0])];
  const patterns = [new Uint32Array(words), new Uint32Array(words)];
  patterns[0][0] = 1;
  for (let k = 1; k < normals.length; k++) {
    const before = normals.slice(0, k);
    const { normals: restricted, lift } = restrict(normals[k], before);
    if (yield) return { points, patterns, partial: true };
    const inside = yield* pointsOf(restricted, r - 1, most);
    if (inside === null) return null;
    if ("partial" in inside && inside.partial) return { points, patterns, partial: true };
    const on = ("points" in inside ? inside.points : inside).map(lift);
    if (points.length + on.length > most) return null;
    const cut = new PatternSet(on.length);
    for (const point of on) cut.add(patternOf(normals, point, k));
    const [word, bit] = [k >>> 5, 1 << (k & 31)];
    for (let i = 0, end = points.length; i < end; i++) {
      const side = signOfProduct(normals[k], points[i]);
      const at = cut.find(patterns[i]);
      if (at < 0) {
        if (side > 0) patterns[i][word] |= bit; // never 0: a cell that its point's hyperplane does not cut has no point on it
        continue;
      }
      if (side === 0) points[i] = moved(on[at], normals[k], 1n, before);
      points.push(moved(on[at], normals[k], side < 0 ? 1n : -1n, before));
      const pattern = patterns[i].slice();
      (side < 0 ? pattern : patterns[i])[word] |= bit;
      patterns.push(pattern);
    }
  }
  return { points, patterns };
}

/** Points between the neighbouring rays of lines in the plane. */
function inPlane(normals: readonly ExactVector[]): ExactVector[] {
  if (normals.length === 1) return [normals[0], negated(normals[0])];
  // One ray a line, all in the half plane [0, pi), by their angles: by the signs of cross products.
  const rays = normals.map(({ whole: [a, b] }) => {
    const up = a > 0n || (a === 0n && b < 0n);
    const [x, y] = up ? [-b, a] : [b, -a];
    return { ray: exactVector([x, y]), turned: exactVector([y, -x]) };
  });
  rays.sort((u, v) => -signOfProduct(u.ray, v.turned));
  const half = rays.map(({ ray }, k) => sum(ray, k + 1 < rays.length ? rays[k + 1].ray : negated(rays[0].ray)));
  return [...half, ...half.map(negated)];
}

/** Between two vectors, each taken to about the same length. */
function sum(a: ExactVector, b: ExactVector): ExactVector {
  const top = Math.max(a.exponent, b.exponent);
  const [s, t] = [BigInt(top - a.exponent), BigInt(top - b.exponent)];
  return exactVector(a.whole.map((value, p) => (value << s) + (b.whole[p] << t)));
}

/** A point of the hyperplane of `normal` taken off it to one side, half the way to the next of the others at most. */
function moved(point: ExactVector, normal: ExactVector, side: bigint, others: readonly ExactVector[]): ExactVector {
  let axis = 0;
  for (let p = 1; p < normal.whole.length; p++) {
    if (magnitude(normal.whole[p]) > magnitude(normal.whole[axis])) axis = p;
  }
  let most = -point.exponent; // log2 of speed over distance; no farther than the point is from the origin
  for (const other of others) most = Math.max(most, speedOverDistance(point, other, axis));
  const stride = Math.floor(-most) - 1;
  const [scale, step] = stride < 0 ? [BigInt(-stride), 0n] : [0n, BigInt(stride)];
  const toward = normal.whole[axis] > 0n ? side : -side;
  return exactVector(point.whole.map((value, p) => (value << scale) + (p === axis ? toward << step : 0n)));
}

/** log2(|n_axis| / |n' point|), or a little more: how fast a hyperplane is met along an axis. */
function speedOverDistance({ whole, near, exponent }: ExactVector, normal: ExactVector, axis: number): number {
  if (normal.whole[axis] === 0n) return Number.NEGATIVE_INFINITY;
  let distance = 0;
  let size = 0;
  for (let p = 0; p < near.length; p++) {
    const term = near[p] * normal.near[p];
    distance += term;
    size += Math.abs(term);
  }
  const ratio = Math.abs(normal.near[axis] / distance);
  if (Math.abs(distance) > SURE * size && ratio > 0 && ratio < Infinity) return exponentOf(ratio) + 1 - exponent;
  return bits(normal.whole[axis]) - bits(product(normal.whole, whole)) + 1;
}

/** A sum of products that is above this share of its terms' sizes is right to several digits. */
const SURE = 2 ** -20;

/** Bits of the magnitude: 2^(bits - 1) <= |value| < 2^bits. */
function bits(value: bigint): number {
  const digits = magnitude(value).toString(16);
  return 4 * (digits.length - 1) + (32 - Math.clz32(Number.parseInt(digits[0], 16)));
}

function patternOf(normals: readonly ExactVector[], point: ExactVector, count: number): Uint32Array {
  const pattern = new Uint32Array(wordsPerGate(normals.length));
  for (let j = 0; j < count; j++) if (signOfProduct(normals[j], point) > 0) pattern[j >>> 5] |= 1 << (j & 31);
  return pattern;
}

function negated({ whole, near, exponent }: ExactVector): ExactVector {
  return { whole: whole.map((value) => -value), near: near.map((value) => -value), exponent };
}

/** The first axis; the point without entries where there are no dimensions. */
function axis(r: number): ExactVector {
  return exactVector(Array.from({ length: r }, (_, p) => (p === 0 ? 1n : 0n)));
}
