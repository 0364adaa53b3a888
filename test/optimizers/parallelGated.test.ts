import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import { gaussianSource } from "../../src/convex/linear/random.js";
import { bindLoss, lossTraits } from "../../src/convex/losses/index.js";
import { drawBranchGates } from "../../src/convex/parallel/gated/index.js";
import type { LossName } from "../../src/convex/types.js";
import {
  branchPower,
  type ConvexError,
  fitParallel,
  gatedBranches,
  onesColumn,
  type ParallelOptions,
  registerLayers,
  trainParallel,
} from "../../src/index.js";
import { type GatedParts, gatedPartsOf, gatedWishOf } from "../../src/optimizers/parallel/gated/wish.js";
import { writtenGated } from "../../src/optimizers/parallel/gated/written.js";
import { expectNear } from "../helpers/expectNear.js";
import { makeData, saveAndLoad, weightsIn } from "../helpers/models.js";
import { objectiveOf } from "../helpers/objective.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
  registerLayers();
});

/** 24 rows of three columns, with targets of the kind that the loss wants. */
function rowsFor(loss: LossName, outputs: number): { x: tf.Tensor2D; y: tf.Tensor2D } {
  const draw = gaussianSource(9);
  const n = 24;
  const x = tf.tensor2d(Float32Array.from({ length: 3 * n }, draw), [n, 3]);
  const { targets } = lossTraits[loss];
  const y = Array.from({ length: n }, () => {
    const values = Array.from({ length: outputs }, draw);
    if (targets === "real") return values;
    if (targets === "distribution") return values.map((_, c) => Number(values[c] === Math.max(...values)));
    return values.map((value) => (value > 0 ? 1 : targets === "sign" ? -1 : 0));
  });
  return { x, y: tf.tensor2d(y) };
}

const gated = { units: "gated", hidden: 3, branches: 5, regularization: 0.03 } as const;

/** [OnesColumn,] GatedBranches - dense of so many branches. */
function modelOf({
  branches = 12,
  hidden = 2 as number | number[],
  degree = 3,
  outputs = 1,
  activation = "linear",
  loss = "meanSquaredError",
  factor = 0.01,
} = {}) {
  const power = (along: "outputs" | "inputs") => branchPower({ factor, power: degree, branches, along });
  const layers = [
    onesColumn({ inputShape: [3] }),
    gatedBranches({
      branches,
      hidden,
      seed: 3,
      kernelRegularizer: power("outputs"),
      secondRegularizer: power("inputs"),
    }),
    tf.layers.dense({ units: outputs, activation: activation as "linear", kernelRegularizer: power("inputs") }),
  ];
  const model = tf.sequential({ layers });
  model.compile({ optimizer: "adam", loss });
  return model;
}

async function codeOf(promise: Promise<unknown>): Promise<[code: string, message: string]> {
  try {
    await promise;
  } catch (error) {
    return [(error as ConvexError).code, (error as Error).message];
  }
  return ["none", ""];
}

describe("trainParallel of gated units", () => {
  const cases: [LossName, number, "power" | "path", number | number[]][] = [
    ["meanSquaredError", 1, "power", 3],
    ["meanSquaredError", 2, "path", [3]],
    ["binaryCrossentropy", 1, "path", 3],
    ["hinge", 1, "power", 3],
    ["huberLoss", 2, "power", 3],
    ["categoricalCrossentropy", 3, "power", 3],
    ["categoricalCrossentropy", 3, "path", 3],
    ["meanSquaredError", 1, "power", [3, 2]],
    ["binaryCrossentropy", 1, "power", [2, 2, 2]],
    ["hinge", 2, "power", [2, 3]],
    ["categoricalCrossentropy", 3, "power", [3, 2]],
  ];
  test.each(cases)(
    "returns a model that attains the optimum of its gates (%s, %i outputs, %s, hidden %j)",
    async (loss, outputs, charge, hidden) => {
      const { x, y } = rowsFor(loss, outputs);
      const tensors = tf.memory().numTensors;
      const result = await trainParallel(x, y, { ...gated, loss, charge, hidden, tolerance: 1e-5 });
      const { model, certificate, objective, status } = result;
      expect(status).toBe("solved");
      expect(certificate.scope).toBe("these gates");
      expect(certificate.relativeGap).toBeLessThanOrEqual(1e-5);
      expect(certificate.claim).toContain("that have these gates");
      const layers = (Array.isArray(hidden) ? hidden.length : 1) + 2;
      const kind = charge === "path" ? "path" : ["third", "fourth", "fifth"][layers - 3];
      expect(certificate.claim).toContain(`(loss and ${kind}`);
      expect(objective.total / certificate.primal).toBeCloseTo(1, 5);
      expect(Math.abs(objectiveOf(model, x, y) / objective.total - 1)).toBeLessThan(1e-5);
      expect(model.layers.map((layer) => layer.getClassName())).toEqual(["OnesColumn", "GatedBranches", "Dense"]);
      model.dispose();
      expect(tf.memory().numTensors).toBe(tensors);
      tf.dispose([x, y]);
    },
  );

  test("the model is saved and loaded as it is", async () => {
    const { x, y } = rowsFor("meanSquaredError", 2);
    for (const wish of [{}, { charge: "path" }, { hidden: [2, 3] }] as const) {
      const { model } = await trainParallel(x, y, { ...gated, loss: "meanSquaredError", ...wish });
      const loaded = await saveAndLoad(model);
      const [before, after] = [model, loaded].map((m) =>
        tf.tidy(() => Array.from((m.predict(x) as tf.Tensor).dataSync())),
      );
      expectNear(after, before, 1e-6);
      loaded.dispose();
      model.dispose();
    }
    tf.dispose([x, y]);
  });

  test("a second fit of the model it returned finds the same optimum over its gates", async () => {
    for (const wish of [{}, { charge: "path" }, { hidden: [2, 3], regularization: 0.01 }] as const) {
      const { x, y } = rowsFor("meanSquaredError", 2);
      const options = { ...gated, loss: "meanSquaredError", ...wish, tolerance: 1e-6 } as const;
      const { model, objective, branches } = await trainParallel(x, y, options);
      const again = await fitParallel(model, x, y, { tolerance: 1e-6 });
      expect(Math.abs(again.objective.total / objective.total - 1)).toBeLessThan(1e-5);
      expect(again.branches).toBeLessThanOrEqual(Math.max(branches, gated.branches));
      model.dispose();
      tf.dispose([x, y]);
    }
  });

  test("the same seed gives the same model, and weights of rows are as the rows repeated", async () => {
    const { x, y } = rowsFor("meanSquaredError", 1);
    const options = { ...gated, loss: "meanSquaredError", tolerance: 1e-7 } as const;
    const sampleWeight = tf.tensor1d(Array.from({ length: 24 }, (_, k) => (k < 12 ? 2 : 0)));
    const one = await trainParallel(x, y, options);
    const two = await trainParallel(x, y, options);
    expect(weightsIn(two.model)).toEqual(weightsIn(one.model));
    const weighted = await trainParallel(x, y, { ...options, sampleWeight });
    const [half, targets] = [x.slice([0, 0], [12, 3]), y.slice([0, 0], [12, 1])];
    const plain = await trainParallel(half, targets, options);
    expect(weighted.objective.total).toBeCloseTo(plain.objective.total, 6);
    for (const { model } of [one, two, weighted, plain]) model.dispose();
    tf.dispose([x, y, half, targets, sampleWeight]);
  });

  test("time that is up, and a signal, are a status with a network and a bound that hold", async () => {
    const { x, y } = makeData("meanSquaredError", 120, 5);
    const options = {
      units: "gated",
      loss: "meanSquaredError",
      hidden: 10,
      branches: 20,
      regularization: 1e-4,
      charge: "path",
    } as const;
    const { model, certificate, status, objective } = await trainParallel(x, y, {
      ...options,
      timeLimit: 0.1,
      tolerance: 1e-12,
    });
    expect(status).toBe("timeLimit");
    expect(certificate.dual).toBeLessThanOrEqual(objective.total);
    const stopped = await trainParallel(x, y, { ...options, signal: AbortSignal.abort() });
    expect(stopped.status).toBe("cancelled");
    expect(stopped.certificate.dual).toBeLessThanOrEqual(stopped.objective.total);
    for (const each of [model, stopped.model]) each.dispose();
    tf.dispose([x, y]);
  });

  test.each([
    [{ units: "deep" }, "options/value", '"relu" or "gated"'],
    [{ arrangements: { kind: "enumerate" } }, "options/value", "gated"],
    [{ branches: 0 }, "options/value", "branches"],
    [{ hidden: 5000 }, "options/value", "hidden"],
    [{ hidden: 1000, branches: 1e5 }, "options/value", "branches"],
    [{ hidden: [40, 40], branches: 1000 }, "options/value", "branches"],
    [{ hidden: [100, 100] }, "options/value", "product"],
    [{ hidden: [] }, "options/value", "hidden"],
    [{ hidden: [3, -1] }, "options/value", "hidden[1]"],
    [{ hidden: [3, 2], units: "relu", charge: "power" }, "options/value", 'units: "gated"'],
    [{ hidden: [3, 2], charge: "path" }, "options/value", 'Choose "power"'],
    [{ hidden: 1000, branches: 1e6 / 1000, wide: 300 }, "data/size", "301 columns"],
    [{ regularization: 0 }, "options/value", "regularization"],
    [{ loss: "cosine" }, "options/value", "loss"],
    [{ loss: "hinge", charge: "path" }, "data/target", "-1"],
    [{ charge: "l2" }, "options/value", "charge"],
  ])("options that do not fit are refused in words: %j", async (given, code, words) => {
    const { x: narrow, y } = rowsFor("meanSquaredError", 1);
    const { wide = 3, ...mine } = given as { wide?: number };
    const x = tf.tidy(() => tf.tile(narrow, [1, wide / 3]));
    const options = { ...gated, loss: "meanSquaredError", ...mine } as unknown as ParallelOptions;
    const [found, message] = await codeOf(trainParallel(x, y, options));
    expect(found).toBe(code);
    expect(message).toContain(words);
    tf.dispose([narrow, x, y]);
  });

  test("a loss with kinks is refused where branches are charged as a whole, with what to do", async () => {
    const { x, y } = rowsFor("hinge", 1);
    const [code, message] = await codeOf(trainParallel(x, y, { ...gated, loss: "hinge", charge: "path" }));
    expect(code).toBe("model/loss");
    expect(message).toContain('charge: "power"');
    tf.dispose([x, y]);
  });
});

describe("fitParallel of gated branches", () => {
  test("solves over the gates of a layer of more hidden layers, and model.fit from there or elsewhere ends no lower", async () => {
    const { x, y } = rowsFor("meanSquaredError", 1);
    const shape = { branches: 16, hidden: [3, 2], degree: 4, factor: 0.005 };
    const [model, rival] = [modelOf(shape), modelOf(shape)];
    /** The first neuron's gate of every branch. */
    const gates = () =>
      tf
        .tidy(() => model.layers[1].getWeights()[3].transpose().arraySync() as number[][])
        .filter((_, u) => u % 3 === 0);
    const before = gates();
    const { certificate, objective, status } = await fitParallel(model, x, y, { tolerance: 1e-6 });
    expect(status).toBe("solved");
    expect(Math.abs(objective.total / certificate.primal - 1)).toBeLessThan(1e-5);
    expect(Math.abs(objectiveOf(model, x, y) / objective.total - 1)).toBeLessThan(1e-5);
    for (const gate of gates()) expect(before).toContainEqual(gate);
    for (const each of [model, rival]) {
      await each.fit(x, y, { epochs: 200, verbose: 0, batchSize: 24 });
      expect(objectiveOf(each, x, y)).toBeGreaterThan(certificate.dual);
      each.optimizer.dispose();
      each.dispose();
    }
    tf.dispose([x, y]);
  });

  test("solves over the gates of the layer, class numbers as labels, and model.fit ends no lower", async () => {
    const { x, y } = rowsFor("categoricalCrossentropy", 3);
    const labels = tf.tidy(() => y.argMax(1).toFloat().reshape([-1, 1]));
    const shape = {
      branches: 40,
      outputs: 3,
      activation: "softmax",
      loss: "sparseCategoricalCrossentropy",
      factor: 0.02,
    };
    const [model, rival] = [modelOf(shape), modelOf(shape)];
    const tensors = tf.memory().numTensors;
    const { certificate, objective, status, model: same } = await fitParallel(model, x, labels);
    expect(tf.memory().numTensors).toBe(tensors);
    expect(same).toBe(model);
    expect(status).toBe("solved");
    expect(Math.abs(objectiveOf(model, x, labels) / objective.total - 1)).toBeLessThan(1e-5);
    await rival.fit(x, labels, { epochs: 300, verbose: 0, batchSize: 24 });
    expect(objectiveOf(rival, x, labels)).toBeGreaterThan(certificate.dual);
    for (const each of [model, rival]) {
      each.optimizer.dispose();
      each.dispose();
    }
    tf.dispose([x, y, labels]);
  });

  test("models, data and gates that do not fit are refused in words, their weights as they were", async () => {
    const { x, y } = rowsFor("meanSquaredError", 1);
    const two = rowsFor("meanSquaredError", 2);
    const decayed = tf.sequential({
      layers: [
        gatedBranches({ branches: 2, hidden: 2, inputShape: [3], kernelRegularizer: tf.regularizers.l2({ l2: 0.1 }) }),
        tf.layers.dense({ units: 1 }),
      ],
    });
    decayed.compile({ optimizer: "sgd", loss: "meanSquaredError" });
    const deeper = tf.sequential({
      layers: [
        gatedBranches({ branches: 2, hidden: 2, inputShape: [3] }),
        tf.layers.reLU(),
        tf.layers.dense({ units: 1 }),
      ],
    });
    deeper.compile({ optimizer: "sgd", loss: "meanSquaredError" });
    const frozen = modelOf();
    frozen.layers[1].trainable = false;
    const broken = modelOf();
    broken.layers[1].setWeights(
      broken.layers[1].getWeights().map((weight, k) => (k === 2 ? tf.fill(weight.shape, Number.NaN) : weight)),
    );
    const uncompiled = tf.sequential({
      layers: [gatedBranches({ branches: 2, hidden: 2, inputShape: [3] }), tf.layers.dense({ units: 1 })],
    });
    const nan = tf.tidy(() => x.mul(Number.NaN) as tf.Tensor2D);
    const short = y.slice([0, 0], [5, 1]);
    const [hidden, degree] = [[2, 2], 4];
    const refused: [tf.Sequential, tf.Tensor, tf.Tensor, string, string][] = [
      [decayed, x, y, "model/regularizer", "secondRegularizer"],
      [deeper, x, y, "model/kind", "ReLU"],
      [frozen, x, y, "model/frozen", frozen.layers[1].name],
      [broken, x, y, "model/weights", broken.layers[1].name],
      [uncompiled, x, y, "model/uncompiled", "compile"],
      [modelOf({ branches: 2, outputs: 2, factor: 1e-4 }), two.x, two.y, "model/units", "share gates"],
      [modelOf({ hidden }), x, y, "model/regularizer", "factor: beta / 4, power: 4"],
      [modelOf({ degree }), x, y, "model/regularizer", "factor: beta / 3"],
      [
        modelOf({ hidden: [4, 4], degree, branches: 2, outputs: 2, factor: 1e-4 }),
        two.x,
        two.y,
        "model/units",
        "share gates",
      ],
      [modelOf({ activation: "relu" }), x, y, "model/activation", '"linear"'],
      [modelOf(), nan, y, "data/nonFinite", "x"],
      [modelOf(), x, short, "data/shape", "rows"],
      [modelOf(), x, two.y, "data/shape", "y"],
    ];
    for (const [model, rows, targets, code, words] of refused) {
      const before = weightsIn(model);
      const [found, message] = await codeOf(fitParallel(model, rows, targets));
      expect([found, message]).toEqual([code, expect.stringContaining(words)]);
      expect(weightsIn(model)).toEqual(before);
    }
  });
});

test("a solution that contradicts its bound is not written, and nothing is claimed of it", async () => {
  const model = modelOf();
  const parts = gatedPartsOf(model) as GatedParts;
  const gates = drawBranchGates(4, [2], 12, 0);
  const X = { rows: 2, cols: 4, data: Float64Array.from({ length: 8 }, (_, k) => k) };
  const loss = bindLoss("meanSquaredError", { rows: 2, cols: 1, data: Float64Array.of(1, 2) });
  const before = weightsIn(model);
  const { certificate } = await writtenGated(parts, gatedWishOf(model, parts), 12, {
    problem: { X, loss, outputBias: null, beta: 0.03, gates, charge: "sum" },
    solution: {
      ...{ status: "stalled", advice: "", gap: { primal: 1, dual: 2, relative: -1 }, seconds: 0, rounds: 1 },
      ...{ exact: false, branches: [], bias: Float64Array.of(0), masks: 1, solver: "", contradicted: true },
    },
  });
  expect(weightsIn(model)).toEqual(before);
  expect(certificate.claim).toMatch(/^Nothing is proven/);
  model.dispose();
});

test("masks that no memory would hold are refused before they are made", async () => {
  const x = tf.ones([20_000, 1]).mul(tf.range(0, 20_000).reshape([-1, 1])) as tf.Tensor2D;
  const options = { units: "gated", loss: "meanSquaredError", hidden: 4000, branches: 200, regularization: 1 } as const;
  const [code, message] = await codeOf(trainParallel(x, x, options));
  expect(code).toBe("data/size");
  expect(message).toContain("20000 rows and 800000 neurons");
  x.dispose();
});

test("a limit's advice is one that a further call can follow: it begins anew", async () => {
  const { x, y } = rowsFor("meanSquaredError", 1);
  const common = {
    loss: "meanSquaredError",
    hidden: 2,
    regularization: 0.01,
    tolerance: 1e-9,
    maxIterations: 1,
  } as const;
  for (const units of [{ units: "gated" }, { arrangements: { kind: "sample", count: 30 } }] as const) {
    const { model, status, advice } = await trainParallel(x, y, { ...common, ...units });
    expect(status).toBe("iterationLimit");
    expect(advice).toMatch(/maxIterations.*begins anew/);
    model.dispose();
  }
  tf.dispose([x, y]);
});
