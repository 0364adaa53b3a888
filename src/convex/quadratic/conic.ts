/** Quadratic programs with second-order cones: solved by interior points in units that even out their entries, and differentiated where their cones bend. */

import { concatenated, largestOf, turned } from "../linear/vectors.js";
import { blocksOf } from "./cones.js";
import { solveConic } from "./interior.js";
import { polished, pushingBlocks, rowsOf, slopeOfEquations, solves } from "./normalMap.js";
import {
  conesOf,
  gradientBy,
  type NoSolution,
  type QuadraticGradient,
  type QuadraticProgram,
  type QuadraticSolution,
  solvedOrNearest,
} from "./program.js";
import { semidefinite } from "./symmetric.js";
import { type Shares, sharesOf, termsOf } from "./terms.js";
import { around, equilibrated, inUnits, solutionFromUnits, solutionInUnits, type Units } from "./units.js";

/** Push and room from which on both count. */
const BOTH = 1e-7;

export function solveWithCones(given: QuadraticProgram): QuadraticSolution | NoSolution {
  const P = semidefinite(given.P, given.q.length);
  if (P === null) return "unbounded"; // or a saddle stands still, which is no solution
  const program = { ...given, P };
  const like = equilibrated(program);
  for (const where of ["farthest", "bounds"] as const) {
    const units = around(program, like, where);
    const found = solveIn(program, units);
    if (found !== "stalled") return found;
  }
  return "stalled";
}

function solveIn(program: QuadraticProgram, units: Units): QuadraticSolution | NoSolution {
  const scaled = inUnits(program, units);
  const { P, q, A, b, G, h } = scaled;
  const p = b.length;
  const found = solveConic({
    P,
    q,
    M: concatenated(A, G),
    c: concatenated(b, h),
    equations: p,
    cones: conesOf(program),
  });
  if (typeof found === "string") return found;
  const given = { z: found.x, nu: found.z.slice(0, p), lambda: found.z.slice(p), slack: found.s };
  const even = evened(scaled, given, sharesOf(scaled, given, termsOf(scaled, given)));
  const solution = solutionFromUnits(polished(inUnits(scaled, even), solutionInUnits(given, even)), even);
  return solves(scaled, solution) ? solutionFromUnits(solution, units) : "stalled";
}

/** Rows in which lambda and slack of a cone are of one size, as far as both are more than rounding: projections tell them apart best there. */
function evened(
  program: QuadraticProgram,
  { z, nu, lambda, slack }: Required<QuadraticSolution>,
  shares: readonly Shares[],
): Units {
  const row = new Float64Array(nu.length + lambda.length).fill(1);
  blocksOf(conesOf(program)).forEach(([from, size], at) => {
    const { push, room } = shares[at];
    if (!(push > BOTH && room > BOTH)) return;
    const [own, left] = [lambda, slack].map((v) => largestOf(v.subarray(from, from + size)));
    row.fill(Math.sqrt(own / left), nu.length + from, nu.length + from + size);
  });
  return { column: z.map(() => 1), row, point: 1, weight: 1 };
}

/** The implicit derivative of the KKT equations as normalMap.ts has them; least squares where they are singular. */
export function gradientWithCones(
  program: QuadraticProgram,
  { z, nu, lambda, slack = new Float64Array(lambda.length) }: QuadraticSolution,
  dz: Float64Array,
): QuadraticGradient {
  const { q, b, h } = program;
  const [n, p] = [q.length, b.length];
  const units = around(program, equilibrated(program), "farthest");
  const [like, there] = [inUnits(program, units), solutionInUnits({ z, nu, lambda, slack }, units)];
  const pushing = pushingBlocks(program, { z, nu, lambda, slack }, sharesOf(like, there, termsOf(like, there)));
  const rows = rowsOf(pushing);
  const K = turned(slopeOfEquations(program, pushing));
  const right = new Float64Array(K.rows);
  right.set(dz);
  const found = solvedOrNearest(K, right);
  const t = new Float64Array(h.length);
  rows.forEach((row, k) => {
    t[row] = found[n + p + k];
  });
  return gradientBy({ z, nu, lambda }, { u: found.subarray(0, n), v: found.subarray(n, n + p), t });
}
