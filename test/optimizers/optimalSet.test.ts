import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import {
  ConvexReLUTrainer,
  enumerateGates,
  type FitResult,
  gatesFrom,
  optimalSet,
  type TrainerOptions,
} from "../../src/index.js";
import { makeData, makeModel } from "../helpers/models.js";
import { gaussianMatrix } from "../helpers/problems.js";
import stored from "../reference/optimal_set.json";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

/** The grid of the reference problems, on which symmetry makes many optima. */
const grid = { x: stored.problems[0].X, y: stored.problems[0].y.map((value) => [value]) };
const wide = { hiddenBias: false, outputBias: false } as const;

/** The patterns of directions on which no row lies, which the reference has for both formulations. */
function arrangements() {
  return enumerateGates({ rows: grid.x.length, cols: 2, data: Float64Array.from(grid.x.flat()) });
}

async function fitGrid(options: TrainerOptions, args: object = wide): Promise<FitResult> {
  const [x, y] = [tf.tensor2d(grid.x), tf.tensor2d(grid.y)];
  const trainer = new ConvexReLUTrainer({ arrangements: { kind: "enumerate" }, tolerance: 1e-6, ...options });
  const result = await trainer.train(x, y, { loss: "meanSquaredError", ...args });
  tf.dispose([x, y]);
  return result;
}

describe.each(stored.problems)("$formulation, beta $beta: the reference", (reference) => {
  test("the set has the dimension, the least norm and the fewest neurons that other methods find", async () => {
    const result = await fitGrid({
      arrangements: arrangements(),
      formulation: reference.formulation as "relu" | "gated",
      regularization: reference.beta,
    });
    const set = await optimalSet(result);
    expect(set.solutions[0].objective).toBeCloseTo(reference.optimum, 8);
    expect(set.candidates).toBe(reference.candidates);
    expect(set.dimension).toBe(reference.dimension);
    expect(set.prices.cheapestInside).toBeGreaterThan(1 - 1e-6);
    expect(set.prices.dearestOutside).toBeLessThan(0.999);
    const least = set.minimumNorm();
    expect(least.norm).toBeCloseTo(reference.least_norm, 6);
    const fewest = set.fewest();
    expect(fewest.neurons).toBe(reference.fewest);
    for (const { objective } of [least, fewest]) expect(objective).toBeCloseTo(reference.optimum, 8);
    result.model.dispose();
  });
});

describe.each([
  { formulation: "relu", loss: "meanSquaredError", outputBias: true },
  { formulation: "gated", loss: "meanSquaredError", outputBias: true },
  { formulation: "relu", loss: "binaryCrossentropy", outputBias: false },
  { formulation: "gated", loss: "categoricalCrossentropy", outputBias: false },
  { formulation: "relu", loss: "hinge", outputBias: true },
  { formulation: "relu", loss: "squaredHinge", outputBias: true },
] as const)("$formulation, $loss, output bias $outputBias", ({ formulation, loss, outputBias }) => {
  test("every way between two optima has one objective to 1e-7, judged by a plain forward pass", async () => {
    const targets = (value: number) => {
      if (loss === "meanSquaredError") return [value];
      if (loss === "categoricalCrossentropy") return value > 0 ? [1, 0, 0] : value < -0.9 ? [0, 1, 0] : [0, 0, 1];
      return [value > 0.4 ? 1 : loss === "binaryCrossentropy" ? 0 : -1];
    };
    const x = tf.tensor2d(grid.x);
    const y = tf.tensor2d(grid.y.map(([value]) => targets(value)));
    const trainer = new ConvexReLUTrainer({
      formulation,
      arrangements: { kind: "enumerate" },
      regularization: 0.01,
      tolerance: 1e-6,
    });
    const result = await trainer.train(x, y, { loss, hiddenBias: false, outputBias });
    const set = await optimalSet(result);
    const [start, fewest, least] = [set.solutions[0], set.fewest(), set.minimumNorm()];
    expect(fewest.neurons).toBeLessThanOrEqual(start.neurons);
    expect(least.norm).toBeLessThanOrEqual(start.norm * (1 + 1e-9));
    for (const [from, to] of [
      [start, fewest],
      [fewest, least],
    ] as const) {
      const path = set.path(from, to, { steps: 7 });
      expect(path).toHaveLength(8);
      for (const { objective } of path) expect(Math.abs(objective / result.certificate.primal - 1)).toBeLessThan(1e-5);
      const objectives = path.map(({ objective }) => objective);
      expect(Math.max(...objectives) / Math.min(...objectives) - 1).toBeLessThan(1e-7);
    }
    expect(set.distance(start, fewest)).toBeCloseTo(set.distance(fewest, start), 12);
    result.model.dispose();
    tf.dispose([x, y]);
  });
});

describe("networks of the set", () => {
  test("are written into a model of any width that holds them, and evaluate to the same loss", async () => {
    const { x, y } = { x: tf.tensor2d(grid.x), y: tf.tensor2d(grid.y) };
    const result = await fitGrid({ regularization: 0.05 }, {});
    const set = await optimalSet(result);
    const optimum = set.minimumNorm();
    const before = tf.memory().numTensors;
    const model = set.modelOf(optimum);
    model.dispose();
    expect(tf.memory().numTensors).toBe(before);
    const wider = makeModel({ units: 40, inputs: 2 });
    set.write(wider, optimum);
    const evaluate = (one: tf.Sequential) =>
      tf.tidy(() => (one.evaluate(x, y, { batchSize: 25 }) as tf.Scalar).dataSync()[0]);
    expect(evaluate(wider)).toBeCloseTo(result.objective.loss, 5);
    const narrow = makeModel({ units: 1, inputs: 2 });
    expect(() => set.write(narrow, optimum)).toThrow(`at least ${optimum.neurons} units`);
    const other = makeModel({ units: 40, inputs: 3 });
    expect(() => set.write(other, optimum)).toThrow("a model of 2 inputs and 1 output ");
    for (const one of [wider, narrow, other, result.model]) one.dispose();
    tf.dispose([x, y]);
  });

  test("joins the optima of two fits by a path of equal objective", async () => {
    const first = await fitGrid({ regularization: 0.05, formulation: "gated" });
    // The same gates in another order start the solver elsewhere.
    const { generators } = first.gates;
    const turned = generators.data
      .slice()
      .reverse()
      .map((_, k) => generators.data[generators.data.length - 2 * (k >> 1) - 2 + (k % 2)]);
    const X = { rows: 25, cols: 2, data: Float64Array.from(grid.x.flat()) };
    const gates = gatesFrom(X, { ...generators, data: turned });
    const second = await fitGrid({
      regularization: 0.05,
      formulation: "gated",
      arrangements: gates,
      solver: "fista",
      tolerance: 1e-9,
    });
    const set = await optimalSet(first, { others: [second] });
    const [a, b] = set.solutions;
    expect(b.neurons).toBe(second.problem.formulation.recover(second.problem.program, second.blocks).neurons.length);
    const objectives = set.path(a, b).map(({ objective }) => objective);
    expect(Math.max(...objectives) / Math.min(...objectives) - 1).toBeLessThan(1e-7);
    first.model.dispose();
    second.model.dispose();
  });

  test("the one chosen by validation data has the least loss on them of all that were tried", async () => {
    const arrangements = { kind: "sample", count: 200 } as const;
    const result = await fitGrid({ regularization: 0.05, formulation: "gated", arrangements }, {});
    const set = await optimalSet(result);
    const points = gaussianMatrix(40, 2, 4);
    const [x, y] = [
      tf.tensor2d(Float32Array.from(points.data), [40, 2]),
      tf.tensor2d(Float32Array.from(gaussianMatrix(40, 1, 5).data), [40, 1]),
    ];
    const lossOf = (optimum: { network: Parameters<typeof set.modelOf>[0]["network"] }) =>
      tf.tidy(() => {
        const model = set.modelOf(optimum);
        const loss = (model.evaluate(x, y, { batchSize: 40 }) as tf.Scalar).dataSync()[0];
        model.dispose();
        return loss;
      });
    const chosen = await set.choose(x, y);
    const least = lossOf(chosen);
    const vertices = Array.from({ length: 8 }, (_, seed) => set.fewest({ tries: 3, seed }));
    for (const other of [set.solutions[0], set.minimumNorm(), ...vertices]) {
      expect(lossOf(other)).toBeGreaterThanOrEqual(least - 1e-5);
      // Optimal also along the way: a convex loss that falls nowhere from here.
      for (const point of set.path(chosen, other, { steps: 10 }).slice(0, 2))
        expect(lossOf(point)).toBeGreaterThanOrEqual(least - 1e-5);
    }
    expect(lossOf(set.solutions[0])).toBeGreaterThan(1.2 * least);
    expect(chosen.objective).toBeCloseTo(result.certificate.primal, 6);
    result.model.dispose();
    tf.dispose([x, y]);
  });
});

describe("misuse is refused", () => {
  test.each([
    [{ tolerance: 0 }, "tolerance: expected a finite number above 0, got 0"],
    [{ slack: Number.NaN }, "slack: expected a finite number above 0, got NaN"],
    [{ timeLimit: "soon" }, 'timeLimit: expected a finite number above 0, got "soon"'],
    [{ tolerence: 1 }, 'got "tolerence"'],
  ])("options %j", async (options, message) => {
    const result = await fitGrid({ regularization: 0.3 });
    await expect(optimalSet(result, options as object)).rejects.toThrow(message);
    result.model.dispose();
  });

  test("what is no result, an other problem, a foreign optimum, and numbers that count nothing", async () => {
    await expect(optimalSet({} as FitResult)).rejects.toThrow("expected the result of a fit");
    const result = await fitGrid({ regularization: 0.3 });
    const { x, y } = makeData("meanSquaredError", 25, 2);
    const elsewhere = await new ConvexReLUTrainer({ regularization: 0.3 }).train(x, y, {
      loss: "meanSquaredError",
      ...wide,
    });
    const other = await fitGrid({ regularization: 0.05 });
    await expect(optimalSet(result, { others: [elsewhere] })).rejects.toThrow("got one on other data");
    await expect(optimalSet(result, { others: [other] })).rejects.toThrow("the same regularization");
    const set = await optimalSet(result);
    const foreign = (await optimalSet(other)).solutions[0];
    expect(() => set.distance(set.solutions[0], foreign)).toThrow("an optimum of this set");
    expect(() => set.path(set.solutions[0], set.solutions[0], { steps: 0 })).toThrow(
      "steps: expected an integer of 1 to 10000, got 0",
    );
    expect(() => set.fewest({ tries: 0.5 })).toThrow("tries: expected an integer of 1 to 100000, got 0.5");
    await expect(set.choose(x, y.reshape([1, 25]))).rejects.toThrow("y of shape [rows, 1]");
    for (const one of [result, elsewhere, other]) one.model.dispose();
    tf.dispose([x, y]);
  });
});
