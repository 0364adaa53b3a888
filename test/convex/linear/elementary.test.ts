import fc from "fast-check";
import { expect, test } from "vitest";
import { exp, log, log1p, power, tanh } from "../../../src/convex/linear/elementary.js";

/** Units in the last place between a value and the engine's own. */
function units(value: number, own: number): number {
  if (Object.is(value, own) || value === own) return 0;
  return Math.abs(value - own) / Math.max(Math.abs(own) * 2 ** -52, Number.MIN_VALUE);
}

test.each([
  ["exp", exp, Math.exp, -750, 712],
  ["exp", exp, Math.exp, -1, 1],
  ["log", log, Math.log, 0, 2],
  ["log", log, Math.log, 0, 1e300],
  ["log", log, Math.log, 0, 1e-307],
  ["log1p", log1p, Math.log1p, -0.9, 4],
  ["log1p", log1p, Math.log1p, -1e-7, 1e-7],
  ["tanh", tanh, Math.tanh, -1, 1],
  ["tanh", tanh, Math.tanh, -30, 30],
] as const)("%s is within three units in the last place of the engine's on its range", (_name, ours, own, min, max) => {
  fc.assert(
    fc.property(fc.double({ min, max, noNaN: true }), (x) => {
      expect(units(ours(x), own(x))).toBeLessThanOrEqual(3);
    }),
    { numRuns: 2000 },
  );
});

test.each([0, -0, Number.NaN, Infinity, -Infinity, 1, -1, 5e-324, 1e308])("the ends are those of Math at %s", (x) => {
  for (const [ours, own] of [
    [exp, Math.exp],
    [log, Math.log],
    [log1p, Math.log1p],
    [tanh, Math.tanh],
  ] as const) {
    if (Number.isFinite(own(x))) expect(units(ours(x), own(x))).toBeLessThanOrEqual(3);
    else expect(ours(x)).toBe(own(x));
  }
});

test("the bits are these on every engine", () => {
  const bits = (x: number) => new BigUint64Array(Float64Array.of(x).buffer)[0].toString(16);
  const points = Array.from({ length: 1000 }, (_, k) => (k + 0.5) / 250);
  const sums = [exp, log, log1p, tanh].map((f) => bits(points.reduce((sum, x) => sum / 3 + f(x), 0)));
  expect([...sums, bits(power(0.1, 3))]).toEqual([
    "40546487a2dd97ab",
    "40009f9f20292203",
    "40034dbbe3c4119b",
    "3ff7fbd8956f1d87",
    "3f50624dd2f1a9fd",
  ]);
});
