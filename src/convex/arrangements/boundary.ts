/**
 * Directions on which rows lie exactly, as far as their patterns 1[X g >= 0] may be no cell's: what gates can do and ReLU neurons
 * gain nothing from.
 *
 * Let Z be the rows on which a direction g lies. Where some h has x_j h > 0 for all of Z, g + eps h has the pattern of g and
 * lies on none of them. Rows that are linearly independent have such an h; so only flats on which more rows lie than their
 * codimension are looked at, and rows on both sides of one hyperplane. The last flat is the origin: the zero gate, all rows on.
 */

import { cellsOf } from "./cells.js";
import { type ExactVector, exactVector } from "./exactVector.js";
import { restrict } from "./hyperplanes.js";

/** A flat of the arrangement: the hyperplanes through it, and its points in coordinates of its own. */
interface Flat {
  readonly dimension: number;
  readonly through: readonly number[]; // hyperplanes on which it lies
  readonly dependent: boolean;
  readonly normals: readonly ExactVector[]; // of the other ones, restricted to it
  readonly sources: readonly (readonly number[])[]; // and which of all these are
  lift(point: ExactVector): ExactVector; // into all dimensions
}

/** Points of all faces that may have patterns of their own, in R^r; null as soon as they are more than `most`. */
export function boundaryPoints(
  normals: readonly ExactVector[],
  twoSided: readonly boolean[],
  r: number,
  most: number,
): ExactVector[] | null {
  const origin = exactVector(new Array<bigint>(r).fill(0n));
  const points = [origin];
  const seen = new Set<string>();
  const all: Flat = {
    dimension: r,
    through: [],
    dependent: false,
    normals,
    sources: normals.map((_, j) => [j]),
    lift: (point) => point,
  };
  const open = [all];
  for (let flat = open.pop(); flat !== undefined; flat = open.pop()) {
    if (flat.dependent) {
      const cells = cellsOf(flat.normals, flat.dimension, most - points.length);
      if (cells === null) return null;
      for (const point of cells.points) points.push(flat.lift(point));
    }
    if (flat.dimension === 1) continue; // what is left is the origin
    for (let k = 0; k < flat.normals.length; k++) {
      const through = [...flat.through, ...flat.sources[k]].sort((a, b) => a - b);
      const dependent = flat.dependent || flat.sources[k].length > 1 || twoSided[flat.sources[k][0]];
      // A line on which only independent rows lie needs no look.
      if (flat.dimension === 2 && !dependent) continue;
      const key = through.join();
      if (seen.has(key)) continue;
      seen.add(key);
      open.push(inside(flat, k, through, dependent));
    }
  }
  return points;
}

function inside(flat: Flat, k: number, through: readonly number[], dependent: boolean): Flat {
  const others = flat.normals.filter((_, j) => j !== k);
  const sources = flat.sources.filter((_, j) => j !== k);
  const { normals, sources: merged, lift } = restrict(flat.normals[k], others);
  return {
    dimension: flat.dimension - 1,
    through,
    dependent,
    normals,
    sources: merged.map((list) => list.flatMap((j) => sources[j])),
    lift: (point) => flat.lift(lift(point)),
  };
}
