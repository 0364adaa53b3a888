import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import { dotAt } from "../../src/convex/linear/vectors.js";
import type { LossName } from "../../src/convex/types.js";
import { ConvexReLUTrainer, type FitResult, gatesFrom, type Sensitivity, sensitivity } from "../../src/index.js";
import { makeConvModel, makeImages } from "../helpers/convModels.js";
import { type ModelOptions, makeData, makeModel } from "../helpers/models.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

interface Case {
  readonly title: string;
  readonly loss: LossName;
  readonly formulation: "relu" | "gated";
  readonly beta: number;
  readonly outputs?: number;
  readonly vectorPenalty?: "perOutput";
  readonly standardize?: boolean;
  readonly weighted?: boolean;
  readonly images?: boolean;
  readonly slope?: number;
  readonly biases?: boolean;
}

const ROWS = 14;
const relu = { formulation: "relu" } as const;
const gated = { formulation: "gated" } as const;
const cases: readonly Case[] = [
  { title: "squared loss", loss: "meanSquaredError", beta: 0.02, ...relu },
  { title: "squared loss without biases", loss: "meanSquaredError", beta: 0.02, biases: false, ...relu },
  { title: "standardised columns", loss: "meanSquaredError", beta: 0.02, standardize: true, ...relu },
  { title: "sample weights", loss: "meanSquaredError", beta: 0.02, weighted: true, ...relu },
  { title: "two outputs apart", loss: "meanSquaredError", beta: 0.1, outputs: 2, vectorPenalty: "perOutput", ...relu },
  { title: "leaky units", loss: "meanSquaredError", beta: 0.05, slope: 0.2, ...relu },
  { title: "logistic loss", loss: "binaryCrossentropy", beta: 0.03, weighted: true, ...relu },
  { title: "logcosh", loss: "logcosh", beta: 0.02, ...relu },
  { title: "Huber's loss", loss: "huberLoss", beta: 0.05, ...relu },
  { title: "squared hinge", loss: "squaredHinge", beta: 0.1, ...relu },
  { title: "filters, averaged", loss: "meanSquaredError", beta: 0.02, images: true, ...relu },
  { title: "gated, squared loss", loss: "meanSquaredError", beta: 0.05, ...gated },
  { title: "gated, logistic loss", loss: "binaryCrossentropy", beta: 0.05, ...gated },
  { title: "gated, softmax, nuclear norm", loss: "categoricalCrossentropy", beta: 0.02, weighted: true, ...gated },
  { title: "gated, two outputs, nuclear norm", loss: "meanSquaredError", beta: 0.1, outputs: 2, ...gated },
];

/** What a fit was given, to be changed. */
interface Given {
  readonly x: tf.Tensor;
  readonly y: Float64Array;
  readonly weights: Float64Array | null;
  readonly beta: number;
}

function givenFor(one: Case): Given {
  const model = one.images ? modelFor(one) : null;
  const { x, y } = model ? makeImages(model, one.loss, ROWS) : makeData(one.loss, ROWS, 2, one.outputs);
  let targets = Float64Array.from(y.dataSync());
  // Labels that no one network tells apart, so that the loss has a minimum.
  if (one.loss === "binaryCrossentropy") targets = targets.map((_, k) => ((k * k) % 3 === 1 ? 1 : 0));
  if (one.loss === "squaredHinge") targets = targets.map((_, k) => (k % 3 === 1 ? 1 : -1));
  const weights = one.weighted ? Float64Array.from({ length: ROWS }, (_, k) => 0.5 + (k % 4) / 2) : null;
  return { x, y: targets, weights, beta: one.beta };
}

function modelFor({ loss, formulation, outputs, images, slope, biases = true }: Case): tf.Sequential {
  if (images)
    return makeConvModel({ kind: "conv1d", filters: 100, inputShape: [4, 1], kernelSize: 2, loss, hiddenBias: false });
  const options = { loss, units: 100, inputs: 2, formulation, hiddenBias: biases, outputBias: biases };
  const model = makeModel(outputs === undefined ? options : { ...options, outputs });
  if (slope === undefined) return model;
  const [, last] = model.layers;
  const leaky = tf.sequential({
    layers: [tf.layers.dense({ units: 100, inputShape: [2] }), tf.layers.leakyReLU({ alpha: slope }), last],
  });
  leaky.compile({ optimizer: "sgd", loss: "meanSquaredError" });
  return leaky;
}

async function refit(one: Case, given: Given, like: FitResult | null = null): Promise<FitResult> {
  const model = modelFor(one);
  const outputs = model.outputs[0].shape[1] as number;
  const first =
    one.formulation === "relu" ? ({ kind: "enumerate" } as const) : ({ kind: "sample", count: 12 } as const);
  const trainer = new ConvexReLUTrainer({
    tolerance: 1e-11,
    regularization: given.beta,
    standardize: one.standardize ?? false,
    arrangements: like?.gates ?? first,
    ...(one.vectorPenalty ? { vectorPenalty: one.vectorPenalty } : {}),
  });
  const y = tf.tensor2d(Float32Array.from(given.y), [ROWS, outputs]);
  const result = await trainer.fit(model, given.x, y, {
    sampleWeight: given.weights && Float32Array.from(given.weights),
  });
  y.dispose();
  return result;
}

/** The outputs of a result on its rows, in float64, by the definition of its blocks. */
function outputsOf({ problem, blocks }: FitResult): Float64Array {
  const { program, formulation } = problem;
  const { X, pooling, loss } = program;
  const { neurons, bias } = formulation.recover(program, blocks);
  const [d, C] = [X.cols, loss.outputs];
  const { patches, positions, scale, negativeSlope = 0 } = pooling ?? { patches: 1, positions: 1, scale: 1 };
  const Z = Float64Array.from({ length: loss.rows * C }, (_, k) => bias[k % C]);
  for (let row = 0; row < X.rows; row++) {
    for (const { direction, gate, output } of neurons) {
      const sum = dotAt(X.data, row * d, direction, 0, d);
      const open = gate === null ? sum > 0 : dotAt(X.data, row * d, gate, 0, d) >= 0;
      const value = open ? sum : gate === null ? negativeSlope * sum : 0;
      const place = ((row % patches) % positions) * C;
      for (let c = 0; c < C; c++) Z[Math.floor(row / patches) * C + c] += scale * value * output[place + c];
    }
  }
  return Z;
}

/** Softmax sees no constant in a row of outputs. */
function centred(Z: Float64Array, { problem }: FitResult): Float64Array {
  if (problem.loss.separable) return Z;
  const C = problem.loss.outputs;
  return Z.map((value, k) => {
    const from = k - (k % C);
    return value - Z.subarray(from, from + C).reduce((sum, one) => sum + one, 0) / C;
  });
}

function expectNear(found: Float64Array, wanted: Float64Array, relative: number): void {
  const scale = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  let off = 0;
  wanted.forEach((value, k) => {
    off = Math.max(off, Math.abs(found[k] - value));
  });
  expect(scale).toBeGreaterThan(0);
  expect(off / scale).toBeLessThan(relative);
}

/** (outputs of the fit with +t) less those with -t, over 2 t. */
async function difference(one: Case, like: FitResult, change: (t: number) => Given, t: number): Promise<Float64Array> {
  const [plus, minus] = [await refit(one, change(t), like), await refit(one, change(-t), like)];
  const [a, b] = [plus, minus].map((result) => centred(outputsOf(result), result));
  for (const { model } of [plus, minus]) model.dispose();
  return a.map((value, k) => (value - b[k]) / (2 * t));
}

describe.each(cases)("$title ($formulation)", (one) => {
  let result: FitResult;
  let derivatives: Sensitivity;
  let given: Given;
  beforeAll(async () => {
    given = givenFor(one);
    result = await refit(one, given);
    derivatives = await sensitivity(result);
  });
  const near = (found: { readonly data: Float64Array }) => centred(found.data, result);
  const unit = (length: number, at: number) => Float64Array.from({ length }, (_, k) => (k === at ? 1 : 0));
  const add = (values: Float64Array, t: number, at: number) => values.map((value, k) => (k === at ? value + t : value));

  test("it is smooth there, and its outputs and weights are those of the fit", () => {
    expect(result.status).toBe("solved");
    expect(derivatives.notes).toEqual([]);
    expect(derivatives.parameters).toBeGreaterThan(1);
    expectNear(derivatives.outputs.data, outputsOf(result), 1e-5);
    if (one.images) return;
    const [kernel] = result.model.layers[0].getWeights();
    expectNear(derivatives.weights.kernel.data, Float64Array.from(kernel.dataSync()), 1e-5);
  });

  test("outputs move with beta as those of fits with other betas", async () => {
    const t = 1e-4 * one.beta;
    const wanted = await difference(one, result, (s) => ({ ...given, beta: given.beta + s }), t);
    expectNear(near(derivatives.along({ beta: 1 }).outputs), wanted, 1e-4);
  });

  test("outputs move with a sample's weight as those of fits with other weights", async () => {
    if (one.standardize) return; // a refit would standardise by the weights as well
    const ones = given.weights ?? new Float64Array(ROWS).fill(1);
    const t = 2 ** -10;
    const wanted = await difference(one, result, (s) => ({ ...given, weights: add(ones, s, 3) }), t);
    expectNear(near(derivatives.along({ sampleWeight: unit(ROWS, 3) }).outputs), wanted, 1e-4);
  });

  test("outputs move with a target as those of fits with other targets, where targets are numbers", async () => {
    const { targets } = await derivatives.heldOut(
      given.x,
      tf.tensor2d(Float32Array.from(given.y), [ROWS, derivatives.outputs.cols]),
    );
    expect(targets === null).toBe(one.loss === "squaredHinge");
    if (targets === null) return;
    const at = 7 * derivatives.outputs.cols;
    // Probabilities move inward, a row of them with its sum.
    const inward = given.y[at] === 1 && one.loss !== "meanSquaredError" ? -1 : 1;
    const along = (s: number) => {
      const y = add(given.y, s, at);
      if (one.loss === "categoricalCrossentropy") y[at + 1] -= s;
      return { ...given, y };
    };
    const direction = along(1).y.map((value, k) => value - given.y[k]);
    const found = near(derivatives.along({ targets: direction }).outputs);
    if (one.loss === "binaryCrossentropy" || one.loss === "categoricalCrossentropy") {
      const t = inward * 2 ** -12; // to one side, as there are no probabilities on the other
      const [there, here] = [await refit(one, along(t), result), result];
      const [a, b] = [there, here].map((each) => centred(outputsOf(each), each));
      const wanted = a.map((value, k) => (value - b[k]) / t);
      expectNear(found, wanted, 5e-3);
      there.model.dispose();
    } else {
      expectNear(found, await difference(one, result, along, 2 ** -10), 1e-3);
    }
  });

  test("the gradient of a loss on other rows is that of the outputs along each change, turned round", async () => {
    const C = derivatives.outputs.cols;
    const [rows, y] = [given.x.slice([0], [9]), tf.tensor2d(Float32Array.from(given.y.slice(3 * C, 12 * C)), [9, C])];
    const heldOut = await derivatives.heldOut(rows, y);
    const t = 1e-4 * one.beta;
    const losses = await Promise.all(
      [t, -t].map(async (s) => {
        const moved = await refit(one, { ...given, beta: given.beta + s }, result);
        const { loss } = await (await sensitivity(moved)).heldOut(rows, y);
        moved.model.dispose();
        return loss;
      }),
    );
    expect(heldOut.beta / ((losses[0] - losses[1]) / (2 * t))).toBeCloseTo(1, 3);
    expect(heldOut.influence[2]).toBeCloseTo(-heldOut.sampleWeight[2] * (given.weights?.[2] ?? 1), 12);
    tf.dispose([rows, y]);
  });
});

test("weights move as those of fits with other betas and targets, as layers hold them for x as it is", async () => {
  for (const standardize of [false, true]) {
    const one: Case = { title: "", loss: "meanSquaredError", beta: 0.02, standardize, ...relu };
    const given = givenFor(one);
    const result = await refit(one, given);
    const derivatives = await sensitivity(result);
    const change = Float64Array.from({ length: ROWS }, (_, k) => Math.sin(k));
    const [t, s] = [1e-3, 1e-5];
    const ends = await Promise.all(
      [1, -1].map((sign) =>
        refit(one, { ...given, y: given.y.map((v, k) => v + sign * t * change[k]), beta: 0.02 + sign * s }, result),
      ),
    );
    const [a, b] = ends.map(({ model }) => model.getWeights().map((weight) => Float64Array.from(weight.dataSync())));
    const { kernel, hiddenBias, output, bias } = derivatives.along({ targets: change, beta: s / t }).weights;
    [kernel.data, hiddenBias, output.data, bias].forEach((found, k) => {
      const wanted = a[k].map((value, i) => (value - b[k][i]) / (2 * t));
      expectNear(found as Float64Array, wanted, 2e-3); // weights of layers are float32
    });
  }
});

test("of a model that was made as wide as needed the weights are the model's own", async () => {
  const { x, y } = makeData("meanSquaredError", ROWS, 2);
  const trainer = new ConvexReLUTrainer({ regularization: 0.05, width: "resize", tolerance: 1e-10 });
  const result = await trainer.fit(makeModel({ inputs: 2, units: 60 }), x, y);
  const { weights } = await sensitivity(result);
  const [kernel, , output] = result.model.getWeights();
  expect(weights.kernel.cols).toBe(kernel.shape[1]);
  expectNear(weights.kernel.data, Float64Array.from(kernel.dataSync()), 1e-5);
  expectNear(weights.output.data, Float64Array.from(output.dataSync()), 1e-5);
  tf.dispose([x, y]);
});

describe("leave-one-out", () => {
  test.each([
    { title: "ReLU, squared loss", loss: "meanSquaredError", beta: 0.02, ...relu },
    { title: "ReLU, logistic loss", loss: "binaryCrossentropy", beta: 0.03, ...relu },
    { title: "gated, logistic loss", loss: "binaryCrossentropy", beta: 0.05, ...gated },
  ] as const)(
    "of $title it is close to what fits without each row say, far closer than the fit itself",
    async (one) => {
      const given = givenFor(one);
      const result = await refit(one, given);
      const { column, program } = result.problem;
      const { outputs, loss, degreesOfFreedom } = (await sensitivity(result)).leaveOneOut();
      let [off, moved, mean] = [0, 0, 0];
      for (let k = 0; k < ROWS; k++) {
        const rest = Array.from({ length: ROWS }, (_, i) => i).filter((i) => i !== k);
        const model = modelFor(one);
        const x = tf.gather(given.x, rest);
        const y = tf.tensor2d(rest.map((i) => [given.y[i]]));
        const rows = Float64Array.from(rest.flatMap((i) => [...program.X.data.subarray(3 * i, 3 * i + 3)]));
        const arrangements =
          one.formulation === "relu"
            ? ({ kind: "enumerate" } as const)
            : gatesFrom({ rows: ROWS - 1, cols: 3, data: rows }, result.gates.generators);
        const options = { arrangements, tolerance: 1e-8, regularization: one.beta, standardize: false };
        const hiddenBiasScale = column.value;
        await new ConvexReLUTrainer({ ...options, hiddenBiasScale }).fit(model, x, y);
        const said = (model.predict(given.x.slice([k], [1])) as tf.Tensor).dataSync()[0];
        const seen = (z: number) => (one.loss === "binaryCrossentropy" ? 1 / (1 + Math.exp(-z)) : z);
        off += (seen(outputs.data[k]) - said) ** 2;
        moved += (seen(outputsOf(result)[k]) - said) ** 2;
        const target = given.y[k];
        mean +=
          (one.loss === "binaryCrossentropy" ? -Math.log(target === 1 ? said : 1 - said) : (said - target) ** 2) / ROWS;
        tf.dispose([x, y]);
        model.dispose();
      }
      expect(Math.sqrt(off / moved)).toBeLessThan(0.35);
      expect(loss / mean).toBeGreaterThan(0.8);
      expect(loss / mean).toBeLessThan(1.25);
      expect(degreesOfFreedom).toBeGreaterThan(1);
      expect(degreesOfFreedom).toBeLessThan(ROWS);
    },
  );

  test("of ridge regression it is exact: that of the fits without each row, by normal equations", async () => {
    const { x, y } = makeData("meanSquaredError", 15, 3);
    const layer = tf.layers.dense({ units: 1, inputShape: [3], useBias: false });
    const model = tf.sequential({ layers: [layer] });
    model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
    const result = await new ConvexReLUTrainer({ regularization: 0.3, standardize: false }).fit(model, x, y);
    const { outputs, leverages } = (await sensitivity(result)).leaveOneOut();
    const [X, Y] = [x.arraySync(), y.arraySync()];
    X.forEach((row, k) => {
      const rest = X.map((_, i) => i).filter((i) => i !== k);
      // (X'X / 14 + beta / 2 I) w = X'y / 14, by descent to rounding.
      const w = [0, 0, 0];
      for (let step = 0; step < 4000; step++) {
        const gradient = w.map((value, p) =>
          rest.reduce(
            (sum, i) => sum + (X[i][p] * (X[i].reduce((z, v, q) => z + v * w[q], 0) - Y[i][0])) / 14,
            0.15 * value,
          ),
        );
        gradient.forEach((value, p) => {
          w[p] -= 0.3 * value;
        });
      }
      expect(outputs.data[k]).toBeCloseTo(
        row.reduce((z, v, q) => z + v * w[q], 0),
        9,
      );
    });
    expect(Math.max(...leverages)).toBeLessThan(1);
    tf.dispose([x, y]);
    model.dispose();
  });
});

describe("where there is no derivative", () => {
  test("one weight: at beta = 1 the neuron is about to vanish, and the derivative is that of its side", async () => {
    const [x, y] = [tf.tensor2d([[1], [-1]]), tf.tensor2d([[1], [0]])];
    const at = async (beta: number) => {
      const trainer = new ConvexReLUTrainer({ regularization: beta, standardize: false, tolerance: 1e-12 });
      const result = await trainer.train(x, y, { loss: "meanSquaredError", hiddenBias: false, outputBias: false });
      return sensitivity(result);
    };
    // v = 1 - beta minimises ((v - 1)^2 + 0) / 2 + beta v.
    const below = await at(0.75);
    expect(below.smooth).toBe(true);
    expect(below.along({ beta: 1 }).outputs.data[0]).toBeCloseTo(-1, 9);
    const above = await at(1.25);
    expect(above.smooth).toBe(true);
    expect(above.along({ beta: 1 }).outputs.data[0]).toBe(0);
    const corner = await at(1);
    expect(corner.smooth).toBe(false);
    expect(corner.notes.join()).toMatch(/about to .* the side on which nothing changes/);
    tf.dispose([x, y]);
  });

  test.each([
    ["hinge", {}, /expected a smooth loss, got hinge, which has kinks\. Compile with squaredHinge/],
    ["meanAbsoluteError", {}, /expected a smooth loss, got meanAbsoluteError.* Compile with huberLoss/],
    ["meanSquaredError", { regularization: "interpolate" }, /expected a fit of a loss, got one of "interpolate"/],
  ] as const)("a fit of %s %o is refused", async (loss, options, says) => {
    const { x, y } = makeData(loss, 12, 2);
    const model = makeModel({ loss, inputs: 2, units: 40 });
    const result = await new ConvexReLUTrainer({ tolerance: 1e-3, regularization: 0.1, ...options }).fit(model, x, y);
    await expect(sensitivity(result)).rejects.toThrow(says);
    tf.dispose([x, y]);
    model.dispose();
  });

  test("ReLU neurons that feed several outputs are refused, and no tensor is left", async () => {
    const { x, y } = makeData("meanSquaredError", 12, 2, 2);
    const shape: ModelOptions = { inputs: 2, units: 60, outputs: 2 };
    const model = makeModel(shape);
    const trainer = new ConvexReLUTrainer({ tolerance: 1e-2, regularization: 0.1 });
    const result = await trainer.fit(model, x, y);
    const tensors = tf.memory().numTensors;
    await expect(sensitivity(result)).rejects.toThrow(/vectorPenalty "perOutput", or gated layers/);
    expect(tf.memory().numTensors).toBe(tensors);
    tf.dispose([x, y]);
    model.dispose();
  });
});
