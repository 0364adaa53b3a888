import fc from "fast-check";
import { expect, test } from "vitest";
import { bestScale } from "../../../src/convex/certificate/index.js";
import type { Loss } from "../../../src/convex/types.js";

/** A program whose dual objective at s is f(s), as far as `end`, and how often it was asked. */
function along(f: (s: number) => number, end = Number.POSITIVE_INFINITY) {
  let looks = 0;
  const conjugate = ([s]: Float64Array) => {
    looks += 1;
    return s > end ? Number.POSITIVE_INFINITY : -f(s);
  };
  const program = { loss: { outputs: 1, rows: 1, conjugate } as unknown as Loss, outputBias: null, beta: 1 };
  return { ...bestScale(program as never, Float64Array.of(1), 0), program, looks: () => looks };
}

const positive = (min: number, max: number) => fc.double({ min, max, noNaN: true });

test("the best scale of a concave dual objective, from few looks at it", () => {
  const counts: number[] = [];
  fc.assert(
    fc.property(
      positive(1e-3, 1),
      positive(0.1, 5),
      positive(1e-3, 3),
      positive(0, 2),
      (bend, slope, limit, beyond) => {
        // Like that of a cross-entropy: steep at 0, and a domain that may end before the limit.
        const end = limit * (0.3 + beyond);
        const f = (s: number) => slope * s - bend * s * s - (s > 0 ? 0.1 * s * Math.log(s) : 0);
        const { program, looks } = along(f, end);
        const before = looks();
        const { value, scale } = bestScale(program as never, Float64Array.of(1), limit);
        if (end >= limit) counts.push(looks() - before);
        expect(scale).toBeGreaterThanOrEqual(0);
        expect(scale).toBeLessThanOrEqual(Math.min(limit, end));
        expect(value).toBe(f(scale));
        const most = Math.min(limit, end);
        let highest = 0;
        for (let k = 0; k <= 300; k++) highest = Math.max(highest, f((k / 300) * most));
        expect(highest).toBeLessThanOrEqual(value + 1e-6 * (1 + Math.abs(value)));
      },
    ),
    { seed: 7, numRuns: 200 },
  );
  expect(counts.reduce((sum, count) => sum + count, 0) / counts.length).toBeLessThan(20);
  expect(Math.max(...counts)).toBeLessThanOrEqual(40);
});

test.each([
  [0.3, 1],
  [0.3, 5],
  [0.9, 1.2],
])("the top of a parabola at %f below %f is met in ten looks", (at, limit) => {
  const { program, looks } = along((s) => -((s - at) ** 2));
  const before = looks();
  expect(bestScale(program as never, Float64Array.of(1), limit).scale).toBeCloseTo(at, 9);
  expect(looks() - before).toBeLessThanOrEqual(10);
});

test("a limit before the top is the best scale itself, and nothing is scaled where nothing helps", () => {
  const rising = along((s) => s - s ** 4);
  expect(bestScale(rising.program as never, Float64Array.of(1), 0.4).scale).toBe(0.4);
  expect(rising.looks()).toBeLessThanOrEqual(4);
  const falling = along((s) => -s);
  expect(bestScale(falling.program as never, Float64Array.of(1), 2)).toEqual({ value: -0, scale: 0 });
  expect(bestScale(falling.program as never, Float64Array.of(1), 0)).toEqual({ value: -0, scale: 0 });
});
