/**
 * "A ReLU generator against a quadratic discriminator is two convex programs": docs/claims.md, 5. Latent rows Z = I, two generated
 * rows of one column, generator sum_j (Z u_j)_+ a_j with |U|^2 + |a|^2 charged.
 */

import fc from "fast-check";
import { expect, test } from "vitest";

type Neuron = readonly [u1: number, u2: number, a: number];

const generated = (neurons: readonly Neuron[]): [number, number] => [
  neurons.reduce((sum, [u, , a]) => sum + Math.max(0, u) * a, 0),
  neurons.reduce((sum, [, u, a]) => sum + Math.max(0, u) * a, 0),
];
const cost = (neurons: readonly Neuron[]) => neurons.flat().reduce((sum, weight) => sum + weight * weight, 0);
/** Least cost of a generator with these outputs: one neuron where they have one sign, else one for each. */
const leastCost = ([g, h]: readonly [number, number]) => 2 * (g * h < 0 ? Math.abs(g) + Math.abs(h) : Math.hypot(g, h));

const S = 2; // second moment of the data
const BETA = 1; // of the discriminator: |S - mean of g^2| <= beta
const RADIUS = Math.sqrt(2 * (S - BETA)); // of G, the least that meets it
const equal: [number, number] = [RADIUS * Math.SQRT1_2, RADIUS * Math.SQRT1_2];
const opposite: [number, number] = [RADIUS * Math.SQRT1_2, -RADIUS * Math.SQRT1_2];

test("both of two directions solve the first program: the same second moment, the same norm", () => {
  for (const [g, h] of [equal, opposite]) {
    expect(S - (g * g + h * h) / 2).toBeCloseTo(BETA, 12);
    expect(g * g + h * h).toBeCloseTo(2, 12);
  }
});

test("the second program's value is 2.828 from the one and 4 from the other", () => {
  expect(leastCost(equal)).toBeCloseTo(2 * Math.SQRT2, 12);
  expect(leastCost(opposite)).toBeCloseTo(4, 12);
  const side = Math.sqrt(Math.SQRT2);
  const one: Neuron[] = [[side * Math.SQRT1_2, side * Math.SQRT1_2, side]];
  expect(generated(one)[0]).toBeCloseTo(equal[0], 12);
  expect(cost(one)).toBeCloseTo(2 * Math.SQRT2, 12);
  const two: Neuron[] = [
    [1, -1, 1],
    [-1, 1, -1],
  ];
  expect(generated(two)).toEqual([1, -1]);
  expect(
    cost([
      [1, 0, 1],
      [0, 1, -1],
    ]),
  ).toBe(4);
});

test("no generator of outputs G costs less than that", () => {
  const weight = fc.double({ min: -2, max: 2, noNaN: true });
  fc.assert(
    fc.property(fc.array(fc.tuple(weight, weight, weight), { minLength: 1, maxLength: 5 }), (neurons) => {
      expect(cost(neurons)).toBeGreaterThanOrEqual(leastCost(generated(neurons)) - 1e-9);
    }),
  );
});
