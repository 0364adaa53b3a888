/**
 * A program with cones in units in which its entries are of a like size: rows, a cone at a time, and columns by equilibration of the KKT
 * matrix (Ruiz 2001), the point and the objective by one number each.
 */

import { largestOf } from "../linear/vectors.js";
import { blocksOf } from "./cones.js";
import { conesOf, type QuadraticProgram, type QuadraticSolution } from "./program.js";

const TURNS = 10;

/** z = point * column * y, rows of A and G times `row`, the objective over `weight`. */
export interface Units {
  readonly column: Float64Array; // [n]
  readonly row: Float64Array; // [p + m], the same within a cone
  readonly point: number;
  readonly weight: number;
}

/** Units in which the entries of P, A and G are about one or below. */
export function equilibrated(program: QuadraticProgram): Units {
  const { P, q, A, b, G, h } = program;
  const [n, p] = [q.length, b.length];
  const [column, row] = [new Float64Array(n).fill(1), new Float64Array(p + h.length).fill(1)];
  const blocks = blocksOf(conesOf(program));
  for (let turn = 0; turn < TURNS; turn++) {
    const [across, along] = [new Float64Array(n), new Float64Array(row.length)];
    const meet = (M: Float64Array, first: number) => {
      M.forEach((value, e) => {
        const [k, j] = [first + Math.floor(e / n), e % n];
        const size = Math.abs(value) * row[k] * column[j];
        [across[j], along[k]] = [Math.max(across[j], size), Math.max(along[k], size)];
      });
    };
    P.forEach((value, e) => {
      across[e % n] = Math.max(across[e % n], Math.abs(value) * column[Math.floor(e / n)] * column[e % n]);
    });
    meet(A, 0);
    meet(G, p);
    for (const [from, size] of blocks) {
      const block = along.subarray(p + from, p + from + size);
      block.fill(largestOf(block));
    }
    divideByRoot(column, across);
    divideByRoot(row, along);
  }
  return { column, row, point: 1, weight: 1 };
}

function divideByRoot(factors: Float64Array, sizes: Float64Array): void {
  sizes.forEach((size, k) => {
    if (size > 0) factors[k] /= Math.sqrt(size);
  });
}

/**
 * The same with points of about one: as far as the bounds are, or as what is least without them, if that is farther; and an objective of
 * about one there.
 */
export function around(program: QuadraticProgram, units: Units, where: "bounds" | "farthest"): Units {
  const { P, q, b, h } = inUnits(program, units);
  const [curve, slope, bounds] = [largestOf(P), largestOf(q), Math.max(largestOf(b), largestOf(h))];
  const least = curve > 0 ? slope / curve : 0;
  const point = (where === "bounds" ? bounds || least : Math.max(bounds, least)) || 1;
  const weight = Math.max(curve * point * point, slope * point) || 1;
  return { ...units, point: units.point * point, weight: units.weight * weight };
}

export function inUnits({ P, q, A, b, G, h, cones = [] }: QuadraticProgram, units: Units): QuadraticProgram {
  const { column, row, point, weight } = units;
  const [n, p] = [q.length, b.length];
  const scaled = (M: Float64Array, first: number) =>
    M.map((value, e) => value * row[first + Math.floor(e / n)] * column[e % n]);
  return {
    P: P.map((value, e) => ((value * column[Math.floor(e / n)] * column[e % n] * point) / weight) * point),
    q: q.map((value, j) => ((value * column[j]) / weight) * point),
    ...{ A: scaled(A, 0), b: b.map((value, k) => (value * row[k]) / point) },
    ...{ G: scaled(G, p), h: h.map((value, k) => (value * row[p + k]) / point), cones },
  };
}

export function solutionInUnits(
  { z, nu, lambda, slack }: Required<QuadraticSolution>,
  { column, row, point, weight }: Units,
): Required<QuadraticSolution> {
  const p = nu.length;
  return {
    z: z.map((value, j) => value / column[j] / point),
    nu: nu.map((value, k) => (value / row[k] / weight) * point),
    lambda: lambda.map((value, k) => (value / row[p + k] / weight) * point),
    slack: slack.map((value, k) => (value * row[p + k]) / point),
  };
}

export function solutionFromUnits(
  { z, nu, lambda, slack }: Required<QuadraticSolution>,
  { column, row, point, weight }: Units,
): Required<QuadraticSolution> {
  const p = nu.length;
  return {
    z: z.map((value, j) => value * column[j] * point),
    nu: nu.map((value, k) => (value * row[k] * weight) / point),
    lambda: lambda.map((value, k) => (value * row[p + k] * weight) / point),
    slack: slack.map((value, k) => (value / row[p + k]) * point),
  };
}
