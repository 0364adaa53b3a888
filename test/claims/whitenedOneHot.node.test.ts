/**
 * "Deep ReLU networks on whitened data have outputs (|phi_0| - beta)_+ in every class": docs/claims.md, 2. Orthonormal rows, one-hot
 * targets, weight decay on all three layers.
 */

import fc from "fast-check";
import { expect, test } from "vitest";
import { descend } from "../../src/convex/linear/lbfgs.js";
import { gaussianSource } from "../../src/convex/linear/random.js";
import { leastOnGrid } from "./grid.js";

/** Of a class of `rows` rows: 1/2 (sqrt rows - t)^2 + (beta L / 2) t^(2 / L), t the norm of its column of outputs. */
const ofClass = (rows: number, beta: number, layers: number) => (t: number) =>
  0.5 * (Math.sqrt(rows) - t) ** 2 + ((beta * layers) / 2) * t ** (2 / layers);
const best = (rows: number, beta: number, layers: number) =>
  leastOnGrid(ofClass(rows, beta, layers), 0, Math.sqrt(rows));

test("one row, three layers, beta 1/2: the printed output is 1/2, and no network is below the zero network", () => {
  const printed = Math.max(0, 1 - 0.5);
  expect(ofClass(1, 0.5, 3)(printed)).toBeCloseTo(0.125 + 0.75 * 0.5 ** (2 / 3), 12); // 0.5975
  expect(ofClass(1, 0.5, 3)(printed)).toBeGreaterThan(0.59);
  expect(best(1, 0.5, 3)).toEqual({ value: 0.5, at: 0 });
  const weight = fc.double({ min: -2, max: 2, noNaN: true });
  fc.assert(
    fc.property(weight, weight, weight, (a, b, c) => {
      const output = Math.max(0, Math.max(0, a) * b) * c;
      return 0.5 * (output - 1) ** 2 + 0.25 * (a * a + b * b + c * c) >= 0.5 - 1e-12;
    }),
  );
});

test("with two layers, or decay on the last two alone, the printed output is right", () => {
  for (const [rows, beta] of [
    [1, 0.5],
    [4, 0.3],
    [1, 2],
  ]) {
    const shrunk = Math.max(0, Math.sqrt(rows) - beta);
    expect(best(rows, beta, 2).at).toBeCloseTo(shrunk, 4);
    // Two decayed factors of a product t cost beta t, whatever the unit factors before them.
    expect(leastOnGrid((t) => 0.5 * (Math.sqrt(rows) - t) ** 2 + beta * t, 0, 2).at).toBeCloseTo(shrunk, 4);
  }
});

/** Network [D -> 2 -> 2 -> 2] on the rows of the identity: x W1 is W1 itself. Objective with beta / 2 on all layers. */
function objectiveOf(
  weights: Float64Array,
  classes: readonly number[],
  beta: number,
): { value: number; outputs: number[] } {
  const rows = classes.length;
  const [W1, W2, W3] = [
    weights.subarray(0, 2 * rows),
    weights.subarray(2 * rows, 2 * rows + 4),
    weights.subarray(2 * rows + 4),
  ];
  const times = (h: readonly number[], W: Float64Array) => [h[0] * W[0] + h[1] * W[2], h[0] * W[1] + h[1] * W[3]];
  const relu = (h: readonly number[]) => h.map((value) => Math.max(0, value));
  let value = 0;
  const outputs: number[] = [];
  classes.forEach((kind, k) => {
    const out = times(relu(times(relu([W1[2 * k], W1[2 * k + 1]]), W2)), W3);
    value += 0.5 * ((out[0] - Number(kind === 0)) ** 2 + (out[1] - Number(kind === 1)) ** 2);
    outputs.push(out[kind]);
  });
  for (const weight of weights) value += (beta / 2) * weight * weight;
  return { value, outputs };
}

test("four rows of one class and two of another: descents end at the right outputs, 0.876 and 0.796, none below", async () => {
  const classes = [0, 0, 0, 0, 1, 1];
  const beta = 0.3;
  const wanted = [4, 2].map((rows) => best(rows, beta, 3));
  expect(wanted[0].at / 2).toBeCloseTo(0.8756, 3);
  expect(wanted[1].at / Math.SQRT2).toBeCloseTo(0.7961, 3);
  const printed = [1 - beta / 2, 1 - beta / Math.SQRT2]; // 0.850 and 0.788
  const least = wanted[0].value + wanted[1].value;
  const objective = (weights: Float64Array, gradient: Float64Array) => {
    for (let p = 0; p < weights.length; p++) {
      const at = weights[p];
      weights[p] = at + 1e-6;
      const above = objectiveOf(weights, classes, beta).value;
      weights[p] = at - 1e-6;
      gradient[p] = (above - objectiveOf(weights, classes, beta).value) / 2e-6;
      weights[p] = at;
    }
    return objectiveOf(weights, classes, beta).value;
  };
  const draw = gaussianSource(1);
  let lowest = Number.POSITIVE_INFINITY;
  let outputs: number[] = [];
  for (let start = 0; start < 40; start++) {
    const weights = Float64Array.from({ length: 20 }, () => 0.7 * draw());
    const { x, value } = await descend(objective, weights, 400, async () => false);
    expect(value).toBeGreaterThan(least - 1e-6);
    if (value < lowest) [lowest, outputs] = [value, objectiveOf(x, classes, beta).outputs];
  }
  expect(lowest).toBeCloseTo(least, 4);
  expect(outputs[0]).toBeCloseTo(wanted[0].at / 2, 2);
  expect(outputs[5]).toBeCloseTo(wanted[1].at / Math.SQRT2, 2);
  expect(Math.abs(outputs[0] - printed[0])).toBeGreaterThan(0.02);
});
