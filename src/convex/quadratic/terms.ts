/**
 * Each KKT equation by the terms that cancel in it: what it is off, and what share multipliers and slacks have. Of programs in units in which
 * points and slopes are of about one, so that what is far below has a size even at a solution where all terms vanish.
 */

import { largestOf } from "../linear/vectors.js";
import { blocksOf } from "./cones.js";
import { conesOf, type QuadraticProgram, type QuadraticSolution } from "./program.js";

/** Of the largest equation's terms: what others have at least, where none of their own say how large they should be. */
const LEAST_SHARE = 1e-5;
/** The same where an equation's error is told: what the rounding of others leaves in it. */
const NOISE = 1e-7;

/** Sums of sizes: of P z + q + A'nu + G'lambda, of A z - b, and of G z + slack - h. */
export interface Terms {
  readonly pull: Float64Array; // [n]
  readonly equation: Float64Array; // [p]
  readonly bound: Float64Array; // [m]
}

export function termsOf(program: QuadraticProgram, solution: Required<QuadraticSolution>): Terms {
  const { P, q, A, b, G, h } = program;
  const { z, nu, lambda, slack } = solution;
  const n = q.length;
  const pull = q.map((value, j) => Math.abs(value) + sizeOf(P, j, z));
  const meet = (M: Float64Array, side: Float64Array, factors: Float64Array) =>
    side.map((value, k) => {
      for (let j = 0; j < n; j++) pull[j] += Math.abs(M[k * n + j] * factors[k]);
      return Math.abs(value) + sizeOf(M, k, z);
    });
  const equation = meet(A, b, nu);
  const bound = meet(G, h, lambda).map((value, k) => value + Math.abs(slack[k]));
  return { pull, equation, bound };
}

function sizeOf(M: Float64Array, k: number, z: Float64Array): number {
  let sum = 0;
  for (let j = 0; j < z.length; j++) sum += Math.abs(M[k * z.length + j] * z[j]);
  return sum;
}

/** What the equations are off, as the largest share of their own terms. */
export function shareOff(off: Terms, { pull, equation, bound }: Terms): number {
  const sides = Math.max(1, largestOf(equation), largestOf(bound));
  const most = (errors: Float64Array, sizes: Float64Array, largest: number) =>
    errors.reduce((share, error, k) => {
      const own = Math.abs(error) / (sizes[k] + NOISE * largest);
      return own <= share ? share : own; // NaN too is off
    }, 0);
  return Math.max(
    most(off.pull, pull, Math.max(1, largestOf(pull))),
    most(off.equation, equation, sides),
    most(off.bound, bound, sides),
  );
}

/** Of a cone or number: its multiplier's largest part in any equation, its slack's in its own rows, and how far they are from orthogonal. */
export interface Shares {
  readonly push: number;
  readonly room: number;
  readonly apart: number;
}

export function sharesOf(program: QuadraticProgram, solution: Required<QuadraticSolution>, terms: Terms): Shares[] {
  const { G, q } = program;
  const { lambda, slack } = solution;
  const n = q.length;
  const [pulls, sides] = [terms.pull, terms.bound].map((sizes) => LEAST_SHARE * Math.max(1, largestOf(sizes)));
  return blocksOf(conesOf(program)).map(([from, size]) => {
    let [push, room, sum, own, left] = [0, 0, 0, 0, 0];
    for (let k = from; k < from + size; k++) {
      for (let j = 0; j < n; j++) push = Math.max(push, Math.abs(G[k * n + j] * lambda[k]) / (terms.pull[j] + pulls));
      room = Math.max(room, Math.abs(slack[k]) / (terms.bound[k] + sides));
      sum += lambda[k] * slack[k];
      [own, left] = [Math.max(own, Math.abs(lambda[k])), Math.max(left, Math.abs(slack[k]))];
    }
    return { push, room, apart: own * left > 0 ? (Math.abs(sum) / (own * left)) * push * room : 0 };
  });
}
