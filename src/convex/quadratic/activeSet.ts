/**
 * Quadratic programs under equations and inequalities, by quadprog (MIT, plain JavaScript): the dual method of Goldfarb and Idnani (1983),
 * which ends at a vertex of active constraints, so that solutions and multipliers are exact to rounding. It wants P positive definite;
 * others are reached by proximal points (Rockafellar 1976), which for quadratic programs end after finitely many.
 */

import { solveQP } from "quadprog";
import { power } from "../linear/elementary.js";
import { dot, largestOf, norm, turned } from "../linear/vectors.js";
import type { Matrix } from "../types.js";
import {
  gradientBy,
  leastSquares,
  type NoSolution,
  type QuadraticGradient,
  type QuadraticProgram,
  type QuadraticSolution,
  solvedOrNearest,
} from "./program.js";

/** Proximal points, and the first one's weight beside P (or beside q, where P is zero); each weighs a tenth of the one before. */
const POINTS = 100;
const FIRST_WEIGHT = 1e-1;
const LEAST_WEIGHT = 1e-4;
/** Moves below this share of the point are its last; those that never come so near, of one that stays where it is, are rounding over the weight. */
const STILL = 1e-10;
const STAYS = 1e-6;
/** A multiplier below this share of the largest is that of a constraint which touches and does not push. */
const PUSHES = 1e-9;
/** What rounding leaves of an equation, as a share of its terms. */
const LEFT = 1e-9;

export function solveByActiveSet(program: QuadraticProgram): QuadraticSolution | NoSolution {
  const direct = byDualMethod(program, 0, null);
  if (direct === "infeasible") return direct;
  if (direct !== "indefinite") {
    const solution = withMultipliers(program, direct);
    if (solves(program, solution)) return solution; // a singular P can pass for definite by its rounding
  }
  const found = byProximalPoints(program);
  return typeof found === "string" ? found : withMultipliers(program, found);
}

/** Whether the KKT equations and the constraints hold, up to rounding. */
function solves({ P, q, A, b, G, h }: QuadraticProgram, { z, nu, lambda }: QuadraticSolution): boolean {
  const n = q.length;
  const row = (M: Float64Array, k: number) => M.subarray(k * n, (k + 1) * n);
  const size = 1 + norm(q) + norm(P) * norm(z) + norm(A) * norm(nu) + norm(G) * norm(lambda);
  const pull = q.map((value, j) => {
    const held = nu.reduce((sum, factor, k) => sum + factor * A[k * n + j], 0);
    return value + dot(row(P, j), z) + lambda.reduce((sum, factor, k) => sum + factor * G[k * n + j], held);
  });
  const reach = (M: Float64Array, k: number, bound: number) => LEFT * (1 + Math.abs(bound) + norm(row(M, k)) * norm(z));
  return (
    norm(pull) <= LEFT * size &&
    b.every((bound, k) => Math.abs(dot(row(A, k), z) - bound) <= reach(A, k, bound)) &&
    h.every((bound, k) => dot(row(G, k), z) - bound <= reach(G, k, bound))
  );
}

/** A point, and inequalities that hold it there: independent of each other and of the equations. */
interface Vertex {
  readonly z: Float64Array;
  readonly active: readonly number[];
}

function byProximalPoints(program: QuadraticProgram): Vertex | NoSolution {
  const n = program.q.length;
  const size = largestOf(program.P) || norm(program.q) || 1;
  let at: Vertex = { z: new Float64Array(n), active: [] };
  let share = Number.POSITIVE_INFINITY;
  for (let k = 0; k < POINTS; k++) {
    const weight = size * Math.max(LEAST_WEIGHT, FIRST_WEIGHT * power(0.1, k));
    const next = byDualMethod(program, weight, at.z);
    if (next === "infeasible") return next;
    if (next === "indefinite") return "unbounded";
    share = norm(next.z.map((value, i) => value - at.z[i])) / (1 + norm(next.z));
    at = next;
    if (share <= STILL) break;
  }
  return share <= STAYS ? at : "unbounded";
}

/** The solution with weight / 2 |z - near|^2 beside the objective. */
function byDualMethod(
  { P, q, A, b, G, h }: QuadraticProgram,
  weight: number,
  near: Float64Array | null,
): Vertex | "infeasible" | "indefinite" {
  const [n, p, m] = [q.length, b.length, h.length];
  const padded = (length: number, at: (k: number) => number) => [0, ...Array.from({ length }, (_, k) => at(k))]; // from 1, as Fortran has it
  const rows = (length: number, at: (i: number) => number[]) => [[], ...Array.from({ length }, (_, i) => at(i))];
  const none = p + m === 0; // it wants a constraint: 0 >= 0 is one
  const { solution, message, iact } = solveQP(
    rows(n, (i) => padded(n, (j) => P[i * n + j] + (i === j ? weight : 0))),
    padded(n, (i) => (near === null ? 0 : weight * near[i]) - q[i]),
    rows(n, (i) => (none ? [0, 0] : padded(p + m, (k) => (k < p ? A[k * n + i] : -G[(k - p) * n + i])))),
    none ? [0, 0] : padded(p + m, (k) => (k < p ? b[k] : -h[k - p])),
    p,
  );
  if (message.includes("inconsistent")) return "infeasible";
  if (message.includes("definite")) return "indefinite";
  const active = none ? [] : iact.filter((k) => k > p).map((k) => k - p - 1);
  return { z: Float64Array.from(solution.slice(1, n + 1)), active };
}

/** The multipliers by which the active constraints hold z. */
function withMultipliers({ P, q, A, b, G, h }: QuadraticProgram, { z, active }: Vertex): QuadraticSolution {
  const [n, p] = [q.length, b.length];
  const pull = q.map((value, i) => -value - dot(P.subarray(i * n, (i + 1) * n), z));
  const found = leastSquares(turned(heldBy(A, p, G, active, n)), pull);
  const largest = largestOf(found);
  const lambda = new Float64Array(h.length);
  active.forEach((k, at) => {
    lambda[k] = found[p + at] > PUSHES * largest ? found[p + at] : 0;
  });
  return { z, nu: found.slice(0, p), lambda };
}

/**
 * What a loss whose gradient by z is `dz` has as its gradients by P (symmetric), q, A, b, G and h: the implicit derivative of the KKT
 * equations, whose constraints with a multiplier stay active (Amos and Kolter 2017). Least squares where these are singular.
 */
export function gradientOfActiveSet(
  { P, A, G, q, b, h }: QuadraticProgram,
  { z, nu, lambda }: QuadraticSolution,
  dz: Float64Array,
): QuadraticGradient {
  const [n, p] = [q.length, b.length];
  const active = Array.from(h.keys()).filter((k) => lambda[k] > 0);
  const held = heldBy(A, p, G, active, n);
  const size = n + held.rows;
  const K = { rows: size, cols: size, data: new Float64Array(size * size) };
  for (let i = 0; i < n; i++) K.data.set(P.subarray(i * n, (i + 1) * n), i * size);
  for (let k = 0; k < held.rows; k++) {
    for (let j = 0; j < n; j++) {
      K.data[(n + k) * size + j] = held.data[k * n + j];
      K.data[j * size + n + k] = held.data[k * n + j];
    }
  }
  const right = new Float64Array(size);
  right.set(dz);
  const found = solvedOrNearest(K, right);
  const t = new Float64Array(h.length);
  active.forEach((k, at) => {
    t[k] = found[n + p + at];
  });
  return gradientBy({ z, nu, lambda }, { u: found.subarray(0, n), v: found.subarray(n, n + p), t });
}

/** The rows of A and the active ones of G. */
function heldBy(A: Float64Array, p: number, G: Float64Array, active: readonly number[], n: number): Matrix {
  const data = new Float64Array((p + active.length) * n);
  data.set(A);
  active.forEach((row, k) => void data.set(G.subarray(row * n, (row + 1) * n), (p + k) * n));
  return { rows: p + active.length, cols: n, data };
}
