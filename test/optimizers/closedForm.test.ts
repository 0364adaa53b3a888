import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import { type ClosedFormOptions, ConvexReLUTrainer, trainClosedForm } from "../../src/index.js";
import { objectiveOf } from "../helpers/objective.js";
import { gaussianMatrix } from "../helpers/problems.js";
import reference from "../reference/deep.json" with { type: "json" };

beforeAll(async () => {
  await tf.setBackend("cpu");
});

interface Shape {
  readonly inputs: number;
  readonly widths: readonly number[];
  readonly outputs: number;
  readonly charges: readonly number[]; // 0: no regularizer
  readonly relu?: boolean;
  readonly bias?: "none" | "last" | "all";
  readonly activation?: string;
}

function makeDeep({ inputs, widths, outputs, charges, relu = false, bias = "none", activation }: Shape): tf.Sequential {
  const sizes = [...widths, outputs];
  const model = tf.sequential({
    layers: sizes.map((units, l) =>
      tf.layers.dense({
        units,
        useBias: bias === "all" || (bias === "last" && l === sizes.length - 1),
        ...(l === 0 ? { inputShape: [inputs] } : {}),
        ...(l < sizes.length - 1 ? { activation: (activation ?? (relu ? "relu" : "linear")) as "relu" } : {}),
        ...(charges[l] > 0 ? { kernelRegularizer: tf.regularizers.l2({ l2: charges[l] }) } : {}),
        kernelInitializer: tf.initializers.glorotNormal({ seed: l + 1 }),
        biasInitializer: "ones",
      }),
    ),
  });
  model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
  return model;
}

describe("trainClosedForm", () => {
  test.each(reference.networks.map((stored, k) => ({ ...stored, k, layers: stored.charges.length })))(
    "$kind, $layers layers ($k): the model's own evaluate and regularizers attain the value",
    async ({ x: rows, y: targets, charges, widths, relu, lowest, kind }) => {
      const [x, y] = [tf.tensor2d(rows), tf.tensor2d(targets)];
      const model = makeDeep({ inputs: rows[0].length, widths, outputs: targets[0].length, charges, relu });
      const tensors = tf.memory().numTensors;
      const result = await trainClosedForm(model, x, y, { tolerance: 2e-6 });
      expect(tf.memory().numTensors).toBe(tensors);
      const { certificate, objective, theorem, status } = result;
      expect(result.model).toBe(model);
      expect(Math.abs(objectiveOf(model, x, y) / certificate.primal - 1)).toBeLessThan(1e-6);
      expect(Math.abs(objective.total / certificate.primal - 1)).toBeLessThan(1e-6);
      expect(certificate.dual).toBeLessThanOrEqual(lowest * (1 + 1e-9));
      expect(theorem.name).toContain(kind === "scalar" ? "one output" : kind === "rank one" ? "one direction" : kind);
      expect(certificate.claim).toMatch(/No network of .* below .*; this one has/);
      const open = kind === "one-hot" && charges.length > 2 && targets[0].length > 1;
      expect(status).toBe(open ? "stalled" : "solved");
      model.dispose();
      tf.dispose([x, y]);
    },
  );

  test("biases: the last layer's takes the means, hidden ones come to zero, and offsets of the data change nothing", async () => {
    const X = gaussianMatrix(30, 4, 1).data;
    const target = gaussianMatrix(30, 1, 2).data;
    const values: number[] = [];
    for (const shift of [0, 3]) {
      const x = tf.tensor2d(
        Float32Array.from(X, (value) => value + shift),
        [30, 4],
      );
      const y = tf.tensor2d(
        Float32Array.from(target, (value) => value - shift),
        [30, 1],
      );
      const shape = { inputs: 4, widths: [3, 2], outputs: 1, charges: [0.01, 0.02, 0.01] };
      const model = makeDeep({ ...shape, bias: "all" });
      const { certificate } = await trainClosedForm(model, x, y);
      expect(certificate.relativeGap).toBeLessThan(1e-6);
      expect(Math.abs(objectiveOf(model, x, y) / certificate.primal - 1)).toBeLessThan(1e-5);
      expect([1, 3].flatMap((k) => [...model.getWeights()[k].dataSync()])).toEqual([0, 0, 0, 0, 0]);
      values.push(certificate.primal);
      model.dispose();
      tf.dispose([x, y]);
    }
    expect(values[1] / values[0]).toBeCloseTo(1, 5);
  });

  test("two layers are what ConvexReLUTrainer finds of the same model", async () => {
    const x = tf.tensor2d(Float32Array.from(gaussianMatrix(25, 3, 4).data), [25, 3]);
    const y = tf.tensor2d(Float32Array.from(gaussianMatrix(25, 1, 5).data), [25, 1]);
    const model = makeDeep({ inputs: 3, widths: [4], outputs: 1, charges: [0.05, 0.02] });
    const { certificate } = await trainClosedForm(model, x, y);
    const other = await new ConvexReLUTrainer({ tolerance: 1e-7 }).fit(model, x, y);
    expect(other.objective.total / certificate.primal).toBeCloseTo(1, 5);
    model.dispose();
    tf.dispose([x, y]);
  });

  test.each(reference.linear)(
    "two layers on rows that are not whitened: the trainer ends at the conic solver's optimum, which evaluate and regularizers attain",
    async ({ x: rows, y: targets, charges, widths, optimum, lowest }) => {
      const [x, y] = [tf.tensor2d(rows), tf.tensor2d(targets)];
      const model = makeDeep({ inputs: rows[0].length, widths, outputs: targets[0].length, charges });
      const { certificate } = await new ConvexReLUTrainer({ tolerance: 1e-8 }).fit(model, x, y);
      expect(certificate.scope).toBe("all gates");
      expect(Math.abs(objectiveOf(model, x, y) / optimum - 1)).toBeLessThan(1e-6);
      expect(Math.abs(certificate.dual / optimum - 1)).toBeLessThan(1e-6);
      expect(certificate.dual).toBeLessThanOrEqual(lowest * (1 + 1e-9)); // of 25 descents
      model.dispose();
      tf.dispose([x, y]);
    },
  );

  test("a Schatten charge: the loss is model.evaluate's, and the value of primal and dual is the conic solver's", async () => {
    for (const { x: rows, y: targets, gamma, optimum } of reference.schatten) {
      const [x, y] = [tf.tensor2d(rows), tf.tensor2d(targets)];
      const model = makeDeep({ inputs: 5, widths: [5, 4], outputs: 4, charges: [0, 0, 0] });
      const { certificate, objective } = await trainClosedForm(model, x, y, { charge: { schatten: gamma } });
      expect(certificate.dual / optimum).toBeCloseTo(1, 7);
      expect(objective.total / optimum).toBeCloseTo(1, 6);
      expect(objectiveOf(model, x, y) / objective.loss).toBeCloseTo(1, 5);
      model.dispose();
      tf.dispose([x, y]);
    }
  });

  test("activations may be layers of their own", async () => {
    const decay = { useBias: false, kernelRegularizer: tf.regularizers.l2({ l2: 0.02 }) };
    const model = tf.sequential({
      layers: [
        tf.layers.dense({ units: 3, inputShape: [2], ...decay }),
        tf.layers.reLU(),
        tf.layers.dense({ units: 1, ...decay }),
      ],
    });
    model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
    const x = tf.tensor2d([
      [1, 2],
      [2, 4],
      [0.5, 1],
    ]);
    const y = tf.tensor2d([[1], [2], [1]]);
    const { certificate, theorem } = await trainClosedForm(model, x, y);
    expect(theorem.name).toMatch(/one direction/);
    expect(Math.abs(objectiveOf(model, x, y) / certificate.primal - 1)).toBeLessThan(1e-6);
    model.dispose();
    tf.dispose([x, y]);
  });
});

const usual: Shape = { inputs: 3, widths: [4, 4], outputs: 1, charges: [0.1, 0.1, 0.1] };
const wrong: [name: string, shape: Partial<Shape>, options: object, says: RegExp][] = [
  ["an unregularized layer", { charges: [0.1, 0, 0.1] }, {}, /l2 regularizer on every kernel .* got none on layer/],
  ["another activation", { activation: "tanh" }, {}, /nothing or ReLU between layers, got "tanh"/],
  ["one layer", { widths: [], charges: [0.1] }, {}, /at least two dense layers, got 1/],
  ["a bias in ReLU layers", { relu: true, bias: "all" }, {}, /no bias in layer/],
  ["ReLU on other data", { relu: true }, {}, /no closed form fits.*along one direction.*one-hot.*ConvexReLUTrainer/],
  ["several outputs on other data", { outputs: 2 }, {}, /no closed form fits.*one output, got 2.*whitened rows/],
  ["a Schatten charge beside decay", {}, { charge: { schatten: 0.1 } }, /no regularizers beside a Schatten charge/],
  [
    "a Schatten charge of zero",
    { charges: [0, 0, 0] },
    { charge: { schatten: 0 } },
    /charge.schatten: expected a finite number above 0, got 0/,
  ],
  ["another charge", {}, { charge: "l1" }, /charge: expected "weight decay" or { schatten: gamma }, got "l1"/],
  ["an unknown option", {}, { beta: 1 }, /expected options among charge, tolerance, got "beta"/],
];
test.each(wrong)(
  "trainClosedForm refuses %s, and leaves weights and memory as they were",
  async (_, shape, options, says) => {
    const model = makeDeep({ ...usual, ...shape });
    const { outputs } = { ...usual, ...shape };
    const x = tf.tensor2d(Float32Array.from(gaussianMatrix(12, 3, 1).data), [12, 3]);
    const y = tf.tensor2d(Float32Array.from(gaussianMatrix(12, outputs, 2).data), [12, outputs]);
    const before = model.getWeights().map((weight) => [...weight.dataSync()]);
    const tensors = tf.memory().numTensors;
    await expect(trainClosedForm(model, x, y, options as ClosedFormOptions)).rejects.toThrow(says);
    expect(tf.memory().numTensors).toBe(tensors);
    expect(model.getWeights().map((weight) => [...weight.dataSync()])).toEqual(before);
    model.dispose();
    tf.dispose([x, y]);
  },
);

test("trainClosedForm refuses another loss, and rows that do not match", async () => {
  const model = makeDeep(usual);
  const x = tf.tensor2d(Float32Array.from(gaussianMatrix(12, 3, 1).data), [12, 3]);
  const y = tf.tensor2d(Float32Array.from(gaussianMatrix(10, 1, 2).data), [10, 1]);
  await expect(trainClosedForm(model, x, y)).rejects.toThrow(/as many rows of y as of x/);
  model.compile({ optimizer: "sgd", loss: "meanAbsoluteError" });
  await expect(trainClosedForm(model, x, y)).rejects.toThrow(/"meanSquaredError".*got "meanAbsoluteError"/);
  model.dispose();
  tf.dispose([x, y]);
});
