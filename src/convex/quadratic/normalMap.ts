/**
 * The KKT equations of a program with cones, written with w = lambda - slack, whose projection onto the cones is lambda (Busseti, Moursi and
 * Boyd 2019):
 *
 *     P z + q + A'nu + G'proj(w) = 0,   A z = b,   G z + proj(w) - w = h,
 *
 * how they change with (z, nu, w), and Newton's method on them: interior points leave z the root of their gap away.
 */

import { smallSolve } from "../linear/smallSolve.js";
import { dot, dotAt } from "../linear/vectors.js";
import type { Matrix } from "../types.js";
import { type Block, blocksOf, projection, projectionSlope } from "./cones.js";
import type { QuadraticProgram, QuadraticSolution } from "./program.js";
import { largestOf } from "./symmetric.js";

/** A multiplier, or what a cone leaves free, below this share of the largest is rounding of the interior points. */
const ROUNDING = 1e-7;
const STEPS = 6;

export function conesOf({ h, cones = [] }: QuadraticProgram) {
  return { numbers: cones.reduce((left, size) => left - size, h.length), cones };
}

/** A cone or number that holds the solution, and the slope of the projection there; others count as absent. */
export interface Pushing {
  readonly block: Block;
  readonly slope: Float64Array; // [size x size]
}

export function pushingBlocks(program: QuadraticProgram, lambda: Float64Array, slack: Float64Array): Pushing[] {
  const [push, room] = [ROUNDING * largestOf(lambda), ROUNDING * (1 + largestOf(slack))];
  const pushing: Pushing[] = [];
  for (const block of blocksOf(conesOf(program))) {
    const [from, size] = block;
    const [own, left] = [lambda.subarray(from, from + size), slack.subarray(from, from + size)];
    if (largestOf(own) <= push || (size === 1 && left[0] > own[0] && left[0] > room)) continue;
    const tight = size === 1 || largestOf(left) <= room;
    const w = own.map((value, k) => value - (tight ? 0 : left[k]));
    pushing.push({ block, slope: projectionSlope(w, [0, size]) });
  }
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

/** The solution after steps of Newton's method, while they bring the equations nearer to holding. */
export function polished(program: QuadraticProgram, given: Required<QuadraticSolution>): Required<QuadraticSolution> {
  const pushing = pushingBlocks(program, given.lambda, given.slack);
  const rows = rowsOf(pushing);
  const [n, p] = [program.q.length, program.b.length];
  let best = consistent(
    program,
    given,
    given.lambda.map((value, k) => value - given.slack[k]),
    rows,
  );
  let off = equations(program, best, rows);
  for (let step = 0; step < STEPS; step++) {
    const { data, rows: size } = slopeOfEquations(program, pushingAt(program, best, pushing));
    const move = off.map((value) => -value);
    smallSolve(data, move, size);
    const w = best.lambda.map((value, k) => value - best.slack[k]);
    rows.forEach((row, k) => {
      w[row] += move[n + p + k];
    });
    const z = best.z.map((value, j) => value + move[j]);
    const nu = best.nu.map((value, k) => value + move[n + k]);
    const next = consistent(program, { ...best, z, nu }, w, rows);
    const left = equations(program, next, rows);
    if (!(largestOf(left) < largestOf(off) && insideBeside(program, next, pushing))) break; // NaN too
    [best, off] = [next, left];
  }
  return largestOf(off) <= largestOf(equations(program, given, rows)) ? best : given;
}

/** The same cones, with their slopes at a later point. */
function pushingAt(
  program: QuadraticProgram,
  { lambda, slack }: Required<QuadraticSolution>,
  pushing: readonly Pushing[],
): Pushing[] {
  const now = pushingBlocks(program, lambda, slack);
  return pushing.map((one) => now.find(({ block }) => block[0] === one.block[0]) ?? one);
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

/** What the equations are off, of the rows that push. */
function equations(
  { P, q, A, b, G, h }: QuadraticProgram,
  { z, nu, lambda, slack }: Required<QuadraticSolution>,
  rows: readonly number[],
) {
  const n = q.length;
  const row = (M: Float64Array, k: number) => dot(M.subarray(k * n, (k + 1) * n), z);
  const off = new Float64Array(n + b.length + rows.length);
  for (let i = 0; i < n; i++) off[i] = row(P, i) + q[i];
  for (let k = 0; k < b.length; k++) {
    for (let j = 0; j < n; j++) off[j] += nu[k] * A[k * n + j];
    off[n + k] = row(A, k) - b[k];
  }
  for (let k = 0; k < h.length; k++) for (let j = 0; j < n; j++) off[j] += lambda[k] * G[k * n + j];
  rows.forEach((k, at) => {
    off[n + b.length + at] = row(G, k) + slack[k] - h[k];
  });
  return off;
}

/** Whether the cones that do not push are kept. */
function insideBeside(
  program: QuadraticProgram,
  { slack }: Required<QuadraticSolution>,
  pushing: readonly Pushing[],
): boolean {
  const held = new Set(pushing.map(({ block }) => block[0]));
  const room = ROUNDING * (1 + largestOf(slack));
  return blocksOf(conesOf(program)).every(
    ([from, size]) =>
      held.has(from) || slack[from] + room >= Math.sqrt(dotAt(slack, from + 1, slack, from + 1, size - 1)),
  );
}
