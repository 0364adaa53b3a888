/**
 * min 1/2 x'P x + q'x subject to A x = b and h - G x in a product of cones, by interior points of the homogeneous embedding, which finds a
 * solution, or a proof that there is none (Goulart and Chen 2024, Clarabel; Andersen, Dahl and Vandenberghe 2003).
 *
 * (x, z, s, tau, kappa) with P x + M'z + q tau = 0, M x + s = c tau, kappa = -x'P x / tau - q'x - c'z, M and c the rows of A and G with b
 * and h; s is zero for equations. With tau > 0 the quotients by tau are a solution, with tau = 0 they say that there is none.
 */

import { concatenated, dot, largestOf } from "../linear/vectors.js";
import { blocksOf, type Cones, depth, longestStep, product, quotient, Scaling } from "./cones.js";
import { Factored } from "./symmetric.js";
import { shareOff, sharesOf, termsOf } from "./terms.js";

/** All matrices by rows; the first `equations` rows of M are equations. */
export interface ConicProgram {
  readonly P: Float64Array; // [n x n], symmetric, positive semidefinite
  readonly q: Float64Array; // [n]
  readonly M: Float64Array; // [(p + m) x n]
  readonly c: Float64Array; // [p + m]
  readonly equations: number;
  readonly cones: Cones; // of the m rows after the equations
}

export interface ConicSolution {
  readonly x: Float64Array; // [n]
  readonly z: Float64Array; // [p + m]: multipliers
  readonly s: Float64Array; // [m]: c - M x of the rows in cones
}

const STEPS = 200;
/** Steps end this short of the boundary. */
const INSIDE = 0.99;
/**
 * Residuals and products of multipliers and slacks, by their own terms, at which nothing is left to gain; and what is still worth polishing
 * where rounding ends the steps, or so many of them in a row bring no better one.
 */
const SOLVED = 1e-14;
const NEARLY = 1e-6;
const PATIENCE = 4;
const LEAST_STEP = 1e-8;
/** Residuals of a proof that there is none, by its own size. */
const PROVEN = 1e-9;

interface Point {
  readonly x: Float64Array;
  readonly z: Float64Array;
  readonly s: Float64Array; // of the cones alone
  readonly tau: number;
  readonly kappa: number;
}

export function solveConic(program: ConicProgram): ConicSolution | "infeasible" | "unbounded" | "stalled" {
  const { q, c, equations: p, cones } = program;
  const [n, rows] = [q.length, c.length];
  const blocks = blocksOf(cones);
  const units = new Float64Array(rows - p);
  for (const [from] of blocks) units[from] = 1;
  let at: Point = { x: new Float64Array(n), z: padded(units, p), s: units.slice(), tau: 1, kappa: 1 };
  let best: { readonly point: Point; readonly left: number; readonly turn: number } | null = null;
  for (let turn = 0; turn < STEPS; turn++) {
    const seen = look(program, at);
    if (seen.left <= SOLVED) return solutionOf(at);
    if (seen.left < NEARLY && (best === null || seen.left < best.left)) best = { point: at, left: seen.left, turn };
    if (best !== null && turn - best.turn >= PATIENCE) break;
    const none = proofIn(seen, program);
    if (none !== null) return none;

    const { x, z, s, tau, kappa } = at;
    const { Px, rx, rz, rt, curve } = seen;
    const scaling = new Scaling(s, z.subarray(p), blocks);
    const K = systemOf(program, scaling);
    const fixed = K.solve(
      concatenated(
        q.map((entry) => -entry),
        c,
      ),
    );
    const [x2, z2] = [fixed.subarray(0, n), fixed.subarray(n)];
    const turned = Px.map((entry, k) => (2 * entry) / tau + q[k]);
    const below = -kappa / tau - curve / tau / tau + dot(turned, x2) + dot(c, z2);
    const mu = (dot(s, z.subarray(p)) + kappa * tau) / (blocks.length + 1);
    const towards = (share: number, ds: Float64Array, dk: number): Point => {
      const shift = padded(ds, p);
      const first = K.solve(
        concatenated(
          rx.map((entry) => -share * entry),
          rz.map((entry, k) => shift[k] - share * entry),
        ),
      );
      const [x1, z1] = [first.subarray(0, n), first.subarray(n)];
      const dtau = (-share * rt + dk / tau - dot(turned, x1) - dot(c, z1)) / below;
      const dz = z1.map((entry, k) => entry + dtau * z2[k]);
      const half = scaling.times(scaling.times(dz.subarray(p)));
      return {
        x: x1.map((entry, k) => entry + dtau * x2[k]),
        z: dz,
        s: half.map((entry, k) => -entry - ds[k]),
        tau: dtau,
        kappa: (-dk - kappa * dtau) / tau,
      };
    };
    const ahead = towards(1, s, kappa * tau);
    const reach = stepTo(at, ahead, p, blocks);
    const centring = (1 - reach) ** 2 * (1 - reach);
    const turns = product(scaling.over(ahead.s), scaling.times(ahead.z.subarray(p)), blocks);
    const wanted = product(scaling.lambda, scaling.lambda, blocks).map(
      (entry, k) => entry + turns[k] - centring * mu * units[k],
    );
    const ds = scaling.times(quotient(scaling.lambda, wanted, blocks));
    const move = towards(1 - centring, ds, kappa * tau + ahead.kappa * ahead.tau - centring * mu);
    const step = INSIDE * stepTo(at, move, p, blocks);
    const next = {
      x: plus(x, step, move.x),
      z: plus(z, step, move.z),
      s: plus(s, step, move.s),
      tau: tau + step * move.tau,
      kappa: kappa + step * move.kappa,
    };
    const inside = blocks.every((block) => depth(next.s, block) > 0 && depth(next.z.subarray(p), block) > 0);
    if (!(inside && next.tau > 0 && next.kappa > 0 && step > LEAST_STEP)) break; // rounding has the last word
    at = next;
  }
  return best === null ? "stalled" : solutionOf(best.point);
}

/** A point's residuals, and how far it is from a solution: each by the terms that should cancel in it, and multipliers by their slacks. */
function look({ P, q, M, c, equations: p, cones }: ConicProgram, { x, z, s, tau, kappa }: Point) {
  const n = q.length;
  const [Px, Mz] = [times(P, x, n), back(M, z, n)];
  const away = times(M, x, n).map((value, k) => value + (k < p ? 0 : s[k - p]));
  const rx = Px.map((value, k) => value + Mz[k] + q[k] * tau);
  const rz = away.map((value, k) => value - c[k] * tau);
  const [curve, slope, height] = [dot(x, Px), dot(q, x), dot(c, z)];
  const over = (v: Float64Array) => v.map((value) => value / tau);
  const [A, b, G, h] = [M.subarray(0, p * n), c.subarray(0, p), M.subarray(p * n), c.subarray(p)];
  const point = { z: over(x), nu: over(z.subarray(0, p)), lambda: over(z.subarray(p)), slack: over(s) };
  const split = { P, q, A, b, G, h, cones: cones.cones };
  const terms = termsOf(split, point);
  const off = { pull: over(rx), equation: over(rz.subarray(0, p)), bound: over(rz.subarray(p)) };
  const left = sharesOf(split, point, terms).reduce((most, { apart }) => Math.max(most, apart), shareOff(off, terms));
  return { Px, Mz, away, rx, rz, rt: kappa + curve / tau + slope + height, curve, slope, height, left };
}

/**
 * Directions by which no point meets the constraints (Farkas), or the objective falls without end: as far as points of 1e9 times the size of the
 * bounds, or of the slope over the curvature, and multipliers of 1e9 times the slope, are concerned.
 */
function proofIn({ Px, Mz, away, slope, height }: ReturnType<typeof look>, { P, q, c }: ConicProgram) {
  if (height < 0 && largestOf(Mz) * largestOf(c) <= -PROVEN * height) return "infeasible" as const;
  const [fall, steep] = [-PROVEN * slope, largestOf(q)];
  const free = largestOf(Px) * steep <= fall * largestOf(P) && largestOf(away) * steep <= fall;
  return slope < 0 && free ? ("unbounded" as const) : null;
}

function solutionOf({ x, z, s, tau }: Point): ConicSolution {
  const over = (v: Float64Array) => v.map((value) => value / tau);
  return { x: over(x), z: over(z), s: over(s) };
}

/** [P M'; M -W^2]. */
function systemOf({ P, q, M, c, equations: p }: ConicProgram, scaling: Scaling): Factored {
  const [n, rows] = [q.length, c.length];
  const size = n + rows;
  const K = new Float64Array(size * size);
  for (let i = 0; i < n; i++) K.set(P.subarray(i * n, (i + 1) * n), i * size);
  for (let k = 0; k < rows; k++) {
    for (let j = 0; j < n; j++) {
      K[(n + k) * size + j] = M[k * n + j];
      K[j * size + n + k] = M[k * n + j];
    }
  }
  scaling.subtractSquare(K, size, n + p);
  return new Factored(K, size, n);
}

function stepTo(at: Point, move: Point, p: number, blocks: ReturnType<typeof blocksOf>): number {
  const limit = (value: number, by: number) => (by < 0 ? -value / by : 1);
  return Math.min(
    ...[1, limit(at.tau, move.tau), limit(at.kappa, move.kappa)],
    longestStep(at.s, move.s, blocks),
    longestStep(at.z.subarray(p), move.z.subarray(p), blocks),
  );
}

function times(M: Float64Array, x: Float64Array, n: number): Float64Array {
  return Float64Array.from({ length: n === 0 ? 0 : M.length / n }, (_, k) => dot(M.subarray(k * n, (k + 1) * n), x));
}

function back(M: Float64Array, z: Float64Array, n: number): Float64Array {
  const out = new Float64Array(n);
  z.forEach((value, k) => {
    for (let j = 0; j < n; j++) out[j] += value * M[k * n + j];
  });
  return out;
}

function plus(a: Float64Array, by: number, b: Float64Array): Float64Array {
  return a.map((value, k) => value + by * b[k]);
}

function padded(v: Float64Array, before: number): Float64Array {
  const out = new Float64Array(before + v.length);
  out.set(v, before);
  return out;
}
