/** Shapes of models that tfjs code has, each with data: what `fit` takes as it stands. */

import * as tf from "@tensorflow/tfjs";
import { gatedConv2D, gatedDense } from "../../src/layers/index.js";

/** A compiled model with data for it; the caller disposes. */
export interface Shaped {
  readonly model: tf.LayersModel;
  readonly x: tf.Tensor;
  readonly y: tf.Tensor;
}

/** A kind of model. */
export interface Shape {
  readonly name: string;
  /** Whether its layers carry the l2 terms of the objective: then evaluate + calculateLosses is all of it. */
  readonly charged: boolean;
  /** Whether the certificate is about every network of the class, so that no descent can end below it. */
  readonly everywhere?: boolean;
  /** Whether training sees statistics of the batch. */
  readonly statistics?: boolean;
  make(): Promise<Shaped>;
}

type Targets = "real" | "binary" | "signs" | "one-hot" | "classes" | "zero-one" | "distribution";
type Layer = tf.layers.Layer;

const L2 = 3e-3;
const decay = () => ({ kernelRegularizer: tf.regularizers.l2({ l2: L2 }) });
const both = () => ({ ...decay(), biasRegularizer: tf.regularizers.l2({ l2: L2 }) });
const { dense, flatten, dropout, reLU, batchNormalization } = tf.layers;
const seeded = (seed = 1) => ({ kernelInitializer: tf.initializers.glorotUniform({ seed }) });
const hidden = (more: object = {}) => dense({ units: 40, activation: "relu", ...both(), ...seeded(), ...more });
const read = (units = 1, more: object = {}) => dense({ units, ...decay(), ...seeded(2), ...more });
const frozen = <L extends Layer>(layer: L): L => {
  layer.trainable = false;
  return layer;
};

/** x of so many rows of a shape, with some structure in them, and y of a kind. */
function dataFor(
  shape: readonly number[],
  targets: Targets,
  outputs: number,
  rows = 18,
): { x: tf.Tensor; y: tf.Tensor } {
  const size = shape.reduce((all, one) => all * one, 1);
  const x = Float32Array.from({ length: rows * size }, (_, k) => Math.sin(1 + k * 12.9898) * Math.cos(k * k * 0.37));
  const signal = (k: number, c: number) => {
    const row = x.subarray(k * size, (k + 1) * size);
    return (
      Math.max(0, row[0] + 0.5 * row[1 % size]) - 0.7 * Math.abs(row[(c + 1) % size] - 0.2) + 0.1 * Math.sin(9 * k + c)
    );
  };
  const label = (k: number) => {
    const values = Array.from({ length: outputs }, (_, c) => signal(k, c));
    return values.indexOf(Math.max(...values));
  };
  const entry = (k: number, c: number): number => {
    switch (targets) {
      case "real":
        return signal(k, c);
      case "binary":
      case "zero-one":
        return Number(signal(k, c) > -0.2);
      case "signs":
        return signal(k, c) > -0.2 ? 1 : -1;
      case "one-hot":
        return Number(label(k) === c);
      case "distribution":
        return (1 + 2 * Number(label(k) === c)) / (outputs + 2);
      case "classes":
        return label(k);
    }
  };
  const columns = targets === "classes" ? 1 : outputs;
  const y = Float32Array.from({ length: rows * columns }, (_, k) => entry(Math.floor(k / columns), k % columns));
  return { x: tf.tensor(x, [rows, ...shape]), y: tf.tensor2d(y, [rows, columns]) };
}

interface Wish {
  readonly shape?: readonly number[];
  readonly loss?: unknown;
  readonly targets?: Targets;
  readonly outputs?: number;
  readonly metrics?: string[];
  readonly rows?: number;
}

function compiled(model: tf.LayersModel, wish: Wish = {}): Shaped {
  const { shape = [3], loss = "meanSquaredError", targets = "real", outputs = 1, metrics, rows } = wish;
  model.compile({ optimizer: tf.train.sgd(0.1), loss: loss as string, ...(metrics === undefined ? {} : { metrics }) });
  // A model that made its optimizer disposes it.
  (model as unknown as { isOptimizerOwned: boolean }).isOptimizerOwned = true;
  return { model, ...dataFor(shape, targets, outputs, rows) };
}

const sequence = (...layers: Layer[]) => tf.sequential({ layers });
const chain = (input: tf.SymbolicTensor, ...layers: Layer[]) =>
  layers.reduce((tensor, layer) => layer.apply(tensor) as tf.SymbolicTensor, input);
const graph = (shape: number[], ...layers: Layer[]) => {
  const inputs = tf.input({ shape });
  return tf.model({ inputs, outputs: chain(inputs, ...layers) });
};
/** Adds up what a hidden layer with its read-out and a linear layer make of one tensor. */
const beside = (tensor: tf.SymbolicTensor, deep: Layer[], straight: Layer[], ...after: Layer[]) => {
  const branches = [chain(tensor, ...deep), chain(tensor, ...straight)];
  return chain(tf.layers.add().apply(branches) as tf.SymbolicTensor, ...after);
};
const skipping = (shape: number[], deep: Layer[], straight: Layer[], ...after: Layer[]) => {
  const inputs = tf.input({ shape });
  return tf.model({ inputs, outputs: beside(inputs, deep, straight, ...after) });
};
const straight = (units = 1, more: object = {}) => dense({ units, ...seeded(4), ...more });
const shaped = (name: string, make: () => Shaped | Promise<Shaped>, more: Partial<Shape> = {}): Shape => ({
  name,
  charged: true,
  ...more,
  make: async () => make(),
});
const softmax = { loss: "categoricalCrossentropy", targets: "one-hot", outputs: 3 } as const;
const sparse = { ...softmax, loss: "sparseCategoricalCrossentropy", targets: "classes" } as const;
const binary = { loss: "binaryCrossentropy", targets: "binary" } as const;
const plain = { activation: "linear", kernelRegularizer: null, biasRegularizer: null };
const norm = () =>
  batchNormalization({
    gammaRegularizer: tf.regularizers.l2({ l2: L2 }),
    betaRegularizer: tf.regularizers.l2({ l2: L2 }),
  });
const input3 = { inputShape: [3] };
const pictures = { inputShape: [4, 4, 1] };

/** A small convolutional network for pictures of 4 x 4, whose weights are random. */
const cnn = () =>
  sequence(
    tf.layers.conv2d({ filters: 3, kernelSize: 2, activation: "relu", ...seeded(5), ...pictures }),
    tf.layers.maxPooling2d({ poolSize: 2, strides: 1 }),
  );

/** What `fit` takes. */
export const shapes: readonly Shape[] = [
  shaped("dense relu, dense", () => compiled(sequence(hidden(input3), read()))),
  shaped("flatten first, dense relu, softmax", () =>
    compiled(sequence(flatten({ inputShape: [2, 2] }), hidden(), read(3, { activation: "softmax" })), {
      ...softmax,
      shape: [2, 2],
    }),
  ),
  shaped("reLU() as a layer", () => compiled(sequence(hidden({ ...input3, activation: "linear" }), reLU(), read()))),
  shaped("activation('relu') as a layer", () =>
    compiled(
      sequence(hidden({ ...input3, activation: "linear" }), tf.layers.activation({ activation: "relu" }), read()),
    ),
  ),
  shaped("leakyReLU() with the alpha that tfjs gives it", () =>
    compiled(sequence(hidden({ ...input3, activation: "linear" }), tf.layers.leakyReLU(), read())),
  ),
  shaped("leakyReLU({ alpha: -1 }), which is the absolute value, several outputs", () =>
    compiled(sequence(hidden({ ...input3, activation: "linear" }), tf.layers.leakyReLU({ alpha: -1 }), read(2)), {
      outputs: 2,
      rows: 12,
    }),
  ),
  shaped("conv2d, leakyReLU(), global average pooling", () =>
    compiled(
      sequence(
        tf.layers.conv2d({ filters: 40, kernelSize: 3, ...both(), ...seeded(), ...pictures }),
        tf.layers.leakyReLU({ alpha: 0.2 }),
        tf.layers.globalAveragePooling2d({ dataFormat: "channelsLast" }),
        read(),
      ),
      { shape: [4, 4, 1] },
    ),
  ),
  shaped("conv1d, leakyReLU(), flatten, sigmoid", () =>
    compiled(
      sequence(
        tf.layers.conv1d({ filters: 40, kernelSize: 2, inputShape: [4, 2], ...both(), ...seeded() }),
        tf.layers.leakyReLU({ alpha: 0.2 }),
        flatten(),
        read(1, { activation: "sigmoid" }),
      ),
      { ...binary, shape: [4, 2] },
    ),
  ),
  shaped("dropout after the hidden layer", () => compiled(sequence(hidden(input3), dropout({ rate: 0.5 }), read()))),
  shaped("dropout before and after, noise", () =>
    compiled(
      sequence(
        dropout({ rate: 0.2, ...input3 }),
        tf.layers.gaussianNoise({ stddev: 0.1 }),
        hidden(),
        tf.layers.gaussianDropout({ rate: 0.2 }),
        read(),
      ),
    ),
  ),
  shaped("tf.model", () => compiled(graph([3], hidden(), read()))),
  shaped("tf.model, loss by name of the output, metrics", () =>
    compiled(graph([3], hidden(), read(1, { name: "price" })), {
      loss: { price: "meanSquaredError" },
      metrics: ["mse"],
    }),
  ),
  shaped("tf.model, loss in an array", () => compiled(graph([3], hidden(), read()), { loss: ["meanSquaredError"] })),
  shaped("softmax as a layer", () => compiled(sequence(hidden(input3), read(3), tf.layers.softmax()), softmax)),
  shaped("activation('sigmoid') as a layer", () =>
    compiled(sequence(hidden(input3), read(), tf.layers.activation({ activation: "sigmoid" })), binary),
  ),
  shaped("sparse labels with accuracy", () =>
    compiled(sequence(hidden(input3), read(3, { activation: "softmax" })), { ...sparse, metrics: ["accuracy"] }),
  ),
  shaped("sparse labels with a class that is missing", () =>
    compiled(sequence(hidden(input3), read(4, { activation: "softmax" })), { ...sparse, outputs: 3 }),
  ),
  shaped("sparse labels of one axis", () => {
    const made = compiled(sequence(hidden(input3), read(3, { activation: "softmax" })), sparse);
    const y = tf.tidy(() => tf.squeeze(made.y, [1]));
    made.y.dispose();
    return { ...made, y };
  }),
  shaped("softmax from logits", () =>
    compiled(sequence(hidden(input3), read(3)), { ...softmax, loss: tf.losses.softmaxCrossEntropy }),
  ),
  shaped("sigmoid from logits", () =>
    compiled(sequence(hidden(input3), read()), { ...binary, loss: tf.losses.sigmoidCrossEntropy }),
  ),
  shaped("tf.losses.hingeLoss with labels 0 and 1", () =>
    compiled(sequence(hidden(input3), read()), { loss: tf.losses.hingeLoss, targets: "zero-one" }),
  ),
  shaped("tf.metrics.mse as the loss, several outputs", () =>
    compiled(sequence(hidden(input3), read(2)), { loss: tf.metrics.mse, outputs: 2 }),
  ),
  shaped("a frozen dense trunk", () =>
    compiled(sequence(frozen(dense({ units: 4, activation: "tanh", ...seeded(7), ...input3 })), hidden(), read())),
  ),
  shaped("a frozen convolutional network within, as in transfer learning", () =>
    compiled(sequence(frozen(cnn()), flatten(), hidden(), read(3, { activation: "softmax" })), {
      ...softmax,
      shape: [4, 4, 1],
    }),
  ),
  shaped("a truncated model with a new head, by tf.model", () => {
    const base = cnn();
    for (const layer of base.layers) layer.trainable = false;
    const inner = base.layers[0].output as tf.SymbolicTensor;
    const outputs = chain(inner, flatten(), hidden({ units: 60 }), read(3, { activation: "softmax" }));
    return compiled(tf.model({ inputs: base.inputs, outputs }), { ...softmax, shape: [4, 4, 1] });
  }),
  shaped("frozen layers with regularizers, one of them used twice, and one within a model", () => {
    const inputs = tf.input({ shape: [3] });
    const twice = frozen(dense({ units: 3, activation: "tanh", ...decay(), ...seeded(8) }));
    const once = twice.apply(inputs) as tf.SymbolicTensor;
    const again = twice.apply(once) as tf.SymbolicTensor;
    const inner = sequence(dense({ units: 4, activation: "tanh", inputShape: [3], ...both(), ...seeded(9) }));
    return compiled(tf.model({ inputs, outputs: chain(again, frozen(inner), hidden(), read()) }));
  }),
  shaped("a frozen layer with a regularizer, one dense layer", () =>
    compiled(sequence(frozen(dense({ units: 3, activation: "tanh", ...both(), ...seeded(8), ...input3 })), read())),
  ),
  shaped("a head that is a model within", () =>
    compiled(
      sequence(
        frozen(dense({ units: 4, activation: "tanh", ...seeded(7), ...input3 })),
        sequence(hidden({ inputShape: [4] }), read()),
      ),
    ),
  ),
  shaped("models within a tf.model", () => {
    const inputs = tf.input({ shape: [3] });
    const body = sequence(frozen(dense({ units: 4, activation: "tanh", ...seeded(7), ...input3 })), hidden());
    const outputs = read().apply(body.apply(inputs)) as tf.SymbolicTensor;
    return compiled(tf.model({ inputs, outputs }));
  }),
  shaped("a trunk that branches and meets again", () => {
    const inputs = tf.input({ shape: [3] });
    const a = frozen(dense({ units: 3, activation: "relu", ...seeded(8) })).apply(inputs) as tf.SymbolicTensor;
    const b = tf.layers.add().apply([a, inputs]) as tf.SymbolicTensor;
    return compiled(tf.model({ inputs, outputs: chain(b, hidden(), read()) }));
  }),
  shaped("a linear layer beside the hidden one", () => compiled(skipping([3], [hidden(), read()], [straight()]))),
  shaped("a linear layer with a regularizer and no bias beside the hidden one", () =>
    compiled(skipping([3], [hidden(), read()], [straight(1, { ...decay(), useBias: false })])),
  ),
  shaped("a linear layer beside the hidden one, the first of the two, both biases charged", () => {
    const inputs = tf.input({ shape: [3] });
    const branches = [chain(inputs, straight(1, both())), chain(inputs, hidden(), read(1, both()))];
    return compiled(tf.model({ inputs, outputs: tf.layers.add().apply(branches) as tf.SymbolicTensor }));
  }),
  shaped("a linear layer beside the hidden one, several outputs", () =>
    compiled(skipping([3], [hidden(), read(2)], [straight(2, decay())]), { outputs: 2, rows: 12 }),
  ),
  shaped("a linear layer beside the hidden one, softmax after the sum, sparse labels", () =>
    compiled(skipping([3], [hidden(), read(3, { useBias: false })], [straight(3)], tf.layers.softmax()), sparse),
  ),
  shaped("a linear layer beside leakyReLU(), dropout in both branches, sigmoid after the sum", () =>
    compiled(
      skipping(
        [3],
        [hidden({ activation: "linear" }), tf.layers.leakyReLU(), dropout({ rate: 0.2 }), read()],
        [straight(1, decay()), dropout({ rate: 0.2 })],
        tf.layers.activation({ activation: "sigmoid" }),
      ),
      binary,
    ),
  ),
  shaped("a linear layer beside the hidden one, after a frozen layer, in a model within", () => {
    const inputs = tf.input({ shape: [3] });
    const seen = frozen(dense({ units: 4, activation: "tanh", ...seeded(7) })).apply(inputs) as tf.SymbolicTensor;
    const inner = skipping([4], [hidden(), read()], [straight(1, decay())]);
    return compiled(tf.model({ inputs, outputs: inner.apply(seen) as tf.SymbolicTensor }));
  }),
  shaped("a linear layer beside a gated one", () =>
    compiled(skipping([3], [gatedDense({ units: 40, ...both(), seed: 3 }), read()], [straight(1, decay())])),
  ),
  shaped(
    "a linear layer beside two linear ones",
    () => compiled(skipping([3], [hidden({ activation: "linear" }), read(2)], [straight(2)]), { outputs: 2 }),
    { everywhere: true },
  ),
  shaped("a model from tf.loadLayersModel", async () => {
    const made = compiled(sequence(flatten({ inputShape: [3, 1] }), hidden(), dropout({ rate: 0.1 }), read()), {
      shape: [3, 1],
    });
    const model = await reloaded(made.model);
    made.model.dispose();
    return { ...made, model: recompiled(model, "meanSquaredError") };
  }),
  shaped("an embedding that is frozen, integers in", () => {
    const made = compiled(
      sequence(
        frozen(
          tf.layers.embedding({
            inputDim: 9,
            outputDim: 2,
            inputLength: 2,
            embeddingsInitializer: tf.initializers.randomUniform({ minval: -1, maxval: 1, seed: 3 }),
          }),
        ),
        flatten(),
        hidden(),
        read(),
      ),
      { shape: [2] },
    );
    const x = tf.tidy(() => tf.cast(tf.floor(tf.abs(tf.mul(made.x, 8.9))), "int32"));
    made.x.dispose();
    return { ...made, x };
  }),
  shaped("reshape, permute and zero padding first", () =>
    compiled(
      sequence(
        tf.layers.reshape({ targetShape: [2, 2, 1], inputShape: [4] }),
        tf.layers.permute({ dims: [2, 1, 3] }),
        tf.layers.zeroPadding2d({ padding: 1 }),
        flatten(),
        hidden({ useBias: false, biasRegularizer: null }),
        read(),
      ),
      { shape: [4] },
    ),
  ),
  shaped("a frozen LSTM, as a reservoir", () =>
    compiled(
      sequence(
        frozen(
          tf.layers.lstm({
            units: 3,
            inputShape: [4, 2],
            kernelInitializer: tf.initializers.randomNormal({ seed: 3 }),
          }),
        ),
        hidden(),
        read(),
      ),
      { shape: [4, 2] },
    ),
  ),
  shaped("batch normalisation that is frozen, in the trunk", () =>
    compiled(sequence(frozen(batchNormalization(input3)), hidden(), read())),
  ),
  shaped("x of dtype bool", () => {
    const made = compiled(sequence(hidden({ inputShape: [4] }), read()), { shape: [4] });
    const x = tf.tidy(() => tf.greater(made.x, 0.1));
    made.x.dispose();
    return { ...made, x };
  }),
  shaped("conv2d, flatten, dense", () =>
    compiled(
      sequence(
        tf.layers.conv2d({ filters: 40, kernelSize: 3, activation: "relu", ...both(), ...seeded(), ...pictures }),
        flatten(),
        read(),
      ),
      { shape: [4, 4, 1] },
    ),
  ),
  shaped("conv2d, reLU() as a layer, dropout, global average pooling, sparse labels", () =>
    compiled(
      sequence(
        tf.layers.conv2d({ filters: 60, kernelSize: 3, ...both(), ...seeded(), ...pictures }),
        reLU(),
        dropout({ rate: 0.25 }),
        tf.layers.globalAveragePooling2d({ dataFormat: "channelsLast" }),
        read(3, { activation: "softmax" }),
      ),
      { ...sparse, shape: [4, 4, 1] },
    ),
  ),
  shaped("conv1d after a reshape", () =>
    compiled(
      sequence(
        tf.layers.reshape({ targetShape: [6, 1], inputShape: [6] }),
        tf.layers.conv1d({ filters: 40, kernelSize: 3, activation: "relu", ...both(), ...seeded() }),
        tf.layers.globalAveragePooling1d(),
        read(),
      ),
      { shape: [6] },
    ),
  ),
  shaped("two linear layers", () => compiled(sequence(hidden({ ...input3, activation: "linear" }), read())), {
    everywhere: true,
  }),
  shaped(
    "two linear layers of several outputs, softmax",
    () => compiled(sequence(hidden({ ...input3, activation: "linear" }), read(3, { activation: "softmax" })), softmax),
    { everywhere: true },
  ),
  shaped(
    "a linear bottleneck as wide as the data",
    () => compiled(sequence(dense({ units: 4, inputShape: [4], ...both() }), read(4)), { shape: [4], outputs: 4 }),
    { everywhere: true },
  ),
  shaped("kullbackLeiblerDivergence of distributions", () =>
    compiled(sequence(hidden(input3), read(3, { activation: "softmax" })), {
      loss: "kullbackLeiblerDivergence",
      targets: "distribution",
      outputs: 3,
    }),
  ),
  shaped("logcosh", () => compiled(sequence(hidden(input3), read()), { loss: "logcosh" })),
  ...(
    [
      ["linear regression", {}],
      ["linear regression of several outputs", { outputs: 2 }],
      ["logistic regression", binary],
      ["softmax regression", softmax],
      ["softmax regression of sparse labels", { ...sparse, metrics: ["accuracy"] }],
      ["a support vector machine", { loss: "hinge", targets: "signs" }],
      ["least absolute deviations", { loss: "meanAbsoluteError" }],
      ["huber regression", { loss: tf.losses.huberLoss }],
    ] as [string, Wish][]
  ).map(([name, wish]) =>
    shaped(
      `one dense layer: ${name}`,
      () => {
        const { loss, outputs = 1 } = wish;
        const activation = loss === binary.loss ? "sigmoid" : outputs === 3 ? "softmax" : "linear";
        return compiled(sequence(read(outputs, { ...input3, activation })), wish);
      },
      { everywhere: true },
    ),
  ),
  shaped(
    "one dense layer without a regularizer",
    () => compiled(sequence(dense({ units: 1, ...input3, ...seeded() }))),
    {
      everywhere: true,
    },
  ),
  shaped(
    "logistic regression on a frozen trunk, flatten, dropout",
    () =>
      compiled(sequence(frozen(cnn()), flatten(), dropout({ rate: 0.5 }), read(1, { activation: "sigmoid" })), {
        ...binary,
        shape: [4, 4, 1],
      }),
    { everywhere: true },
  ),
  shaped(
    "batch normalisation before reLU()",
    () => compiled(sequence(hidden({ ...input3, ...plain }), norm(), reLU(), read())),
    { statistics: true },
  ),
  shaped(
    "batch normalisation before leakyReLU()",
    () => compiled(sequence(hidden({ ...input3, ...plain }), norm(), tf.layers.leakyReLU(), read())),
    { statistics: true },
  ),
  shaped(
    "batch normalisation, softmax, dropout, a flatten first",
    () =>
      compiled(
        sequence(
          flatten({ inputShape: [3, 1] }),
          hidden(plain),
          norm(),
          reLU(),
          dropout({ rate: 0.5 }),
          read(3, { activation: "softmax" }),
        ),
        { ...softmax, shape: [3, 1] },
      ),
    { statistics: true },
  ),
  shaped("GatedDense behind a flatten", () =>
    compiled(sequence(flatten({ inputShape: [3, 1] }), gatedDense({ units: 30, seed: 1, ...both() }), read(2)), {
      shape: [3, 1],
      outputs: 2,
    }),
  ),
  shaped("GatedConv2D", () =>
    compiled(
      sequence(
        gatedConv2D({ filters: 20, kernelSize: 3, seed: 1, ...both(), ...pictures }),
        tf.layers.globalAveragePooling2d({ dataFormat: "channelsLast" }),
        read(),
      ),
      { shape: [4, 4, 1] },
    ),
  ),
];

/** The model as it comes back from where it was saved; not compiled. */
export async function reloaded(model: tf.LayersModel): Promise<tf.LayersModel> {
  let kept: tf.io.ModelArtifacts | null = null;
  await model.save(
    tf.io.withSaveHandler(async (artifacts) => {
      kept = artifacts;
      return { modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: "JSON" } };
    }),
  );
  return tf.loadLayersModel(tf.io.fromMemory(kept as unknown as tf.io.ModelArtifacts));
}

function recompiled(model: tf.LayersModel, loss: string): tf.LayersModel {
  model.compile({ optimizer: tf.train.sgd(0.1), loss });
  (model as unknown as { isOptimizerOwned: boolean }).isOptimizerOwned = true;
  return model;
}
