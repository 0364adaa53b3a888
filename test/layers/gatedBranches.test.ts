import * as tf from "@tensorflow/tfjs";
import { beforeAll, expect, test } from "vitest";
import { branchPower, type ConvexError, GatedBranches, gatedBranches, registerLayers } from "../../src/index.js";
import { expectNear } from "../helpers/expectNear.js";
import { saveAndLoad, weightsIn } from "../helpers/models.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
  registerLayers();
});

/** Of four branches of hidden neurons [3, 2] on three columns: kernels, and gates. */
const SHAPES = [
  [3, 12],
  [12, 2],
  [8, 1],
];

const column = (...values: number[]) => tf.tensor2d(values, [values.length, 1]);

test("y_k = 1[sum_j (x G_kj)_+ a_kj >= 0] sum_j 1[x G_kj >= 0] (x W_kj) w_kj, with gates open at zero", () => {
  const layer = gatedBranches({ branches: 2, hidden: 2, inputShape: [2] });
  const model = tf.sequential({ layers: [layer] });
  layer.setWeights([
    tf.tensor2d([1, 10, 100, 1000, 2, 20, 200, 2000], [2, 4]),
    column(1, 2, 3, 4),
    tf.tensor2d([1, -1, 1, 0, 0, 0, 0, 1], [2, 4]), // x1, -x1 | x1, x2
    column(1, 1, 1, -1), // the second branch is open where (x1)_+ >= (x2)_+
  ]);
  const x = tf.tensor2d([
    [1, 1],
    [-1, 2],
    [2, -1],
    [0, 0],
  ]);
  const y = model.predict(x) as tf.Tensor;
  const first = [3, (-10 + 40) * 2, 0, 0];
  const second = [300 * 3 + 3000 * 4, 0, 0, 0];
  expect(Array.from(y.dataSync())).toEqual(first.flatMap((value, k) => [value, second[k]]));
  tf.dispose([x, y]);
  model.dispose();
});

test("a branch of five layers with the read-out is that of the definition, on gates that no value is near", async () => {
  const layer = gatedBranches({ branches: 3, hidden: [2, 3, 2], seed: 2, inputShape: [4] });
  const model = tf.sequential({ layers: [layer] });
  const x = tf.randomNormal([12, 4], 0, 1, "float32", 6) as tf.Tensor2D;
  const weights = await Promise.all(layer.getWeights().map((weight) => weight.array() as Promise<number[][]>));
  const [kernels, gates] = [weights.slice(0, 4), weights.slice(4)];
  const widths = [2, 3, 2, 1];
  const y = (await x.array()).flatMap((row) =>
    [0, 1, 2].map((k) => {
      let [values, open] = [row, row];
      widths.forEach((m, l) => {
        const through = (inputs: readonly number[], all: number[][]) =>
          Array.from({ length: m }, (_, j) =>
            inputs.reduce(
              (sum, input, p) => sum + input * (l === 0 ? all[p][k * m + j] : all[k * widths[l - 1] + p][j]),
              0,
            ),
          );
        const sums = through(open, gates[l]);
        values = through(values, kernels[l]).map((value, j) => (sums[j] >= 0 ? value : 0));
        open = sums.map((sum) => Math.max(0, sum));
      });
      return values[0];
    }),
  );
  expectNear(Array.from((model.predict(x) as tf.Tensor).dataSync()), y, 1e-5);
  expect(y.filter((value) => value !== 0).length).toBeGreaterThan(4);
  x.dispose();
  model.dispose();
});

test("gradients reach both kernels and never the gates; model.fit lowers the loss and leaves the gates", async () => {
  const layer = gatedBranches({ branches: 4, hidden: 3, inputShape: [3], seed: 1 });
  const model = tf.sequential({ layers: [layer, tf.layers.dense({ units: 1 })] });
  model.compile({ optimizer: "adam", loss: "meanSquaredError" });
  expect(layer.trainableWeights.map((weight) => weight.shape)).toEqual([
    [3, 12],
    [12, 1],
  ]);
  const [x, y] = [3, 1].map((columns) => tf.randomNormal([20, columns], 0, 1, "float32", columns));
  const before = layer.getWeights().map((weight) => Array.from(weight.dataSync()));
  const { history } = await model.fit(x, y, { epochs: 20, verbose: 0 });
  expect(Number(history.loss.at(-1))).toBeLessThan(Number(history.loss[0]));
  const after = layer.getWeights().map((weight) => Array.from(weight.dataSync()));
  expect(after.map((values, k) => values.every((value, at) => value === before[k][at]))).toEqual([
    false,
    false,
    true,
    true,
  ]);
  tf.dispose([x, y]);
  model.dispose();
});

test("gradients reach all kernels of more layers and never their gates", async () => {
  const layer = gatedBranches({ branches: 4, hidden: [3, 2], inputShape: [3], seed: 1 });
  const model = tf.sequential({ layers: [layer, tf.layers.dense({ units: 1 })] });
  model.compile({ optimizer: "adam", loss: "meanSquaredError" });
  expect(layer.getWeights().map(({ shape }) => shape)).toEqual([...SHAPES, ...SHAPES]);
  const [x, y] = [3, 1].map((columns) => tf.randomNormal([20, columns], 0, 1, "float32", columns));
  const before = layer.getWeights().map((weight) => Array.from(weight.dataSync()));
  const { history } = await model.fit(x, y, { epochs: 20, verbose: 0 });
  expect(Number(history.loss.at(-1))).toBeLessThan(Number(history.loss[0]));
  const after = layer.getWeights().map((weight) => Array.from(weight.dataSync()));
  const held = after.map((values, k) => values.every((value, at) => value === before[k][at]));
  expect(held).toEqual([false, false, false, true, true, true]);
  tf.dispose([x, y]);
  model.dispose();
});

test.each([[2], [[2, 3]]])(
  "saved and loaded it predicts the same, with its regularizers and its constraint: hidden %j",
  async (hidden) => {
    const layer = gatedBranches({
      ...{ branches: 3, hidden, inputShape: [4], seed: 5, kernelConstraint: tf.constraints.unitNorm({ axis: 0 }) },
      secondRegularizer: branchPower({ factor: 0.1, branches: 3, along: "inputs" }),
    });
    const model = tf.sequential({ layers: [layer, tf.layers.dense({ units: 2 })] });
    layer.setWeights(layer.getWeights().map((weight) => weight.clone())); // a constraint holds from the first write on
    const loaded = await saveAndLoad(model);
    const held = weightsIn(model);
    weightsIn(loaded).forEach((weight, k) => {
      expectNear(weight, held[k], 1e-6);
    });
    expect(loaded.layers[0].getConfig()).toEqual(layer.getConfig());
    expect(loaded.layers[0]).toBeInstanceOf(GatedBranches);
    const x = tf.randomNormal([5, 4], 0, 1, "float32", 2);
    const [before, after] = [model, loaded].map((m) => Array.from((m.predict(x) as tf.Tensor).dataSync()));
    expectNear(after, before, 1e-6);
    const [term] = loaded.calculateLosses();
    expect(term.dataSync()[0]).toBeCloseTo(model.calculateLosses()[0].dataSync()[0], 6);
    model.dispose();
    loaded.dispose();
  },
);

test("the same seed gives the same weights, and another seed others", () => {
  const weights = (seed: number) => {
    const made = gatedBranches({ branches: 3, hidden: [2, 2], inputShape: [4], seed });
    const layer = new GatedBranches({ ...made.getConfig(), batchInputShape: [null, 4] } as never); // draws as the one that it is read from
    const model = tf.sequential({ layers: [layer] });
    const values = layer.getWeights().map((weight) => Array.from(weight.dataSync()));
    model.dispose();
    return values;
  };
  expect(weights(3)).toEqual(weights(3));
  weights(4).forEach((values, k) => {
    expect(values).not.toEqual(weights(3)[k]);
  });
});

test.each([
  [{ branches: 0, hidden: 2 }, "options/value", "branches"],
  [{ branches: 2, hidden: 1.5 }, "options/value", "hidden"],
  [{ branches: 2, hidden: [] }, "options/value", "hidden"],
  [{ branches: 2, hidden: [2, 0] }, "options/value", "hidden[1]"],
  [{ branches: 2, hidden: [2, "3"] }, "options/value", "hidden[1]"],
  [{ branches: 2, hidden: new Array(3) }, "options/value", "hidden[0]"],
  [{ branches: 2, hidden: [1000, 1000] }, "options/value", "product"],
  [{ branches: 2, hidden: new Array(17).fill(1) }, "options/value", "list of 1 to 16"],
  [{ branches: 2, hidden: 2, seed: "x" }, "options/value", "seed"],
  [{ branches: 2, hidden: 2, inputShape: [3, 4] }, "model/layer", "[features]"],
])("arguments that are none are refused in words: %j", (args, code, words) => {
  const make = () =>
    tf.sequential({ layers: [gatedBranches({ inputShape: [2], ...(args as { branches: 2; hidden: 2 }) })] });
  try {
    make();
    expect.unreachable();
  } catch (error) {
    expect((error as ConvexError).code).toBe(code);
    expect((error as Error).message).toContain(words);
  }
});
