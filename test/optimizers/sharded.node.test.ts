/** Rows that are in no one place: the same optimum, gap and weights as where they are together. Shards in this process. */

import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import { ConvexReLUTrainer, gatedDense, sampleGates } from "../../src/index.js";
import { inProcess } from "../helpers/inProcess.js";
import {
  batchCases,
  cases,
  inOnePlace,
  LOAD,
  modelOf,
  reluCases,
  type ShardedCase,
  solverOf,
} from "../helpers/shardedCases.js";
import { rowOf } from "../helpers/shardedRows.mjs";

const TOLERANCE = 1e-5;
const [squared] = cases;
const [reluSquared] = reluCases;
/** Of ReLU programs, on shards and in one place. */
const reluSettings = { arrangements: { kind: "sample", count: 40, seed: 4 }, vectorPenalty: "perOutput" } as const;

function reluSettingsOf({ kinks }: ShardedCase) {
  return { ...reluSettings, arrangements: { ...reluSettings.arrangements, count: kinks ? 8 : 40 } };
}

beforeAll(async () => {
  await tf.setBackend("cpu");
});

function shardedOf(settings: ConstructorParameters<typeof ConvexReLUTrainer>[0] = {}) {
  return new ConvexReLUTrainer({ regularization: 1e-2, tolerance: TOLERANCE, width: "resize", ...settings });
}

describe.each([...cases, ...reluCases, ...batchCases])("$title", (one) => {
  // Where few rows have kinks the last digits are slow, on shards and in one place.
  const tolerance = one.kinks ? 1e-4 : TOLERANCE;
  const settings = { tolerance, ...(one.hidden === "relu" ? reluSettingsOf(one) : {}) };

  test("1, 2 and 4 shards end at the optimum of one place, within what the gaps prove, and report what model.evaluate says", async () => {
    const { x, y } = inOnePlace(one);
    const model = modelOf(one);
    const alone = await shardedOf(settings).fit(model, x, y);
    const before = tf.memory().numTensors;
    for (const shards of [1, 2, 4]) {
      const cluster = inProcess();
      const trainer = shardedOf({ ...settings, ...solverOf(one) });
      const result = await trainer.fitSharded(model, { cluster, shards, load: LOAD, args: one.rows });
      const { primal, dual } = result.certificate;
      expect(result.status).toBe("solved");
      if (one.solver !== undefined) expect(result.solver).toBe(one.solver);
      expect((primal - dual) / primal).toBeLessThanOrEqual(tolerance);
      const rounding = 1e-12;
      expect(dual).toBeLessThanOrEqual(alone.certificate.primal + rounding);
      expect(alone.certificate.dual).toBeLessThanOrEqual(primal + rounding);
      expect(result.generators.rows).toBe(alone.gates.count);
      const loss = tf.tidy(() => (result.model.evaluate(x, y, { batchSize: 1000 }) as tf.Scalar).dataSync()[0]);
      expect(loss).toBeCloseTo(result.objective.loss, 5);
      expect(result.certificate.network).toBeGreaterThanOrEqual(dual);
      if (result.model !== model) result.model.dispose();
      expect(tf.memory().numTensors).toBe(before);
    }
    if (alone.model !== model) alone.model.dispose();
    for (const thing of [x, y, model]) thing.dispose();
  });
});

describe("gates", () => {
  const wish = { n: 90, d: 3 };
  const draws = { kind: "sample", count: 40, seed: 4 } as const;
  const fitted = async (shards: number) => {
    const layers = [gatedDense({ units: 4, useBias: false, inputShape: [3] }), tf.layers.dense({ units: 1 })];
    const model = tf.sequential({ layers });
    model.compile({ optimizer: "adam", loss: "meanSquaredError" });
    const trainer = shardedOf({ tolerance: 1e-2, arrangements: draws });
    return trainer.fitSharded(model, { cluster: inProcess(), shards, load: LOAD, args: wish });
  };

  test("drawn ones are those of sampleGates, for any number of shards", async () => {
    const data = Float64Array.from(Array.from({ length: wish.n }, (_, j) => [...rowOf(j, wish).x]).flat());
    const { generators } = sampleGates({ rows: wish.n, cols: wish.d, data }, { count: 40, seed: 4 });
    for (const shards of [1, 3]) {
      const result = await fitted(shards);
      expect([...result.generators.data]).toEqual([...generators.data].map(Math.fround));
    }
  });
});

describe("a fit in its course", () => {
  const started = (more: object) => ({ cluster: inProcess(), shards: 2, load: LOAD, args: squared.rows, ...more });

  test("callbacks hear of every round, and may stop it", async () => {
    const seen: number[] = [];
    const onEpochEnd = (epoch: number, logs?: tf.Logs) => {
      seen.push(logs?.relativeGap ?? Number.NaN);
      if (epoch === 1) model.stopTraining = true;
    };
    const model = modelOf(squared);
    const result = await shardedOf({ tolerance: 1e-9 }).fitSharded(model, started({ callbacks: { onEpochEnd } }));
    expect(result.status).toBe("cancelled");
    expect(result.history.relativeGap).toEqual(seen);
    expect(seen).toHaveLength(2);
  });

  test("a loss with kinks that is not at its end is told what ends it, which does", async () => {
    const one = { ...cases[10], rows: { n: 30, d: 3 } };
    const settings = { regularization: 1e-5, tolerance: 1e-3, maxIterations: 8 };
    const result = await shardedOf(settings).fitSharded(modelOf(one), started({ args: one.rows }));
    expect(result.status).toBe("iterationLimit");
    expect(result.advice).toMatch(/larger regularization, or by fit/);
    const larger = shardedOf({ ...settings, regularization: 3e-2, maxIterations: 30 });
    expect((await larger.fitSharded(modelOf(one), started({ args: one.rows }))).status).toBe("solved");
    const { x, y } = inOnePlace(one);
    expect((await shardedOf({ ...settings, maxIterations: 200 }).fit(modelOf(one), x, y)).status).toBe("solved");
    tf.dispose([x, y]);
  });

  test("a time limit ends it with the best point and its gap", async () => {
    const result = await shardedOf({ tolerance: 1e-9, timeLimit: 1e-3 }).fitSharded(modelOf(squared), started({}));
    expect(result.status).toBe("timeLimit");
    expect(result.certificate.primal).toBeGreaterThan(result.certificate.dual);
  });

  test("a signal ends it", async () => {
    const signal = AbortSignal.abort();
    const result = await shardedOf({ tolerance: 1e-9, signal }).fitSharded(modelOf(squared), started({}));
    expect(result.status).toBe("cancelled");
  });

  test("a signal, or no time, before the first step of a ReLU network leaves its weights as they were", async () => {
    const model = modelOf(reluSquared);
    const before = model.getWeights().map((weight) => [...weight.dataSync()]);
    const wish = { cluster: inProcess(), shards: 2, load: LOAD, args: reluSquared.rows };
    for (const [settings, status] of [
      [{ signal: AbortSignal.abort() }, "cancelled"],
      [{ timeLimit: 1e-6 }, "timeLimit"],
    ] as const) {
      const result = await shardedOf({ ...reluSettings, ...settings }).fitSharded(model, wish);
      expect(result.status).toBe(status);
      expect(result.shards.calls).toBeLessThan(30);
      expect(model.getWeights().map((weight) => [...weight.dataSync()])).toEqual(before);
    }
    model.dispose();
  });

  test("regularizers of the model are what is charged", async () => {
    const l2 = () => tf.regularizers.l2({ l2: 5e-3 });
    const layers = [
      gatedDense({ units: 12, seed: 5, kernelRegularizer: l2(), biasRegularizer: l2(), inputShape: [3] }),
      tf.layers.dense({ units: 1, kernelRegularizer: l2(), biasRegularizer: l2() }),
    ];
    const model = tf.sequential({ layers });
    model.compile({ optimizer: "adam", loss: "meanSquaredError" });
    const { x, y } = inOnePlace(squared);
    const trainer = new ConvexReLUTrainer({ tolerance: TOLERANCE });
    const alone = await trainer.fit(model, x, y);
    const result = await trainer.fitSharded(model, started({}));
    expect(result.certificate.dual).toBeLessThanOrEqual(alone.certificate.primal);
    expect(alone.certificate.dual).toBeLessThanOrEqual(result.certificate.primal);
    expect(result.regularization.outputBias).toBeCloseTo(5e-3, 8);
    const told = tf.tidy(() => (model.evaluate(x, y, { batchSize: 1000 }) as tf.Scalar).dataSync()[0]);
    const charges = tf.tidy(() => model.calculateLosses().reduce((sum, loss) => sum + loss.dataSync()[0], 0));
    expect(told + charges).toBeCloseTo(result.objective.total, 5);
  });

  test.each([
    ["gated", "meanSquaredError", { n: 80, beta: 1e-3, tolerance: 1e-3, count: 15 }],
    ["relu", "meanSquaredError", { n: 80, beta: 1e-3, tolerance: 1e-3, count: 15 }],
    ["relu", "meanAbsoluteError", { n: 40, beta: 3e-3, tolerance: 1e-2, count: 10 }],
  ] as const)(
    "a %s solution of %s wider than the layer becomes the best network of its width that a descent finds, with a bound for all widths",
    async (hidden, loss, { n, beta, tolerance, count }) => {
      const one = { ...squared, hidden, loss, rows: { n, d: 3, outputs: 2 }, units: 3 };
      const model = modelOf(one);
      const { x, y } = inOnePlace(one);
      const settings = {
        width: "keep",
        tolerance,
        regularization: beta,
        arrangements: { kind: "sample", count },
        vectorPenalty: "perOutput",
      } as const;
      const alone = await shardedOf(settings).fit(modelOf(one), x, y);
      const result = await shardedOf(settings).fitSharded(model, started({ args: one.rows }));
      const { certificate, objective } = result;
      expect(result.status).toBe("widthLimit");
      expect(result.advice).toMatch(/has \d+ neurons.*best network of 3.*Build the layer with \d+ units/);
      expect(result.model).toBe(model);
      expect(result.neurons).toBeLessThanOrEqual(3);
      // Descents end at different networks: neither is far above the other, and none is below the bound.
      expect(objective.total).toBeLessThan(1.15 * alone.objective.total);
      expect(certificate.dual).toBeLessThan(Math.min(certificate.network, alone.certificate.network));
      expect(certificate.primal).toBeCloseTo(certificate.network, 5);
      const told = tf.tidy(() => (model.evaluate(x, y, { batchSize: 1000 }) as tf.Scalar).dataSync()[0]);
      expect(told).toBeCloseTo(objective.loss, 5);
      for (const thing of [x, y]) thing.dispose();
    },
  );
});

describe("what shards do not do is refused in a sentence, before any worker starts", () => {
  const never = { ...inProcess(), open: () => Promise.reject(new Error("opened")) };
  const args = { cluster: never, shards: 2, load: LOAD, args: squared.rows };
  const relu = () => modelOf(reluSquared);
  const leaky = () => {
    const hidden = [tf.layers.dense({ units: 4, inputShape: [3] }), tf.layers.leakyReLU({ alpha: 0.1 })];
    const model = tf.sequential({ layers: [...hidden, tf.layers.dense({ units: 1 })] });
    model.compile({ optimizer: "adam", loss: "meanSquaredError" });
    return model;
  };

  test.each([
    ["a network of leaky units", leaky, {}, {}, "model/layer", /slope below zero/],
    ["growing gates", relu, { arrangements: { kind: "grow" } }, {}, "options/value", /"sample".*got "grow"/],
    ["standardised columns", () => modelOf(squared), { standardize: true }, {}, "options/value", /standardize/],
    [
      "another solver",
      () => modelOf(squared),
      { solver: "admm" },
      {},
      "options/value",
      /expected "fista" or "stochastic"/,
    ],
    ["batches with cones", relu, { solver: "stochastic" }, {}, "options/value", /solver: expected "fista", got/],
    [
      "batches with kinks",
      () => modelOf(cases[9]),
      { solver: "stochastic" },
      {},
      "options/value",
      /expected "fista", got/,
    ],
    ["held-out betas", () => modelOf(squared), { regularization: "held-out" }, {}, "options/value", /regularization/],
    ["all gates", () => modelOf(squared), { arrangements: { kind: "enumerate" } }, {}, "options/value", /"sample"/],
    ["no cluster", () => modelOf(squared), {}, { cluster: undefined }, "options/value", /local\(\) or ray\(\)/],
    ["no shards", () => modelOf(squared), {}, { shards: 0 }, "options/value", /shards/],
    ["no module", () => modelOf(squared), {}, { load: undefined }, "options/value", /load/],
    ["what JSON can't say", () => modelOf(squared), {}, { args: { n: 10n } }, "options/value", /JSON/],
    ["an unknown argument", () => modelOf(squared), {}, { epochs: 3 }, "options/unknown", /epochs/],
  ] as const)("%s", async (_, model, settings, more, code, said) => {
    const trainer = new ConvexReLUTrainer({ regularization: 1e-2, ...settings } as never);
    const fit = trainer.fitSharded(model(), { ...args, ...more } as never);
    await expect(fit).rejects.toMatchObject({ code, message: expect.stringMatching(said) });
  });
});
