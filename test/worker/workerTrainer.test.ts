import * as tf from "@tensorflow/tfjs";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import {
  ConvexReLUTrainer,
  type FitArgs,
  type FitResult,
  optimalSet,
  type TrainerOptions,
  WorkerTrainer,
} from "../../src/index.js";
import { type ModelOptions, makeData, makeModel, weightsIn } from "../helpers/models.js";
import { startBrokenWorker, startIdleWorker, startWorker, type TestWorker } from "../helpers/workers.js";

let worker: TestWorker;

beforeAll(async () => {
  await tf.setBackend("cpu");
  worker = await startWorker();
});

afterAll(async () => {
  await worker.terminate();
});

const few: TrainerOptions = { arrangements: { kind: "sample", count: 40, seed: 1 }, tolerance: 1e-4 };

const fits: { title: string; shape: ModelOptions; options?: TrainerOptions; args?: FitArgs }[] = [
  { title: "plain", shape: {} },
  { title: "own l2 and metrics", shape: { l2: 1e-3, loss: "binaryCrossentropy", metrics: ["accuracy", "mse"] } },
  { title: "a gated layer, which brings its gates", shape: { formulation: "gated", units: 50, l2: 1e-3 }, options: {} },
  { title: "a split and early stopping", shape: {}, args: { validationSplit: 0.3 } },
  { title: "several classes", shape: { loss: "categoricalCrossentropy", formulation: "gated", units: 200 } },
  { title: "the Huber loss, which is a function", shape: { loss: "huberLoss" } },
  { title: "weights", shape: { loss: "hinge" }, args: { classWeight: { [-1]: 2, 1: 0.5 }, sampleWeight: weights(30) } },
  { title: "interpolation", shape: { hiddenBias: false, units: 200 }, options: { regularization: "interpolate" } },
  { title: "principal components", shape: {}, options: { pca: 2 } },
  { title: "a wider model", shape: { units: 1 }, options: { width: "resize" } },
];

function weights(rows: number): number[] {
  return Array.from({ length: rows }, (_, k) => 1 + (k % 3));
}

/** The program of a result, its functions by what they give. */
function programOf({ problem }: FitResult) {
  const { X, gates, loss, penalty, beta, outputBias, cones } = problem.program;
  const Z = Float64Array.from({ length: loss.rows * loss.outputs }, (_, k) => ((k * 7) % 5) - 2);
  return {
    X,
    gates,
    beta,
    outputBias,
    cones,
    values: [loss, problem.loss].map((each) => each.value(Z).toPrecision(12)),
    names: [loss.name, penalty.name],
  };
}

/** A history without what the clock says. */
function timeless({ history, epoch }: { history: Record<string, unknown>; epoch: number[] }) {
  const { seconds: _seconds, ...rest } = history;
  return { epoch, history: rest };
}

describe("fit in a worker", () => {
  test.each(fits)("gives the weights, history and proof of fit: $title", async ({ shape, options, args }) => {
    const { x, y } = makeData(shape.loss);
    const settings = { ...few, ...options };
    if (shape.formulation === "gated" && options !== undefined)
      delete (settings as { arrangements?: unknown }).arrangements;
    const callbacks = () => (args?.validationSplit ? tf.callbacks.earlyStopping({ monitor: "val_loss" }) : null);
    const models = [makeModel(shape), makeModel(shape)];
    const before = tf.memory().numTensors;
    const here = await new ConvexReLUTrainer(settings).fit(models[0], x, y, { ...args, callbacks: callbacks() });
    const there = await new WorkerTrainer(worker, settings).fit(models[1], x, y, { ...args, callbacks: callbacks() });
    expect(weightsIn(there.model)).toEqual(weightsIn(here.model));
    expect(timeless(there)).toEqual(timeless(here));
    expect(there.certificate).toEqual(here.certificate);
    expect(there.objective).toEqual(here.objective);
    expect(there.notes).toEqual(here.notes);
    expect(there.gates).toEqual(here.gates);
    expect(programOf(there)).toEqual(programOf(here));
    expect(there.engine).toBe(`${here.engine}, in a worker`);
    for (const { model } of [here, there]) if (!models.includes(model)) model.dispose();
    expect(tf.memory().numTensors).toBe(before);
    tf.dispose([x, y]);
    for (const model of models) model.dispose();
  });

  test("gives what fit gives of a model without a program, of several inputs and outputs", async () => {
    const results = [];
    for (const trainer of [
      new ConvexReLUTrainer({ maxIterations: 3 }),
      new WorkerTrainer(worker, { maxIterations: 3 }),
    ]) {
      const inputs = [tf.input({ shape: [2], name: "size" }), tf.input({ shape: [3], name: "place" })];
      const seeded = (units: number) => ({ units, kernelInitializer: tf.initializers.glorotUniform({ seed: units }) });
      const towers = inputs.map(
        (input, k) => tf.layers.dense({ ...seeded(3 + k), activation: "tanh" }).apply(input) as tf.SymbolicTensor,
      );
      const both = tf.layers.concatenate().apply(towers) as tf.SymbolicTensor;
      const outputs = (["linear", "sigmoid"] as const).map(
        (activation) =>
          tf.layers.dense({ ...seeded(1), activation, name: activation }).apply(both) as tf.SymbolicTensor,
      );
      const model = tf.model({ inputs, outputs });
      model.compile({ optimizer: "sgd", loss: { linear: "meanSquaredError", sigmoid: "meanSquaredError" } });
      const [a, b] = [tf.randomNormal([12, 2], 0, 1, "float32", 1), tf.randomNormal([12, 3], 0, 1, "float32", 2)];
      const y = [tf.randomNormal([12, 1], 0, 1, "float32", 3), tf.randomUniform([12, 1], 0, 1, "float32", 4)];
      const held = [
        [tf.ones([2, 2]), tf.ones([2, 3])],
        [tf.ones([2, 1]), tf.zeros([2, 1])],
      ] as const;
      const before = tf.memory().numTensors;
      const result = await trainer.fit(model, { place: b, size: a }, y, { validationData: held });
      expect(tf.memory().numTensors).toBe(before);
      const { objective, certificate, notes, noProgram } = result;
      expect(() => result.problem).toThrow(/a model with a convex program/);
      results.push({ weights: weightsIn(model), objective, certificate, notes, noProgram, ...timeless(result) });
      model.dispose();
      tf.dispose([a, b, ...y, ...held.flat()]);
    }
    expect(results[1]).toEqual(results[0]);
  });

  test("trains a convolutional model, and one that becomes wider", async () => {
    const x = tf.randomNormal([12, 4, 4, 1], 0, 1, "float32", 1);
    const y = tf.randomNormal([12, 1], 0, 1, "float32", 2);
    const results = [];
    for (const trainer of [
      new ConvexReLUTrainer({ ...few, width: "resize" }),
      new WorkerTrainer(worker, { ...few, width: "resize" }),
    ]) {
      const model = tf.sequential({
        layers: [
          tf.layers.conv2d({ filters: 1, kernelSize: 2, activation: "relu", inputShape: [4, 4, 1] }),
          tf.layers.globalAveragePooling2d({}),
          tf.layers.dense({ units: 1 }),
        ],
      });
      model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
      const result = await trainer.fit(model, x, y);
      results.push(weightsIn(result.model));
      if (result.model !== model) result.model.dispose();
      model.dispose();
    }
    expect(results[1]).toEqual(results[0]);
    expect(results[0][1].length).toBeGreaterThan(1);
    tf.dispose([x, y]);
  });

  const l2 = () => tf.regularizers.l2({ l2: 1e-3 });
  const seeded = () => ({ kernelInitializer: tf.initializers.glorotNormal({ seed: 5 }) });
  const heads: readonly (readonly [string, () => tf.layers.Layer[]])[] = [
    [
      "leakyReLU",
      () => [tf.layers.dense({ units: 40, inputShape: [3], ...seeded() }), tf.layers.leakyReLU({ alpha: 0.2 })],
    ],
    [
      "batch normalisation",
      () => [
        tf.layers.dense({ units: 40, inputShape: [3], ...seeded() }),
        tf.layers.batchNormalization({ gammaRegularizer: l2(), betaRegularizer: l2() }),
        tf.layers.reLU(),
      ],
    ],
    [
      "a frozen layer with a regularizer",
      () => {
        const first = tf.layers.dense({
          name: "trunk",
          units: 3,
          activation: "tanh",
          inputShape: [3],
          kernelRegularizer: l2(),
          ...seeded(),
        });
        first.trainable = false;
        return [first, tf.layers.dense({ units: 40, activation: "relu", ...seeded() })];
      },
    ],
  ];

  test.each(heads)("gives what fit gives: %s", async (name, first) => {
    const { x, y } = makeData();
    const charged = name === "batch normalisation" ? { kernelRegularizer: l2() } : {};
    const results = [];
    for (const trainer of [new ConvexReLUTrainer(few), new WorkerTrainer(worker, few)]) {
      const model = tf.sequential({ layers: [...first(), tf.layers.dense({ units: 1, ...charged, ...seeded() })] });
      model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
      const result = await trainer.fit(model, x, y);
      const set = await optimalSet(result);
      results.push({
        weights: weightsIn(model),
        objective: result.objective,
        notes: result.notes,
        certificate: result.certificate,
        optima: set.solutions.map(({ objective }) => objective),
      });
      model.dispose();
    }
    for (const part of ["weights", "objective", "notes", "certificate", "optima"] as const)
      expect(results[1][part], part).toEqual(results[0][part]);
    tf.dispose([x, y]);
  });

  test.each(["keep", "resize"] as const)("a linear layer beside the hidden one, width %s", async (width) => {
    const x = tf.randomNormal([20, 3], 0, 1, "float32", 1);
    const y = tf.randomNormal([20, 2], 0, 1, "float32", 2);
    const before = tf.memory().numTensors;
    const results = [];
    for (const trainer of [new ConvexReLUTrainer({ ...few, width }), new WorkerTrainer(worker, { ...few, width })]) {
      const inputs = tf.input({ shape: [3] });
      const first = tf.layers.dense({ units: 60, activation: "relu", kernelInitializer: "ones" }).apply(inputs);
      const last = tf.layers.dense({ units: 2 }).apply(first as tf.SymbolicTensor) as tf.SymbolicTensor;
      // Deeper than the hidden layer, so that its weights may come first.
      const line = [tf.layers.dense({ units: 2 }), tf.layers.dropout({ rate: 0.1, name: "a" })];
      line.push(tf.layers.dropout({ rate: 0.1, name: "b" }));
      const beside = line.reduce((tensor, layer) => layer.apply(tensor) as tf.SymbolicTensor, inputs);
      const model = tf.model({ inputs, outputs: tf.layers.add().apply([last, beside]) as tf.SymbolicTensor });
      model.compile({ optimizer: "sgd", loss: "meanSquaredError", metrics: ["mse"] });
      const result = await trainer.fit(model, x, y, { validationSplit: 0.2 });
      results.push({ ...timeless(result), weights: weightsIn(result.model), objective: result.objective });
      results.push({
        notes: result.notes,
        certificate: result.certificate,
        program: programOf(result as FitResult<tf.LayersModel> as FitResult),
      });
      if (result.model !== model) result.model.dispose();
      model.optimizer.dispose();
      model.dispose();
    }
    expect(results[2]).toEqual(results[0]);
    expect(results[3]).toEqual(results[1]);
    expect(tf.memory().numTensors).toBe(before);
    tf.dispose([x, y]);
  });

  test("begins from an earlier result", async () => {
    const { x, y } = makeData();
    const model = makeModel({ l2: 1e-3 });
    const first = await new WorkerTrainer(worker, few).fit(model, x, y);
    const second = await new WorkerTrainer(worker, { tolerance: 1e-4 }).fit(model, x, y, { warmStart: first });
    expect(second.epoch.length).toBeLessThan(first.epoch.length);
    expect(second.certificate.primal).toBeLessThanOrEqual(first.certificate.primal * (1 + 1e-12));
    tf.dispose([x, y]);
    model.dispose();
  });

  test("judges validation data that are given", async () => {
    const { x, y } = makeData();
    const held = makeData("meanSquaredError", 12, 3, 1, 9);
    const model = makeModel({ l2: 1e-3 });
    const { history } = await new WorkerTrainer(worker, few).fit(model, x, y, { validationData: [held.x, held.y] });
    const value = tf.tidy(() => (model.evaluate(held.x, held.y) as tf.Scalar).dataSync()[0]);
    expect(history.val_loss.at(-1)).toBeCloseTo(value, 4);
    tf.dispose([x, y, held.x, held.y]);
    model.dispose();
  });

  test("two fits at once are served one after the other", async () => {
    const { x, y } = makeData();
    const models = [makeModel({ l2: 1e-3 }), makeModel({ l2: 1e-3 })];
    const [a, b] = await Promise.all(models.map((model) => new WorkerTrainer(worker, few).fit(model, x, y)));
    expect(weightsIn(a.model)).toEqual(weightsIn(b.model));
    tf.dispose([x, y]);
    for (const model of models) model.dispose();
  });

  test("a callback stops it after the round in which it asks", async () => {
    const { x, y } = makeData();
    const model = makeModel();
    const onEpochEnd = async (epoch: number) => {
      if (epoch === 1) model.stopTraining = true;
    };
    const result = await new WorkerTrainer(worker, { ...few, tolerance: 1e-12 }).fit(model, x, y, {
      callbacks: { onEpochEnd },
    });
    expect(result.status).toBe("cancelled");
    expect(result.epoch).toEqual([0, 1]);
    tf.dispose([x, y]);
    model.dispose();
  });

  test("an AbortSignal ends it, and the best point so far is written", async () => {
    const { x, y } = makeData("meanSquaredError", 200, 20);
    const model = makeModel({ inputs: 20, units: 400 });
    const controller = new AbortController();
    const trainer = new WorkerTrainer(worker, { tolerance: 1e-14, regularization: 1e-5, signal: controller.signal });
    const result = await trainer.fit(model, x, y, { callbacks: { onEpochEnd: async () => controller.abort() } });
    expect(result.status).toBe("cancelled");
    const value = tf.tidy(() => (model.evaluate(x, y) as tf.Scalar).dataSync()[0]);
    expect(value).toBeCloseTo(result.objective.loss, 4);
    tf.dispose([x, y]);
    model.dispose();
  });
});

test("train in a worker builds the model that train builds", async () => {
  const { x, y } = makeData("binaryCrossentropy");
  const before = tf.memory().numTensors;
  const args = { loss: "binaryCrossentropy", metrics: "accuracy" } as const;
  const here = await new ConvexReLUTrainer(few).train(x, y, args);
  const there = await new WorkerTrainer(worker, few).train(x, y, args);
  expect(weightsIn(there.model)).toEqual(weightsIn(here.model));
  expect(there.objective).toEqual(here.objective);
  await there.model.fit(x, y, { epochs: 1, verbose: 0 }); // compiled
  here.model.dispose();
  there.model.dispose();
  expect(tf.memory().numTensors).toBe(before);
  tf.dispose([x, y]);
});

describe("a fit that can't be made leaves the weights, and says why:", () => {
  const refusals: {
    title: string;
    attempt: (model: tf.Sequential, x: tf.Tensor, y: tf.Tensor) => unknown;
    error: object;
  }[] = [
    {
      title: "rows that do not match, found in the worker",
      attempt: (model, x, y) =>
        new WorkerTrainer(worker).fit(
          model,
          x,
          tf.tidy(() => y.slice([0, 0], [5, 1])),
        ),
      error: { code: "data/shape" },
    },
    {
      title: "an option that is none",
      attempt: (model, x, y) => new WorkerTrainer(worker, { tolerence: 1 } as TrainerOptions).fit(model, x, y),
      error: { code: "options/unknown" },
    },
    {
      title: "an array for a tensor",
      attempt: (model, _x, y) => new WorkerTrainer(worker).fit(model, [[1, 2, 3]] as unknown as tf.Tensor, y),
      error: { code: "data/shape" },
    },
    {
      title: "an argument that can't be copied",
      attempt: (model, x, y) => new WorkerTrainer(worker).fit(model, x, y, { batches: () => 1 } as FitArgs),
      error: { code: "worker/transfer" },
    },
    {
      title: "no worker",
      attempt: (model, x, y) => new WorkerTrainer({} as TestWorker).fit(model, x, y),
      error: { code: "worker/port" },
    },
    {
      title: "a callback that throws",
      attempt: (model, x, y) =>
        new WorkerTrainer(worker, few).fit(model, x, y, {
          callbacks: { onEpochEnd: () => Promise.reject(new Error("mine")) },
        }),
      error: { message: "mine" },
    },
  ];
  test.each(refusals)("$title", async ({ attempt, error }) => {
    const { x, y } = makeData();
    const model = makeModel();
    const before = weightsIn(model);
    await expect((async () => attempt(model, x, y))()).rejects.toMatchObject(error);
    expect(weightsIn(model)).toEqual(before);
    const after = await new WorkerTrainer(worker, few).fit(model, x, y); // the worker is as good as new
    expect(after.status).toBe("solved");
    tf.dispose([x, y]);
    model.dispose();
  });

  test("a metric that is a function of one's own", async () => {
    const { x, y } = makeData();
    const model = makeModel();
    const mine = (target: tf.Tensor, prediction: tf.Tensor) => tf.sub(target, prediction);
    model.compile({ optimizer: "sgd", loss: "meanSquaredError", metrics: [mine] as unknown as string[] });
    await expect(new WorkerTrainer(worker).fit(model, x, y)).rejects.toMatchObject({ code: "worker/transfer" });
    tf.dispose([x, y]);
    model.dispose();
  });

  test("a worker whose script is broken", async () => {
    const { x, y } = makeData();
    const model = makeModel();
    const broken = await startBrokenWorker();
    await expect(new WorkerTrainer(broken).fit(model, x, y)).rejects.toMatchObject({ code: "worker/failed" });
    await broken.terminate();
    tf.dispose([x, y]);
    model.dispose();
  });

  /** A page that waits 20 ms where it would wait 20 seconds. */
  function beImpatient() {
    const { setTimeout: real } = globalThis;
    return vi
      .spyOn(globalThis, "setTimeout")
      .mockImplementation(((work: () => void, wait?: number) =>
        real(work, wait === 20_000 ? 20 : wait)) as typeof setTimeout);
  }

  test("a worker whose script never serves", async () => {
    const { x, y } = makeData();
    const model = makeModel();
    const before = weightsIn(model);
    const idle = await startIdleWorker();
    const impatience = beImpatient();
    await expect(new WorkerTrainer(idle).fit(model, x, y)).rejects.toMatchObject({
      code: "worker/silent",
      message: expect.stringContaining("Call serveTrainer()"),
    });
    impatience.mockRestore();
    expect(weightsIn(model)).toEqual(before);
    await idle.terminate();
    tf.dispose([x, y]);
    model.dispose();
  });

  test("a worker that begins to serve too late serves the next fit", async () => {
    const { x, y } = makeData();
    const model = makeModel();
    const late = await startWorker();
    const impatience = beImpatient();
    await expect(new WorkerTrainer(late, few).fit(model, x, y)).rejects.toMatchObject({ code: "worker/silent" });
    impatience.mockRestore();
    const { status } = await new WorkerTrainer(late, few).fit(model, x, y);
    expect(status).toBe("solved");
    await late.terminate();
    tf.dispose([x, y]);
    model.dispose();
  });
});
