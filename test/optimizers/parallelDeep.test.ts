/** Parallel ReLU networks of more than three layers: trainParallel and fitParallel. */

import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import {
  branchPower,
  type ConvexError,
  fitParallel,
  type ParallelOptions,
  registerLayers,
  trainParallel,
} from "../../src/index.js";
import { makeData, saveAndLoad, weightsIn } from "../helpers/models.js";
import { objectiveOf } from "../helpers/objective.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
  registerLayers();
});

const plain = { loss: "meanSquaredError", regularization: 0.02, hiddenBias: false } as const;

/** dense - .. - dense of such widths, its charges as `parts` says. */
function deep(widths: readonly number[], parts: readonly object[]): tf.Sequential {
  const layers = widths.map((units, l) =>
    tf.layers.dense({
      ...{ units, useBias: false, activation: "relu", ...parts[l] },
      ...(l === 0 ? { inputShape: [2] } : {}),
    }),
  );
  const model = tf.sequential({ layers: [...layers, tf.layers.dense({ units: 1, ...parts[widths.length] })] });
  model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
  return model;
}

const l2 = (factor = 0.01) => ({ kernelRegularizer: tf.regularizers.l2({ l2: factor }) });
const unit = () => ({ kernelConstraint: tf.constraints.unitNorm({ axis: 0 }) });
const power = (K: number, L: number, factor = 0.02 / L) =>
  Array.from({ length: L }, (_, l) => {
    const along = l < L - 1 ? ("outputs" as const) : ("inputs" as const);
    return { kernelRegularizer: branchPower({ factor, power: L, branches: K, along }) };
  });

describe("trainParallel", () => {
  test.each([
    { hidden: [2, 2], rows: 3 },
    { hidden: [1, 2], rows: 3, hiddenBias: true },
    { hidden: [1, 2, 1], rows: 2 },
    { hidden: [2, 1], rows: 5, charge: "power" as const },
    { hidden: [2, 2], rows: 12, arrangements: { kind: "sample" as const, count: 30 } },
  ])("returns a model whose trees attain the optimum: %j", async ({ rows, ...more }) => {
    const { x, y } = makeData("meanSquaredError", rows, 2);
    const tensors = tf.memory().numTensors;
    const { hidden, charge = "path" } = more;
    const K = rows + 2;
    const { model, certificate, objective, status, branches } = await trainParallel(x, y, {
      ...{ ...plain, ...more, branches: K },
    });
    expect(status).toBe("solved");
    expect(branches).toBeLessThanOrEqual(rows);
    expect(certificate.scope).toBe("arrangements" in more ? "these blocks" : "all blocks");
    expect(certificate.relativeGap).toBeLessThanOrEqual(1e-3);
    expect(certificate.dual).toBeLessThanOrEqual(certificate.primal);
    expect(Math.abs(objective.total / certificate.primal - 1)).toBeLessThan(1e-5);
    expect(Math.abs(objectiveOf(model, x, y) / objective.total - 1)).toBeLessThan(1e-5);
    const kernels = model.layers.filter((layer) => layer.getClassName() === "Dense").map((l) => l.getWeights()[0]);
    const widths = hidden.map((_, l) => hidden.slice(l).reduce((all, m) => all * m, K));
    expect(kernels.map(({ shape }) => shape[1])).toEqual([...widths, K, 1]);
    for (const [l, kernel] of kernels.slice(0, -1).entries()) {
      const values = (await kernel.array()) as number[][];
      if (l > 0) {
        values.forEach((row, a) => {
          expect(row.every((value, b) => value === 0 || b === Math.floor(a / hidden[l - 1]))).toBe(true);
        });
      }
      if (charge === "power" || l === kernels.length - 2) continue;
      for (let b = 0; b < values[0].length; b++) expect(Math.hypot(...values.map((row) => row[b]))).toBeCloseTo(1, 5);
    }
    const held = tf.memory().numTensors;
    const loaded = await saveAndLoad(model);
    tf.tidy(() => {
      // What is read back is made of length 1 once more.
      const [before, after] = [model, loaded].map((each) => Array.from((each.predict(x) as tf.Tensor).dataSync()));
      after.forEach((value, k) => {
        expect(Math.abs(value - before[k])).toBeLessThan(1e-6);
      });
    });
    loaded.dispose();
    const lost = tf.memory().numTensors - held; // by TensorFlow.js, one for each constraint that it applies as it loads
    model.dispose();
    expect(tf.memory().numTensors - lost).toBe(tensors);
    tf.dispose([x, y]);
  });

  test("returns a model of as many branches as the optimum takes, where no more are asked for", async () => {
    const { x, y } = makeData("meanSquaredError", 3, 2);
    const [asked, more] = await Promise.all(
      [1, 8].map((branches) => trainParallel(x, y, { ...plain, hidden: [1, 2], branches })),
    );
    expect(asked.branches).toBe(more.branches);
    const widths = asked.model.layers.map((layer) => layer.outputShape[1]);
    expect(widths).toEqual([2 * asked.branches, 2 * asked.branches, asked.branches, 1]);
    for (const { model } of [asked, more]) model.dispose();
    tf.dispose([x, y]);
  });

  test.each([
    [
      { hidden: [2, 2], charge: "power" },
      /charge: expected path regularization .* got powers of norms.*units: "gated"/,
    ],
    [{ hidden: [2, 2], charge: "l2" }, /charge: expected "power" or "path", got "l2"/],
    [{ hidden: [2, 2], charge: null }, /charge: expected "power" or "path", got null/],
    [{ hidden: [8, 9] }, /hidden: expected numbers whose product is at most 64, got 72/],
    [{ hidden: [] }, /hidden: expected an integer or a list of 1 to 16, got/],
    [{ hidden: [2, 0] }, /hidden\[1\]: expected an integer of 1 to 64, got 0/],
    [
      { hidden: [2, 2], arrangements: { kind: "enumerate" } },
      /for all blocks to be priced, at most 6 rows, .* got 9\. .*kind: "sample"/,
    ],
    [
      { hidden: [1, 2, 4], arrangements: { kind: "enumerate" } },
      /at most 6 neurons of the second layer in a branch, got 8/,
    ],
  ])("refuses what has no program: %j", async (more, says) => {
    const { x, y } = makeData("meanSquaredError", 9, 2);
    const tensors = tf.memory().numTensors;
    await expect(trainParallel(x, y, { ...plain, ...more } as ParallelOptions)).rejects.toThrow(says);
    expect(tf.memory().numTensors).toBe(tensors);
    tf.dispose([x, y]);
  });
});

describe("fitParallel", () => {
  test.each([
    ["neurons of length 1", deep([16, 8, 4], [unit(), unit(), l2(), l2()]), { hidden: [2, 2], charge: "path" }],
    ["five layers", deep([8, 8, 8, 4], [unit(), unit(), unit(), l2(), l2()]), { hidden: [1, 1, 2], charge: "path" }],
    ["fourth powers of one tail", deep([8, 4, 4], power(4, 4)), { hidden: [2, 1], charge: "power" }],
  ] as const)("writes the optimum into a model that asks for it by its layers (%s)", async (_, model, more) => {
    const { x, y } = makeData("meanSquaredError", 3, 2);
    const tensors = tf.memory().numTensors;
    const fitted = await fitParallel(model, x, y);
    expect(tf.memory().numTensors).toBe(tensors);
    expect(fitted.model).toBe(model);
    expect(objectiveOf(model, x, y)).toBeCloseTo(fitted.certificate.network, 5);
    const own = await trainParallel(x, y, { ...plain, ...more });
    expect(fitted.objective.total).toBeCloseTo(own.objective.total, 6);
    for (const made of [model, own.model]) made.dispose();
    tf.dispose([x, y]);
  });

  const wrong: [name: string, model: () => tf.Sequential, code: string, says: RegExp][] = [
    [
      "weight decay of all layers",
      () => deep([8, 4, 2], [l2(), l2(), l2(), l2()]),
      "model/regularizer",
      /got weight decay of all 4 layers.* Give each of the first 2 tf\.constraints\.unitNorm/,
    ],
    [
      "powers of norms of several tails",
      () => deep([8, 4, 2], power(2, 4)),
      "model/regularizer",
      /expected path regularization .* got 2, 2 neurons, each with powers of norms.* Give each of the first 2/,
    ],
    [
      "neurons of any length in a layer between",
      () => deep([8, 4, 2], [unit(), {}, l2(), l2()]),
      "model/regularizer",
      /got UnitNorm, none, L1L2, L1L2/,
    ],
    ["widths that don't divide", () => deep([8, 3, 2], [unit(), unit(), l2(), l2()]), "model/units", /got 8 and 3/],
    [
      "too few branches",
      () => deep([2, 2, 1], [unit(), unit(), l2(1e-5), l2(1e-5)]),
      "model/units",
      /expected at least (\d) branches, .* got 1\. Build the model with \d+, \d+ and \1 units/,
    ],
  ];
  test.each(wrong)("refuses %s, and leaves the weights as they were", async (_, make, code, says) => {
    const { x, y } = makeData("meanSquaredError", 3, 2);
    const model = make();
    const before = weightsIn(model);
    const tensors = tf.memory().numTensors;
    const refusal = await fitParallel(model, x, y).then(
      () => null,
      (error: ConvexError) => error,
    );
    expect(refusal?.message).toMatch(says);
    expect(refusal?.code).toBe(code);
    expect(weightsIn(model)).toEqual(before);
    expect(tf.memory().numTensors).toBe(tensors);
    model.dispose();
    tf.dispose([x, y]);
  });
});
