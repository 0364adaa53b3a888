/** Gradients on the host, beside those of TensorFlow.js through the same layers. */

import * as tf from "@tensorflow/tfjs";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { referenceKernels, wasmKernels } from "../../src/convex/kernels/index.js";
import { gaussianSource } from "../../src/convex/linear/random.js";
import type { LossName } from "../../src/convex/types.js";
import { headWays } from "../../src/optimizers/deep/headPasses.js";
import { WholeObjective } from "../../src/optimizers/deep/objective.js";
import { readModel } from "../../src/optimizers/read/model.js";
import { gaussianMatrix, targetsFor } from "../helpers/problems.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const ROWS = 12;
const LOSSES = [
  { loss: "meanSquaredError", activation: "linear" },
  { loss: "binaryCrossentropy", activation: "sigmoid" },
  { loss: "categoricalCrossentropy", activation: "softmax" },
  { loss: "logcosh", activation: "linear" },
] as const;
const ACTIVATIONS = [
  ...["relu", "linear", "tanh", "sigmoid", "elu", "selu", "softplus", "softsign", "swish"],
  ...["relu6", "hardSigmoid", "gelu", "gelu_new", "mish", "softmax"],
] as NonNullable<Parameters<typeof tf.layers.dense>[0]["activation"]>[];
const GRAINS = 97; // weights are drawn on a grid, away from kinks

/** Both gradients, and both values, at weights of a seed; the host's model has other weights than those that are asked about. */
async function compared(
  model: tf.LayersModel,
  shape: readonly number[],
  loss: LossName,
  seed: number,
  weighted = false,
) {
  const outputs = model.outputShape[1] as number;
  model.compile({ optimizer: "sgd", loss });
  const X = gaussianMatrix(
    ROWS,
    shape.reduce((all, size) => all * size, 1),
    seed,
  );
  const x = tf.tensor(Float32Array.from(X.data), [ROWS, ...shape]);
  const rows = {
    rows: Float64Array.from({ length: ROWS - 2 }, (_, k) => k + 1),
    y: targetsFor(loss, gaussianMatrix(ROWS - 2, X.cols, seed + 1), outputs, seed),
    weights: weighted ? Float64Array.from({ length: ROWS - 2 }, (_, k) => 0.5 + k / 7) : null,
  };
  const spec = readModel(model, null, "fit", true, "alternate");
  const [mine, theirs] = [1, 2].map(() => new WholeObjective(model, headWays(model, spec, x, rows)));
  const tensors = tf.memory().numTensors;
  const kernels = seed % 2 === 0 ? referenceKernels : await wasmKernels(1);
  const moved = await mine.moveToHost(kernels);
  const draw = gaussianSource(seed);
  const packed = (await mine.weights()).map((value) => Math.round((value + 0.1 * draw()) * GRAINS) / GRAINS + 1e-3);
  const [a, b] = [new Float64Array(mine.size), new Float64Array(mine.size)];
  const values = [await mine.at(packed, a), await theirs.at(packed, b)];
  const parts = mine.parts(4);
  const others = theirs.parts(4);
  const [c, d] = [new Float64Array(mine.size), new Float64Array(mine.size)];
  values.push(await mine.at(packed, c, [parts[1]]), await theirs.at(packed, d, [others[1]]));
  mine.write(packed);
  values.push((await mine.value()).total, (await theirs.value()).total);
  for (const part of [...parts, ...others]) part.dispose();
  mine.dispose();
  theirs.dispose();
  x.dispose();
  expect(tf.memory().numTensors).toBe(tensors - 3);
  model.dispose();
  return { moved, values, gradients: [a, b, c, d] as const };
}

function expectAlike({ moved, values, gradients: [a, b, c, d] }: Awaited<ReturnType<typeof compared>>) {
  expect(moved).toBe(true);
  for (let k = 0; k < values.length; k += 2) expectNear(values[k], values[k + 1], Math.abs(values[k + 1]));
  for (const [mine, theirs] of [
    [a, b],
    [c, d],
  ]) {
    const size = Math.max(...theirs.map(Math.abs));
    expect(mine.some((value) => value !== 0)).toBe(true);
    for (let p = 0; p < mine.length; p++) expectNear(mine[p], theirs[p], size);
  }
}

const expectNear = (mine: number, theirs: number, size: number) =>
  expect(Math.abs(mine - theirs)).toBeLessThan(2e-5 * size + 1e-6);

test("of dense layers of any depth, width, activation, loss and regularizers are those of TensorFlow.js", async () => {
  const layer = fc.record({
    units: fc.integer({ min: 1, max: 9 }),
    activation: fc.constantFrom(...ACTIVATIONS),
    useBias: fc.boolean(),
    l1: fc.constantFrom(0, 0.01),
    l2: fc.constantFrom(0, 0.02),
    biasL2: fc.constantFrom(0, 0.03),
  });
  const network = fc.record({
    inputs: fc.integer({ min: 1, max: 6 }),
    layers: fc.array(layer, { minLength: 1, maxLength: 4 }),
    end: fc.constantFrom(...LOSSES),
    outputs: fc.integer({ min: 2, max: 4 }),
    weighted: fc.boolean(),
    frozen: fc.boolean(),
    seed: fc.integer({ min: 1, max: 1000 }),
  });
  const property = fc.asyncProperty(network, async ({ inputs, layers, end, outputs, weighted, frozen, seed }) => {
    const seeded = (k: number) => ({ kernelInitializer: tf.initializers.glorotUniform({ seed: seed + k }) });
    const model = tf.sequential();
    layers.forEach(({ units, activation, useBias, l1, l2, biasL2 }, k) => {
      const kernel = l1 + l2 > 0 ? { kernelRegularizer: tf.regularizers.l1l2({ l1, l2 }) } : {};
      const bias = useBias && biasL2 > 0 ? { biasRegularizer: tf.regularizers.l2({ l2: biasL2 }) } : {};
      const trainable = !(frozen && k === 0 && layers.length > 1);
      const first = k === 0 ? { inputShape: [inputs] } : {};
      model.add(
        tf.layers.dense({
          units,
          activation,
          useBias,
          trainable,
          ...kernel,
          ...bias,
          ...seeded(k),
          ...first,
        }),
      );
    });
    model.add(tf.layers.dense({ units: outputs, activation: end.activation, ...seeded(99) }));
    expectAlike(await compared(model, [inputs], end.loss, seed, weighted));
  });
  await fc.assert(property, { numRuns: 40, seed: 1 });
});

const l2 = { kernelRegularizer: tf.regularizers.l2({ l2: 0.01 }) };
const sequence = (...layers: tf.layers.Layer[]) => tf.sequential({ layers });
const end = () => tf.layers.dense({ units: 2, activation: "softmax", ...l2 });

const networks: readonly [name: string, shape: number[], build: () => tf.LayersModel][] = [
  [
    "convolutions with strides, padding, dilation and max pooling",
    [9, 8, 2],
    () =>
      sequence(
        tf.layers.conv2d({
          filters: 3,
          kernelSize: [3, 2],
          padding: "same",
          strides: 2,
          activation: "relu",
          inputShape: [9, 8, 2],
          ...l2,
        }),
        tf.layers.maxPooling2d({ poolSize: 2, strides: 1 }),
        tf.layers.conv2d({ filters: 4, kernelSize: 2, activation: "tanh", useBias: false }),
        tf.layers.flatten(),
        end(),
      ),
  ],
  [
    "signals with batch normalisation and average pooling",
    [12, 2],
    () =>
      sequence(
        tf.layers.conv1d({ filters: 3, kernelSize: 3, inputShape: [12, 2], ...l2 }),
        tf.layers.batchNormalization({ gammaRegularizer: tf.regularizers.l2({ l2: 0.1 }) }),
        tf.layers.reLU(),
        tf.layers.averagePooling1d({ poolSize: 2 }),
        tf.layers.conv1d({ filters: 3, kernelSize: 2, padding: "same", activation: "relu" }),
        tf.layers.globalAveragePooling1d({}),
        tf.layers.dropout({ rate: 0.5 }),
        end(),
      ),
  ],
  [
    "global max pooling, leaky units and normalisation of rows",
    [6, 6, 1],
    () =>
      sequence(
        tf.layers.conv2d({ filters: 4, kernelSize: 3, inputShape: [6, 6, 1] }),
        tf.layers.leakyReLU({ alpha: 0.2 }),
        tf.layers.globalMaxPooling2d({}),
        tf.layers.dense({ units: 5 }),
        tf.layers.batchNormalization(),
        tf.layers.elu(),
        tf.layers.reshape({ targetShape: [5] }),
        end(),
      ),
  ],
  [
    "units with factors that are trained, of their own or shared by places, and with a most",
    [5, 4, 2],
    () =>
      sequence(
        tf.layers.prelu({
          alphaInitializer: tf.initializers.constant({ value: 0.3 }),
          alphaRegularizer: tf.regularizers.l2({ l2: 0.1 }),
          sharedAxes: [2],
          inputShape: [5, 4, 2],
        } as Parameters<typeof tf.layers.prelu>[0]),
        tf.layers.conv2d({ filters: 3, kernelSize: 2, ...l2 }),
        tf.layers.prelu({ sharedAxes: [1, 2] }),
        tf.layers.flatten(),
        tf.layers.dense({ units: 6 }),
        tf.layers.prelu({ alphaInitializer: "ones" }),
        tf.layers.dense({ units: 6 }),
        tf.layers.reLU({ maxValue: 0.7 }),
        end(),
      ),
  ],
  [
    "residual sums, a concatenation, a layer that is used twice, and a model within",
    [4],
    () => {
      const input = tf.input({ shape: [4] });
      const shared = tf.layers.dense({ units: 4, activation: "tanh", ...l2 });
      const within = sequence(tf.layers.dense({ units: 3, activation: "relu", inputShape: [4], ...l2 }));
      const once = shared.apply(input) as tf.SymbolicTensor;
      const twice = tf.layers.add().apply([once, shared.apply(once) as tf.SymbolicTensor]) as tf.SymbolicTensor;
      const joined = tf.layers.concatenate().apply([within.apply(twice) as tf.SymbolicTensor, once]);
      return tf.model({ inputs: input, outputs: end().apply(joined) as tf.SymbolicTensor });
    },
  ],
  [
    "a linear layer beside the last hidden one",
    [4],
    () => {
      const input = tf.input({ shape: [4] });
      const below = tf.layers.dense({ units: 4, activation: "relu", ...l2 }).apply(input) as tf.SymbolicTensor;
      const hidden = tf.layers.dense({ units: 5, activation: "relu", ...l2 }).apply(below);
      const sum = tf.layers
        .add()
        .apply([
          tf.layers.dense({ units: 2, ...l2 }).apply(hidden) as tf.SymbolicTensor,
          tf.layers.dense({ units: 2, ...l2 }).apply(below) as tf.SymbolicTensor,
        ]);
      return tf.model({ inputs: input, outputs: tf.layers.softmax().apply(sum) as tf.SymbolicTensor });
    },
  ],
  [
    "convolutions in time with gates, strides and dilation, and a stack of them",
    [3, 5, 4, 2],
    () =>
      sequence(
        tf.layers.convLstm2d({
          ...{ filters: 2, kernelSize: [3, 2], padding: "same", strides: [2, 1], returnSequences: true },
          ...{ recurrentInitializer: "glorotUniform", inputShape: [3, 5, 4, 2] },
        }),
        tf.layers.convLstm2d({
          ...{ filters: 3, kernelSize: 2, useBias: false, goBackwards: true, activation: "softsign" },
          ...{ recurrentInitializer: "glorotUniform" },
        }),
        tf.layers.flatten(),
        end(),
      ),
  ],
  [
    "rows of a table by their numbers, which come again and again, and a sequence of one vector",
    [4],
    () => {
      const table = { inputDim: 3, outputDim: 2, embeddingsRegularizer: "l1l2", inputLength: 4 } as const;
      return sequence(
        tf.layers.reLU({ maxValue: 2, inputShape: [4] }),
        tf.layers.embedding(table as Parameters<typeof tf.layers.embedding>[0]),
        tf.layers.gru({ units: 3 }),
        tf.layers.repeatVector({ n: 2 }),
        tf.layers.simpleRNN({ units: 2 }),
        end(),
      );
    },
  ],
  [
    "layers at each time alone, dense ones over the last of several axes, and joins there",
    [3, 6, 5, 1],
    () => {
      const input = tf.input({ shape: [3, 6, 5, 1] });
      const each = (layer: tf.layers.Layer, below: tf.SymbolicTensor) =>
        tf.layers.timeDistributed({ layer }).apply(below) as tf.SymbolicTensor;
      const dense = tf.layers.dense({ units: 2, activation: "tanh", ...l2 }).apply(input) as tf.SymbolicTensor;
      const convolved = each(tf.layers.conv2d({ filters: 3, kernelSize: 2, strides: 2, activation: "relu" }), dense);
      const pooled = each(tf.layers.maxPooling2d({ poolSize: 2, strides: 1 }), convolved);
      const flat = each(tf.layers.flatten(), pooled);
      const inner = each(tf.layers.dense({ units: 4, activation: "softsign", ...l2 }), flat);
      const means = each(tf.layers.globalAveragePooling2d({}), convolved);
      const joined = tf.layers.concatenate().apply([inner, means]) as tf.SymbolicTensor;
      const seen = tf.layers.lstm({ units: 3 }).apply(joined) as tf.SymbolicTensor;
      return tf.model({ inputs: input, outputs: end().apply(seen) as tf.SymbolicTensor });
    },
  ],
];

type Recurrent = { readonly units: number; readonly returnSequences: boolean; readonly [name: string]: unknown };

/** A recurrent layer of a class, by what its classes share. */
function recurrentLayer(name: "simpleRNN" | "lstm" | "gru", config: Recurrent, seed: number): tf.layers.Layer {
  const draw = (k: number) => tf.initializers.glorotUniform({ seed: 10 * seed + k });
  return tf.layers[name]({
    ...config,
    ...{
      kernelInitializer: draw(1),
      recurrentInitializer: draw(2),
      biasInitializer: "ones",
      kernelRegularizer: "l1l2",
    },
  } as Parameters<typeof tf.layers.lstm>[0]);
}

test("of recurrent layers, stacked, in both directions and frozen in part, are those of TensorFlow.js", async () => {
  const layer = fc.record({
    name: fc.constantFrom("simpleRNN" as const, "lstm" as const, "gru" as const),
    units: fc.integer({ min: 1, max: 4 }),
    activation: fc.constantFrom("tanh", "relu", "softsign", "linear", "elu"),
    recurrentActivation: fc.constantFrom("sigmoid", "hardSigmoid", "tanh"),
    useBias: fc.boolean(),
    goBackwards: fc.boolean(),
    both: fc.constantFrom(null, "concat" as const, "sum" as const),
    trainable: fc.constantFrom(true, true, false),
  });
  const network = fc.record({
    times: fc.integer({ min: 2, max: 5 }), // TensorFlow.js has no gradient of one time
    inputs: fc.integer({ min: 1, max: 3 }),
    layers: fc.array(layer, { minLength: 1, maxLength: 3 }),
    flat: fc.boolean(),
    seed: fc.integer({ min: 1, max: 1000 }),
  });
  const property = fc.asyncProperty(network, async ({ times, inputs, layers, flat, seed }) => {
    const model = tf.sequential();
    layers.forEach(({ name, both, goBackwards, ...config }, k) => {
      const returnSequences = flat || k < layers.length - 1;
      const one = { ...config, returnSequences, goBackwards: goBackwards && both === null };
      const first = k === 0 ? { inputShape: [times, inputs] } : {};
      const own = recurrentLayer(name, both === null ? { ...one, ...first } : one, seed + k);
      const wrapped = { layer: own as tf.RNN, mergeMode: both ?? "concat", trainable: config.trainable, ...first };
      model.add(both === null ? own : tf.layers.bidirectional(wrapped));
    });
    if (flat) model.add(tf.layers.flatten());
    model.add(end());
    expectAlike(await compared(model, [times, inputs], "categoricalCrossentropy", seed));
  });
  await fc.assert(property, { numRuns: 20, seed: 1 });
});

test.each(networks)("of %s are those of TensorFlow.js", async (_, shape, build) => {
  for (const seed of [3, 4]) expectAlike(await compared(build(), shape, "categoricalCrossentropy", seed));
});

test("where TensorFlow.js has none, with dilation, a threshold and normalisation without gamma or beta, are those of central differences", async () => {
  const model = sequence(
    tf.layers.conv2d({
      filters: 3,
      kernelSize: 2,
      dilationRate: 2,
      padding: "same",
      activation: "tanh",
      inputShape: [4, 5, 1],
    }),
    tf.layers.batchNormalization({ scale: false }),
    tf.layers.thresholdedReLU({ theta: 0.05 }),
    tf.layers.averagePooling2d({ poolSize: 2, padding: "same" }),
    tf.layers.batchNormalization({ center: false }),
    tf.layers.flatten(),
    end(),
  );
  model.compile({ optimizer: "sgd", loss: "categoricalCrossentropy" });
  const x = tf.randomNormal([ROWS, 4, 5, 1], 0, 1, "float32", 1);
  const y = targetsFor("categoricalCrossentropy", gaussianMatrix(ROWS, 3, 1), 2, 1);
  const rows = { rows: Float64Array.from({ length: ROWS }, (_, k) => k), y, weights: null };
  const objective = new WholeObjective(model, headWays(model, { loss: "categoricalCrossentropy" }, x, rows));
  const said = (await objective.value()).total;
  expect(await objective.moveToHost(referenceKernels)).toBe(true);
  expectNear((await objective.value()).total, said, said);
  const packed = await objective.weights();
  const [gradient, other] = [0, 1].map(() => new Float64Array(objective.size));
  await objective.at(packed, gradient);
  const step = 1e-5;
  for (let p = 0; p < packed.length; p++) {
    const at = async (move: number) =>
      objective.at(
        packed.map((value, q) => (q === p ? value + move : value)),
        other,
      );
    expect(((await at(step)) - (await at(-step))) / (2 * step)).toBeCloseTo(gradient[p], 7);
  }
  x.dispose();
});

describe("a layer or regularizer that the host lacks", () => {
  const strange: readonly [name: string, shape: number[], build: () => tf.LayersModel][] = [
    [
      "times that are masked",
      [4, 2],
      () => sequence(tf.layers.masking({ inputShape: [4, 2] }), tf.layers.simpleRNN({ units: 3 }), end()),
    ],
    [
      "means of both directions",
      [4, 2],
      () => {
        const layer = tf.layers.gru({ units: 3, returnSequences: false }) as tf.RNN;
        return sequence(tf.layers.bidirectional({ layer, mergeMode: "ave", inputShape: [4, 2] }), end());
      },
    ],
    [
      "units that are normalised in each sample",
      [4],
      () => sequence(tf.layers.dense({ units: 3, inputShape: [4] }), tf.layers.layerNormalization(), end()),
    ],
  ];
  test.each(strange)("leaves %s to TensorFlow.js", async (_, shape, build) => {
    const { moved, values } = await compared(build(), shape, "categoricalCrossentropy", 3);
    expect(moved).toBe(false);
    expect(values[0]).toBe(values[1]);
  });
});
