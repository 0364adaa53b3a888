import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import { gaussianSource } from "../../src/convex/linear/random.js";
import { lossTraits } from "../../src/convex/losses/index.js";
import type { LossName } from "../../src/convex/types.js";
import {
  branchPower,
  type ConvexError,
  fitParallel,
  onesColumn,
  type ParallelOptions,
  registerLayers,
  trainParallel,
} from "../../src/index.js";
import { makeData, saveAndLoad } from "../helpers/models.js";
import { objectiveOf } from "../helpers/objective.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

/** Six rows with targets of both kinds. */
function rowsFor(loss: LossName, columns: number): { x: tf.Tensor2D; y: tf.Tensor2D } {
  const draw = gaussianSource(5);
  const x = tf.tensor2d(Float32Array.from({ length: 6 * columns }, draw), [6, columns]);
  const { targets } = lossTraits[loss];
  const y = Array.from({ length: 6 }, (_, k) => {
    if (targets === "real") return 1.5 * draw();
    return [0, 3, 4].includes(k) ? 1 : targets === "sign" ? -1 : 0;
  });
  return { x, y: tf.tensor2d(y, [6, 1]) };
}

const losses = ["meanSquaredError", "binaryCrossentropy", "squaredHinge", "huberLoss", "logcosh"] as const;
const charges = ["power", "path"] as const;

describe("trainParallel", () => {
  test.each(losses.flatMap((loss) => charges.map((charge) => [loss, charge] as const)))(
    "returns a plain model that attains the optimum over all branches (%s, %s)",
    async (loss, charge) => {
      const { x, y } = rowsFor(loss, 1);
      const tensors = tf.memory().numTensors;
      const options = { loss, charge, hidden: 2, regularization: 0.01, tolerance: 1e-5 };
      const { model, certificate, objective, status, branches } = await trainParallel(x, y, options);
      expect(status).toBe("solved");
      expect(certificate.scope).toBe("all blocks");
      expect(certificate.relativeGap).toBeLessThanOrEqual(1e-5);
      expect(certificate.dual).toBeLessThanOrEqual(certificate.primal);
      expect(Math.abs(objectiveOf(model, x, y) / objective.total - 1)).toBeLessThan(1e-5);
      expect(objective.total / certificate.primal).toBeCloseTo(1, 5);
      expect(model.layers.map((layer) => layer.getClassName())).toEqual(["OnesColumn", "Dense", "Dense", "Dense"]);
      expect(branches).toBeLessThanOrEqual(6);
      const second = await model.layers[2].getWeights()[0].array();
      (second as number[][]).forEach((row, k) => {
        expect(row.every((value, c) => value === 0 || c === Math.floor(k / 2))).toBe(true);
      });
      model.dispose();
      expect(tf.memory().numTensors).toBe(tensors);
      tf.dispose([x, y]);
    },
  );

  test("without biases it is three dense layers, saved and loaded they predict the same, and more branches are zero", async () => {
    registerLayers();
    const { x, y } = makeData("meanSquaredError", 5, 2);
    const plain = {
      loss: "meanSquaredError",
      hidden: 2,
      regularization: 0.02,
      hiddenBias: false,
      outputBias: false,
    } as const;
    for (const charge of charges) {
      const narrow = await trainParallel(x, y, { ...plain, charge });
      const wide = await trainParallel(x, y, { ...plain, charge, branches: 9 });
      expect(wide.model.layers.map((layer) => layer.getConfig().units)).toEqual([18, 9, 1]);
      expect(wide.branches).toBe(narrow.branches);
      expect(wide.objective.total).toBeCloseTo(narrow.objective.total, 6);
      expect(objectiveOf(wide.model, x, y)).toBeCloseTo(wide.objective.total, 5);
      const loaded = await saveAndLoad(wide.model);
      const [before, after] = [wide.model, loaded].map((m) => Array.from((m.predict(x) as tf.Tensor).dataSync()));
      expect(after).toEqual(before);
      for (const model of [narrow.model, wide.model, loaded]) model.dispose();
    }
    tf.dispose([x, y]);
  });

  test("a branch of more neurons is never dearer, and one neuron a branch is the two-layer program", async () => {
    const { x, y } = makeData("meanSquaredError", 6, 2);
    const plain = { loss: "meanSquaredError", regularization: 0.02, hiddenBias: false, tolerance: 1e-6 } as const;
    for (const charge of charges) {
      let before = Number.POSITIVE_INFINITY;
      for (const hidden of [1, 2, 3]) {
        const { model, certificate } = await trainParallel(x, y, { ...plain, charge, hidden });
        expect(certificate.dual).toBeLessThanOrEqual(before);
        before = certificate.primal;
        model.dispose();
      }
    }
    tf.dispose([x, y]);
  });

  test("on more rows it takes sampled blocks, says so, and more of them never raise the value", async () => {
    const { x, y } = makeData("meanSquaredError", 20, 2);
    const plain = { loss: "meanSquaredError", hidden: 2, regularization: 0.02, tolerance: 1e-4 } as const;
    for (const charge of charges) {
      let before = Number.POSITIVE_INFINITY;
      for (const count of [10, 40]) {
        const arrangements = { kind: "sample", count } as const;
        const { model, certificate, status, blocks } = await trainParallel(x, y, { ...plain, charge, arrangements });
        expect(status).toBe("solved");
        expect(certificate.scope).toBe("these blocks");
        expect(certificate.claim).toMatch(`lie in the ${count} sampled blocks`);
        expect(blocks.count).toBe(count);
        expect(certificate.dual).toBeLessThanOrEqual(before);
        before = certificate.primal;
        model.dispose();
      }
    }
    tf.dispose([x, y]);
  });

  test("time that is up is a status with a network and a bound that hold", async () => {
    const { x, y } = makeData("meanSquaredError", 10, 2);
    const options = {
      loss: "meanSquaredError",
      hidden: 3,
      regularization: 0.001,
      timeLimit: 0.2,
      tolerance: 1e-9,
    } as const;
    const { model, certificate, status, objective } = await trainParallel(x, y, options);
    expect(status).toBe("timeLimit");
    expect(certificate.dual).toBeLessThanOrEqual(objective.total);
    model.dispose();
    const stopped = await trainParallel(x, y, { ...options, signal: AbortSignal.abort() });
    expect(stopped.status).toBe("cancelled");
    stopped.model.dispose();
    tf.dispose([x, y]);
  });

  test("rows that are repeated, zero or constant, and a charge that nothing pays, are solved too", async () => {
    const rows = [
      [1, 0],
      [1, 0],
      [0, 0],
      [-2, 1],
      [0.5, 1],
    ];
    const x = tf.tensor2d(rows);
    const y = tf.tensor2d([[1], [2], [0], [-1], [1]]);
    for (const charge of charges) {
      for (const regularization of [1e-4, 0.05, 100]) {
        const options = { loss: "meanSquaredError", hidden: 2, regularization, charge, hiddenBias: false } as const;
        const { model, certificate, status, branches } = await trainParallel(x, y, options);
        expect(status).toBe("solved");
        expect(certificate.scope).toBe("all blocks");
        if (regularization === 100) expect(branches).toBe(0);
        expect(objectiveOf(model, x, y)).toBeCloseTo(certificate.network, 4);
        model.dispose();
      }
    }
    tf.dispose([x, y]);
  });
});

type Part = Parameters<typeof tf.layers.dense>[0];

/** [OnesColumn,] dense - dense - dense of K branches of two neurons. */
function deep(K: number, parts: readonly Partial<Part>[], hiddenBias = false, activation = "relu"): tf.Sequential {
  const inputShape = [2];
  const unbiased = { useBias: false, activation: activation as "relu" };
  const model = tf.sequential({
    layers: [
      ...(hiddenBias ? [onesColumn({ inputShape })] : []),
      tf.layers.dense({ units: 2 * K, ...unbiased, ...parts[0], ...(hiddenBias ? {} : { inputShape }) }),
      tf.layers.dense({ units: K, ...unbiased, ...parts[1] }),
      tf.layers.dense({ units: 1, ...parts[2] }),
    ],
  });
  model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
  return model;
}

const power = (K: number, factor = 0.01) =>
  (["outputs", "outputs", "inputs"] as const).map((along) => ({
    kernelRegularizer: branchPower({ factor, branches: K, along }),
  }));
const l2 = (factor: number) => ({ kernelRegularizer: tf.regularizers.l2({ l2: factor }) });
const path = (factor: number) => [{ kernelConstraint: tf.constraints.unitNorm({ axis: 0 }) }, l2(factor), l2(factor)];

describe("fitParallel", () => {
  test.each([
    ["third powers", power(8), "power", 0.03],
    ["neurons of length 1", path(0.01), "path", 0.02],
  ] as const)("writes the optimum into a model that asks for it by its layers (%s)", async (_, parts, charge, beta) => {
    const { x, y } = makeData("meanSquaredError", 6, 2);
    for (const hiddenBias of [false, true]) {
      const model = deep(8, parts, hiddenBias);
      const tensors = tf.memory().numTensors;
      const fitted = await fitParallel(model, x, y, { tolerance: 1e-5 });
      expect(tf.memory().numTensors).toBe(tensors);
      expect(fitted.model).toBe(model);
      expect(objectiveOf(model, x, y)).toBeCloseTo(fitted.certificate.network, 5);
      const options = { loss: "meanSquaredError", hidden: 2, regularization: beta, charge, hiddenBias } as const;
      const own = await trainParallel(x, y, { ...options, tolerance: 1e-5 });
      expect(fitted.objective.total).toBeCloseTo(own.objective.total, 5);
      for (const made of [model, own.model]) made.dispose();
    }
    tf.dispose([x, y]);
  });

  const wrong: [name: string, model: () => tf.Sequential, code: string, says: RegExp][] = [
    [
      "weight decay of all three layers, and says what holds",
      () => deep(4, [l2(0.1), l2(0.1), l2(0.1)]),
      "model/regularizer",
      /got weight decay of all three layers, which has none.* branchPower\(\{ factor: beta \/ 3, branches \}\).*unitNorm/,
    ],
    ["no regularization", () => deep(4, [{}, {}, {}]), "model/regularizer", /got none, none, none/],
    ["another power", () => deep(4, power(2)), "model/regularizer", /BranchPower, BranchPower, BranchPower/],
    ["neurons of any length", () => deep(4, [{}, l2(0.1), l2(0.1)]), "model/regularizer", /got none, L1L2, L1L2/],
    [
      "hidden layers with a bias",
      () =>
        deep(
          4,
          power(4).map((part) => ({ ...part, useBias: true })),
        ),
      "model/layer",
      /put onesColumn\(\)/,
    ],
    [
      "another activation",
      () => deep(4, power(4), false, "tanh"),
      "model/activation",
      /expected the activation "relu" .* got "tanh"/,
    ],
    [
      "too few branches",
      () => deep(1, power(1, 1e-5)),
      "model/units",
      /expected at least \d branches, which the optimum takes, got 1/,
    ],
  ];
  test.each(wrong)("refuses %s, and leaves the weights as they were", async (_, make, code, says) => {
    const { x, y } = makeData("meanSquaredError", 6, 2);
    const model = make();
    const values = () => model.getWeights().map((weight) => Array.from(weight.dataSync()));
    const before = values();
    const tensors = tf.memory().numTensors;
    const refusal = await fitParallel(model, x, y).then(
      () => null,
      (error: ConvexError) => error,
    );
    expect(refusal?.code).toBe(code);
    expect(refusal?.message).toMatch(says);
    expect(values()).toEqual(before);
    expect(tf.memory().numTensors).toBe(tensors);
    model.dispose();
    tf.dispose([x, y]);
  });

  test("refuses models of other layers, uncompiled ones and losses with kinks", async () => {
    const { x, y } = makeData("meanSquaredError", 6, 2);
    const two = tf.sequential({
      layers: [tf.layers.dense({ units: 3, inputShape: [2] }), tf.layers.dense({ units: 1 })],
    });
    await expect(fitParallel(two, x, y)).rejects.toThrow(
      /expected a model dense - dense - dense, .* got Dense - Dense/,
    );
    await expect(fitParallel({} as tf.Sequential, x, y)).rejects.toThrow(/expected a tf.LayersModel/);
    const kinks = deep(4, power(4));
    kinks.compile({ optimizer: "sgd", loss: "hinge" });
    await expect(fitParallel(kinks, x, y)).rejects.toThrow(/a loss of one output without kinks, .* got "hinge"/);
    for (const made of [two, kinks]) made.dispose();
    tf.dispose([x, y]);
  });
});

const bad: [name: string, options: object, says: RegExp][] = [
  ["a loss with kinks", { loss: "hinge" }, /a loss of one output without kinks, .* got "hinge"/],
  ["a loss of classes", { loss: "categoricalCrossentropy" }, /a loss of one output without kinks/],
  ["no hidden neurons", { hidden: 0 }, /hidden: expected an integer of 1 to 64, got 0/],
  ["half a branch", { branches: 1.5 }, /branches: expected an integer of 1 to 4096, got 1.5/],
  ["no regularization", { regularization: 0 }, /regularization: expected a finite number above 0, .* got 0/],
  ["weight decay", { charge: "l2" }, /charge: expected "power" or "path", got "l2"/],
  ["an unknown option", { width: 3 }, /trainParallel: expected options among .* got "width"/],
  [
    "arrangements that grow",
    { arrangements: { kind: "grow" } },
    /arrangements.kind: expected "enumerate" or "sample", got "grow"/,
  ],
  [
    "a sample of none",
    { arrangements: { kind: "sample", count: 0 } },
    /arrangements.count: expected an integer of 1 to 100000, got 0/,
  ],
  [
    "an unknown word in arrangements",
    { arrangements: { kind: "enumerate", seed: 1 } },
    /arrangements: expected options among kind, got "seed"/,
  ],
];
test.each(bad)("trainParallel refuses %s", async (_, options, says) => {
  const { x, y } = makeData("meanSquaredError", 6, 2);
  const tensors = tf.memory().numTensors;
  const given = { loss: "meanSquaredError", hidden: 2, regularization: 0.1, ...options } as ParallelOptions;
  await expect(trainParallel(x, y, given)).rejects.toThrow(says);
  expect(tf.memory().numTensors).toBe(tensors);
  tf.dispose([x, y]);
});

test("trainParallel refuses to enumerate on too many rows, and two columns of targets", async () => {
  const { x, y } = makeData("meanSquaredError", 20, 2);
  const given = { loss: "meanSquaredError", hidden: 2, regularization: 0.1 } as const;
  const all = trainParallel(x, y, { ...given, arrangements: { kind: "enumerate" } });
  await expect(all).rejects.toThrow(/at most 14 rows, .* got 20\. .*kind: "sample"/);
  const wide = tf.zeros([20, 2]);
  await expect(trainParallel(x, wide, given)).rejects.toThrow(/y/);
  tf.dispose([x, y, wide]);
});
