/**
 * "Of I branches the duality gap is at most 2 Delta / I": docs/claims.md, 6. Rows x = 1 and -1 with labels 1, branches 2 (w x)_+ with
 * |w| <= 1, the mean of I branches, loss max(0, 1 - y f / tau).
 */

import { expect, test } from "vitest";

const X = [1, -1];
const STEPS = 40; // of a grid of w on either side of 0
const GRID = Array.from({ length: 2 * STEPS + 1 }, (_, k) => k / STEPS - 1);

const branch = (w: number) => X.map((x) => 2 * Math.max(0, w * x));
const loss = (f: readonly number[], tau: number) => f.reduce((sum, z) => sum + Math.max(0, 1 - z / tau) / f.length, 0);
const mean = (ws: readonly number[]) => X.map((_, k) => ws.reduce((sum, w) => sum + branch(w)[k] / ws.length, 0));

/** inf P: every choice of branches on the grid. */
function primal(count: number, tau: number, chosen: readonly number[] = []): number {
  if (chosen.length === count) return loss(mean(chosen), tau);
  const from = chosen.at(-1) ?? -1; // their order plays no part
  return Math.min(...GRID.filter((w) => w >= from).map((w) => primal(count, tau, [...chosen, w])));
}

/** sup D: the best mixture of branches, which is one of 1 and of -1: the loss falls with every output. */
const dual = (tau: number) =>
  Math.min(
    ...Array.from({ length: 101 }, (_, k) =>
      loss(
        X.map((_, r) => (k / 100) * branch(1)[r] + (1 - k / 100) * branch(-1)[r]),
        tau,
      ),
    ),
  );

/** Of one branch: how far its least loss within a budget |w| <= c is above the convex envelope over budgets. */
function delta(tau: number): number {
  const v = GRID.filter((w) => w >= 0).map((c) =>
    Math.min(...GRID.filter((w) => Math.abs(w) <= c).map((w) => loss(branch(w), tau))),
  );
  let most = 0;
  for (let i = 0; i < v.length; i++) {
    for (let j = i + 2; j < v.length; j++) {
      for (let k = i + 1; k < j; k++) most = Math.max(most, v[k] - (v[i] + ((v[j] - v[i]) * (k - i)) / (j - i)));
    }
  }
  return most;
}

test("with tau as large as any output the gap is within 2 Delta / I: here both are 0", () => {
  expect(delta(2)).toBeLessThan(1e-12);
  for (const count of [1, 2, 3]) expect(primal(count, 2) - dual(2)).toBeCloseTo(0, 12);
});

test("with the hinge itself, tau = 1, Delta is 0 and the gap of one branch is 1/2, of three 1/6", () => {
  expect(delta(1)).toBeLessThan(1e-12);
  expect(dual(1)).toBeCloseTo(0, 12);
  expect(primal(1, 1)).toBeCloseTo(1 / 2, 12);
  expect(primal(2, 1)).toBeCloseTo(0, 12);
  expect(primal(3, 1)).toBeCloseTo(1 / 6, 12);
});
