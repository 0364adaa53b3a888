/** Models with several trained hidden layers: the schedules of depth, over several shapes. */

import * as tf from "@tensorflow/tfjs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  ConvexError,
  ConvexReLUTrainer,
  certify,
  describeNetwork,
  type FitArgs,
  type TrainerOptions,
  WorkerTrainer,
} from "../../src/index.js";
import { onCountingClock } from "../helpers/clock.js";
import { saveAndLoad, weightsIn } from "../helpers/models.js";
import { startWorker, type TestWorker } from "../helpers/workers.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const L2 = 1e-3;
/** Ends after a few epochs, so that no clock decides. */
const SHORT: TrainerOptions = { depth: "alternate", maxIterations: 4, arrangements: { kind: "sample", count: 30 } };

/** Layers whose first weights are the same in every run. */
class Maker {
  private seed = 1;

  constructor(private readonly l2: number) {}

  dense(units: number, activation?: "relu" | "tanh" | "softmax" | "sigmoid", more: object = {}): tf.layers.Layer {
    return tf.layers.dense({ units, ...(activation === undefined ? {} : { activation }), ...this.common(), ...more });
  }

  conv(filters: number, more: object = {}): tf.layers.Layer {
    return tf.layers.conv2d({ filters, kernelSize: 3, padding: "same", activation: "relu", ...this.common(), ...more });
  }

  private common() {
    this.seed += 1;
    return {
      kernelInitializer: tf.initializers.glorotUniform({ seed: this.seed }),
      ...(this.l2 > 0 ? { kernelRegularizer: tf.regularizers.l2({ l2: this.l2 }) } : {}),
    };
  }
}

interface Shape {
  readonly title: string;
  readonly loss?: string;
  readonly metrics?: string[];
  readonly l2?: number;
  readonly images?: boolean;
  readonly classes?: number;
  readonly build: (make: Maker) => tf.LayersModel;
  readonly args?: FitArgs;
  /** Layers that "head" may change. */
  readonly head: number;
}

const ROWS = 40;
const sequence = (...layers: tf.layers.Layer[]) => tf.sequential({ layers });
const first = { inputShape: [3] };

/** A dense layer beside which its input goes on; `end` comes after their sum. */
function residual(make: Maker, ...end: tf.layers.Layer[]): tf.LayersModel {
  const inputs = tf.input({ shape: [3] });
  const below = make.dense(8, "relu").apply(inputs) as tf.SymbolicTensor;
  const inner = make.dense(8, "relu").apply(below) as tf.SymbolicTensor;
  const sum = tf.layers.add().apply([below, inner]) as tf.SymbolicTensor;
  return tf.model({ inputs, outputs: end.reduce((tensor, layer) => layer.apply(tensor) as tf.SymbolicTensor, sum) });
}

const shapes: readonly Shape[] = [
  {
    title: "two hidden layers",
    build: (make) => sequence(make.dense(10, "relu", first), make.dense(8, "relu"), make.dense(1)),
    head: 2,
  },
  {
    title: "three hidden layers of classes, with metrics",
    loss: "categoricalCrossentropy",
    metrics: ["accuracy"],
    classes: 3,
    build: (make) =>
      sequence(make.dense(8, "relu", first), make.dense(8, "relu"), make.dense(6, "relu"), make.dense(3, "softmax")),
    args: { validationSplit: 0.2 },
    head: 2,
  },
  {
    title: "a residual sum below the head",
    build: (make) => residual(make, make.dense(8, "relu"), make.dense(1)),
    head: 2,
  },
  { title: "a residual sum before the read-out", build: (make) => residual(make, make.dense(1)), head: 1 },
  {
    title: "tanh, of which the read-out is the head",
    build: (make) => sequence(make.dense(6, "tanh", first), make.dense(6, "tanh"), make.dense(1)),
    head: 1,
  },
  {
    title: "batch normalisation and dropout below the head",
    build: (make) =>
      sequence(
        make.dense(8, "relu", first),
        tf.layers.batchNormalization(),
        tf.layers.dropout({ rate: 0.5 }),
        make.dense(8, "relu"),
        make.dense(1),
      ),
    head: 2,
  },
  {
    title: "convolutions with max pooling",
    loss: "categoricalCrossentropy",
    classes: 2,
    images: true,
    build: (make) =>
      sequence(
        make.conv(2, { inputShape: [5, 5, 1] }),
        tf.layers.maxPooling2d({ poolSize: 2 }),
        make.conv(2),
        tf.layers.maxPooling2d({ poolSize: 2 }),
        tf.layers.flatten(),
        make.dense(2, "softmax"),
      ),
    head: 1,
  },
  {
    title: "weighted rows and no regularizers",
    loss: "binaryCrossentropy",
    l2: 0,
    build: (make) => sequence(make.dense(8, "relu", first), make.dense(8, "relu"), make.dense(1, "sigmoid")),
    args: { sampleWeight: Array.from({ length: ROWS }, (_, k) => k % 3) },
    head: 2,
  },
  {
    title: "a linear layer beside the last hidden one",
    build: (make) => {
      const inputs = tf.input({ shape: [3] });
      const below = make.dense(8, "relu").apply(inputs) as tf.SymbolicTensor;
      const bent = [make.dense(8, "relu"), make.dense(1)].reduce(
        (at, each) => each.apply(at) as tf.SymbolicTensor,
        below,
      );
      const straight = make.dense(1).apply(below) as tf.SymbolicTensor;
      return tf.model({ inputs, outputs: tf.layers.add().apply([bent, straight]) as tf.SymbolicTensor });
    },
    head: 3,
  },
];

function built({ build, loss = "meanSquaredError", metrics, l2 = L2 }: Shape): tf.LayersModel {
  const model = build(new Maker(l2));
  model.compile({ optimizer: "sgd", loss, ...(metrics === undefined ? {} : { metrics }) });
  return model;
}

function dataOf({ images = false, classes = 0, loss }: Shape): { x: tf.Tensor; y: tf.Tensor } {
  return tf.tidy(() => {
    const x = tf.randomNormal(images ? [ROWS, 5, 5, 1] : [ROWS, 3], 0, 1, "float32", 7);
    const sum = tf.sum(tf.reshape(x, [ROWS, -1]), 1, true);
    if (classes > 0)
      return { x, y: tf.oneHot(tf.cast(tf.mod(tf.abs(sum), classes), "int32").flatten(), classes).toFloat() };
    return { x, y: loss === "binaryCrossentropy" ? tf.cast(tf.greater(tf.sin(sum), 0), "float32") : tf.sin(sum) };
  });
}

/** What model.evaluate and calculateLosses say together, over the rows that are trained on. */
function objectiveOf(
  model: tf.LayersModel,
  x: tf.Tensor,
  y: tf.Tensor,
  { sampleWeight, validationSplit }: FitArgs = {},
) {
  return tf.tidy(() => {
    const rows = Math.floor(ROWS * (1 - (validationSplit ?? 0)));
    const [inputs, targets] = [x, y].map((tensor) => tf.slice(tensor, 0, rows));
    const charged = model.calculateLosses().reduce((sum, term) => sum + term.dataSync()[0], 0);
    if (sampleWeight != null) {
      const weights = tf.tensor1d(Array.from(sampleWeight as number[]));
      const judge = (model as unknown as { model: tf.LayersModel }).model.lossFunctions[0];
      return tf.mean(tf.mul(judge(targets, model.predict(inputs) as tf.Tensor), weights)).dataSync()[0] + charged;
    }
    const found = model.evaluate(inputs, targets, { batchSize: ROWS });
    return [found].flat()[0].dataSync()[0] + charged;
  });
}

const images = { inputShape: [5, 5, 1] };

/** Layers between input and output that have no program. */
const foreign: readonly (readonly [string, (make: Maker) => tf.layers.Layer[]])[] = [
  [
    "max pooling",
    (make) => [make.conv(2, images), tf.layers.maxPooling2d({ poolSize: 2 }), tf.layers.flatten(), make.dense(1)],
  ],
  [
    "a separable convolution",
    (make) => [
      tf.layers.separableConv2d({ filters: 2, kernelSize: 3, activation: "relu", ...images }),
      tf.layers.globalAveragePooling2d({}),
      make.dense(1),
    ],
  ],
  [
    "normalisation after the activation",
    (make) => [make.conv(2, images), tf.layers.batchNormalization(), tf.layers.flatten(), make.dense(1)],
  ],
  [
    "a recurrent layer",
    (make) => [
      tf.layers.reshape({ targetShape: [5, 5], ...images }),
      tf.layers.simpleRNN({ units: 3, kernelInitializer: tf.initializers.glorotUniform({ seed: 1 }) }),
      make.dense(1),
    ],
  ],
];

const near = (value: number) => Math.max(1e-6, 2e-5 * Math.abs(value));

describe.each(shapes)("a model of $title", (shape) => {
  test('"alternate" never ends above the start, its history never rises, and its objective is what the model itself says', async () => {
    const model = built(shape);
    const { x, y } = dataOf(shape);
    const args = shape.args ?? {};
    const start = objectiveOf(model, x, y, args);
    const tensors = tf.memory().numTensors;
    const result = await new ConvexReLUTrainer(SHORT).fit(model, x, y, args);
    expect(tf.memory().numTensors).toBe(tensors);
    const end = objectiveOf(model, x, y, args);
    expect(end).toBeLessThan(0.99 * start);
    expect(Math.abs(result.objective.total - end)).toBeLessThan(near(end));
    const history = result.history.loss as number[];
    expect(history.length).toBe(result.epoch.length);
    expect(history.length).toBeLessThanOrEqual(SHORT.maxIterations as number);
    for (let k = 1; k < history.length; k++) expect(history[k]).toBeLessThan(history[k - 1]);
    expect(result.notes.join()).toContain("The program of the head:");
    expect(Math.abs((history.at(-1) as number) - end)).toBeLessThan(near(end));
    const { certificate } = result;
    expect(certificate.claim).toMatch(
      /^Of the (read-out alone|last hidden layer and the read-out alone), given the features/,
    );
    expect(certificate.dual).toBeLessThanOrEqual(certificate.network + near(end));
    for (const metric of shape.metrics ?? [])
      expect(result.history).toHaveProperty(`val_${metric === "accuracy" ? "acc" : metric}`);
    const loaded = await saveAndLoad(model as tf.Sequential);
    const [mine, theirs] = [model, loaded].map((each) => tf.tidy(() => (each.predict(x) as tf.Tensor).dataSync()));
    expect(theirs).toEqual(mine);
    loaded.dispose();
    model.dispose();
    tf.dispose([x, y]);
  });

  test('"head" leaves every weight below the head as it is, to the last bit', async () => {
    const model = built(shape);
    const { x, y } = dataOf(shape);
    const start = objectiveOf(model, x, y, shape.args);
    const before = model.layers.map((layer) => layer.getWeights().map((weight) => Array.from(weight.dataSync())));
    const tensors = tf.memory().numTensors;
    const result = await new ConvexReLUTrainer({ depth: "head", maxIterations: 4 }).fit(model, x, y, shape.args);
    expect(tf.memory().numTensors).toBe(tensors);
    const after = model.layers.map((layer) => layer.getWeights().map((weight) => Array.from(weight.dataSync())));
    const changed = model.layers.filter((_, k) => JSON.stringify(after[k]) !== JSON.stringify(before[k]));
    expect(changed).toEqual(model.layers.filter((layer) => layer.weights.length > 0).slice(-shape.head));
    expect(result.certificate.claim).toMatch(/given the features that the layers below/);
    if (shape.l2 !== 0) {
      const end = objectiveOf(model, x, y, shape.args);
      expect(Math.abs(result.objective.total - end)).toBeLessThan(near(end));
      expect(end).toBeLessThan(start);
    }
    model.dispose();
    tf.dispose([x, y]);
  });
});

describe("a deep fit", () => {
  const [shape] = shapes;

  test("of the head leaves a better head as it is, whatever the width costs what the program found", async () => {
    const make = new Maker(L2);
    const model = sequence(make.dense(8, "relu", first), make.dense(3, "relu"), make.dense(1));
    model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
    const { x, y } = dataOf(shape);
    await new ConvexReLUTrainer({ depth: "alternate", maxIterations: 20 }).fit(model, x, y);
    const before = objectiveOf(model, x, y);
    const result = await new ConvexReLUTrainer({ depth: "head", maxIterations: 2 }).fit(model, x, y);
    const after = objectiveOf(model, x, y);
    expect(after).toBeLessThanOrEqual(before + near(before));
    expect(Math.abs(result.objective.total - after)).toBeLessThan(near(after));
    // Without time nothing as low is found.
    const poor = { depth: "head", arrangements: { kind: "sample", count: 2 }, timeLimit: 1e-6 } as const;
    const kept = await new ConvexReLUTrainer(poor).fit(model, x, y);
    expect(kept.objective.total).toBeLessThanOrEqual(after + near(after));
    expect(kept.notes.join()).toMatch(/network that the program found was not taken.*the model's own/);
    tf.dispose([x, y]);
  });

  test("of a model of two layers is what it is without the option", async () => {
    const { x, y } = dataOf(shape);
    const [plain, asked] = [{}, { depth: "alternate" as const }].map(async (options) => {
      const make = new Maker(L2);
      const model = sequence(make.dense(8, "relu", first), make.dense(1));
      model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
      await new ConvexReLUTrainer({ ...SHORT, depth: "head", ...options }).fit(model, x, y);
      return weightsIn(model);
    });
    expect(await asked).toEqual(await plain);
    tf.dispose([x, y]);
  });

  test("alternates by itself where no option says otherwise, and other verbs refuse by a sentence that names what there is", async () => {
    const { x, y } = dataOf(shape);
    const { depth: _, ...others } = SHORT;
    const trained = async (options: TrainerOptions) => {
      const model = built({ ...shape, l2: 0 });
      await onCountingClock(() => new ConvexReLUTrainer(options).fit(model, x, y));
      return weightsIn(model);
    };
    expect(await trained(SHORT)).toEqual(await trained(others));
    const model = built({ ...shape, l2: 0 });
    await expect(new ConvexReLUTrainer().path(model, x, y)).rejects.toThrow(/layers below them.*Set depth: "head"/);
    await expect(describeNetwork(model, x)).rejects.toThrow(/layers below them.*Set trainable: false/);
    const path = await new ConvexReLUTrainer({ depth: "head" }).path(model, x, y, { count: 2 });
    expect(path.points[1].certificate.claim).toMatch(/^Of the last hidden layer/);
    tf.dispose([x, y]);
  });

  test.each(foreign)(
    "alternates by itself where no program has %s before the read-out, unless a program is asked for",
    async (_, build) => {
      const { x, y } = dataOf({ ...shape, images: true });
      const model = tf.sequential({ layers: build(new Maker(L2)) });
      model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
      const before = objectiveOf(model, x, y);
      const { depth: _depth, ...others } = SHORT;
      const { objective, certificate, problem } = await new ConvexReLUTrainer(others).fit(model, x, y);
      expect(objective.total).toBeLessThan(before);
      expect(objectiveOf(model, x, y)).toBeCloseTo(objective.total, 4);
      expect(problem.spec.cut).toBe("output");
      expect(certificate.claim).toMatch(/^Of the read-out alone, given the features/);
      const told = await certify(model, x, y);
      expect(told.certificate.claim).toMatch(/^Of the read-out alone, given the features/);
      await expect(new ConvexReLUTrainer({ formulation: "relu" }).fit(model, x, y)).rejects.toThrow(
        /Or set depth: "alternate"/,
      );
      model.dispose();
      tf.dispose([x, y]);
    },
  );

  test("ends where a callback asks it to, with the lowest weights", async () => {
    const model = built(shape);
    const { x, y } = dataOf(shape);
    const start = objectiveOf(model, x, y);
    const onEpochEnd = () => {
      model.stopTraining = true;
    };
    const result = await new ConvexReLUTrainer({ depth: "alternate" }).fit(model, x, y, { callbacks: { onEpochEnd } });
    expect(result.status).toBe("cancelled");
    expect(result.epoch.length).toBeLessThanOrEqual(2);
    expect(objectiveOf(model, x, y)).toBeLessThan(start);
    tf.dispose([x, y]);
  });

  test.each(["head", "alternate"] as const)('"%s" mends a head whose weights are NaN', async (depth) => {
    const model = built(shape);
    const { x, y } = dataOf(shape);
    model.layers[2].setWeights(model.layers[2].getWeights().map((weight) => tf.fill(weight.shape, Number.NaN)));
    const result = await new ConvexReLUTrainer({ ...SHORT, depth }).fit(model, x, y);
    const end = objectiveOf(model, x, y);
    expect(Math.abs(result.objective.total - end)).toBeLessThan(near(end));
    for (const value of result.history.loss) expect(value).not.toBeNaN();
    model.dispose();
    tf.dispose([x, y]);
  });

  test.each(["head", "alternate", "read-out"] as const)(
    '"%s" blames NaN below the head on the layer and weight that holds it, NaN in x on x, and overflow on the layers',
    async (depth) => {
      const model = built(shape);
      const { x, y } = dataOf(shape);
      const [kernel, bias] = model.layers[0].getWeights().map((weight) => weight.clone());
      const trained = (rows = x) => new ConvexReLUTrainer({ ...SHORT, depth }).fit(model, rows, y);
      model.layers[0].setWeights([kernel, tf.fill(bias.shape, Number.NaN)]);
      await expect(trained()).rejects.toMatchObject({
        code: "model/weights",
        message: expect.stringMatching(
          new RegExp(`NaN in weight "${model.layers[0].name}/bias[^"]*" of layer "${model.layers[0].name}"`),
        ),
      });
      model.layers[0].setWeights([kernel, bias]);
      const wrong = tf.tidy(() => tf.concat([tf.slice(x, 0, ROWS - 1), tf.tensor2d([[0, Number.NaN, 0]])]));
      await expect(trained(wrong)).rejects.toThrow(/finite numbers in x, got NaN in row 39, column 1/);
      if (depth !== "alternate") {
        model.layers[0].setWeights([tf.fill(kernel.shape, 3e38), bias]);
        await expect(trained()).rejects.toMatchObject({
          code: "model/weights",
          message: expect.stringMatching(/overflows/),
        });
      }
      model.dispose();
      tf.dispose([x, y, wrong, kernel, bias]);
    },
  );

  test.each([{ maxIterations: 1 }, { maxIterations: 3, solver: "proximal-newton" }] as const)(
    "without regularizers is certified for the objective that it reports, with options %o",
    async (options) => {
      const model = built({ ...shape, l2: 0 });
      const { x, y } = dataOf(shape);
      const result = await new ConvexReLUTrainer({ depth: "alternate", ...options }).fit(model, x, y);
      expect(result.certificate.claim).toMatch(/^Of the read-out alone/);
      expect(Math.abs(result.certificate.network - result.objective.total)).toBeLessThan(near(result.objective.total));
      expect(result.history.loss.length).toBeLessThanOrEqual(options.maxIterations);
      model.dispose();
      tf.dispose([x, y]);
    },
  );

  test("refuses callbacks that are none, and holds no tensors", async () => {
    const model = built(shape);
    const { x, y } = dataOf(shape);
    const tensors = tf.memory().numTensors;
    const callbacks = [1] as unknown as NonNullable<FitArgs["callbacks"]>;
    await expect(new ConvexReLUTrainer(SHORT).fit(model, x, y, { callbacks })).rejects.toBeInstanceOf(ConvexError);
    expect(tf.memory().numTensors).toBe(tensors);
    tf.dispose([x, y]);
  });

  test("keeps a limit on images, whatever TensorFlow.js needs for them, and holds the host for no longer than some of them take", async () => {
    const [x, y] = [
      tf.randomNormal([120, 12, 12, 1], 0, 1, "float32", 1),
      tf.randomNormal([120, 1], 0, 1, "float32", 2),
    ];
    const layers = [
      tf.layers.separableConv2d({ filters: 4, kernelSize: 3, activation: "relu", inputShape: [12, 12, 1] }),
      tf.layers.flatten(),
      new Maker(L2).dense(1),
    ];
    const model = tf.sequential({ layers });
    model.compile({ optimizer: "sgd", loss: "meanSquaredError", metrics: ["mse"] });
    const before = tf.memory().numTensors;
    const { made, time } = await onCountingClock(() => new ConvexReLUTrainer({ timeLimit: 0.2 }).fit(model, x, y));
    expect(time).toBeLessThan(1050 * 0.2 + 300);
    expect(made.status).toBe("timeLimit");
    expect(tf.memory().numTensors).toBe(before);
    model.dispose();
    tf.dispose([x, y]);
  });

  test("takes a descent back that leaves the head nothing to see, and says so", async () => {
    const { x } = dataOf(shape);
    const y = tf.zeros([ROWS, 1]);
    const model = sequence(new Maker(1).dense(10, "relu", first), new Maker(1).dense(8, "relu"), new Maker(1).dense(1));
    model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
    const before = objectiveOf(model, x, y);
    const options = { depth: "alternate", maxIterations: 4 } as const;
    const { notes, objective, history, epoch } = await new ConvexReLUTrainer(options).fit(model, x, y);
    expect(objective.total).toBeLessThan(before);
    const losses = history.loss as number[];
    expect(epoch.length).toBe(losses.length);
    for (let k = 1; k < losses.length; k++) expect(losses[k]).toBeLessThan(losses[k - 1]);
    expect(Math.abs((losses.at(-1) as number) - objective.total)).toBeLessThan(near(objective.total));
    expect(notes.join(" ")).toMatch(
      /Taken back, for layers below the head that compute the same on all rows: \d descents?\./,
    );
    model.dispose();
    tf.dispose([x, y]);
  });

  test("ends where a signal aborts it", async () => {
    const model = built(shape);
    const { x, y } = dataOf(shape);
    const controller = new AbortController();
    const start = objectiveOf(model, x, y);
    const trainer = new ConvexReLUTrainer({ depth: "alternate", signal: controller.signal });
    const result = await trainer.fit(model, x, y, { callbacks: { onEpochEnd: () => controller.abort() } });
    expect(result.status).toBe("cancelled");
    expect(objectiveOf(model, x, y)).toBeLessThan(start);
    tf.dispose([x, y]);
  });

  test("leaves the weights as they were where a callback throws", async () => {
    const model = built(shape);
    const { x, y } = dataOf(shape);
    const before = weightsIn(model);
    const tensors = tf.memory().numTensors;
    const onEpochEnd = () => {
      throw new Error("mine");
    };
    await expect(new ConvexReLUTrainer(SHORT).fit(model, x, y, { callbacks: { onEpochEnd } })).rejects.toThrow("mine");
    expect(weightsIn(model)).toEqual(before);
    expect(tf.memory().numTensors).toBe(tensors);
    tf.dispose([x, y]);
  });

  test("is certified as its head, which a longer solve bounds closely", async () => {
    const model = built(shapes[4]);
    const { x, y } = dataOf(shapes[4]);
    await new ConvexReLUTrainer({ depth: "head" }).fit(model, x, y);
    const { certificate } = await certify(model, x, y, { depth: "head", tolerance: 1e-6 });
    expect(certificate.relativeGap).toBeLessThan(1e-4);
    expect(certificate.claim).toMatch(/^Of the read-out alone/);
    tf.dispose([x, y]);
  });

  const bad: [wrong: string, options: object, args: object, says: RegExp][] = [
    [
      "a schedule that is none",
      { depth: "deep" },
      {},
      /depth: expected "head" or "read-out" or "alternate" or "layerwise", got "deep"/,
    ],
    ["a wider model", { depth: "alternate", width: "resize" }, {}, /width: .*"alternate".*make them wider/],
    ["principal components", { depth: "alternate", pca: 2 }, {}, /pca: .*changes from round to round/],
    ["a constraint", { depth: "alternate", regularization: "interpolate" }, {}, /regularization: .*"interpolate"/],
    [
      "a start from outside",
      { depth: "alternate" },
      { warmStart: {} },
      /warmStart: expected none for depth "alternate"/,
    ],
  ];

  test.each(bad)("refuses %s, and the weights stay", async (_, options, args, says) => {
    const model = built(shape);
    const { x, y } = dataOf(shape);
    const before = weightsIn(model);
    const run = async () => new ConvexReLUTrainer(options as TrainerOptions).fit(model, x, y, args as FitArgs);
    const error = await run().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ConvexError);
    expect((error as ConvexError).message).toMatch(says);
    expect(weightsIn(model)).toEqual(before);
    tf.dispose([x, y]);
  });

  const frozen: readonly (readonly [string, (normalization: tf.layers.Layer) => tf.layers.Layer[]])[] = [
    ["trained", (normalization) => [normalization]],
    ["frozen", (normalization) => [Object.assign(normalization, { trainable: false })]],
    [
      "frozen in a model within",
      (normalization) => [
        Object.assign(tf.sequential({ layers: [tf.layers.reLU({ inputShape: [2, 3, 3] }), normalization] }), {
          trainable: false,
        }),
      ],
    ],
  ];

  test.each(frozen)(
    "refuses batch normalisation over an axis that TensorFlow.js gets wrong, %s, by the layer's name",
    async (_, made) => {
      const [x, y] = [tf.randomNormal([8, 3, 4, 4], 0, 1, "float32", 1), tf.randomNormal([8, 1], 0, 1, "float32", 2)];
      const make = new Maker(L2);
      const layers = [
        tf.layers.conv2d({ filters: 2, kernelSize: 2, dataFormat: "channelsFirst", inputShape: [3, 4, 4] }),
        ...made(tf.layers.batchNormalization({ axis: 1, name: "channels" })),
        tf.layers.reLU(),
        tf.layers.flatten(),
        make.dense(4, "relu"),
        make.dense(1),
      ];
      const model = tf.sequential({ layers });
      model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
      const before = weightsIn(model);
      await expect(new ConvexReLUTrainer().fit(model, x, y)).rejects.toMatchObject({
        code: "model/layer",
        message: expect.stringMatching(/the last axis.*got axis 1 in layer "channels"/),
      });
      expect(weightsIn(model)).toEqual(before);
      model.dispose();
      tf.dispose([x, y]);
    },
  );

  test("beside a linear layer refuses what has no program, by a sentence that says what to do", async () => {
    const beside = shapes.find(({ head }) => head === 3) as Shape;
    const { x, y } = dataOf(beside);
    const trained = (l2: number, options: TrainerOptions) =>
      new ConvexReLUTrainer(options).fit(built({ ...beside, l2 }), x, y);
    await expect(trained(0, {})).rejects.toThrow(/expected regularizers of the hidden layer.*set depth: "head"/);
    await expect(trained(L2, { depth: "read-out" })).rejects.toThrow(/no linear layer beside.*Set depth: "head"/);
    tf.dispose([x, y]);
  });

  test("refuses a path of an alternation by sentence", async () => {
    const model = built({ ...shape, l2: 0 });
    const { x, y } = dataOf(shape);
    await expect(new ConvexReLUTrainer(SHORT).path(model, x, y)).rejects.toThrow(/path: expected depth "head"/);
    const flat = sequence(new Maker(0).dense(4, "relu", first), new Maker(0).dense(1));
    flat.compile({ optimizer: "sgd", loss: "meanSquaredError" });
    const path = await new ConvexReLUTrainer(SHORT).path(flat, x, y, { count: 2 });
    expect(path.points.length).toBe(2); // two layers need no schedule
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

  test.each(["head", "alternate"] as const)('"%s" does what it does here', async (depth) => {
    const [shape] = shapes;
    const { x, y } = dataOf(shape);
    const [here, there] = [built(shape), built(shape)];
    const options = { ...SHORT, depth };
    const mine = await new ConvexReLUTrainer(options).fit(here, x, y);
    const theirs = await new WorkerTrainer(worker, options).fit(there, x, y);
    expect(weightsIn(there)).toEqual(weightsIn(here));
    expect(theirs.history.loss).toEqual(mine.history.loss);
    expect(theirs.certificate.dual).toBe(mine.certificate.dual);
    expect(theirs.certificate.claim).toMatch(/^Of the last hidden layer/);
    expect(theirs.objective.total).toBeCloseTo(mine.objective.total, 6);
    tf.dispose([x, y]);
  });

  test("a better head stays as it is", async () => {
    const [shape] = shapes;
    const { x, y } = dataOf(shape);
    const model = built(shape);
    await new ConvexReLUTrainer(SHORT).fit(model, x, y);
    const [before, weights] = [objectiveOf(model, x, y), weightsIn(model)];
    const poor = { depth: "head", arrangements: { kind: "sample", count: 2 } } as const;
    const result = await new WorkerTrainer(worker, poor).fit(model, x, y);
    expect(weightsIn(model)).toEqual(weights);
    expect(Math.abs(result.objective.total - before)).toBeLessThan(near(before));
    expect(result.notes.join()).toContain("was not taken");
    expect(result.certificate.claim).toMatch(/^Of the last hidden layer/);
    tf.dispose([x, y]);
  });
});
