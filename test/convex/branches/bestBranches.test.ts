import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bestBranches, farthestStep, staircaseOf, tangentAt } from "../../../src/convex/branches/index.js";
import { atOnce } from "../../../src/convex/linear/pieces.js";

const families = fc
  .record({
    branches: fc.array(
      fc.record({
        loss: fc.double({ min: -1, max: 1, noNaN: true }),
        cost: fc.double({ min: 0, max: 2, noNaN: true }),
      }),
      { minLength: 1, maxLength: 7 },
    ),
    spare: fc.double({ min: 0, max: 1, noNaN: true }),
    ties: fc.boolean(), // costs and losses in quarters, so that many sums are equal
  })
  .map(({ branches, spare, ties }) => {
    const round = (value: number) => (ties ? Math.round(4 * value) / 4 : value);
    const costs = Float64Array.from(branches, ({ cost }) => round(cost));
    return {
      losses: Float64Array.from(branches, ({ loss }) => round(loss)),
      costs,
      budget: Math.min(...costs) + spare,
    };
  });

/** The least mean loss of `count` branches by trying all. */
function byEnumeration(losses: Float64Array, costs: Float64Array, budget: number, count: number): number {
  let least = Number.POSITIVE_INFINITY;
  const choose = (left: number, from: number, loss: number, cost: number) => {
    if (left === 0) {
      if (cost <= count * budget * (1 + 1e-12)) least = Math.min(least, loss / count);
      return;
    }
    for (let k = from; k < losses.length; k++) choose(left - 1, k, loss + losses[k], cost + costs[k]);
  };
  choose(count, 0, 0, 0);
  return least;
}

/** The best mixture: with one budget two branches are enough. */
function byPairs(losses: Float64Array, costs: Float64Array, budget: number): number {
  let least = Number.POSITIVE_INFINITY;
  for (let a = 0; a < losses.length; a++) {
    if (costs[a] > budget) continue;
    least = Math.min(least, losses[a]);
    for (let b = 0; b < losses.length; b++) {
      if (costs[b] <= budget) continue;
      const share = (budget - costs[a]) / (costs[b] - costs[a]);
      least = Math.min(least, (1 - share) * losses[a] + share * losses[b]);
    }
  }
  return least;
}

describe("branches under one budget", () => {
  test("the best 1 to 5 of them are those of enumeration, and the mixture is that of all pairs", () => {
    fc.assert(
      fc.property(families, ({ losses, costs, budget }) => {
        const stairs = staircaseOf(losses, costs);
        expect(tangentAt(stairs, budget).value).toBeCloseTo(byPairs(losses, costs, budget), 12);
        atOnce(bestBranches(stairs, budget, 5)).forEach(({ loss, steps, exact }, k) => {
          expect(exact).toBe(true);
          expect(loss).toBeCloseTo(byEnumeration(losses, costs, budget, k + 1), 12);
          expect(steps.length).toBe(k + 1);
          const mean = (values: Float64Array) => steps.reduce((sum, s) => sum + values[s], 0) / steps.length;
          expect(mean(stairs.losses)).toBeCloseTo(loss, 12);
          expect(mean(stairs.costs)).toBeLessThanOrEqual(budget * (1 + 1e-12) + 1e-12);
        });
      }),
      { numRuns: 300, seed: 1 },
    );
  });

  test("the gap of I branches is within 2 Delta / I, and never below zero", () => {
    fc.assert(
      fc.property(families, ({ losses, costs, budget }) => {
        const stairs = staircaseOf(losses, costs);
        const { delta } = farthestStep(stairs);
        const { value } = tangentAt(stairs, budget);
        atOnce(bestBranches(stairs, budget, 20)).forEach(({ loss }, k) => {
          expect(loss - value).toBeGreaterThan(-1e-12);
          expect(loss - value).toBeLessThan((2 * delta) / (k + 1) + 1e-12);
        });
      }),
      { numRuns: 100, seed: 2 },
    );
  });

  test("Delta is the largest distance between the staircase and its envelope over all costs", () => {
    fc.assert(
      fc.property(families, ({ losses, costs }) => {
        const stairs = staircaseOf(losses, costs);
        const [first, last] = [stairs.costs[0], stairs.costs[stairs.costs.length - 1]];
        let most = 0;
        for (let k = 0; k <= 2000; k++) {
          const cost = first + ((last - first) * k) / 2000;
          const least = Math.min(...losses.filter((_, s) => costs[s] <= cost));
          most = Math.max(most, least - tangentAt(stairs, cost).value);
        }
        const { delta } = farthestStep(stairs);
        expect(most).toBeLessThanOrEqual(delta + 1e-12);
        expect(most).toBeGreaterThan(
          delta - 0.1 * Math.max(1e-9, stairs.losses[0] - stairs.losses[stairs.losses.length - 1]),
        );
      }),
      { numRuns: 60, seed: 3 },
    );
  });

  test("one branch of loss 0 at cost 1 beside one of loss 1 at cost 0: at a budget of a half an odd number has a gap of 1 / 2 I", () => {
    const stairs = staircaseOf(Float64Array.of(1, 0), Float64Array.of(0, 1));
    expect(farthestStep(stairs)).toEqual({ delta: 1, between: [0, 1] });
    const gaps = atOnce(bestBranches(stairs, 0.5, 20)).map(({ loss }) => loss - 0.5);
    gaps.forEach((gap, k) => void expect(gap).toBeCloseTo(k % 2 === 0 ? 1 / (2 * (k + 1)) : 0, 12));
  });
});
