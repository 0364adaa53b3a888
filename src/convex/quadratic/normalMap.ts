/**
 * The KKT equations of a program with cones, written with w = lambda - slack, whose projection onto the cones is lambda (Busseti, Moursi and
 * Boyd 2019):
 *
 *     P z + q + A'nu + G'proj(w) = 0,   A z = b,   G z + proj(w) - w = h,
 *
 * how they change with (z, nu, w), and Newton's method on them: interior points leave z the root of their gap away.
 */

import { smallSolve } from "../linear/smallSolve.js";
import { dot, largestOf } from "../linear/vectors.js";
import type { Matrix } from "../types.js";
import { type Block, blocksOf, depth, projection, projectionSlope } from "./cones.js";
import { conesOf, type QuadraticProgram, type QuadraticSolution } from "./program.js";
import { type Shares, shareOff, sharesOf, type Terms, termsOf } from "./terms.js";

/** A multiplier, or what a cone leaves free, below this share of the terms beside it is rounding of the interior points. */
const ROUNDING = 1e-7;
const STEPS = 6;
/** Of its terms: what rounding leaves of an equation, and of what a multiplier and its slack are from orthogonal. */
const OFF = 1e-9;
const APART = 1e-12;

/** A cone or number that holds the solution, and the slope of the projection there; others count as absent. */
export interface Pushing {
  readonly block: Block;
  readonly slope: Float64Array; // [size x size]
}

/** By the shares of its blocks. */
export function pushingBlocks(
  program: QuadraticProgram,
  { lambda, slack }: Required<QuadraticSolution>,
  shares: readonly Shares[],
): Pushing[] {
  const pushing: Pushing[] = [];
  blocksOf(conesOf(program)).forEach((block, at) => {
    const [from, size] = block;
    const { push, room } = shares[at];
    if (push <= ROUNDING || (size === 1 && room > push && room > ROUNDING)) return;
    const tight = size === 1 || room <= ROUNDING;
    const w = lambda.slice(from, from + size).map((value, k) => value - (tight ? 0 : slack[from + k]));
    pushing.push({ block, slope: projectionSlope(w, [0, size]) });
  });
  return pushing;
}

/** Numbers of the rows of G that push. */
export function rowsOf(pushing: readonly Pushing[]): number[] {
  return pushing.flatMap(({ block: [from, size] }) => Array.from({ length: size }, (_, k) => from + k));
}

/** The equations' derivative by (z, nu, w of the rows that push), [size x size]. */
export function slopeOfEquations({ P, q, A, b, G }: QuadraticProgram, pushing: readonly Pushing[]): Matrix {
  const [n, p] = [q.length, b.length];
  const size = n + p + rowsOf(pushing).length;
  const data = new Float64Array(size * size);
  const add = (i: number, j: number, value: number) => {
    data[i * size + j] += value;
  };
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) add(i, j, P[i * n + j]);
    for (let k = 0; k < p; k++) {
      add(i, n + k, A[k * n + i]);
      add(n + k, i, A[k * n + i]);
    }
  }
  let at = n + p;
  for (const { block, slope } of pushing) {
    const [from, length] = block;
    for (let i = 0; i < length; i++) {
      add(at + i, at + i, -1);
      for (let j = 0; j < n; j++) add(at + i, j, G[(from + i) * n + j]);
      for (let k = 0; k < length; k++) {
        add(at + i, at + k, slope[i * length + k]);
        for (let j = 0; j < n; j++) add(j, at + i, G[(from + k) * n + j] * slope[k * length + i]);
      }
    }
    at += length;
  }
  return { rows: size, cols: size, data };
}

/** The solution after steps of Newton's method, while they bring the equations nearer to holding; of rows in which lambda is like slack. */
export function polished(program: QuadraticProgram, given: Required<QuadraticSolution>): Required<QuadraticSolution> {
  const pushing = pushingAt(program, given);
  const rows = rowsOf(pushing);
  const [n, p] = [program.q.length, program.b.length];
  let best = consistent(
    program,
    given,
    given.lambda.map((value, k) => value - given.slack[k]),
    rows,
  );
  let share = shareOffOf(program, best);
  for (let step = 0; step < STEPS && share > 0; step++) {
    const now = pushingAt(program, best);
    const same = pushing.map((one) => now.find(({ block }) => block[0] === one.block[0]) ?? one);
    const { data, rows: size } = slopeOfEquations(program, same);
    const off = equationsOff(program, best);
    const move = new Float64Array(size);
    move.set(off.pull);
    move.set(off.equation, n);
    rows.forEach((row, at) => {
      move[n + p + at] = off.bound[row];
    });
    smallSolve(data, move, size);
    const w = best.lambda.map((value, k) => value - best.slack[k]);
    rows.forEach((row, k) => {
      w[row] -= move[n + p + k];
    });
    const z = best.z.map((value, j) => value - move[j]);
    const nu = best.nu.map((value, k) => value - move[n + k]);
    const next = consistent(program, { z, nu }, w, rows);
    const left = shareOffOf(program, next);
    if (!(left < share && insideBeside(program, next, pushing))) break; // NaN too
    [best, share] = [next, left];
  }
  return share <= shareOffOf(program, given) || solves(program, best) ? best : given;
}

function pushingAt(program: QuadraticProgram, solution: Required<QuadraticSolution>): Pushing[] {
  return pushingBlocks(program, solution, sharesOf(program, solution, termsOf(program, solution)));
}

function shareOffOf(program: QuadraticProgram, solution: Required<QuadraticSolution>): number {
  return shareOff(equationsOff(program, solution), termsOf(program, solution));
}

/** Whether each KKT equation holds by its own terms, with multipliers and slacks in their cones and orthogonal. */
export function solves(program: QuadraticProgram, solution: Required<QuadraticSolution>): boolean {
  const terms = termsOf(program, solution);
  const blocks = blocksOf(conesOf(program));
  const inside = (v: Float64Array, sizes: Float64Array) =>
    blocks.every((block) => depth(v, block) >= -OFF * largestOf(sizes.subarray(block[0], block[0] + block[1])));
  return (
    shareOff(equationsOff(program, solution), terms) <= OFF &&
    sharesOf(program, solution, terms).every(({ apart }) => apart <= APART) &&
    inside(solution.lambda, solution.lambda) &&
    inside(solution.slack, terms.bound)
  );
}

/** Multipliers and slacks as projections of w, and of the other rows as z leaves them. */
function consistent(
  program: QuadraticProgram,
  { z, nu }: Pick<QuadraticSolution, "z" | "nu">,
  w: Float64Array,
  rows: readonly number[],
): Required<QuadraticSolution> {
  const { G, h } = program;
  const n = z.length;
  const lambda = projection(w, blocksOf(conesOf(program)));
  const slack = lambda.map((value, k) => value - w[k]);
  const pushes = new Set(rows);
  for (let k = 0; k < h.length; k++) {
    if (pushes.has(k)) continue;
    lambda[k] = 0;
    slack[k] = h[k] - dot(G.subarray(k * n, (k + 1) * n), z);
  }
  return { z, nu, lambda, slack };
}

/** What the equations are off. */
export function equationsOff(
  { P, q, A, b, G, h }: QuadraticProgram,
  { z, nu, lambda, slack }: Required<QuadraticSolution>,
): Terms {
  const n = q.length;
  const row = (M: Float64Array, k: number) => dot(M.subarray(k * n, (k + 1) * n), z);
  const pull = q.map((value, i) => value + row(P, i));
  for (let k = 0; k < b.length; k++) for (let j = 0; j < n; j++) pull[j] += nu[k] * A[k * n + j];
  for (let k = 0; k < h.length; k++) for (let j = 0; j < n; j++) pull[j] += lambda[k] * G[k * n + j];
  return {
    pull,
    equation: b.map((value, k) => row(A, k) - value),
    bound: h.map((value, k) => row(G, k) + slack[k] - value),
  };
}

/** Whether the cones that do not push are kept. */
function insideBeside(
  program: QuadraticProgram,
  { z, slack }: Required<QuadraticSolution>,
  pushing: readonly Pushing[],
): boolean {
  const { h } = program;
  const held = new Set(pushing.map(({ block }) => block[0]));
  return blocksOf(conesOf(program)).every(
    (block) =>
      held.has(block[0]) ||
      depth(slack, block) >= -ROUNDING * (largestOf(h.subarray(block[0], block[0] + block[1])) + largestOf(z)),
  );
}
