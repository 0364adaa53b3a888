/** The objective of models without a program: values and slopes on the host, beside those of TensorFlow.js and its own losses. */

import * as tf from "@tensorflow/tfjs";
import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import { referenceKernels } from "../../src/convex/kernels/index.js";
import { predictionLosses } from "../../src/convex/tape/index.js";
import { readAloneRows } from "../../src/optimizers/deep/alone/rows.js";
import { aloneWays } from "../../src/optimizers/deep/alone/ways.js";
import { WholeObjective } from "../../src/optimizers/deep/objective.js";
import type { ModelTensors } from "../../src/optimizers/read/data.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

type Activation = NonNullable<Parameters<typeof tf.layers.dense>[0]["activation"]>;

const ROWS = 7;
const READ_OUTS = ["linear", "sigmoid", "tanh", "relu", "softplus", "softmax"] as const satisfies readonly Activation[];
const LOSSES = [
  ...predictionLosses,
  ...["meanSquaredError", "meanAbsoluteError", "hinge", "squaredHinge", "logcosh"],
  tf.losses.huberLoss as unknown as string,
];
const nameOf = (loss: unknown) => (typeof loss === "string" ? loss : "huberLoss");
const seeded = (seed: number) => ({ kernelInitializer: tf.initializers.randomNormal({ stddev: 0.7, seed }) });
const normal = (shape: number[], seed: number) => tf.randomNormal(shape, 0, 1, "float32", seed);

/** Targets that a loss takes, [ROWS, .., C]. */
function targetsOf(loss: string, shape: readonly number[], seed: number): tf.Tensor {
  const C = shape[shape.length - 1];
  const drawn = normal([ROWS, ...shape], seed);
  if (loss === "sparseCategoricalCrossentropy") return tf.expandDims(tf.argMax(drawn, -1), -1);
  if (/^categorical|kullback/.test(loss)) return C > 1 ? tf.softmax(drawn) : tf.sigmoid(drawn);
  if (/hinge/i.test(loss)) return tf.sub(tf.mul(2, tf.cast(tf.greater(drawn, 0), "float32")), 1);
  if (loss === "binaryCrossentropy") return tf.sigmoid(drawn);
  return /poisson|Logarithmic|Percentage/.test(loss) ? tf.abs(drawn) : drawn;
}

interface Compared {
  readonly host: boolean;
  readonly values: readonly [host: number, tfjs: number];
  readonly evaluated: number;
  readonly slopes: readonly [host: Float64Array, tfjs: Float64Array];
}

/** Of the host and of TensorFlow.js, at the model's weights. */
async function compared(
  model: tf.LayersModel,
  x: ModelTensors,
  y: ModelTensors,
  weights: number[] | null,
): Promise<Compared> {
  const rows = await readAloneRows(model, x, y, weights === null ? {} : { sampleWeight: weights });
  const ways = await aloneWays(model, rows);
  const [host, theirs] = [new WholeObjective(model, ways), new WholeObjective(model, ways)];
  const moved = await host.moveToHost(referenceKernels);
  const at = await theirs.weights();
  const slopes = [new Float64Array(at.length), new Float64Array(at.length)] as const;
  const values = [await host.at(at, slopes[0]), await theirs.at(at, slopes[1])] as const;
  const evaluated = tf.tidy(() => {
    const found = [model.evaluate([...rows.x], [...rows.y], { batchSize: ROWS })]
      .flat()
      [rows.y.length - 1].dataSync()[0];
    return model.calculateLosses().reduce((sum, term) => sum + term.dataSync()[0], found);
  });
  expect((await host.value()).total).toBeCloseTo(values[0], moved ? 8 : 5);
  host.dispose();
  theirs.dispose();
  rows.dispose();
  return { host: moved, values, evaluated, slopes };
}

function expectSame({ values, evaluated, slopes }: Compared, weighted: boolean) {
  const near = (a: number, b: number, scale = 1) => expect(Math.abs(a - b)).toBeLessThan(2e-4 * (scale + Math.abs(b)));
  near(values[0], values[1]);
  if (!weighted) near(values[0], evaluated);
  const largest = slopes[1].reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  slopes[0].forEach((slope, p) => {
    near(slope, slopes[1][p], largest);
  });
}

/** Slopes are finite differences. */
async function expectRises(objective: WholeObjective, at: Float64Array, slope: Float64Array) {
  const unused = new Float64Array(at.length);
  const step = 1e-5;
  for (let p = 0; p < at.length; p++) {
    const moved = (by: number) =>
      objective.at(
        at.map((value, k) => (k === p ? value + by : value)),
        unused,
      );
    const rise = ((await moved(step)) - (await moved(-step))) / (2 * step);
    expect(Math.abs(slope[p] - rise)).toBeLessThan(1e-6);
  }
}

test.each(LOSSES.map((loss) => [nameOf(loss), loss] as const))(
  "%s after any read-out: value and slopes on the host are those of TensorFlow.js",
  async (name, loss) => {
    const property = fc.asyncProperty(
      fc.constantFrom(...READ_OUTS),
      fc.integer({ min: 2, max: 3 }),
      fc.integer({ min: 1, max: 1000 }),
      fc.boolean(),
      async (activation, C, seed, drawn) => {
        const weighted = drawn && typeof loss === "string"; // functions of tf.losses answer with one number
        // Where the loss divides by the sum, or takes the logarithm, of what may be below 0, there is no value to compare.
        const own =
          /rossentropy|poisson|kullback/.test(name) && /linear|tanh|relu/.test(activation) ? "sigmoid" : activation;
        const model = tf.sequential({
          layers: [
            tf.layers.dense({ units: 4, activation: "tanh", inputShape: [3], ...seeded(seed) }),
            tf.layers.dense({ units: C, activation: own, ...seeded(seed + 1) }),
          ],
        });
        model.compile({ optimizer: "sgd", loss });
        const [x, y] = tf.tidy(() => [normal([ROWS, 3], seed + 2), targetsOf(name, [C], seed + 3)]);
        const weights = weighted ? Array.from({ length: ROWS }, (_, k) => 0.5 + k / 5) : null;
        const found = await compared(model, x, y, weights);
        expect(found.host).toBe(true);
        expectSame(found, weighted);
        model.dispose();
        tf.dispose([x, y]);
      },
    );
    await fc.assert(property, { numRuns: 8, seed: 3 });
  },
);

test("several inputs and outputs, each with a loss of its own: values and slopes are those of TensorFlow.js", async () => {
  const property = fc.asyncProperty(fc.integer({ min: 1, max: 1000 }), fc.boolean(), async (seed, weighted) => {
    const [a, b] = [tf.input({ shape: [2], name: `a${seed}` }), tf.input({ shape: [3], name: `b${seed}` })];
    const tower = (units: number, input: tf.SymbolicTensor) =>
      tf.layers.dense({ units, activation: "tanh", ...seeded(seed + units) }).apply(input) as tf.SymbolicTensor;
    const both = tf.layers.concatenate().apply([tower(3, a), tower(4, b)]) as tf.SymbolicTensor;
    const read = (units: number, activation: Activation, name: string) =>
      tf.layers.dense({ units, activation, name: `${name}${seed}`, ...seeded(seed) }).apply(both) as tf.SymbolicTensor;
    const outputs = [read(1, "linear", "size"), read(3, "softmax", "kind"), read(1, "sigmoid", "flag")];
    const model = tf.model({ inputs: [a, b], outputs });
    const losses = ["meanSquaredError", "categoricalCrossentropy", "binaryCrossentropy"];
    model.compile({
      optimizer: "sgd",
      loss: weighted ? Object.fromEntries(model.outputNames.map((n, k) => [n, losses[k]])) : losses,
    });
    const x = [normal([ROWS, 2], seed), normal([ROWS, 3], seed + 1)];
    const y = losses.map((loss, k) => tf.tidy(() => targetsOf(loss, [k === 1 ? 3 : 1], seed + k)));
    const named = Object.fromEntries(model.inputNames.map((name, k) => [name, x[k]]));
    const found = await compared(model, weighted ? named : x, y, weighted ? [1, 0, 2, 1, 1, 0.5, 3] : null);
    expect(found.host).toBe(true);
    expectSame(found, weighted);
    model.dispose();
    tf.dispose([x, y]);
  });
  await fc.assert(property, { numRuns: 6, seed: 1 });
});

const dense = () => tf.layers.dense({ units: 4, activation: "tanh", inputShape: [5, 2], ...seeded(1) });
const gru = () => tf.layers.gru({ units: 4, returnSequences: true, inputShape: [5, 2], ...seeded(1) });
const masked = () => tf.layers.masking({ inputShape: [5, 2] });

test.each([
  ["dense layers at every place", "categoricalCrossentropy", dense, true],
  ["dense layers at every place", "sparseCategoricalCrossentropy", dense, true],
  ["dense layers at every place", "meanAbsolutePercentageError", dense, true],
  ["recurrent layers", "meanSquaredError", gru, true],
  ["places that may be masked", "meanSquaredError", masked, false],
] as const)(
  "outputs of many places from %s, %s: values and slopes are those of TensorFlow.js",
  async (_, loss, first, onHost) => {
    const inner = tf.layers.dense({ units: 3, activation: "softmax", ...seeded(2) });
    const model = tf.sequential({ layers: [first(), tf.layers.timeDistributed({ layer: inner })] });
    model.compile({ optimizer: "sgd", loss });
    const [x, y] = tf.tidy(() => [normal([ROWS, 5, 2], 3), targetsOf(loss, [5, 3], 4)]);
    const found = await compared(model, x, y, null);
    expect(found.host).toBe(onHost);
    expectSame(found, false);
    model.dispose();
    tf.dispose([x, y]);
  },
);

type Graph = (inputs: tf.SymbolicTensor[], seed: number) => tf.SymbolicTensor;
const applied = (layer: tf.layers.Layer, input: tf.SymbolicTensor | tf.SymbolicTensor[]) =>
  layer.apply(input) as tf.SymbolicTensor;
/** Both inputs through layers of their own, so that slopes go through what joins them. */
const joining =
  (layer: () => tf.layers.Layer): Graph =>
  (inputs, seed) =>
    applied(
      layer(),
      inputs.map((input, k) => applied(tf.layers.dense({ units: 3, activation: "tanh", ...seeded(seed + k) }), input)),
    );
const filtering =
  (...layers: (() => tf.layers.Layer)[]): Graph =>
  ([input], seed) =>
    layers.reduce(
      (tensor, layer) => applied(layer(), tensor),
      applied(tf.layers.conv2d({ filters: 2, kernelSize: 2, activation: "tanh", ...seeded(seed) }), input),
    );
const transposed = (more: object) => () =>
  tf.layers.conv2dTranspose({ filters: 3, kernelSize: [3, 2], biasInitializer: "randomNormal", ...seeded(9), ...more });
const conv = (kernelSize: number) => () => tf.layers.conv2d({ filters: 2, kernelSize, ...seeded(8) });

const GRAPHS: readonly (readonly [name: string, shapes: readonly number[][], Graph])[] = [
  ["dot of vectors", [[2], [4]], joining(() => tf.layers.dot({ axes: -1 }))],
  [
    "dot of matrices along rows",
    [
      [5, 2],
      [4, 2],
    ],
    joining(() => tf.layers.dot({ axes: 2 })),
  ],
  [
    "dot of matrices along columns",
    [
      [4, 2],
      [4, 5],
    ],
    joining(() => tf.layers.dot({ axes: 1 })),
  ],
  [
    "dot of matrices along both",
    [
      [3, 2],
      [4, 2],
    ],
    joining(() => tf.layers.dot({ axes: [1, 2] })),
  ],
  [
    "products",
    [
      [4, 2],
      [4, 3],
    ],
    joining(() => tf.layers.multiply()),
  ],
  [
    "the product of a tensor with itself",
    [[3]],
    ([input], seed) => {
      const once = applied(tf.layers.dense({ units: 3, activation: "tanh", ...seeded(seed) }), input);
      return applied(tf.layers.multiply(), [once, once, once]);
    },
  ],
  ["averages", [[3], [2]], joining(() => tf.layers.average())],
  ["permuted axes", [[4, 5, 1]], filtering(() => tf.layers.permute({ dims: [3, 1, 2] }), conv(2))],
  ["larger images", [[4, 5, 1]], filtering(() => tf.layers.upSampling2d({ size: [2, 3] }), conv(2))],
  [
    "padded images",
    [[4, 5, 1]],
    filtering(
      () =>
        tf.layers.zeroPadding2d({
          padding: [
            [1, 0],
            [2, 1],
          ],
        }),
      conv(3),
    ),
  ],
  [
    "cut images",
    [[6, 5, 1]],
    filtering(
      () =>
        tf.layers.cropping2D({
          cropping: [
            [1, 0],
            [0, 2],
          ],
        }),
      conv(2),
    ),
  ],
  ["transposed convolutions", [[4, 5, 1]], filtering(transposed({ activation: "tanh" }), conv(2))],
  ["transposed convolutions in steps", [[4, 5, 1]], filtering(transposed({ strides: [2, 3] }))],
  [
    "padded transposed convolutions",
    [[4, 5, 1]],
    filtering(transposed({ strides: 2, padding: "same", useBias: false })),
  ],
];

/** TensorFlow.js's CPU backend has another slope of larger images for all samples but the first: finite differences judge. */
test.each(GRAPHS)(
  "%s: values are those of TensorFlow.js, and slopes those of finite differences",
  async (_, shapes, graph) => {
    const property = fc.asyncProperty(fc.integer({ min: 1, max: 1000 }), async (seed) => {
      const inputs = shapes.map((shape) => tf.input({ shape: [...shape] }));
      const made = graph(inputs, seed);
      const last = made.rank > 2 ? applied(tf.layers.flatten(), made) : made;
      const read = tf.layers.dense({ units: 2, activation: "sigmoid", ...seeded(seed + 5) });
      const model = tf.model({ inputs, outputs: applied(read, last) });
      model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
      const x = shapes.map((shape, k) => normal([ROWS, ...shape], seed + k));
      const y = normal([ROWS, 2], seed + 9);
      const rows = await readAloneRows(model, x, y, {});
      const objective = new WholeObjective(model, await aloneWays(model, rows));
      const theirs = (await objective.value()).total;
      expect(await objective.moveToHost(referenceKernels)).toBe(true);
      const at = await objective.weights();
      const slope = new Float64Array(at.length);
      expect(Math.abs((await objective.at(at, slope)) - theirs)).toBeLessThan(1e-5);
      await expectRises(objective, at, slope);
      objective.dispose();
      rows.dispose();
      model.dispose();
      tf.dispose([x, y]);
    });
    await fc.assert(property, { numRuns: 3, seed: 2 });
  },
);

const CONSTRAINTS = [
  ["nonNeg", () => tf.constraints.nonNeg()],
  ["maxNorm", () => tf.constraints.maxNorm({ maxValue: 0.8, axis: 0 })],
  ["maxNorm along rows", () => tf.constraints.maxNorm({ maxValue: 0.8, axis: 1 })],
  ["unitNorm", () => tf.constraints.unitNorm({ axis: 0 })],
  ["minMaxNorm", () => tf.constraints.minMaxNorm({ minValue: 0.6, maxValue: 0.9, rate: 0.7, axis: 0 })],
] as const;

test.each(CONSTRAINTS)(
  "%s: the slopes are those of finite differences, and what is written meets it",
  async (name, make) => {
    const layers = [
      tf.layers.dense({ units: 4, activation: "tanh", inputShape: [3], kernelConstraint: make(), ...seeded(5) }),
      tf.layers.dense({ units: 1, activation: "sigmoid", ...seeded(6) }),
    ];
    const model = tf.sequential({ layers });
    model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
    const [x, y] = [normal([ROWS, 3], 1), tf.sigmoid(normal([ROWS, 1], 2))];
    const rows = await readAloneRows(model, x, y, {});
    const objective = new WholeObjective(model, await aloneWays(model, rows));
    await objective.moveToHost(referenceKernels);
    await objective.keepConstraints();
    const at = (await objective.weights()).map((value, p) => value + 0.3 * Math.sin(7 * p + 1));
    const slope = new Float64Array(at.length);
    await objective.at(at, slope);
    await expectRises(objective, at, slope);
    objective.write(at);
    const kernel = layers[0].getWeights()[0];
    if (name !== "minMaxNorm") {
      const again = make().apply(kernel);
      expect(tf.max(tf.abs(tf.sub(again, kernel))).dataSync()[0]).toBeLessThan(1e-5);
    }
    objective.dispose();
    rows.dispose();
    model.dispose();
    tf.dispose([x, y]);
  },
);
