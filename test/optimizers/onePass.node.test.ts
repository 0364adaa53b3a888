/** Paths and cross-validation of rows that are with shards, from one pass: the optima of one place, for every beta and fold. */

import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import { foldOf } from "../../src/convex/sharded/index.js";
import { type Cluster, ConvexReLUTrainer } from "../../src/index.js";
import { inProcess } from "../helpers/inProcess.js";
import { cases, inOnePlace, LOAD, modelOf, type ShardedCase, weightsOf } from "../helpers/shardedCases.js";
import { type RowsWish, rowOf } from "../helpers/shardedRows.mjs";

const TOLERANCE = 1e-5;
const [squared] = cases;
const drawn = { kind: "sample", count: 20, seed: 4 } as const;
const BETAS = [0.03, 3e-3, 3e-4];

beforeAll(async () => {
  await tf.setBackend("cpu");
});

function trainerOf(settings: ConstructorParameters<typeof ConvexReLUTrainer>[0] = {}) {
  return new ConvexReLUTrainer({ tolerance: TOLERANCE, width: "resize", ...settings });
}

/** Counts what is asked of the rows. */
function counting(inner: Cluster) {
  const calls: string[] = [];
  const cluster: Cluster = {
    ...inner,
    sum(message, restore) {
      calls.push(message.call.op);
      return inner.sum(message, restore);
    },
  };
  return { cluster, calls };
}

function given(one: ShardedCase, shards: number, cluster: Cluster = inProcess()) {
  return { cluster, shards, load: LOAD, args: one.rows };
}

/** Objectives lie between the bounds of each other. */
function expectSame(a: { primal: number; dual: number }, b: { primal: number; dual: number }): void {
  const rounding = 1e-12;
  expect(a.dual).toBeLessThanOrEqual(b.primal + rounding);
  expect(b.dual).toBeLessThanOrEqual(a.primal + rounding);
}

describe.each([
  ["without biases", { ...squared, useBias: false }, {}],
  ["with biases", squared, {}],
  ["with drawn gates", squared, { arrangements: drawn }],
  ["of two outputs", { ...squared, rows: { ...squared.rows, outputs: 2 } }, {}],
  [
    "of two outputs, whose neurons feed one each",
    { ...squared, rows: { ...squared.rows, outputs: 2 } },
    { vectorPenalty: "perOutput" },
  ],
] as const)("a path %s", (_, one, settings) => {
  test("has the optimum of one place at every beta, and reads no row after the pass", async () => {
    const { x, y } = inOnePlace(one);
    const model = modelOf(one);
    const trainer = trainerOf(settings);
    const alone = await trainer.path(model, x, y, { betas: BETAS });
    for (const shards of [1, 3]) {
      const { cluster, calls } = counting(inProcess());
      const { points, rows } = await trainer.pathSharded(model, { ...given(one, shards, cluster), betas: BETAS });
      expect(rows).toBe(one.rows.n);
      expect(points.map(({ beta }) => beta)).toEqual(BETAS);
      expect(calls.filter((op) => !["patterns", "bind", "totals", "moments", "pairs"].includes(op))).toEqual([]);
      points.forEach(({ status, certificate }, k) => {
        expect(status).toBe("solved");
        expect(certificate.relativeGap).toBeLessThanOrEqual(TOLERANCE);
        expectSame(certificate, alone.points[k].certificate);
      });
    }
    for (const thing of [x, y, model]) thing.dispose();
  });
});

describe("a path", () => {
  test("writes a point whose loss is what model.evaluate says, and leaks nothing", async () => {
    const { x, y } = inOnePlace(squared);
    const model = modelOf(squared);
    const before = tf.memory().numTensors;
    const path = await trainerOf({ tolerance: 1e-4 }).pathSharded(model, {
      ...given(squared, 2),
      count: 4,
      ratio: 0.01,
    });
    expect(path.points).toHaveLength(4);
    for (const point of path.points.slice(1)) {
      const fitted = path.write(point);
      const loss = tf.tidy(() => (fitted.evaluate(x, y, { batchSize: 1000 }) as tf.Scalar).dataSync()[0]);
      expect(loss).toBeCloseTo(point.objective.loss, 5);
      expect(point.metrics.loss).toBe(point.objective.loss);
      expect(point.certificate.network).toBeGreaterThanOrEqual(point.certificate.dual);
      if (fitted !== model) fitted.dispose();
    }
    expect(tf.memory().numTensors).toBe(before);
    for (const thing of [x, y, model]) thing.dispose();
  });

  test("ends where onPoint says so", async () => {
    const seen: number[] = [];
    const onPoint = ({ beta }: { beta: number }) => seen.push(beta) < 2;
    const { points } = await trainerOf().pathSharded(modelOf(squared), { ...given(squared, 2), betas: BETAS, onPoint });
    expect(points.map(({ beta }) => beta)).toEqual(BETAS.slice(0, 2));
    expect(seen).toEqual(BETAS.slice(0, 2));
  });

  test("fits what fitSharded does at a beta of it", async () => {
    const [point] = (await trainerOf().pathSharded(modelOf(squared), { ...given(squared, 2), betas: [0.01] })).points;
    const fit = await trainerOf({ regularization: 0.01 }).fitSharded(modelOf(squared), given(squared, 2));
    expectSame(point.certificate, fit.certificate);
    expect(point.objective.loss).toBeCloseTo(fit.objective.loss, 4);
  });
});

describe("targets and columns far from zero", () => {
  const rows = { n: 300, d: 3 };
  const shifted = (shift: number, more: object = {}): ShardedCase => ({
    ...squared,
    rows: { ...rows, shift },
    ...more,
  });
  const pathOf = async (one: ShardedCase) =>
    (await trainerOf().pathSharded(modelOf(one), { ...given(one, 2), betas: BETAS })).points;
  const aloneOf = async (one: ShardedCase) => {
    const { x, y } = inOnePlace(one);
    const { points } = await trainerOf().path(modelOf(one), x, y, { betas: BETAS });
    tf.dispose([x, y]);
    return points;
  };

  test.each([-(2 ** 20), 1e6])("a free bias takes up a shift of %s: nothing else changes", async (shift) => {
    const still = await aloneOf(shifted(0));
    const points = await pathOf(shifted(shift));
    points.forEach(({ status, certificate }, k) => {
      expect(status).toBe("solved");
      expect(certificate.relativeGap).toBeGreaterThanOrEqual(0);
      expectSame(certificate, still[k].certificate);
    });
  });

  test("a shift that no free bias takes up is a fit of its own, whose bounds are those of one place", async () => {
    const one = shifted(1e4, { useBias: false });
    const still = await aloneOf(one);
    (await pathOf(one)).forEach(({ certificate }, k) => {
      expect(certificate.relativeGap).toBeGreaterThanOrEqual(0);
      expectSame(certificate, still[k].certificate);
    });
  });

  test.each([true, false])("bounds hold with a column at a thousand, biases: %s", async (useBias) => {
    const one = { ...squared, useBias, rows: { ...rows, away: 1000 } };
    const still = await aloneOf(one);
    (await pathOf(one)).forEach(({ certificate }, k) => {
      expect(certificate.relativeGap).toBeGreaterThanOrEqual(0);
      expectSame(certificate, still[k].certificate);
    });
  });

  test("folds of shifted targets are judged as those that were not", async () => {
    const [still, far] = await Promise.all(
      [0, 2 ** 10].map((shift) => {
        const one = shifted(shift);
        return trainerOf().crossValidateSharded(modelOf(one), { ...given(one, 2), folds: 3, betas: BETAS });
      }),
    );
    far.mean.forEach((value, k) => {
      expect(value / still.mean[k]).toBeCloseTo(1, 3);
    });
  });
});

describe("cross-validation", () => {
  const one = { ...squared, useBias: false, rows: { n: 150, d: 3 } };

  test("judges every fold as a path over the others does, for any number of shards", async () => {
    const found = await trainerOf({ seed: 3 }).crossValidateSharded(modelOf(one), {
      ...given(one, 1),
      folds: 3,
      betas: BETAS,
    });
    expect(found.sizes.reduce((sum, size) => sum + size, 0)).toBe(150);
    for (let fold = 0; fold < 3; fold++) {
      const rows = Array.from({ length: 150 }, (_, j) => ({ held: foldOf(j, 3, 3) === fold, ...rowOf(j, one.rows) }));
      expect(rows.filter(({ held }) => held)).toHaveLength(found.sizes[fold]);
      const tensors = (held: boolean) => {
        const mine = rows.filter((row) => row.held === held);
        return [tf.tensor2d(mine.map(({ x }) => [...x])), tf.tensor2d(mine.map(({ y }) => y as number[]))] as const;
      };
      const [x, y] = tensors(false);
      const held = tensors(true);
      const model = modelOf(one);
      const { points } = await trainerOf().path(model, x, y, { betas: BETAS, validationData: held });
      points.forEach(({ metrics }, k) => {
        expect(found.values[fold][k] / metrics.val_loss).toBeCloseTo(1, 2);
      });
      for (const thing of [x, y, ...held, model]) thing.dispose();
    }
    const other = await trainerOf({ seed: 3 }).crossValidateSharded(modelOf(one), {
      ...given(one, 4),
      folds: 3,
      betas: BETAS,
    });
    expect(other.sizes).toEqual(found.sizes);
    expect(other.best).toBe(found.best);
    other.values.flat().forEach((value, k) => {
      expect(value / found.values.flat()[k]).toBeCloseTo(1, 4);
    });
  });

  test("writes the fit of all rows with the best beta, whose mean error is least", async () => {
    const model = modelOf(one);
    const { x, y } = inOnePlace(one);
    const before = await weightsOf(model);
    const { cluster, calls } = counting(inProcess());
    const found = await trainerOf({ tolerance: 1e-3 }).crossValidateSharded(model, {
      ...given(one, 2, cluster),
      count: 8,
    });
    const { best, oneStandardError, mean, betas, path } = found;
    expect(calls.filter((op) => op === "pairs")).toHaveLength(1);
    expect(mean[best]).toBe(Math.min(...mean));
    expect(oneStandardError).toBeLessThanOrEqual(best);
    expect(path.points.map(({ beta }) => beta)).toEqual(betas.slice(0, best + 1));
    expect(await weightsOf(found.model)).not.toEqual(before);
    const loss = tf.tidy(() => (found.model.evaluate(x, y, { batchSize: 1000 }) as tf.Scalar).dataSync()[0]);
    expect(loss).toBeCloseTo(path.points[best].objective.loss, 5);
    for (const thing of [x, y, model]) thing.dispose();
  });
});

describe("a pass that is stopped ends in a sentence, with its workers closed", () => {
  const slow = (op: string) => {
    const inner = inProcess();
    const seen = { closed: 0, asked: [] as string[] };
    const cluster: Cluster = {
      ...inner,
      async sum(message, restore) {
        seen.asked.push(message.call.op);
        if (message.call.op === op) await new Promise((resolve) => setTimeout(resolve, 3000).unref());
        return inner.sum(message, restore);
      },
      async close() {
        seen.closed += 1;
        await inner.close();
      },
    };
    return { cluster, seen };
  };

  test.each(["pathSharded", "crossValidateSharded"] as const)("%s, by the time and by a signal", async (name) => {
    const late = slow("moments");
    await expect(
      trainerOf({ timeLimit: 0.5 })[name](modelOf(squared), given(squared, 2, late.cluster)),
    ).rejects.toMatchObject({
      code: "cluster/stopped",
      message: expect.stringMatching(/^\w+Sharded: expected the pass over the rows within the timeLimit of 0.5 s/),
    });
    expect(late.seen.asked).not.toContain("pairs");
    expect(late.seen.closed).toBe(1);
    const stop = new AbortController();
    const { cluster, seen } = slow("totals");
    const told = trainerOf({ signal: stop.signal })[name](modelOf(squared), given(squared, 2, cluster));
    setTimeout(() => stop.abort(), 100);
    await expect(told).rejects.toMatchObject({
      code: "cluster/stopped",
      message: expect.stringMatching(/got the signal to stop after/),
    });
    expect(seen.asked).not.toContain("moments");
    expect(seen.closed).toBe(1);
  });
});

describe("what one pass does not do is refused in a sentence", () => {
  const never = { ...inProcess(), open: () => Promise.reject(new Error("opened")) };
  const start = { ...given(squared, 2), cluster: never };
  const charged = () => {
    const model = modelOf(squared);
    const kernelRegularizer = tf.regularizers.l2({ l2: 0.1 });
    const layers = [model.layers[0], tf.layers.dense({ units: 1, kernelRegularizer })];
    const other = tf.sequential({ layers });
    other.compile({ optimizer: "adam", loss: "meanSquaredError" });
    return other;
  };
  test.each([
    ["another loss", () => modelOf(cases[3]), {}, "model/loss", /^pathSharded: expected meanSquaredError/],
    ["no betas", () => modelOf(squared), { count: 0 }, "options/value", /count: expected an integer of 1 to/],
    ["NaN betas", () => modelOf(squared), { count: Number.NaN }, "options/value", /count: .* got NaN/],
    ["a ratio above 1", () => modelOf(squared), { ratio: 2 }, "options/value", /ratio to be a number .* got 2/],
    [
      "a ratio that is none",
      () => modelOf(squared),
      { ratio: "x" },
      "options/value",
      /ratio to be a number .* got "x"/,
    ],
    ["betas that are none", () => modelOf(squared), { betas: [0.1, -1] }, "options/value", /betas/],
    ["a checkpoint", () => modelOf(squared), { checkpoint: {} }, "options/unknown", /checkpoint/],
    ["no cluster", () => modelOf(squared), { cluster: 3 }, "options/value", /^pathSharded: cluster/],
    ["a model with a beta of its own", charged, {}, "model/regularizer", /path/],
  ] as const)("%s", async (_, model, more, code, said) => {
    const path = trainerOf().pathSharded(model(), { ...start, ...more } as never);
    await expect(path).rejects.toMatchObject({ code, message: expect.stringMatching(said) });
    const cross = trainerOf().crossValidateSharded(model(), { ...start, ...more } as never);
    await expect(cross).rejects.toMatchObject({ code });
  });

  test("one fold, and folds without rows", async () => {
    const cross = (args: object, one = squared) =>
      trainerOf().crossValidateSharded(modelOf(one), { ...given(one, 1), ...args } as never);
    await expect(cross({ folds: 1, cluster: never })).rejects.toThrow(/folds: expected an integer of 2 to 1000, got 1/);
    await expect(cross({ folds: Number.NaN, cluster: never })).rejects.toThrow(/folds: .* got NaN/);
    const few: RowsWish = { n: 6, d: 3 };
    await expect(cross({ folds: 30, args: few })).rejects.toMatchObject({
      code: "data/empty",
      message: expect.stringMatching(/none in fold \d+ of 30, of 6 rows\. Use fewer folds/),
    });
  });
});
