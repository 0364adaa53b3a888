/** Models whose hidden layer has no convex program: what a descent takes is trained by itself, with a note; the rest is refused by name. */

import * as tf from "@tensorflow/tfjs";
import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import { ConvexError, ConvexReLUTrainer, certify } from "../../src/index.js";
import { objectiveOf } from "../helpers/objective.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

type Activation = NonNullable<Parameters<typeof tf.layers.dense>[0]["activation"]>;

/** All that TensorFlow.js has, by their names: those of layers, initializers and constraints begin with a capital. */
const ACTIVATIONS = Object.keys(tf.serialization.SerializationMap.getMap().classNameMap).filter((name) =>
  /^[a-z]/.test(name),
) as Activation[];
/** Those of which a program knows all about. */
const KNOWN = ["relu", "linear"];

const LAYERS: readonly (readonly [string, () => tf.layers.Layer])[] = [
  ["reLU up to 1", () => tf.layers.reLU({ maxValue: 1 })],
  ["elu", () => tf.layers.elu()],
  ["prelu", () => tf.layers.prelu({ alphaInitializer: tf.initializers.constant({ value: 0.25 }) })],
  ["thresholdedReLU", () => tf.layers.thresholdedReLU({ theta: 0.1 })],
  ["softmax", () => tf.layers.softmax({ axis: -1 })],
];

/** Ended by its rounds, and not by the clock. */
const SHORT = { maxIterations: 2 } as const;
const ROWS = 24;
const seeded = (seed: number) => ({ kernelInitializer: tf.initializers.glorotUniform({ seed }) });
const charged = () => ({ kernelRegularizer: tf.regularizers.l2({ l2: 1e-3 }) });

/** Trains a model whose hidden layers no program has, and looks at what comes of it. */
async function expectTrained(layers: tf.layers.Layer[], loss: string, what: RegExp, seed = 1) {
  const model = tf.sequential({ layers });
  model.compile({ optimizer: "sgd", loss });
  const shape = model.inputs[0].shape.slice(1) as number[];
  const [x, y] = tf.tidy(() => {
    const x = tf.randomNormal([ROWS, ...shape], 0, 1, "float32", seed);
    const sum = tf.mean(tf.reshape(x, [ROWS, -1]), 1, true);
    const y = tf.sin(tf.mul(sum, 3));
    return [x, loss === "binaryCrossentropy" ? tf.cast(tf.greater(y, 0.2), "float32") : y] as const;
  });
  const start = objectiveOf(model, x, y);
  const result = await new ConvexReLUTrainer(SHORT).fit(model, x, y);
  const { objective, certificate, problem, notes } = result;
  const end = objectiveOf(model, x, y);
  expect(end).toBeLessThan(start);
  expect(Math.abs(objective.total - end)).toBeLessThan(2e-5 * Math.abs(end) + 1e-6);
  for (const weight of model.getWeights()) expect(weight.dataSync().every(Number.isFinite)).toBe(true);
  expect(problem.spec.cut).toBe("output");
  expect(certificate.claim).toMatch(/^Of the read-out alone, given the features/);
  expect(notes[0]).toMatch(what);
  expect(notes[0]).toMatch(/^There is no convex program for .*of which nothing is proven/);
  expect((await certify(model, x, y)).certificate.claim).toMatch(/^Of the read-out alone, given the features/);
  await expect(new ConvexReLUTrainer({ ...SHORT, formulation: "relu" }).fit(model, x, y)).rejects.toMatchObject({
    message: expect.stringMatching(what),
  });
  await expect(new ConvexReLUTrainer({ ...SHORT, formulation: "relu" }).fit(model, x, y)).rejects.toThrow(
    /Or set depth: "alternate"/,
  );
  model.dispose();
  tf.dispose([x, y]);
}

test("any activation of TensorFlow.js in the hidden layer, fused or a layer, is trained by itself below its start, to what the model says", async () => {
  expect(ACTIVATIONS.length).toBeGreaterThan(14);
  const foreign = ACTIVATIONS.filter((name) => !KNOWN.includes(name as string));
  const model = fc.record({
    units: fc.integer({ min: 1, max: 6 }),
    inputs: fc.integer({ min: 1, max: 3 }),
    loss: fc.constantFrom("meanSquaredError", "binaryCrossentropy"),
    seed: fc.integer({ min: 1, max: 1000 }),
  });
  for (const name of foreign) {
    const property = fc.asyncProperty(model, fc.boolean(), async ({ units, inputs, loss, seed }, fused) => {
      const first = { units, inputShape: [inputs], ...seeded(seed), ...charged() };
      const hidden = fused
        ? [tf.layers.dense({ ...first, activation: name, name: `hid${seed}` })]
        : [tf.layers.dense({ ...first, name: `hid${seed}` }), tf.layers.activation({ activation: name })];
      const activation = loss === "binaryCrossentropy" ? "sigmoid" : "linear";
      const layers = [...hidden, tf.layers.dense({ units: 1, activation, ...seeded(seed + 1), ...charged() })];
      await expectTrained(layers, loss, new RegExp(`"${name}" in layer "hid${seed}"`), seed);
    });
    await fc.assert(property, { numRuns: 2, seed: 1 });
  }
});

test.each(LAYERS)("a layer %s of its own is trained by itself", async (_, make) => {
  const hidden = tf.layers.dense({ units: 5, inputShape: [3], name: "hid", ...seeded(1), ...charged() });
  const layers = [hidden, make(), tf.layers.dense({ units: 1, ...seeded(2), ...charged() })];
  await expectTrained(layers, "meanSquaredError", /in layer "hid"/);
});

const dense = (units: number, more: object = {}) => tf.layers.dense({ units, ...seeded(units), ...charged(), ...more });
const conv = (more: object = {}) =>
  tf.layers.conv2d({ filters: 3, kernelSize: 2, activation: "relu", inputShape: [4, 4, 1], ...seeded(3), ...more });
const shared = () => {
  const input = tf.input({ shape: [3] });
  const layer = dense(3, { activation: "relu", name: "twice" });
  const twice = layer.apply(layer.apply(input)) as tf.SymbolicTensor;
  return [tf.model({ inputs: input, outputs: twice }), dense(1)];
};

const STRUCTURES: readonly (readonly [string, RegExp, () => tf.layers.Layer[]])[] = [
  [
    "two activations",
    /"relu" and then layer "again"/,
    () => [
      dense(4, { activation: "relu", inputShape: [3] }),
      tf.layers.activation({ activation: "tanh", name: "again" }),
      dense(1),
    ],
  ],
  [
    "a frozen layer after one that is trained",
    /trainable: false in layer "held"/,
    () => [
      dense(4, { activation: "relu", inputShape: [3] }),
      dense(5, { activation: "relu", trainable: false, name: "held" }),
      dense(1),
    ],
  ],
  ["a layer that is used twice", /"twice" of class Dense twice/, shared],
  [
    "hidden units of every row of a sample",
    /layer "join" in another place/,
    () => [dense(4, { activation: "relu", inputShape: [3, 2] }), tf.layers.flatten({ name: "join" }), dense(1)],
  ],
  [
    "batch normalisation before tanh",
    /"tanh"/,
    () => [
      dense(4, { inputShape: [3] }),
      tf.layers.batchNormalization(),
      tf.layers.activation({ activation: "tanh" }),
      dense(1),
    ],
  ],
  [
    "windows that average fewer places at the border",
    /padding "same" that makes some smaller/,
    () => [conv(), tf.layers.averagePooling2d({ poolSize: 2, padding: "same" }), tf.layers.flatten(), dense(1)],
  ],
  [
    "two poolings",
    /layer "second" after layer "first"/,
    () => [
      conv(),
      tf.layers.averagePooling2d({ poolSize: 2, strides: 1, name: "first" }),
      tf.layers.globalAveragePooling2d({ name: "second", dataFormat: "channelsLast" }),
      dense(1),
    ],
  ],
];

test.each(STRUCTURES)("%s: trained by itself", async (_, what, build) => {
  await expectTrained(build(), "meanSquaredError", what);
});

test("path, layer-wise stages and what asks for one program still refuse such a layer, and name it", async () => {
  const model = tf.sequential({ layers: [dense(4, { activation: "gelu", inputShape: [3], name: "hid" }), dense(1)] });
  model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
  const [x, y] = [tf.randomNormal([ROWS, 3], 0, 1, "float32", 1), tf.randomNormal([ROWS, 1], 0, 1, "float32", 2)];
  const before = model.getWeights().map((weight) => weight.dataSync().slice());
  for (const asked of [
    new ConvexReLUTrainer({ formulation: "relu" }).fit(model, x, y),
    new ConvexReLUTrainer({ depth: "layerwise" }).fit(model, x, y),
    new ConvexReLUTrainer().path(model, x, y),
    new ConvexReLUTrainer().crossValidate(model, x, y),
  ]) {
    const error = await asked.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ConvexError);
    expect((error as ConvexError).message).toMatch(/"gelu" in layer "hid"/);
  }
  model.getWeights().forEach((weight, k) => {
    expect(weight.dataSync()).toEqual(before[k]);
  });
  model.dispose();
  tf.dispose([x, y]);
});

test.each(["linear", "tanh"] as const)(
  "a layer that keeps a state is refused by name, before a read-out with activation %s",
  async (activation) => {
    const shape = { batchInputShape: [6, 3, 2] };
    const ways = [
      tf.layers.lstm({ units: 2, stateful: true, ...shape }),
      tf.layers.bidirectional({
        layer: tf.layers.gru({ units: 2, stateful: true }) as tf.RNN,
        mergeMode: "sum",
        ...shape,
      }),
    ];
    const [x, y] = [tf.randomNormal([6, 3, 2], 0, 1, "float32", 1), tf.ones([6, 1])];
    for (const layer of ways) {
      const model = tf.sequential({ layers: [layer, tf.layers.dense({ units: 1, activation })] });
      model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
      await expect(new ConvexReLUTrainer(SHORT).fit(model, x, y)).rejects.toMatchObject({
        code: "model/layer",
        message: expect.stringContaining(
          `got layer "${layer.name}" of class ${layer.getClassName()}, which is stateful`,
        ),
      });
    }
    tf.dispose([x, y]);
  },
);

test.each(["linear", "tanh"] as const)(
  "regularizers for which TensorFlow.js charges nothing are named once, before a read-out with activation %s",
  async (activation) => {
    const [x, y] = [tf.randomNormal([6, 3, 2], 0, 1, "float32", 1), tf.tensor2d([[0], [1], [0], [1], [1], [0]])];
    for (const regularized of [true, false]) {
      const rnn = (own: object) => tf.layers.simpleRNN({ units: 2, returnSequences: true, ...own });
      const own = regularized ? charged() : {};
      const uncharged = [
        tf.layers.bidirectional({ layer: rnn(own) as tf.RNN, mergeMode: "concat", inputShape: [3, 2] }),
        rnn(own),
      ];
      const each = tf.layers.timeDistributed({ layer: tf.layers.dense({ units: 2, ...charged() }) });
      const end = tf.layers.dense({ units: 1, activation, ...charged() });
      const model = tf.sequential({ layers: [...uncharged, each, rnn({}), tf.layers.flatten(), end] });
      model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
      const { notes, objective } = await new ConvexReLUTrainer(SHORT).fit(model, x, y);
      const names = uncharged.map(({ name }) => `"${name}"`).join(", ");
      const told = notes.filter((note) => note.includes("charges nothing"));
      expect(told).toEqual(
        regularized ? [expect.stringContaining(`of these layers, and nor did this: ${names}.`)] : [],
      );
      const said = objectiveOf(model, x, y);
      expect(Math.abs(objective.total - said)).toBeLessThan(2e-5 * said + 1e-6);
    }
    tf.dispose([x, y]);
  },
);
