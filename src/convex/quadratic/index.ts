/**
 * Small convex quadratic programs, min 1/2 z'P z + q'z subject to A z = b and G z <= h, or h - G z in second-order cones, and how their
 * solutions move with what they are given.
 *
 * Without cones an active set is found, which is exact; with cones interior points bring each KKT equation to nine digits of its terms.
 */

import { gradientOfActiveSet, solveByActiveSet } from "./activeSet.js";
import { gradientWithCones, solveWithCones } from "./conic.js";
import type { NoSolution, QuadraticGradient, QuadraticProgram, QuadraticSolution } from "./program.js";

export type { NoSolution, QuadraticGradient, QuadraticProgram, QuadraticSolution } from "./program.js";

const hasCones = ({ cones = [] }: QuadraticProgram) => cones.length > 0;

export function solveQuadraticProgram(program: QuadraticProgram): QuadraticSolution | NoSolution {
  return hasCones(program) ? solveWithCones(program) : solveByActiveSet(program);
}

/** The gradients by all six terms of a loss whose gradient by z is `dz`. */
export function quadraticGradient(
  program: QuadraticProgram,
  solution: QuadraticSolution,
  dz: Float64Array,
): QuadraticGradient {
  return hasCones(program) ? gradientWithCones(program, solution, dz) : gradientOfActiveSet(program, solution, dz);
}
