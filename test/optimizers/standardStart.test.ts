import * as tf from "@tensorflow/tfjs";
import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import { gaussianSource } from "../../src/convex/linear/random.js";
import { Clock } from "../../src/convex/solvers/clock.js";
import { ConvexReLUTrainer } from "../../src/index.js";
import {
  type Columns,
  intoColumns,
  outOfColumns,
  slopesInColumns,
} from "../../src/optimizers/deep/coordinates/index.js";
import type { WholeObjective } from "../../src/optimizers/deep/objective.js";
import { standardStart } from "../../src/optimizers/deep/standardStart.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

test("weights go into standardised columns and back, a network's outputs with them, and slopes are those of the chain rule", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1000 }), fc.boolean(), (seed, hasBias) => {
      const draw = gaussianSource(seed);
      const [inputs, units] = [3, 2];
      const mean = hasBias ? Float64Array.from({ length: inputs }, () => 100 * draw()) : new Float64Array(inputs);
      const scale = Float64Array.from({ length: inputs }, () => 10 ** (2 * draw()));
      const all: Columns[] = [{ at: 1, bias: hasBias ? 7 : null, units, mean, scale }];
      const packed = Float64Array.from({ length: 10 }, draw);
      const seen = intoColumns(packed.slice(), all);
      outOfColumns(seen.slice(), all).forEach((value, k) => {
        expect(Math.abs(value - packed[k])).toBeLessThan(1e-9 * (1 + Math.abs(packed[k])));
      });
      const x = Float64Array.from(mean, (value, p) => value + scale[p] * draw());
      for (let j = 0; j < units; j++) {
        let [raw, standard] = hasBias ? [packed[7 + j], seen[7 + j]] : [0, 0];
        for (let p = 0; p < inputs; p++) {
          raw += x[p] * packed[1 + p * units + j];
          standard += ((x[p] - mean[p]) / scale[p]) * seen[1 + p * units + j];
        }
        expect(Math.abs(raw - standard)).toBeLessThan(1e-9 * (1 + Math.abs(raw)));
      }
      // Of a linear function of W and b, the slope along U and c is that of the same function of these.
      const slope = Float64Array.from({ length: 10 }, draw);
      const inColumns = slope.slice();
      slopesInColumns(inColumns, all);
      const at = (v: Float64Array) => outOfColumns(v.slice(), all).reduce((sum, w, k) => sum + slope[k] * w, 0);
      const zero = at(new Float64Array(10));
      inColumns.forEach((value, k) => {
        const one = at(Float64Array.from({ length: 10 }, (_, p) => +(p === k)));
        expect(Math.abs(one - zero - value)).toBeLessThan(1e-9 * (1 + Math.abs(value)));
      });
    }),
    { numRuns: 50 },
  );
});

/** Rows of three columns, in units of their own or standard, and a target of them. */
function table(units: readonly (readonly [scale: number, offset: number])[], rows = 60) {
  const draw = gaussianSource(7);
  const points = Array.from({ length: rows }, () => units.map(() => draw()));
  const y = points.map(([a, b, c]) => [Math.sin(2 * a) + Math.abs(b) - 0.5 * c * a]);
  const x = points.map((row) => row.map((value, p) => units[p][1] + units[p][0] * value));
  return { x: tf.tensor2d(x), y: tf.tensor2d(y) };
}

const PLAIN = [1, 0] as const;
const UNITS = {
  year: [[8, 2000], PLAIN, PLAIN],
  "prices and shares": [
    [1e5, 3e5],
    [1e-3, 2e-3],
    [1e9, 0],
  ],
  pixels: [
    [60, 120],
    [60, 120],
    [60, 120],
  ],
} as const;

const seeded = () => ({ kernelInitializer: tf.initializers.glorotUniform({ seed: 5 }) });
const MODELS: Record<string, () => tf.Sequential> = {
  "two hidden layers": () =>
    tf.sequential({
      layers: [
        tf.layers.dense({ units: 12, activation: "relu", inputShape: [3], ...seeded() }),
        tf.layers.dense({ units: 8, activation: "relu", ...seeded() }),
        tf.layers.dense({ units: 1, ...seeded() }),
      ],
    }),
  "a hidden layer of tanh": () =>
    tf.sequential({
      layers: [
        tf.layers.dense({ units: 12, activation: "tanh", inputShape: [3], ...seeded() }),
        tf.layers.dropout({ rate: 0.2 }),
        tf.layers.dense({ units: 8, activation: "relu", ...seeded() }),
        tf.layers.dense({ units: 1, ...seeded() }),
      ],
    }),
  "batch normalisation first": () =>
    tf.sequential({
      layers: [
        tf.layers.batchNormalization({ inputShape: [3] }),
        tf.layers.dense({ units: 12, activation: "relu", ...seeded() }),
        tf.layers.dense({ units: 1, ...seeded() }),
      ],
    }),
};

function compiled(name: string): tf.Sequential {
  const model = MODELS[name]();
  model.compile({ optimizer: tf.train.adam(0.01), loss: "meanSquaredError" });
  return model;
}

const lossOf = (model: tf.LayersModel, x: tf.Tensor, y: tf.Tensor) =>
  tf.tidy(() => (model.evaluate(x, y, { batchSize: x.shape[0] }) as tf.Scalar).dataSync()[0]);

test.each(Object.keys(MODELS).flatMap((name) => Object.keys(UNITS).map((units) => ({ name, units }))))(
  "$name: columns in units of $units are learned as standardised ones are, and the notes say how it began",
  async ({ name, units }) => {
    const { x, y } = table(UNITS[units as keyof typeof UNITS]);
    const spread = tf.tidy(() => tf.moments(y).variance.dataSync()[0]);
    const model = compiled(name);
    const tensors = tf.memory().numTensors;
    const result = await new ConvexReLUTrainer({ maxIterations: 6 }).fit(model, x, y);
    expect(tf.memory().numTensors).toBe(tensors);
    const loss = lossOf(model, x, y);
    expect(loss).toBeLessThan(0.02 * spread);
    expect(Math.abs(result.objective.loss - loss)).toBeLessThan(1e-3 * spread);
    const said = name.startsWith("batch")
      ? /took those of the rows/
      : /First weights were read as for standardised columns/;
    expect(result.notes.some((note) => said.test(note))).toBe(true);
    tf.dispose([x, y]);
    model.dispose();
  },
);

test("columns near standard leave first weights as they are, and no note speaks of them", async () => {
  const { x, y } = table([PLAIN, PLAIN, PLAIN]);
  const model = compiled("two hidden layers");
  const { notes } = await new ConvexReLUTrainer({ maxIterations: 3 }).fit(model, x, y);
  expect(notes.some((note) => /First weights|took those of the rows/.test(note))).toBe(false);
  tf.dispose([x, y]);
  model.dispose();
});

test("weights that are trained stay where another beginning is no better, and statistics that are frozen or trained stay", async () => {
  const { x, y } = table(UNITS.year);
  const model = compiled("two hidden layers");
  await new ConvexReLUTrainer({ maxIterations: 6 }).fit(model, x, y);
  const before = lossOf(model, x, y);
  const again = await new ConvexReLUTrainer({ maxIterations: 3 }).fit(model, x, y);
  expect(again.notes.some((note) => note.includes("First weights"))).toBe(false);
  expect(lossOf(model, x, y)).toBeLessThanOrEqual(before * (1 + 1e-3) + 1e-9);
  for (const trainable of [true, false]) {
    const other = compiled("batch normalisation first");
    const first = other.layers[0];
    first.trainable = trainable;
    const statistics = tf.tidy(() => [tf.fill([3], 0.5), tf.fill([3], trainable ? 1 : 2)]);
    first.setWeights([...first.getWeights().slice(0, -2), ...statistics]);
    other.compile({ optimizer: "sgd", loss: "meanSquaredError" });
    await new ConvexReLUTrainer({ maxIterations: 3 }).fit(other, x, y);
    const kept = first
      .getWeights()
      .slice(-2)
      .map((weight) => [...weight.dataSync()]);
    expect(kept).toEqual([
      [0.5, 0.5, 0.5],
      [trainable ? 1 : 2, trainable ? 1 : 2, trainable ? 1 : 2],
    ]);
    tf.dispose(statistics);
    other.dispose();
  }
  tf.dispose([x, y]);
  model.dispose();
});

test("channels that come first are judged each by itself, as those that come last are", async () => {
  const draw = gaussianSource(11);
  const units = [PLAIN, [1e3, 5e3], [1e-3, 0]] as const;
  const points = Array.from({ length: 40 }, () =>
    units.map(([scale, offset]) => [[offset + scale * draw(), offset + scale * draw()]]),
  );
  const first = tf.tensor4d(points); // [n, channels, 1, 2]
  const last = tf.transpose(first, [0, 2, 3, 1]);
  const rows = Float64Array.from(points, (_, k) => k);
  const heard: (readonly number[])[] = [];
  const objective = {
    columnsOf: (_: unknown, mean: Float64Array, scale: Float64Array) => {
      heard.push([...mean, ...scale]);
      throw new Error("heard");
    },
  } as unknown as WholeObjective;
  const never = new Clock(Number.POSITIVE_INFINITY, () => false);
  for (const [x, dataFormat] of [
    [last, "channelsLast"],
    [first, "channelsFirst"],
  ] as const) {
    const inputShape = x.shape.slice(1);
    const conv = tf.layers.conv2d({ filters: 2, kernelSize: [1, 2], dataFormat, inputShape });
    const model = tf.sequential({ layers: [conv, tf.layers.flatten(), tf.layers.dense({ units: 1 })] });
    await expect(standardStart(model, x, { rows }, objective, never)).rejects.toThrow("heard");
    model.dispose();
  }
  expect(heard[0]).toHaveLength(2 * units.length);
  expect(heard[1]).toHaveLength(2 * units.length);
  heard[0].forEach((value, k) => void expect(heard[1][k] / value).toBeCloseTo(1, 9));
  tf.dispose([first, last]);
});

test("what columns are like is looked at by few images at a time, until the time is up, and no tensor is left", async () => {
  const model = tf.sequential({
    layers: [
      tf.layers.conv2d({ filters: 2, kernelSize: 3, inputShape: [4, 4, 1] }),
      tf.layers.flatten(),
      tf.layers.dense({ units: 1 }),
    ],
  });
  const x = tf.randomNormal([256, 4, 4, 1], 0, 1, "float32", 1);
  const rows = Float64Array.from({ length: 256 }, (_, k) => k);
  const tensors = tf.memory().numTensors;
  for (const turns of [8, 1000]) {
    let asked = 0;
    const clock: Pick<Clock, "part" | "pause"> = { part: () => clock as Clock, pause: async () => ++asked > turns };
    await standardStart(model, x, { rows }, {} as WholeObjective, clock as Clock);
    expect(asked).toBeGreaterThan(8);
    expect(asked).toBeLessThan(turns + 4);
  }
  expect(tf.memory().numTensors).toBe(tensors);
  x.dispose();
  model.dispose();
});
