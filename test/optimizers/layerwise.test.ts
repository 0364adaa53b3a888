/** depth "layerwise": one hidden layer after the other, each by its program. */

import * as tf from "@tensorflow/tfjs";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ConvexError, ConvexReLUTrainer, type FitArgs, type TrainerOptions, WorkerTrainer } from "../../src/index.js";
import { carryOn, isNonnegative, writeKernel } from "../../src/optimizers/deep/layerwise/carry.js";
import { chainOf } from "../../src/optimizers/deep/layerwise/chain.js";
import { onCountingClock } from "../helpers/clock.js";
import { weightsIn } from "../helpers/models.js";
import { gaussianMatrix } from "../helpers/problems.js";
import { startWorker, type TestWorker } from "../helpers/workers.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const ROWS = 36;
const L2 = 1e-3;
const SHORT: TrainerOptions = {
  depth: "layerwise",
  maxIterations: 3,
  arrangements: { kind: "sample", count: 12 },
};

const sequence = (...layers: tf.layers.Layer[]) => tf.sequential({ layers });
const seeded = (seed: number, l2 = L2) => ({
  kernelInitializer: tf.initializers.glorotUniform({ seed }),
  ...(l2 > 0 ? { kernelRegularizer: tf.regularizers.l2({ l2 }) } : {}),
});

/** Hidden ReLU layers of these widths, and an output or more. */
function dense(widths: readonly number[], outputs = 1, l2 = L2): tf.Sequential {
  const model = sequence(
    ...widths.map((units, k) =>
      tf.layers.dense({ units, activation: "relu", ...seeded(k + 1, l2), ...(k === 0 ? { inputShape: [3] } : {}) }),
    ),
    tf.layers.dense({ units: outputs, ...seeded(9, l2) }),
  );
  model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
  return model;
}

function data(outputs = 1, seed = 1) {
  const { data: values } = gaussianMatrix(ROWS, 3, seed);
  return tf.tidy(() => {
    const x = tf.tensor2d(Float32Array.from(values), [ROWS, 3]);
    const sum = tf.sum(x, 1, true);
    return { x, y: outputs === 1 ? tf.sin(tf.mul(sum, 2)) : tf.concat([tf.sin(sum), tf.abs(sum)], 1) };
  });
}

/** What the model itself says. */
function objectiveOf(model: tf.LayersModel, x: tf.Tensor, y: tf.Tensor, batchSize = ROWS) {
  return tf.tidy(() => {
    const loss = [model.evaluate(x, y, { batchSize })].flat()[0].dataSync()[0];
    return model.calculateLosses().reduce((sum, term) => sum + term.dataSync()[0], loss);
  });
}

const near = (value: number) => 1e-6 + 2e-5 * Math.abs(value);

test("a read-out that is taken on by a layer stays the same function, at the least charge that two units an output have", () => {
  const numbers = fc.double({ min: -3, max: 3, noNaN: true });
  const cases = fc.record({
    d: fc.integer({ min: 1, max: 5 }),
    C: fc.integer({ min: 1, max: 3 }),
    spare: fc.integer({ min: 0, max: 3 }),
    slope: fc.constantFrom(0, 0.3),
    factors: fc.tuple(fc.constantFrom(0, 0.01, 0.5), fc.constantFrom(0.02, 2)),
    values: fc.array(numbers, { minLength: 30, maxLength: 30 }),
  });
  fc.assert(
    fc.property(cases, ({ d, C, spare, slope, factors, values }) => {
      const units = 2 * C + spare;
      const activation = slope === 0 ? [tf.layers.reLU()] : [tf.layers.leakyReLU({ alpha: slope })];
      const model = sequence(tf.layers.dense({ units, inputShape: [d] }), ...activation, tf.layers.dense({ units: C }));
      const [block] = chainOf(model).blocks;
      const kernel = Float64Array.from(values.slice(0, d * C));
      const made = carryOn(block, { kernel, bias: null, outputs: C }, factors, false);
      if (made === null) throw new Error("there is room");
      const h = values.slice(10, 10 + d);
      const { kernel: W, readOut } = made;
      let [first, second, least] = [0, 0, 0];
      for (let c = 0; c < C; c++) {
        let [wanted, got, square] = [0, 0, 0];
        for (let p = 0; p < d; p++) {
          wanted += h[p] * kernel[p * C + c];
          square += kernel[p * C + c] ** 2;
        }
        for (let j = 0; j < units; j++) {
          let sum = 0;
          for (let p = 0; p < d; p++) sum += h[p] * W[p * units + j];
          got += (sum > 0 ? sum : slope * sum) * readOut.kernel[j * C + c];
        }
        expect(got).toBeCloseTo(wanted, 9);
        least += (4 * Math.sqrt(factors[0] * factors[1] * square)) / (1 + slope);
      }
      for (const value of W) first += value ** 2;
      for (const value of readOut.kernel) second += value ** 2;
      if (factors[0] > 0) expect(factors[0] * first + factors[1] * second).toBeCloseTo(least, 9);
      const narrow = sequence(
        tf.layers.dense({ units: 2 * C - 1, activation: "relu", inputShape: [d] }),
        tf.layers.dense({ units: C }),
      );
      expect(carryOn(chainOf(narrow).blocks[0], { kernel, bias: null, outputs: C }, factors, false)).toBeNull();
      model.dispose();
      narrow.dispose();
    }),
    { numRuns: 40, seed: 1 },
  );
});

/** A layer that may take on what it sees of 4 x 3 places, or of as many columns, and whether it does. */
const passing: readonly (readonly [string, boolean, (units: number) => tf.layers.Layer[]])[] = [
  ["a convolution padded to its size", true, (units) => [conv(units, 3)]],
  ["one of an even kernel, with a layer of ReLU", true, (units) => [conv(units, 2, null), tf.layers.reLU()]],
  ["one of single places, and dropout", true, (units) => [conv(units, 1), tf.layers.dropout({ rate: 0.5 })]],
  ["a slope where sums are negative", true, (units) => [conv(units, 3, null), tf.layers.leakyReLU({ alpha: 0.2 })]],
  ["a step of two places", false, (units) => [conv(units, 3, "relu", { strides: 2 })]],
  ["no padding", false, (units) => [conv(units, 3, "relu", { padding: "valid" })]],
  ["means of places", false, (units) => [conv(units, 3), tf.layers.averagePooling2d({ poolSize: 2 })]],
];

function conv(filters: number, kernelSize: number, activation: "relu" | null = "relu", more: object = {}) {
  return tf.layers.conv2d({
    ...{ filters, kernelSize, padding: "same", inputShape: [4, 3, 2] },
    ...(activation === null ? {} : { activation }),
    ...more,
  });
}

test.each(passing)(
  "%s takes on a read-out of features that are never negative, or says that it does not: %s",
  (_, passes, layers) => {
    for (const units of [2, 3]) {
      for (const factors of [
        [0.5, 0.02],
        [0, 0.1],
      ] as const) {
        const model = sequence(...layers(units), tf.layers.flatten(), tf.layers.dense({ units: 2 }));
        const { blocks, end } = chainOf(model);
        const kernel = gaussianMatrix(24, 2, 1).data;
        const readOut = { kernel, bias: Float64Array.of(0.3, -1), outputs: 2 };
        expect(carryOn(blocks[0], readOut, factors, false)).toBeNull();
        const made = carryOn(blocks[0], readOut, factors, true);
        expect(made !== null).toBe(passes);
        if (made === null) continue;
        const [hidden] = blocks[0];
        writeKernel(hidden.layer, made.kernel, null);
        writeKernel(end[0].layer, made.readOut.kernel, made.readOut.bias);
        const difference = tf.tidy(() => {
          const H = tf.relu(tf.randomNormal([5, 4, 3, 2], 0, 1, "float32", 1));
          const wanted = tf.add(
            tf.matMul(tf.reshape(H, [5, 24]), tf.tensor2d(Float32Array.from(kernel), [24, 2])),
            tf.tensor1d([0.3, -1]),
          );
          return tf.max(tf.abs(tf.sub(model.predict(H) as tf.Tensor, wanted))).dataSync()[0];
        });
        expect(difference).toBeLessThan(1e-5);
        const square = (values: Float64Array) => values.reduce((sum, value) => sum + value * value, 0);
        const lengths = [0, 1].map((p) => Math.sqrt(square(kernel.filter((_, at) => (at >> 1) % 2 === p))));
        const least = 2 * Math.sqrt(factors[0] * factors[1]) * (lengths[0] + lengths[1]);
        const charge = factors[0] * square(made.kernel) + factors[1] * square(made.readOut.kernel);
        if (factors[0] > 0) expect(charge).toBeCloseTo(least, 9);
        model.dispose();
      }
    }
    const narrow = sequence(...layers(1), tf.layers.flatten(), tf.layers.dense({ units: 2 }));
    const readOut = { kernel: new Float64Array(48).fill(1), bias: null, outputs: 2 };
    expect(carryOn(chainOf(narrow).blocks[0], readOut, [0.1, 0.1], true)).toBeNull();
    narrow.dispose();
  },
);

test("features are never negative after a ReLU, whatever joins their places, and may be before one or after a slope", () => {
  const after = (...layers: tf.layers.Layer[]) => {
    const model = sequence(...layers, tf.layers.flatten(), tf.layers.dense({ units: 1 }));
    const found = isNonnegative(chainOf(model).blocks[0]);
    model.dispose();
    return found;
  };
  expect(after(conv(2, 3), tf.layers.averagePooling2d({ poolSize: 2 }))).toBe(true);
  expect(after(conv(2, 3, null), tf.layers.reLU(), tf.layers.dropout({ rate: 0.1 }))).toBe(true);
  expect(after(conv(2, 3, null), tf.layers.reLU(), tf.layers.leakyReLU({ alpha: 0.3 }))).toBe(true);
  expect(after(conv(2, 3, null), tf.layers.leakyReLU({ alpha: 0.3 }))).toBe(false);
  expect(after(conv(2, 3, null))).toBe(false);
});

test("stages of convolutions that keep their places never end above what they take on", async () => {
  const model = sequence(
    tf.layers.conv2d({ filters: 2, kernelSize: 3, activation: "relu", inputShape: [6, 4, 1], ...seeded(1) }),
    tf.layers.averagePooling2d({ poolSize: [2, 1] }),
    tf.layers.conv2d({ filters: 3, kernelSize: 2, padding: "same", activation: "relu", ...seeded(3) }),
    tf.layers.conv2d({ filters: 3, kernelSize: 3, padding: "same", activation: "relu", ...seeded(5) }),
    tf.layers.flatten(),
    tf.layers.dense({ units: 2, ...seeded(7) }),
  );
  model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
  const [x, y] = tf.tidy(() => {
    const rows = tf.randomNormal<tf.Rank.R4>([30, 6, 4, 1], 0, 1, "float32", 1);
    const sums = tf.sum(rows, [2, 3]);
    return [rows, tf.concat([tf.sin(tf.sum(sums, 1, true)), tf.abs(tf.slice(sums, [0, 0], [30, 1]))], 1)];
  });
  const tensors = tf.memory().numTensors;
  const {
    stages = [],
    history,
    objective,
  } = await new ConvexReLUTrainer({ ...SHORT, arrangements: { kind: "sample", count: 4 } }).fit(model, x, y);
  expect(tf.memory().numTensors).toBe(tensors);
  const said = objectiveOf(model, x, y, 30);
  expect(Math.abs(objective.total - said)).toBeLessThan(near(said));
  expect(stages[0].carried).toBeNull();
  for (const k of [1, 2]) {
    const carried = stages[k].carried as number;
    expect(history.stageObjective[k] as number).toBeLessThanOrEqual(carried + near(carried));
    // What it begins at is the network before, with what two layers in place of one are charged.
    const charge = 0.2 * stages[k - 1].objective;
    expect(stages[k].objective).toBeLessThanOrEqual(stages[k - 1].objective + charge);
  }
  model.dispose();
  tf.dispose([x, y]);
});

test("stages share the limit of time", async () => {
  const { x, y } = data();
  const model = dense([8, 8, 8]);
  const timeLimit = 0.9;
  const { made } = await onCountingClock(() =>
    new ConvexReLUTrainer({ depth: "layerwise", timeLimit }).fit(model, x, y),
  );
  const seconds = made.history.seconds as number[];
  expect(seconds.length).toBe(3);
  for (const [k, at] of seconds.entries()) expect(at).toBeLessThan((timeLimit * (k + 1)) / 3 + 0.2);
  model.dispose();
  tf.dispose([x, y]);
});

test("no stage with room for the read-out before it ends above that; the history tells the stages, and its end what the model says", async () => {
  const cases = fc.record({
    widths: fc.array(fc.integer({ min: 4, max: 9 }), { minLength: 2, maxLength: 3 }),
    outputs: fc.constantFrom(1, 2),
    seed: fc.integer({ min: 1, max: 99 }),
    weighted: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(cases, async ({ widths, outputs, seed, weighted }) => {
      const model = dense(widths, outputs);
      const { x, y } = data(outputs, seed);
      const sampleWeight = weighted ? tf.ones([ROWS]) : null;
      const tensors = tf.memory().numTensors;
      const { history, stages, objective, certificate, epoch } = await new ConvexReLUTrainer(SHORT).fit(model, x, y, {
        sampleWeight: sampleWeight as tf.Tensor1D,
      });
      expect(tf.memory().numTensors).toBe(tensors);
      expect(epoch).toEqual(widths.map((_, k) => k));
      expect(history.stage).toEqual(widths.map((_, k) => k + 1));
      expect(stages?.map(({ objective: value }) => value)).toEqual(history.loss);
      expect(stages?.map(({ layer }) => layer)).toEqual(model.layers.slice(0, -1).map(({ name }) => name));
      stages?.forEach(({ carried, chosen }, k) => {
        expect(chosen).toBe(k === widths.length - 1);
        if (k === 0) expect(carried).toBeNull();
        else
          expect(history.stageObjective[k] as number).toBeLessThanOrEqual(
            (carried as number) + near(carried as number),
          );
      });
      const said = objectiveOf(model, x, y);
      expect(Math.abs(objective.total - said)).toBeLessThan(near(said));
      expect(Math.abs((history.loss.at(-1) as number) - said)).toBeLessThan(near(said));
      expect(certificate.claim).toMatch(/^Of the last hidden layer and the read-out alone, given the features/);
      expect(certificate.dual).toBeLessThanOrEqual(certificate.network + near(certificate.network));
      model.dispose();
      tf.dispose([x, y]);
      sampleWeight?.dispose();
    }),
    { numRuns: 4, seed: 2 },
  );
});

describe("a layer-wise fit", () => {
  test("takes on the stage with the least loss on rows held out", async () => {
    const chosen = new Set<number>();
    for (let seed = 1; seed <= 12 && chosen.size < 2; seed++) {
      const model = dense([12, 8, 6]);
      const { x, y } = data(1, seed);
      const {
        stages = [],
        history,
        status,
      } = await new ConvexReLUTrainer(SHORT).fit(model, x, y, { validationSplit: 0.4 });
      const losses = stages.map(({ validationLoss }) => validationLoss as number);
      expect(losses).toEqual(history.val_loss);
      const best = losses.indexOf(Math.min(...losses));
      expect(stages.map((stage) => stage.chosen)).toEqual(stages.map((_, k) => k === best));
      chosen.add(best);
      const rows = Math.floor(ROWS * 0.6);
      const [inputs, targets] = [x, y].map((tensor) => tf.slice(tensor, rows));
      const said = (model.evaluate(inputs, targets, { batchSize: ROWS }) as tf.Scalar).dataSync()[0];
      expect(said).toBeCloseTo(losses[best], 4);
      expect(status).not.toBe("cancelled");
      model.dispose();
      tf.dispose([x, y, inputs, targets]);
    }
    expect(chosen.size).toBeGreaterThan(1); // both ways were gone
  });

  test("of convolutions with max pooling ends with the read-out of what the layers compute", async () => {
    const l2 = (seed: number) => seeded(seed);
    const model = sequence(
      tf.layers.conv2d({ filters: 2, kernelSize: 3, activation: "relu", inputShape: [6, 6, 1], ...l2(1) }),
      tf.layers.maxPooling2d({ poolSize: 2 }),
      tf.layers.dropout({ rate: 0.3 }),
      tf.layers.conv2d({ filters: 3, kernelSize: 2, padding: "same", ...l2(2) }),
      tf.layers.reLU(),
      tf.layers.globalMaxPooling2d({}),
      tf.layers.dense({ units: 2, activation: "softmax", ...l2(3) }),
    );
    model.compile({ optimizer: "sgd", loss: "categoricalCrossentropy", metrics: ["accuracy"] });
    const x = tf.randomNormal([24, 6, 6, 1], 0, 1, "float32", 1);
    const y = tf
      .oneHot(
        tf.tensor1d(
          Array.from({ length: 24 }, (_, k) => k % 2),
          "int32",
        ),
        2,
      )
      .toFloat();
    const tensors = tf.memory().numTensors;
    const { history, stages, objective, certificate, notes } = await new ConvexReLUTrainer({
      depth: "layerwise",
      maxIterations: 2,
      arrangements: { kind: "sample", count: 4 },
    }).fit(model, x, y);
    expect(tf.memory().numTensors).toBe(tensors);
    const said = objectiveOf(model, x, y);
    expect(Math.abs(objective.total - said)).toBeLessThan(near(said));
    expect(Math.abs((history.loss.at(-1) as number) - said)).toBeLessThan(near(said));
    expect(history.acc.length).toBe(3);
    expect(stages?.map(({ layer }) => layer)).toEqual([0, 3, 6].map((k) => model.layers[k].name));
    expect(certificate.claim).toMatch(/^Of the read-out alone/);
    expect(notes.join()).toMatch(/Maxima over places have no program/);
    model.dispose();
    tf.dispose([x, y]);
  });

  test("charges all kernels where a number says so and the layers have no regularizers", async () => {
    const model = dense([8, 6], 1, 0);
    const { x, y } = data();
    const beta = 2e-3;
    const { objective, history } = await new ConvexReLUTrainer({ ...SHORT, regularization: beta }).fit(model, x, y);
    const squares = tf.tidy(() =>
      model.layers.reduce((sum, layer) => sum + tf.sum(tf.square(layer.getWeights()[0])).dataSync()[0], 0),
    );
    const said = objectiveOf(model, x, y) + (beta / 2) * squares;
    expect(Math.abs(objective.total - said)).toBeLessThan(near(said));
    expect(Math.abs((history.loss.at(-1) as number) - said)).toBeLessThan(near(said));
    model.dispose();
    tf.dispose([x, y]);
  });

  test("stopped after a stage is what that stage computes where the layers after it have room, else as it was before", async () => {
    const { x, y } = data();
    for (const widths of [
      [8, 6],
      [8, 1],
    ]) {
      const model = dense(widths);
      const before = weightsIn(model);
      const onEpochEnd = () => {
        model.stopTraining = true;
      };
      const {
        status,
        stages = [],
        history,
        notes,
      } = await new ConvexReLUTrainer(SHORT).fit(model, x, y, {
        callbacks: { onEpochEnd },
      });
      expect(status).toBe("cancelled");
      expect(stages.length).toBe(1);
      const [first] = model.layers;
      if (widths[1] === 1) {
        expect(weightsIn(model)).toEqual(before);
        expect(stages[0].chosen).toBe(false);
        expect(notes.join()).toMatch(/no room to take it on/);
      } else {
        expect(stages[0].chosen).toBe(true);
        const own = tf.tidy(() => first.calculateLosses().reduce((sum, term) => sum + term.dataSync()[0], 0));
        const loss = (model.evaluate(x, y, { batchSize: ROWS }) as tf.Scalar).dataSync()[0];
        expect(loss + own).toBeLessThanOrEqual((history.loss[0] as number) + 1e-6);
      }
      model.dispose();
    }
    tf.dispose([x, y]);
  });

  test("a signal ends it at once, also before it began, where there is nothing yet that a later layer could see", async () => {
    const { x, y } = data();
    for (const turns of [0, 40]) {
      const model = dense([8, 6]);
      const controller = new AbortController();
      const { signal } = controller;
      const { status, objective, stages } = await onCountingClock(async () => {
        const fit = new ConvexReLUTrainer({ depth: "layerwise", timeLimit: 20, signal }).fit(model, x, y);
        const ended = performance.now() + turns;
        while (performance.now() < ended) await Promise.resolve();
        controller.abort();
        return fit;
      }).then(({ made, time }) => {
        expect(time).toBeLessThan(turns + 2000);
        return made;
      });
      expect(status).toBe("cancelled");
      expect(stages?.length).toBe(1);
      const said = objectiveOf(model, x, y);
      expect(Math.abs(objective.total - said)).toBeLessThan(near(said));
      model.dispose();
    }
    tf.dispose([x, y]);
  });

  test("ends as a constant where a stage leaves nothing to see, with room to take it on or without", async () => {
    const { x, y } = data();
    for (const widths of [
      [6, 4],
      [6, 1],
    ]) {
      const model = dense(widths, 1, 20);
      const { objective, notes, stages } = await new ConvexReLUTrainer(SHORT).fit(model, x, y);
      const { mean, variance } = tf.tidy(() => {
        const { mean: center, variance: spread } = tf.moments(y);
        return { mean: center.dataSync()[0], variance: spread.dataSync()[0] };
      });
      for (const value of tf.tidy(() => (model.predict(x) as tf.Tensor).dataSync())) expect(value).toBeCloseTo(mean, 4);
      expect(objective.total).toBeCloseTo(variance, 4);
      expect(stages?.length).toBe(1);
      expect(notes.join()).toMatch(/the same on all rows/);
      model.dispose();
    }
    tf.dispose([x, y]);
  });

  test("leaves the weights as they were where a callback throws", async () => {
    const model = dense([8, 6]);
    const { x, y } = data();
    const before = weightsIn(model);
    const tensors = tf.memory().numTensors;
    const onEpochEnd = () => {
      throw new Error("mine");
    };
    await expect(new ConvexReLUTrainer(SHORT).fit(model, x, y, { callbacks: { onEpochEnd } })).rejects.toThrow("mine");
    expect(weightsIn(model)).toEqual(before);
    expect(tf.memory().numTensors).toBe(tensors);
    model.dispose();
    tf.dispose([x, y]);
  });

  const residual = () => {
    const input = tf.input({ shape: [3] });
    const one = tf.layers.dense({ units: 3, activation: "relu" }).apply(input) as tf.SymbolicTensor;
    const two = tf.layers.dense({ units: 3, activation: "relu" }).apply(one) as tf.SymbolicTensor;
    const sum = tf.layers.add().apply([one, two]) as tf.SymbolicTensor;
    return tf.model({ inputs: input, outputs: tf.layers.dense({ units: 1 }).apply(sum) as tf.SymbolicTensor });
  };
  const bad: [wrong: string, build: () => tf.LayersModel, options: object, args: object, says: RegExp][] = [
    ["a residual sum", residual, {}, {}, /layers that follow one another.*joins 2 ways.*"alternate"/],
    [
      "a hidden layer of tanh",
      () =>
        sequence(
          tf.layers.dense({ units: 4, activation: "relu", inputShape: [3] }),
          tf.layers.dense({ units: 4, activation: "tanh" }),
          tf.layers.dense({ units: 1 }),
        ),
      {},
      {},
      /activation "relu".*"tanh" in layer/,
    ],
    ["a wider model", () => dense([8, 6]), { width: "resize" }, {}, /width: .*"layerwise"/],
    ["a start", () => dense([8, 6]), {}, { warmStart: {} }, /warmStart: expected none for depth "layerwise"/],
    ["a share above 1", () => dense([8, 6]), {}, { validationSplit: 2 }, /validationSplit/],
  ];
  test.each(bad)("refuses %s, and the weights stay", async (_, build, options, args, says) => {
    const model = build();
    model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
    const { x, y } = data();
    const before = weightsIn(model as tf.Sequential);
    const tensors = tf.memory().numTensors;
    const error = await new ConvexReLUTrainer({ ...SHORT, ...options })
      .fit(model, x, y, args as FitArgs)
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ConvexError);
    expect((error as ConvexError).message).toMatch(says);
    expect(weightsIn(model as tf.Sequential)).toEqual(before);
    expect(tf.memory().numTensors).toBe(tensors);
    model.dispose();
    tf.dispose([x, y]);
  });

  test("of a path is refused by sentence", async () => {
    const { x, y } = data();
    const model = dense([8, 6], 1, 0);
    await expect(new ConvexReLUTrainer(SHORT).path(model, x, y)).rejects.toThrow(/expected depth "head".*"layerwise"/);
    tf.dispose([x, y]);
  });
});

describe("in a worker", () => {
  let worker: TestWorker;
  beforeAll(async () => {
    worker = await startWorker();
  });
  afterAll(async () => {
    await worker.terminate();
  });

  test("it does what it does here, with or without rows held out", async () => {
    const { x, y } = data();
    for (const args of [{}, { validationSplit: 0.4 }]) {
      const [here, there] = [dense([10, 6]), dense([10, 6])];
      const mine = await new ConvexReLUTrainer(SHORT).fit(here, x, y, args);
      const theirs = await new WorkerTrainer(worker, SHORT).fit(there, x, y, args);
      expect(weightsIn(there)).toEqual(weightsIn(here));
      expect(theirs.history.loss).toEqual(mine.history.loss);
      expect(theirs.stages?.map(({ chosen }) => chosen)).toEqual(mine.stages?.map(({ chosen }) => chosen));
      expect(theirs.certificate.dual).toBe(mine.certificate.dual);
    }
    tf.dispose([x, y]);
  });
});
