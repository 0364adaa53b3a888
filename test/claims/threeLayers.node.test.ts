/**
 * "Three-layer ReLU networks with weight decay are a convex program": docs/claims.md, 1. One row x = 1 with target s, one neuron in
 * each layer, branches ((x a_k)_+ b_k)_+ c_k.
 */

import * as tf from "@tensorflow/tfjs";
import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import { ConvexReLUTrainer } from "../../src/index.js";
import { leastOnGrid } from "./grid.js";

const BETA = 0.3;

type Branch = readonly [a: number, b: number, c: number];

const output = (branches: readonly Branch[]) =>
  branches.reduce((sum, [a, b, c]) => sum + Math.max(0, Math.max(0, a) * b) * c, 0);
const loss = (branches: readonly Branch[], target: number) => 0.5 * (output(branches) - target) ** 2;
/** beta / p times the sum of |weight|^p over all layers: p = 2 is weight decay. */
const charge = (branches: readonly Branch[], p: number) =>
  (BETA / p) * branches.flat().reduce((sum, weight) => sum + Math.abs(weight) ** p, 0);

/** Least objectives as functions of the output t alone: with weight decay by arithmetic and geometric mean, and of the program. */
const decayed = (target: number) => leastOnGrid((t) => 0.5 * (t - target) ** 2 + 1.5 * BETA * t ** (2 / 3), 0, target);
const program = (target: number) => leastOnGrid((t) => 0.5 * (t - target) ** 2 + BETA * t, 0, target);

const weight = fc.double({ min: -2, max: 2, noNaN: true });
const branches = fc.array(fc.tuple(weight, weight, weight), { minLength: 1, maxLength: 4 });

beforeAll(async () => {
  await tf.setBackend("cpu");
});

test("no network with weight decay on its three layers has the program's value, and the best one has 0.3989", () => {
  expect(program(1).value).toBeCloseTo(0.255, 6);
  expect(decayed(1).value).toBeCloseTo(0.39891, 5);
  expect(decayed(1).at).toBeCloseTo(0.6546, 3);
  const side = decayed(1).at ** (1 / 3);
  const best: Branch = [side, side, side];
  expect(loss([best], 1) + charge([best], 2)).toBeCloseTo(decayed(1).value, 9);
  const lowest = decayed(1).value - 1e-9;
  fc.assert(fc.property(branches, (all) => loss(all, 1) + charge(all, 2) >= lowest));
});

test("no convex program that targets enter affinely has the values of weight decay: they are not convex in the target", () => {
  expect(decayed(1).value + decayed(5).value).toBeLessThan(2 * decayed(3).value - 0.1);
  // Of two layers they are, since 1/2 (t - s)^2 + beta |t| is convex in both.
  for (let s = 1; s < 5; s++) {
    expect(program(s - 1).value + program(s + 1).value).toBeGreaterThanOrEqual(2 * program(s).value - 1e-9);
  }
});

test("with the third power in place of the second the program's value is attained, and no network is below", () => {
  const side = 0.7 ** (1 / 3);
  const best: Branch = [side, side, side];
  expect(loss([best], 1) + charge([best], 3)).toBeCloseTo(0.255, 9);
  fc.assert(fc.property(branches, (all) => loss(all, 1) + charge(all, 3) >= 0.255 - 1e-9));
});

test("with path regularisation, beta |a b c|, the program's value is attained, and no network is below", () => {
  const path = (all: readonly Branch[]) => BETA * all.reduce((sum, [a, b, c]) => sum + Math.abs(a * b * c), 0);
  expect(loss([[1, 1, 0.7]], 1) + path([[1, 1, 0.7]])).toBeCloseTo(0.255, 9);
  fc.assert(fc.property(branches, (all) => loss(all, 1) + path(all) >= 0.255 - 1e-9));
});

test("with a first layer of norm at most 1 and decay on the other two likewise, as the theorem has it", () => {
  const decay = (all: readonly Branch[]) => (BETA / 2) * all.reduce((sum, [, b, c]) => sum + b * b + c * c, 0);
  const best: Branch = [1, Math.sqrt(0.7), Math.sqrt(0.7)];
  expect(loss([best], 1) + decay([best])).toBeCloseTo(0.255, 9);
  const bounded = branches.map((all) => all.map(([a, b, c]): Branch => [a / 2, b, c]));
  fc.assert(fc.property(bounded, (all) => loss(all, 1) + decay(all) >= 0.255 - 1e-9));
});

test("the program's value is that of two layers on this row, by the trainer", async () => {
  const [x, y] = [tf.tensor2d([[1], [0]]), tf.tensor2d([[1], [0]])]; // the mean over two rows is the factor 1/2
  const trainer = new ConvexReLUTrainer({
    arrangements: { kind: "enumerate" },
    regularization: BETA,
    tolerance: 1e-9,
  });
  const { certificate, model } = await trainer.train(x, y, {
    loss: "meanSquaredError",
    hiddenBias: false,
    outputBias: false,
  });
  expect(certificate.dual).toBeCloseTo(0.255, 6);
  expect(certificate.network).toBeCloseTo(0.255, 6);
  model.dispose();
  tf.dispose([x, y]);
});
