import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import { ConvexReLUTrainer, enumerateGates, optimalSet, type TrainerOptions } from "../../src/index.js";
import { type ConvModelOptions, makeConvModel, makeImages } from "../helpers/convModels.js";
import stored from "../reference/optimal_set.json";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const grid = { x: stored.problems[0].X, y: stored.problems[0].y };
const bare = { hiddenBias: false, outputBias: false } as const;

function evaluate(model: tf.Sequential, x: tf.Tensor, y: tf.Tensor): number {
  return tf.tidy(() => (model.evaluate(x, y, { batchSize: x.shape[0] }) as tf.Scalar).dataSync()[0]);
}

/** A convolution as a fit of all arrangements of its patches. */
async function fitAll(
  model: tf.Sequential,
  x: tf.Tensor,
  y: tf.Tensor,
  regularization: number,
  arrangements: TrainerOptions["arrangements"] = { kind: "enumerate" },
) {
  const trainer = new ConvexReLUTrainer({ arrangements, tolerance: 1e-6, regularization, width: "resize" });
  const result = await trainer.fit(model, x, y);
  if (result.model !== model) model.dispose();
  return result;
}

test.each(stored.problems)("one patch is the dense problem: $formulation, beta $beta", async (reference) => {
  const shape = reference.formulation === "relu" ? [2, 1] : [2, 1, 1];
  const kind = reference.formulation === "relu" ? "conv1d" : "gatedConv2D";
  const model = makeConvModel({
    kind,
    inputShape: shape,
    kernelSize: kind === "conv1d" ? 2 : [2, 1],
    filters: 20,
    ...bare,
  });
  const [x, y] = [tf.tensor(grid.x.flat(), [grid.x.length, ...shape]), tf.tensor2d(grid.y, [grid.y.length, 1])];
  // The reference has the patterns of directions on which no row lies, for both formulations.
  const gates = enumerateGates({ rows: grid.x.length, cols: 2, data: Float64Array.from(grid.x.flat()) });
  const result = await fitAll(model, x, y, reference.beta, gates);
  const set = await optimalSet(result);
  expect(set.solutions[0].objective).toBeCloseTo(reference.optimum, 8);
  expect(set.candidates).toBe(reference.candidates);
  expect(set.dimension).toBe(reference.dimension);
  expect(set.minimumNorm().norm).toBeCloseTo(reference.least_norm, 6);
  expect(set.fewest().neurons).toBe(reference.fewest);
  result.model.dispose();
  tf.dispose([x, y]);
});

const shapes: readonly (ConvModelOptions & { readonly inputShape: readonly number[] })[] = [
  { kind: "conv1d", readOut: "average", inputShape: [4, 1], strides: 2, ...bare },
  { kind: "conv1d", readOut: "flatten", inputShape: [4, 1], strides: 2, outputBias: true, hiddenBias: false },
  { kind: "gatedConv2D", readOut: "average", inputShape: [4, 1, 1], kernelSize: [2, 1], strides: 2, ...bare },
  { kind: "gatedConv2D", readOut: "flatten", inputShape: [4, 1, 1], kernelSize: [2, 1], strides: 2, ...bare },
];

describe.each(shapes)("$kind, $readOut", (shape) => {
  /** Images of two patches, each a point of the grid, with as much symmetry as it has. */
  const images = ({ inputShape }: typeof shape) => {
    const count = grid.x.length;
    const rows = grid.x.map((point, k) => [...point, ...grid.x[(7 * k + 3) % count]]);
    const targets = grid.y.map((value, k) => value + grid.y[(7 * k + 3) % count]);
    return { x: tf.tensor(rows.flat(), [count, ...inputShape]), y: tf.tensor2d(targets, [count, 1]) };
  };

  test("every way between two optima has one objective, and models of the set evaluate to it", async () => {
    const { x, y } = images(shape);
    const result = await fitAll(makeConvModel({ ...shape, filters: 60 }), x, y, 0.02);
    const set = await optimalSet(result);
    expect(set.dimension).toBeGreaterThan(0);
    expect(set.prices.cheapestInside).toBeGreaterThan(1 - 1e-6);
    expect(set.prices.dearestOutside).toBeLessThan(1 - 1e-5);
    const [start, fewest, least] = [set.solutions[0], set.fewest(), set.minimumNorm()];
    expect(start.objective / result.certificate.primal).toBeCloseTo(1, 5);
    expect(fewest.neurons).toBeLessThanOrEqual(start.neurons);
    expect(least.norm).toBeLessThanOrEqual(start.norm * (1 + 1e-9));
    for (const [from, to] of [
      [start, fewest],
      [fewest, least],
    ] as const) {
      const objectives = set.path(from, to, { steps: 5 }).map(({ objective }) => objective);
      expect(Math.max(...objectives) / Math.min(...objectives) - 1).toBeLessThan(1e-7);
    }
    const before = tf.memory().numTensors;
    const model = set.modelOf(fewest);
    expect(evaluate(model, x, y)).toBeCloseTo(result.objective.loss, 5);
    model.dispose();
    expect(tf.memory().numTensors).toBe(before);
    const held = makeImages(result.model, "meanSquaredError", 30, 9);
    const chosen = await set.choose(held.x, held.y);
    expect(Math.abs(chosen.objective / start.objective - 1)).toBeLessThan(1e-6);
    const lossOf = (optimum: typeof chosen) => {
      const one = set.modelOf(optimum);
      const loss = evaluate(one, held.x, held.y);
      one.dispose();
      return loss;
    };
    for (const other of [start, fewest, least]) expect(lossOf(chosen)).toBeLessThanOrEqual(lossOf(other) + 1e-5);
    tf.dispose([held.x, held.y]);
    result.model.dispose();
    tf.dispose([x, y]);
  });
});

test("a network goes into a model of the same patches only", async () => {
  const shape = { kind: "conv1d", inputShape: [4, 1], strides: 2, filters: 40, ...bare } as const;
  const model = makeConvModel(shape);
  const { x, y } = makeImages(model, "meanSquaredError", 12);
  const result = await fitAll(model, x, y, 0.05);
  const set = await optimalSet(result);
  const [same, other] = [makeConvModel(shape), makeConvModel({ ...shape, strides: 1 })];
  set.write(same, set.fewest());
  expect(evaluate(same, x, y)).toBeCloseTo(result.objective.loss, 5);
  expect(() => set.write(other, set.fewest())).toThrow("biases and patches of the fitted one");
  for (const one of [same, other, result.model]) one.dispose();
  tf.dispose([x, y]);
});
