/** Quadratic programs with second-order cones: solved by interior points on scaled rows, and differentiated where their cones bend. */

import { turned } from "../linear/vectors.js";
import { blocksOf } from "./cones.js";
import { solveConic } from "./interior.js";
import { conesOf, polished, pushingBlocks, rowsOf, slopeOfEquations } from "./normalMap.js";
import {
  type NoSolution,
  type QuadraticGradient,
  type QuadraticProgram,
  type QuadraticSolution,
  solvedOrNearest,
} from "./program.js";
import { largestOf } from "./symmetric.js";

export function solveWithCones(program: QuadraticProgram): QuadraticSolution | NoSolution {
  const { P, q, A, b, G, h } = program;
  const [n, p] = [q.length, b.length];
  const cones = conesOf(program);
  const weight = Math.max(largestOf(P), largestOf(q)) || 1;
  const lengths = new Float64Array(p + h.length);
  for (let k = 0; k < p; k++) lengths[k] = largestOf(A.subarray(k * n, (k + 1) * n)) || 1;
  for (const [from, size] of blocksOf(cones)) {
    const length = largestOf(G.subarray(from * n, (from + size) * n)) || 1;
    lengths.fill(length, p + from, p + from + size);
  }
  const M = new Float64Array(A.length + G.length);
  M.set(A);
  M.set(G, A.length);
  const c = new Float64Array(lengths.length);
  c.set(b);
  c.set(h, p);
  const scaled = {
    P: P.map((value) => value / weight),
    q: q.map((value) => value / weight),
    M: M.map((value, e) => value / lengths[Math.floor(e / n)]),
    c: c.map((value, k) => value / lengths[k]),
  };
  const found = solveConic({ ...scaled, equations: p, cones });
  if (typeof found === "string") return found;
  const { z, nu, lambda, slack } = polished(
    {
      ...{ P: scaled.P, q: scaled.q, cones: cones.cones },
      ...{ A: scaled.M.subarray(0, p * n), G: scaled.M.subarray(p * n) },
      ...{ b: scaled.c.subarray(0, p), h: scaled.c.subarray(p) },
    },
    { z: found.x, nu: found.z.slice(0, p), lambda: found.z.slice(p), slack: found.s },
  );
  const multiplier = (value: number, k: number) => (weight * value) / lengths[k];
  return {
    z,
    nu: nu.map(multiplier),
    lambda: lambda.map((value, k) => multiplier(value, p + k)),
    slack: slack.map((value, k) => value * lengths[p + k]),
  };
}

/** The implicit derivative of the KKT equations as normalMap.ts has them; least squares where they are singular. */
export function gradientWithCones(
  program: QuadraticProgram,
  { z, nu, lambda, slack = new Float64Array(lambda.length) }: QuadraticSolution,
  dz: Float64Array,
): QuadraticGradient {
  const { q, b, h } = program;
  const [n, p] = [q.length, b.length];
  const pushing = pushingBlocks(program, lambda, slack);
  const rows = rowsOf(pushing);
  const K = turned(slopeOfEquations(program, pushing));
  const right = new Float64Array(K.rows);
  right.set(dz);
  const found = solvedOrNearest(K, right);
  const [u, v] = [found.subarray(0, n), found.slice(n, n + p)];
  const t = new Float64Array(h.length);
  rows.forEach((row, k) => {
    t[row] = found[n + p + k];
  });
  const table = (count: number, entry: (k: number, j: number) => number) =>
    Float64Array.from({ length: count * n }, (_, e) => entry(Math.floor(e / n), e % n));
  return {
    P: table(n, (i, j) => -(u[i] * z[j] + u[j] * z[i]) / 2),
    q: u.map((value) => -value),
    A: table(p, (k, j) => -(nu[k] * u[j] + v[k] * z[j])),
    b: v,
    G: table(h.length, (k, j) => -(lambda[k] * u[j] + t[k] * z[j])),
    h: t,
  };
}
