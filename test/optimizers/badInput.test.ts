import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import { ConvexError, ConvexReLUTrainer, type FitArgs, type TrainerOptions } from "../../src/index.js";
import { makeData, makeModel, weightsIn } from "../helpers/models.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

/** A layer of a user's own, with a weight for each column. */
class OwnScale extends tf.layers.Layer {
  static className = "OwnScale";

  override build(shape: tf.Shape): void {
    this.addWeight("scale", [shape[shape.length - 1] as number], "float32", tf.initializers.ones());
    this.built = true;
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.mul(Array.isArray(inputs) ? inputs[0] : inputs, this.weights[0].read());
  }
}

/** A layer whose outputs TensorFlow.js has no gradient of. */
class OwnSteps extends tf.layers.Layer {
  static className = "OwnSteps";

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const x = Array.isArray(inputs) ? inputs[0] : inputs;
    return tf.mul(x, tf.cast(tf.greater(x, 0.1), "float32"));
  }
}

/** One wrong input: what is wrong, the code, and the useful part of the sentence. */
interface Case {
  readonly wrong: string;
  readonly code: string;
  readonly says: RegExp;
  readonly options?: object;
  readonly args?: object;
  readonly x?: () => tf.Tensor;
  readonly y?: () => tf.Tensor;
  readonly model?: () => tf.LayersModel;
}

const good = () => makeData();
const dense = (layers: tf.layers.Layer[], loss: string | null = "meanSquaredError") => {
  const model = tf.sequential({ layers });
  if (loss !== null) model.compile({ optimizer: "sgd", loss });
  return model;
};
const relu = (extra: object = {}) => tf.layers.dense({ units: 40, activation: "relu", inputShape: [3], ...extra });
const last = (extra: object = {}) => tf.layers.dense({ units: 1, ...extra });
const l2 = tf.regularizers.l2({ l2: 0.01 });
const filled = (value: number, at = 4) => {
  const data = new Float32Array(90).map((_, k) => Math.sin(k * k));
  data[at] = value;
  return tf.tensor2d(data, [30, 3]);
};

const cases: Case[] = [
  {
    wrong: "NaN in x",
    code: "data/nonFinite",
    says: /finite numbers in x, got NaN in row 1, column 1\. Impute/,
    x: () => filled(Number.NaN),
  },
  {
    wrong: "infinity in x",
    code: "data/nonFinite",
    says: /got Infinity in row 1, column 1/,
    x: () => filled(Number.POSITIVE_INFINITY),
  },
  {
    wrong: "NaN in y",
    code: "data/nonFinite",
    says: /finite numbers in y, got NaN in row 0/,
    y: () => tf.fill([30, 1], Number.NaN),
  },
  {
    wrong: "x of the wrong width",
    code: "data/shape",
    says: /x of shape \[rows, 3\].*got \[30, 4\]/,
    x: () => tf.ones([30, 4]),
  },
  {
    wrong: "branch and bound for a gated network",
    code: "options/value",
    says: /pricing: expected \{ kind: "search" \} for a gated network/,
    options: { pricing: { kind: "branch-and-bound" } },
    model: () => makeModel({ formulation: "gated" }),
  },
  {
    wrong: "a pricing that is none",
    code: "options/value",
    says: /pricing\.kind: expected "search" or "branch-and-bound", got "exact"/,
    options: { pricing: { kind: "exact" } },
  },
  { wrong: "x of rank 3", code: "data/shape", says: /got \[30, 3, 1\]/, x: () => tf.ones([30, 3, 1]) },
  {
    wrong: "y of the wrong width",
    code: "data/shape",
    says: /y of shape \[rows, 1\].*got \[30, 2\]/,
    y: () => tf.ones([30, 2]),
  },
  {
    wrong: "y with other rows",
    code: "data/shape",
    says: /as many rows of y as of x, 30, got 29/,
    y: () => tf.ones([29, 1]),
  },
  {
    wrong: "an array in place of a tensor",
    code: "data/shape",
    says: /x to be a tf\.Tensor, got an array/,
    x: () => [[1]] as unknown as tf.Tensor,
  },
  {
    wrong: "no rows",
    code: "data/empty",
    says: /rows in x, got none/,
    x: () => tf.zeros([0, 3]),
    y: () => tf.zeros([0, 1]),
  },
  {
    wrong: "one row",
    code: "data/empty",
    says: /at least 2 rows, got 1/,
    x: () => tf.ones([1, 3]),
    y: () => tf.ones([1, 1]),
  },
  {
    wrong: "constant columns only",
    code: "data/constant",
    says: /a column of x that varies/,
    x: () => tf.ones([30, 3]),
  },
  {
    wrong: "a disposed x",
    code: "data/disposed",
    says: /x to be alive, got a disposed tensor/,
    x: () => {
      const x = tf.ones([30, 3]);
      x.dispose();
      return x;
    },
  },
  {
    wrong: "targets outside [0, 1]",
    code: "data/target",
    says: /targets in \[0, 1\], got 2 in row 0.*binaryCrossentropy/,
    model: () => makeModel({ loss: "binaryCrossentropy" }),
    y: () => tf.fill([30, 1], 2),
  },
  {
    wrong: "targets that are no signs",
    code: "data/target",
    says: /targets -1 or 1, got 0 in row 0/,
    model: () => makeModel({ loss: "hinge" }),
    y: () => tf.zeros([30, 1]),
  },
  {
    wrong: "rows that are not one-hot",
    code: "data/target",
    says: /sum to 1.*sum 3/,
    model: () => makeModel({ loss: "categoricalCrossentropy" }),
    y: () => tf.ones([30, 3]),
  },
  {
    wrong: "a single sample weight short",
    code: "data/weight",
    says: /one sampleWeight a row, 30, got 29/,
    args: { sampleWeight: new Float32Array(29) },
  },
  {
    wrong: "a negative sample weight",
    code: "data/weight",
    says: /at least 0, got -1 in row 0/,
    args: { sampleWeight: new Float32Array(30).fill(-1) },
  },
  {
    wrong: "sample weights of zero",
    code: "data/weight",
    says: /a sample weight above 0/,
    args: { sampleWeight: new Float32Array(30) },
  },
  {
    wrong: "a class without weight",
    code: "data/weight",
    says: /a classWeight for every class of y, got none for class/,
    args: { classWeight: { 7: 1 } },
  },
  {
    wrong: "a validation split of 1",
    code: "options/value",
    says: /validationSplit: expected a number between 0 and 1, got 1/,
    args: { validationSplit: 1 },
  },
  {
    wrong: "an unknown argument of fit",
    code: "options/unknown",
    says: /among validationData.*got "epochs". Leave it out: that is for gradient descent/,
    args: { epochs: 10 },
  },
  {
    wrong: "a misspelt argument of fit",
    code: "options/unknown",
    says: /got "validatoinSplit". Check the spelling/,
    args: { validatoinSplit: 0.2 },
  },
  {
    wrong: "no model",
    code: "model/kind",
    says: /a tf\.LayersModel, got null/,
    model: () => null as unknown as tf.Sequential,
  },
  {
    wrong: "an unsupported layer",
    code: "model/layer",
    says: /a trained hidden layer.*got layer "again" of class RepeatVector/,
    options: { formulation: "relu" },
    model: () => dense([relu(), tf.layers.repeatVector({ n: 2, name: "again" }), tf.layers.flatten(), last()]),
  },
  {
    wrong: "an unsupported activation",
    code: "model/activation",
    says: /activation "relu" in the hidden layer, or a leakyReLU layer, got "tanh" in layer "hid".*Or set depth: "alternate"/,
    options: { formulation: "relu" },
    model: () => dense([relu({ activation: "tanh", name: "hid" }), last()]),
  },
  {
    wrong: "a slope that is no number",
    code: "model/activation",
    says: /a leakyReLU layer whose alpha is a finite number, got alpha NaN after layer "hid"[^"]*$/,
    model: () =>
      dense([relu({ activation: "linear", name: "hid" }), tf.layers.leakyReLU({ alpha: Number.NaN }), last()]),
  },
  {
    wrong: "a layer that has no gradient",
    code: "model/layer",
    says: /layers through which TensorFlow\.js has gradients, got layer "steps" of class OwnSteps.*or set depth: "head"/,
    model: () => dense([relu(), new OwnSteps({ name: "steps" }), last()]),
  },
  {
    wrong: "arrangements for a linear network",
    code: "options/value",
    says: /arrangements: expected none for a linear network/,
    options: { arrangements: { kind: "enumerate" } },
    model: () => dense([relu({ activation: "linear" }), last()]),
  },
  {
    wrong: "a last activation that the loss does not want",
    code: "model/activation",
    says: /activation "linear" in the last layer.*got "sigmoid"/,
    options: { formulation: "relu" },
    model: () => dense([relu(), last({ activation: "sigmoid" })]),
  },
  {
    wrong: "an unsupported loss",
    code: "model/loss",
    says: /a loss among "meanSquaredError".*got "poisson"/,
    options: { formulation: "relu" },
    model: () => dense([relu(), last()], "poisson"),
  },
  {
    wrong: "a model that is not compiled",
    code: "model/uncompiled",
    says: /Call model\.compile/,
    model: () => dense([relu(), last()], null),
  },
  {
    wrong: "an l1 regularizer",
    code: "model/regularizer",
    says: /l2 regularizers only.*l1 0\.1.*Or set depth: "alternate"/,
    options: { formulation: "relu" },
    model: () => dense([relu({ kernelRegularizer: tf.regularizers.l1({ l1: 0.1 }) }), last()]),
  },
  {
    wrong: "a constraint",
    code: "model/regularizer",
    says: /no kernelConstraint/,
    options: { formulation: "relu" },
    model: () => dense([relu({ kernelConstraint: tf.constraints.nonNeg() }), last()]),
  },
  {
    wrong: "a regularizer in one layer only",
    code: "model/regularizer",
    says: /in both layers or in none, got one in the first layer only/,
    options: { formulation: "relu" },
    model: () => dense([relu({ kernelRegularizer: l2 }), last()]),
  },
  {
    wrong: "a number beside the model's regularizers",
    code: "model/regularizer",
    says: /without l2 regularizers for regularization 0\.5/,
    options: { regularization: 0.5 },
    model: () => makeModel({ l2: 0.01 }),
  },
  {
    wrong: "'from-model' without regularizers",
    code: "model/regularizer",
    says: /for regularization "from-model", got none/,
    options: { regularization: "from-model" },
  },
  {
    wrong: "too few units for a constraint",
    code: "model/units",
    says: /at least \d+ units.*got 1\. Build it with units: \d+/,
    options: { regularization: "interpolate", arrangements: { kind: "sample", count: 200 } },
    model: () => makeModel({ units: 1 }),
  },
  {
    wrong: "the gated formulation on a dense layer",
    code: "model/layer",
    says: /a GatedDense first layer/,
    options: { formulation: "gated" },
  },
  {
    wrong: "the ReLU formulation on a gated layer",
    code: "model/layer",
    says: /activation "relu"\) as first layer/,
    options: { formulation: "relu" },
    model: () => makeModel({ formulation: "gated" }),
  },
  {
    wrong: "a sample that would not fit",
    code: "gates/count",
    says: /bytes.*Ask for fewer gates/,
    options: { arrangements: { kind: "sample", count: 1e9 } },
    model: () => makeModel({ inputs: 20 }),
    x: () => tf.randomNormal([200, 20], 0, 1, "float32", 1),
    y: () => tf.randomNormal([200, 1], 0, 1, "float32", 2),
  },
  {
    wrong: "an enumeration that would not fit",
    code: "gates/count",
    says: /enumerateGates.*Ask for fewer/,
    options: { arrangements: { kind: "enumerate" } },
    model: () => makeModel({ inputs: 20 }),
    x: () => tf.randomNormal([200, 20], 0, 1, "float32", 1),
    y: () => tf.randomNormal([200, 1], 0, 1, "float32", 2),
  },
  {
    wrong: "neurons that feed several outputs, over gates that are given",
    code: "options/value",
    says: /vectorPenalty: expected "perOutput".*gates that grow or are complete/,
    options: { vectorPenalty: "nuclear", arrangements: { kind: "sample", count: 20 } },
    model: () => makeModel({ outputs: 2 }),
    y: () => tf.randomNormal([30, 2], 0, 1, "float32", 3),
  },
  {
    wrong: "growing gates of a gated network",
    code: "options/value",
    says: /for a gated network, got \{ kind: "grow" \}/,
    options: { arrangements: { kind: "grow" } },
    model: () => makeModel({ formulation: "gated" }),
  },
  {
    wrong: "branches that meet",
    code: "model/graph",
    says: /branches that meet in layer "meet" of class Add.*Set trainable: false.*from where the hidden layer begins/,
    options: { formulation: "relu" },
    model: () => {
      const inputs = tf.input({ shape: [3] });
      const [a, b] = [relu(), relu()].map((layer) => layer.apply(inputs) as tf.SymbolicTensor);
      const met = tf.layers.concatenate().apply([a, b]) as tf.SymbolicTensor;
      const again = tf.layers.add({ name: "meet" }).apply([met, met]) as tf.SymbolicTensor;
      const model = tf.model({ inputs, outputs: last().apply(again) as tf.SymbolicTensor });
      model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
      return model;
    },
  },
  {
    wrong: "a layer that is used twice",
    code: "model/graph",
    says: /layer "twice" of class Dense twice.*a layer of its own/,
    options: { formulation: "relu" },
    model: () => {
      const inputs = tf.input({ shape: [3] });
      const layer = tf.layers.dense({ units: 3, activation: "relu", name: "twice" });
      const once = layer.apply(inputs) as tf.SymbolicTensor;
      const twice = layer.apply(once) as tf.SymbolicTensor;
      const model = tf.model({ inputs, outputs: last().apply(twice) as tf.SymbolicTensor });
      model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
      return model;
    },
  },
  {
    wrong: "two outputs",
    code: "model/graph",
    says: /one input and one output, got 2 tensors as output.*a model for each output/,
    options: { formulation: "relu" },
    model: () => {
      const inputs = tf.input({ shape: [3] });
      const outputs = [last(), last()].map((layer) => layer.apply(inputs) as tf.SymbolicTensor);
      const model = tf.model({ inputs, outputs });
      model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
      return model;
    },
  },
  {
    wrong: "two inputs",
    code: "model/graph",
    says: /got 2 tensors as input.*Join the inputs/,
    options: { formulation: "relu" },
    model: () => {
      const inputs = [tf.input({ shape: [3] }), tf.input({ shape: [3] })];
      const met = tf.layers.add().apply(inputs) as tf.SymbolicTensor;
      const model = tf.model({ inputs, outputs: last().apply(met) as tf.SymbolicTensor });
      model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
      return model;
    },
  },
  {
    wrong: "a recurrent layer that is trained",
    code: "model/layer",
    says: /got layer "memory" of class LSTM\. Set trainable: false/,
    options: { formulation: "relu" },
    model: () => dense([tf.layers.lstm({ units: 2, inputShape: [2, 3], name: "memory" }), last()]),
    x: () => tf.ones([30, 2, 3]),
  },
  {
    wrong: "a frozen layer with a state",
    code: "model/layer",
    says: /"memory" of class LSTM, which is stateful.*stateful: false/,
    model: () =>
      dense([
        tf.layers.lstm({
          ...{ units: 2, batchInputShape: [30, 2, 3], name: "memory" },
          ...{ stateful: true, trainable: false, kernelInitializer: "ones", recurrentInitializer: "ones" },
        }),
        last(),
      ]),
    x: () => tf.ones([30, 2, 3]),
  },
  {
    wrong: "a custom layer whose weights are trained, as the hidden layer",
    code: "model/layer",
    says: /got layer "own" of class OwnScale\. Set trainable: false.*Or set depth: "alternate"/,
    options: { formulation: "relu" },
    model: () => dense([new OwnScale({ name: "own", inputShape: [3] }), last()]),
  },
  {
    wrong: "labels out of range",
    code: "data/target",
    says: /class numbers from 0 to 2 in y.*got 3 in row 0/,
    model: () => dense([relu(), last({ units: 3, activation: "softmax" })], "sparseCategoricalCrossentropy"),
    y: () => tf.fill([30, 1], 3),
  },
  {
    wrong: "max pooling between convolution and read-out",
    code: "model/layer",
    says: /a maximum is not linear/,
    options: { formulation: "relu" },
    model: () =>
      dense([
        tf.layers.conv2d({ filters: 2, kernelSize: 2, activation: "relu", inputShape: [4, 4, 1] }),
        tf.layers.maxPooling2d({ poolSize: 2 }),
        tf.layers.flatten(),
        last(),
      ]),
    x: () => tf.ones([30, 4, 4, 1]),
  },
  {
    wrong: "interpolation by one layer",
    code: "model/regularizer",
    says: /no regularization "interpolate" for one layer alone/,
    options: { regularization: "interpolate" },
    model: () => dense([last({ inputShape: [3] })]),
  },
  {
    wrong: "words as x",
    code: "data/shape",
    says: /x of numbers, got dtype "string"/,
    x: () => tf.tensor2d(new Array(90).fill("a"), [30, 3], "string"),
  },
  {
    wrong: "a frozen layer",
    code: "model/frozen",
    says: /trainable: false in layer.*Set trainable to true/,
    options: { formulation: "relu" },
    model: () => dense([relu(), last({ trainable: false })]),
  },
  {
    wrong: "a first layer over sequences",
    code: "model/layer",
    says: /inputShape: \[features\].*got inputShape \[4, 3\]/,
    options: { formulation: "relu" },
    model: () => dense([relu({ inputShape: [4, 3] }), last()]),
  },
  {
    wrong: "callbacks that are a name",
    code: "options/value",
    says: /callbacks: expected an object of handlers.*got earlyStopping/,
    args: { callbacks: "earlyStopping" },
  },
  {
    wrong: "a warm start from a history",
    code: "options/value",
    says: /warmStart: expected the result of an earlier fit/,
    args: { warmStart: { history: {} } },
  },
  {
    wrong: "a solver that does not fit",
    code: "solver/none",
    says: /fista: has no step that keeps cones/,
    options: { solver: "fista" },
  },
];

describe.each(cases)("$wrong", ({ code, says, options, args, model, x, y }) => {
  test(`is refused with ${code}, and the weights stay`, async () => {
    const data = good();
    const subject = model === undefined ? makeModel() : model();
    const [mine, yours] = [x?.() ?? data.x, y?.() ?? data.y];
    const before = subject === null ? null : weightsIn(subject);
    const tensors = tf.memory().numTensors;
    const run = async () => {
      const trainer = new ConvexReLUTrainer((options ?? {}) as TrainerOptions);
      await trainer.fit(subject, mine, yours, (args ?? {}) as FitArgs);
    };
    const error = await run().then(
      () => null,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(ConvexError);
    expect((error as ConvexError).message).toMatch(says);
    expect((error as ConvexError).code).toBe(code);
    expect(tf.memory().numTensors).toBe(tensors);
    if (subject !== null) expect(weightsIn(subject)).toEqual(before);
    for (const tensor of [mine, yours, data.x, data.y])
      if (tensor instanceof tf.Tensor && !tensor.isDisposed) tensor.dispose();
    subject?.dispose();
  });
});

const badOptions: [name: string, options: object, says: RegExp][] = [
  ["an unknown name", { tolerence: 1e-3 }, /among formulation, .*tolerance.*got "tolerence"/],
  ["a formulation that is none", { formulation: "elu" }, /formulation: expected "relu" or "gated", got "elu"/],
  ["a negative tolerance", { tolerance: -1 }, /tolerance: expected a finite number above 0, got -1/],
  ["a NaN tolerance", { tolerance: Number.NaN }, /tolerance: .*got NaN/],
  ["no iterations", { maxIterations: 0 }, /maxIterations: expected an integer of at least 1, got 0/],
  ["a negative time limit", { timeLimit: -3 }, /timeLimit: .*got -3/],
  ["a negative regularization", { regularization: -1 }, /regularization: .*above 0, got -1/],
  ["a zero regularization", { regularization: 0 }, /regularization: .*got 0/],
  [
    "a regularization that is no word of ours",
    { regularization: "none" },
    /"from-model" or "auto" or "held-out" or "share" or "interpolate" or "max-margin", got "none"/,
  ],
  ["a seed that is no integer", { seed: 0.5 }, /seed: expected an integer, got 0\.5/],
  ["a width that is none", { width: "grow" }, /width: expected "keep" or "resize", got "grow"/],
  [
    "arrangements of no kind",
    { arrangements: { kind: "all" } },
    /arrangements\.kind: expected "sample" or "enumerate" or "grow", got "all"/,
  ],
  ["a negative count of gates", { arrangements: { kind: "sample", count: -5 } }, /arrangements\.count: .*got -5/],
  ["a misspelt count", { arrangements: { kind: "sample", count: 5, sed: 1 } }, /among kind, count, seed, got "sed"/],
  ["arrangements that are a number", { arrangements: 500 }, /arrangements: expected \{ kind: "sample"/],
  ["no threads", { threads: 0 }, /threads: expected an integer of 1 to 31, got 0/],
  ["half a thread", { threads: 1.5 }, /threads: expected an integer of 1 to 31, got 1.5/],
  ["more threads than there can be", { threads: 32 }, /threads: expected an integer of 1 to 31, got 32/],
  ["an engine that is none", { engine: "cuda" }, /engine: expected "auto" or "cpu" or "wasm" or .*, got "cuda"/],
  ["a signal that is none", { signal: true }, /signal: expected an AbortSignal, got true/],
];

test.each(badOptions)("the trainer refuses %s", (_, options, says) => {
  expect(() => new ConvexReLUTrainer(options as TrainerOptions)).toThrow(says);
  expect(() => new ConvexReLUTrainer(options as TrainerOptions)).toThrow(ConvexError);
});

test("train refuses a loss that is none", async () => {
  const { x, y } = good();
  await expect(new ConvexReLUTrainer().train(x, y, { loss: "mae" as never })).rejects.toThrow(
    /train: expected loss to be "meanSquaredError"/,
  );
  tf.dispose([x, y]);
});

test("a disposed model is refused with model/disposed", async () => {
  const { x, y } = good();
  const model = makeModel();
  model.dispose();
  await expect(new ConvexReLUTrainer().fit(model, x, y)).rejects.toThrow(/expected a model that is alive/);
  tf.dispose([x, y]);
});

test.each([
  ["a loss", { loss: "mse" }, /train: expected loss to be .*got "mse"/],
  ["a metric", { loss: "meanSquaredError", metrics: "auc" }, /train: expected metrics that tfjs knows, got "auc"/],
  ["a bias", { loss: "meanSquaredError", hiddenBias: 1 }, /train: expected hiddenBias to be true or false, got 1/],
])("train refuses %s that is none, and leaves no tensor", async (_, args, says) => {
  const { x, y } = good();
  const tensors = tf.memory().numTensors;
  await expect(new ConvexReLUTrainer().train(x, y, args as never)).rejects.toThrow(says);
  expect(tf.memory().numTensors).toBe(tensors);
  tf.dispose([x, y]);
});
