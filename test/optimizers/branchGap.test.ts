import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import { type BranchFunction, branchGap } from "../../src/index.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

/** One weight w, f = sin(3 w x) + w, cost w^2, of the preparatory study of the theorem. */
const sine: BranchFunction = {
  weights: 1,
  output: ([w], [x]) => Math.sin(3 * w * x) + w,
  cost: ([w]) => w * w,
};
const POINTS = [
  0.1257302210933933, -0.1321048632913019, 0.6404226504432821, 0.10490011715303971, -0.535669373161111,
].map(Math.fround);
const LABELS = [1, -1, 1, -1, 1];

const data = () => ({ x: tf.tensor2d(POINTS, [5, 1]), y: tf.tensor1d(LABELS) });

function oneHidden(units = 2, seed = 1): tf.Sequential {
  return tf.sequential({
    layers: [
      tf.layers.dense({
        ...{ units, activation: "relu", inputShape: [3] },
        kernelInitializer: tf.initializers.glorotNormal({ seed }),
      }),
      tf.layers.dense({
        units: 1,
        useBias: false,
        kernelInitializer: tf.initializers.glorotNormal({ seed: seed + 1 }),
      }),
    ],
  });
}

describe("a family of one weight", () => {
  test("has the mixture of a linear program (scipy's), gaps that enumeration confirms and the bound above them", async () => {
    const { x, y } = data();
    const grid = Array.from({ length: 401 }, (_, k) => k / 200 - 1);
    const outputs = grid.map((w) => POINTS.map((p) => Math.sin(3 * w * p) + w));
    const tau = 1.5 * Math.max(...outputs.flat().map(Math.abs));
    const { dual, points, delta, candidates } = await branchGap(sine, x, y, { budget: 0.11, tau, candidates: 401 });
    expect(candidates.rows).toBe(401);
    expect(dual).toBeCloseTo(0.960798, 6);
    const loss = outputs.map((f) => 1 - f.reduce((sum, z, k) => sum + z * LABELS[k], 0) / (5 * tau));
    let [one, two] = [Infinity, Infinity];
    grid.forEach((w, i) => {
      if (w * w <= 0.11) one = Math.min(one, loss[i]);
      grid.forEach((v, j) => {
        if ((w * w + v * v) / 2 <= 0.11) two = Math.min(two, (loss[i] + loss[j]) / 2);
      });
    });
    expect(points[0].loss).toBeCloseTo(one, 12);
    expect(points[1].loss).toBeCloseTo(two, 12);
    expect(points[0].gap).toBeCloseTo(1.84e-4, 6);
    expect(points.length).toBe(20);
    for (const { branches, gap, bound, exact } of points) {
      expect(exact).toBe(true);
      expect(bound).toBeCloseTo((2 * delta) / branches, 15);
      expect(gap).toBeLessThanOrEqual(bound);
    }
    tf.dispose([x, y]);
  });

  test("the loss of the chosen branches' mean is the one that is reported, with labels 0 and 1 as with -1 and 1", async () => {
    const { x, y } = data();
    const bits = y.add(1).div(2) as tf.Tensor1D;
    const { points, candidates, tau, budget } = await branchGap(sine, x, bits, { branches: 7 });
    for (const { chosen, loss, branches } of points) {
      const f = POINTS.map(
        (p) => chosen.reduce((sum, k) => sum + sine.output([candidates.data[k]] as never, [p] as never), 0) / branches,
      );
      const hinge = f.reduce((sum, z, k) => sum + Math.max(0, 1 - (LABELS[k] * z) / tau), 0) / 5;
      expect(hinge).toBeCloseTo(loss, 12);
      expect(chosen.reduce((sum, k) => sum + candidates.data[k] ** 2, 0) / branches).toBeLessThanOrEqual(
        budget + 1e-12,
      );
    }
    tf.dispose([x, y, bits]);
  });

  test("at the budget that is taken where none is given one branch is Delta or nearly so above the mixtures", async () => {
    const { x, y } = data();
    const jump: BranchFunction = { weights: 1, output: ([w]) => (w >= 1 ? 1 : 0) };
    const ones = tf.onesLike(y);
    const { points, delta, dual } = await branchGap(jump, x, ones, {});
    expect(delta).toBeCloseTo(1, 2);
    expect(points[0].gap).toBeCloseTo(1 - dual, 12);
    expect(points[0].gap).toBeGreaterThan(0);
    expect(points[19].gap).toBeLessThan(points[0].gap / 10);
    tf.dispose([x, y, ones]);
  });
});

describe("a model as a branch", () => {
  const rows = (n: number, seed: number) => {
    const x = tf.randomNormal([n, 3], 0, 1, "float32", seed) as tf.Tensor2D;
    const y = tf.tidy(() => tf.sign(x.slice([0, 0], [n, 1]).abs().sub(0.5)));
    return { x, y };
  };

  test("keeps its weights, leaves no tensors, and has the loss that its own outputs give", async () => {
    const { x, y } = rows(20, 1);
    const model = oneHidden();
    const before = model.getWeights().map((weight) => Array.from(weight.dataSync()));
    const tensors = tf.memory().numTensors;
    const { points, candidates, tau, claim } = await branchGap(model, x, y, {
      candidates: 300,
      descents: 3,
      branches: 3,
    });
    expect(tf.memory().numTensors).toBe(tensors);
    expect(model.getWeights().map((weight) => Array.from(weight.dataSync()))).toEqual(before);
    expect(candidates.rows).toBe(300);
    expect(claim).toMatch(/^Of the 300 branches that were tried/);
    const { chosen, loss } = points[2];
    const p = candidates.cols;
    const f = new Float64Array(20);
    for (const k of chosen) {
      let at = k * p;
      for (const weight of model.weights) {
        const size = weight.shape.reduce<number>((all, side) => all * (side ?? 1), 1);
        weight.write(tf.tensor(Float32Array.from(candidates.data.slice(at, at + size)), weight.shape as number[]));
        at += size;
      }
      (model.predict(x) as tf.Tensor).dataSync().forEach((z, row) => {
        f[row] += z / 3;
      });
    }
    const labels = y.dataSync();
    const hinge = f.reduce((sum, z, row) => sum + Math.max(0, 1 - (labels[row] * z) / tau), 0) / 20;
    expect(hinge).toBeCloseTo(loss, 5);
  });

  test("ascents find branches with a lower loss at the same cost than random weights alone", async () => {
    const { x, y } = rows(30, 2);
    const model = oneHidden(4);
    const options = { candidates: 500, branches: 1, tau: 100, budget: 1 };
    const random = await branchGap(model, x, y, { ...options, descents: 0 });
    const led = await branchGap(model, x, y, options);
    expect(led.points[0].loss).toBeLessThan(random.points[0].loss);
    tf.dispose([x, y]);
  });

  test("its regularizers are the cost, where it has some", async () => {
    const { x, y } = rows(10, 3);
    const model = tf.sequential({
      layers: [
        tf.layers.dense({
          units: 1,
          useBias: false,
          inputShape: [3],
          kernelRegularizer: tf.regularizers.l1({ l1: 2 }),
        }),
      ],
    });
    const { curve, candidates } = await branchGap(model, x, y, { branches: 1 });
    const norms = Array.from({ length: candidates.rows }, (_, k) =>
      candidates.data.slice(3 * k, 3 * k + 3).reduce((sum, w) => sum + 2 * Math.abs(w), 0),
    );
    for (const cost of curve.cost) expect(Math.min(...norms.map((norm) => Math.abs(norm - cost)))).toBeLessThan(1e-5);
    tf.dispose([x, y]);
  });

  test("a signal stops it, and the weights are as before", async () => {
    const { x, y } = rows(20, 4);
    const model = oneHidden();
    const before = Array.from(model.getWeights()[0].dataSync());
    const control = new AbortController();
    setTimeout(() => control.abort(new Error("enough")), 5);
    await expect(branchGap(model, x, y, { candidates: 20_000, signal: control.signal })).rejects.toThrow("enough");
    expect(Array.from(model.getWeights()[0].dataSync())).toEqual(before);
    tf.dispose([x, y]);
  });
});

/** Passes x on and tells of each call; `broken` has no gradient. */
class Watched extends tf.layers.Layer {
  static className = "Watched";
  constructor(
    private readonly called: () => void,
    private readonly broken = false,
  ) {
    super({});
  }
  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    this.called();
    const x = Array.isArray(inputs) ? inputs[0] : inputs;
    return this.broken ? tf.cast(tf.greater(x, 0), "float32") : tf.clone(x);
  }
  override computeOutputShape(shape: tf.Shape): tf.Shape {
    return shape;
  }
}

describe("candidates", () => {
  const watched = (called: () => void, broken = false) =>
    tf.sequential({ layers: [tf.layers.dense({ units: 1, inputShape: [4] }), new Watched(called, broken)] });
  const rows = () => ({ x: tf.ones([5, 4]), y: tf.tensor1d(LABELS) });

  test.each([
    [1, 1],
    [100, 100],
    [300, 300],
  ])("of %i no more are tried, descents among them", async (candidates, most) => {
    const { x, y } = rows();
    const model = watched(() => undefined);
    const found = await branchGap(model, x, y, { candidates, branches: 1 });
    expect(found.candidates.rows).toBe(most);
    tf.dispose([x, y]);
    model.dispose();
  });

  test("of a grid no more are tried either", async () => {
    const { x, y } = data();
    for (const candidates of [1, 2, 5, 9, 30]) {
      for (const weights of [1, 2, 3]) {
        const { candidates: tried } = await branchGap({ ...sine, weights }, x, y, { candidates, branches: 1 });
        expect(tried.rows).toBeLessThanOrEqual(candidates);
      }
    }
    tf.dispose([x, y]);
  });

  test("a signal ends a descent at its next step", async () => {
    const { x, y } = rows();
    const control = new AbortController();
    let calls = -1; // one as the model is made
    const model = watched(() => {
      if (++calls === 4) control.abort(new Error("enough"));
    });
    calls = 0;
    await expect(branchGap(model, x, y, { candidates: 62, signal: control.signal })).rejects.toThrow("enough");
    expect(calls).toBeLessThanOrEqual(5);
    tf.dispose([x, y]);
    model.dispose();
  });

  test("a layer without a gradient is told of, and leaves no tensors", async () => {
    const { x, y } = rows();
    const model = watched(() => undefined, true);
    const tensors = tf.memory().numTensors;
    await expect(branchGap(model, x, y, {})).rejects.toMatchObject({
      code: "model/kind",
      message: expect.stringMatching(/a model with a gradient by its weights.*Set descents: 0/),
    });
    expect(tf.memory().numTensors).toBe(tensors);
    const { candidates } = await branchGap(model, x, y, { descents: 0, candidates: 50, branches: 1 });
    expect(candidates.rows).toBe(50);
    tf.dispose([x, y]);
    model.dispose();
  });

  test("more numbers than memory takes are refused before a branch is asked", async () => {
    const { x, y } = data();
    let asked = 0;
    const wide: BranchFunction = { weights: 1e6, output: () => ++asked };
    await expect(branchGap(wide, x, y, { candidates: 1e6 })).rejects.toMatchObject({ code: "data/size" });
    expect(asked).toBe(0);
    tf.dispose([x, y]);
  });
});

describe("what does not fit is refused by a sentence", () => {
  const ask = async (given: { branch?: unknown; x?: unknown; y?: unknown; options?: object }) => {
    const { x, y } = data();
    const asked = { branch: sine, x, y, options: {}, ...given };
    await branchGap(asked.branch as never, asked.x as never, asked.y as never, asked.options);
  };

  test.each([
    [
      { tau: 1 },
      "options/value",
      /tau: expected at least .* the largest output of a branch, below which the loss bends/,
    ],
    [{ budget: 0 }, "options/value", /budget: expected a finite number above 0/],
    [{ branches: 0 }, "options/value", /branches: expected an integer/],
    [{ candidates: 0.5 }, "options/value", /candidates: expected an integer/],
    [{ span: -1 }, "options/value", /span: expected a finite number above 0/],
    [{ brunches: 3 }, "options/unknown", /expected options among branches, .* got "brunches"/],
    [{ signal: 1 }, "options/value", /signal: expected an AbortSignal/],
  ])("options %o", async (options, code, sentence) => {
    await expect(ask({ options })).rejects.toMatchObject({ code, message: expect.stringMatching(sentence) });
  });

  test.each([
    ["no branch", { branch: 3 }, "options/value", /expected a tf.LayersModel, or \{ weights, output/],
    [
      "no number of weights",
      { branch: { output: (): number => 0 } },
      "options/value",
      /branch.weights: expected an integer/,
    ],
    [
      "outputs that are none",
      { branch: { weights: 1, output: (): number => Number.NaN } },
      "data/nonFinite",
      /expected a finite output of every branch, got NaN in row 0 at weights/,
    ],
    [
      "costs below zero",
      { branch: { weights: 1, output: (): number => 0, cost: (): number => -1 } },
      "data/nonFinite",
      /expected a cost of at least 0 of every branch, got -1/,
    ],
    [
      "a budget that no branch has",
      { branch: { weights: 1, output: (): number => 0, cost: (): number => 2 }, options: { budget: 1 } },
      "options/value",
      /budget: expected at least 2.0+, the cost of the cheapest branch/,
    ],
    [
      "other labels",
      { y: tf.tensor1d([1, 2, 1, -1, 1]) },
      "data/target",
      /labels -1 and 1, or 0 and 1, in y, got 2 in row 1/,
    ],
    ["fewer labels", { y: tf.tensor1d([1, -1]) }, "data/shape", /as many rows of y as of x, 5, got 2/],
    ["no x", { x: [1] }, "data/shape", /x to be a tf.Tensor/],
    [
      "a model of two outputs",
      { branch: tf.sequential({ layers: [tf.layers.dense({ units: 2, inputShape: [1] })] }) },
      "model/kind",
      /one output a row, got outputs of shape \[, 2\]/,
    ],
    [
      "a frozen model",
      { branch: tf.sequential({ layers: [tf.layers.dense({ units: 1, inputShape: [1], trainable: false })] }) },
      "model/frozen",
      /a model with trainable weights, got none/,
    ],
    [
      "x of another shape",
      { branch: oneHidden() },
      "data/shape",
      /x of shape \[rows, 3\], as the model's input has it/,
    ],
  ])("%s", async (_, given, code, sentence) => {
    await expect(ask(given)).rejects.toMatchObject({ code, message: expect.stringMatching(sentence) });
  });
});
