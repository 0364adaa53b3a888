import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import { gaussianSource } from "../../src/convex/linear/random.js";
import { ConvexReLUTrainer, certify, relaxedReLU } from "../../src/index.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

/** Targets that `neurons` neurons make, with noise on top. */
function planted(n: number, d: number, neurons: number, seed: number, noise = 0): { x: tf.Tensor2D; y: tf.Tensor2D } {
  const draw = gaussianSource(seed);
  const X = Array.from({ length: n }, () => Array.from({ length: d }, draw));
  const W = Array.from({ length: neurons }, () => Array.from({ length: d }, draw));
  const y = X.map((row) => {
    const sums = W.map((w) =>
      Math.max(
        0,
        w.reduce((sum, value, p) => sum + value * row[p], 0),
      ),
    );
    return [sums.reduce((sum, value) => sum + value, 0) + noise * draw()];
  });
  return { x: tf.tensor2d(X), y: tf.tensor2d(y) };
}

describe("one neuron", () => {
  test.each([1, 2, 3, 4, 5])(
    "whose like made the targets is found from any start (seed %i), and said to be",
    async (seed) => {
      const { x, y } = planted(30, 4, 1, 10 + seed);
      const { model, errors, relaxed, claim } = await relaxedReLU(x, y, { seed, steps: 3000 });
      expect(relaxed[3000]).toBeLessThan(1e-8 * relaxed[0]);
      expect(claim).toMatch(/relaxation is at most 1e-10 of .*no network is better/);
      const loss = (model.evaluate(x, y) as tf.Scalar).dataSync()[0];
      expect(loss).toBeCloseTo(errors[3000] / 30, 5);
      tf.dispose([x, y]);
      model.dispose();
    },
  );

  test.each([0, 1.5])(
    "the relaxation is never below the error, and falls in every step where no target is negative (less %f)",
    async (less) => {
      const { x, y } = planted(20, 3, 2, 7);
      const shifted = y.sub(less) as tf.Tensor2D;
      const { model, errors, relaxed } = await relaxedReLU(x, shifted, { steps: 300 });
      errors.forEach((error, k) => {
        expect(relaxed[k]).toBeGreaterThanOrEqual(error - 1e-12 * error);
        if (k > 0 && less === 0) expect(relaxed[k]).toBeLessThanOrEqual(relaxed[k - 1] * (1 + 1e-12));
      });
      tf.dispose([x, y, shifted]);
      model.dispose();
    },
  );

  test("on rows 1 and -1 with targets 1 and 1 it ends at zero with error 2, where plain descent finds 1, and nothing is claimed", async () => {
    const [x, y] = [tf.tensor2d([[1], [-1]]), tf.tensor2d([[1], [1]])];
    const relaxed = await relaxedReLU(x, y, { steps: 500 });
    const plain = await relaxedReLU(x, y, { steps: 500, gradient: "plain" });
    expect(relaxed.errors[500]).toBeCloseTo(2, 9);
    expect(relaxed.relaxed[500]).toBeCloseTo(2, 9);
    expect(relaxed.claim).toMatch(/nothing is proven of the network/);
    expect(plain.errors[500]).toBeCloseTo(1, 9);
    tf.dispose([x, y]);
    for (const { model } of [relaxed, plain]) model.dispose();
  });

  test("targets that no neuron makes may all the same end at the network's own optimum: the claim does not say otherwise", async () => {
    const [x, y] = [tf.tensor2d([[1], [1]]), tf.tensor2d([[1], [2]])];
    const { errors, claim, model } = await relaxedReLU(x, y, { steps: 500 });
    expect(errors[500]).toBeCloseTo(0.5, 9); // (1 - 1.5)^2 + (2 - 1.5)^2, the least that any network has
    expect(claim).toMatch(/above 1e-10 of .*its minimiser need not be the network's/);
    tf.dispose([x, y]);
    model.dispose();
  });

  test("with noise its error is above that of the network that a convex fit finds from it", async () => {
    const { x, y } = planted(16, 2, 1, 3, 0.5);
    const { model, errors } = await relaxedReLU(x, y, { steps: 3000 });
    const warmStart = await certify(model, x, y, { regularization: 1e-4, standardize: false });
    const trainer = new ConvexReLUTrainer({ regularization: 1e-4, standardize: false, width: "resize" });
    const better = await trainer.fit(model, x, y, { warmStart });
    expect(16 * better.objective.loss).toBeLessThan(errors[3000]);
    tf.dispose([x, y]);
    for (const each of [model, better.model]) each.dispose();
  });
});

describe("three neurons on four rows of six columns", () => {
  test("the modified gradient meets the targets from all of ten starts, the plain one not from all", async () => {
    const { x, y } = planted(4, 6, 3, 5);
    const ends = { modified: 0, plain: 0 };
    for (let seed = 0; seed < 10; seed++) {
      for (const gradient of ["modified", "plain"] as const) {
        const { errors, model } = await relaxedReLU(x, y, { units: 3, gradient, seed, steps: 4000 });
        if (errors[4000] < 1e-6) ends[gradient]++;
        model.dispose();
      }
    }
    expect(ends.modified).toBe(10);
    expect(ends.plain).toBeLessThan(10);
    tf.dispose([x, y]);
  });
});

describe("a descent of many steps", () => {
  const steps = 1e6;

  test("lets timers run, and ends where one of them asks it to, with as many errors as steps were made and one", async () => {
    const { x, y } = planted(20, 3, 1, 4, 0.3);
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 0);
    const { model, errors, relaxed } = await relaxedReLU(x, y, { steps, signal: stop.signal });
    expect(errors.length).toBeGreaterThan(1);
    expect(errors.length).toBeLessThan(steps);
    expect(relaxed.length).toBe(errors.length);
    const again = await relaxedReLU(x, y, { steps: errors.length - 1 });
    expect(again.errors).toEqual(errors);
    const loss = (model.evaluate(x, y) as tf.Scalar).dataSync()[0];
    expect(loss).toBeCloseTo(errors[errors.length - 1] / 20, 5);
    tf.dispose([x, y]);
    for (const each of [model, again.model]) each.dispose();
  });

  test("ends at a signal that came before it, with the weights of the start, and when its time is up", async () => {
    const { x, y } = planted(20, 3, 1, 4, 0.3);
    const none = await relaxedReLU(x, y, { steps, signal: AbortSignal.abort() });
    expect(none.errors.length).toBe(1);
    const some = await relaxedReLU(x, y, { steps, timeLimit: 0.01 });
    expect(some.errors.length).toBeLessThan(steps);
    tf.dispose([x, y]);
    for (const each of [none.model, some.model]) each.dispose();
  });

  test("a single step of many neurons lets timers run too", async () => {
    const { x, y } = planted(400, 8, 1, 4);
    let turns = 0;
    const timer = setInterval(() => turns++, 0);
    const { model } = await relaxedReLU(x, y, { steps: 1, units: 4e4 });
    clearInterval(timer);
    expect(turns).toBeGreaterThan(0);
    tf.dispose([x, y]);
    model.dispose();
  });
});

test("a rate at which descent diverges is refused, and no tensor is left", async () => {
  const { x, y } = planted(6, 2, 1, 1);
  const tensors = tf.memory().numTensors;
  await expect(relaxedReLU(x, y, { rate: 10 })).rejects.toThrow(
    /expected one at which descent converges, got 10, which diverges in step/,
  );
  expect(tf.memory().numTensors).toBe(tensors);
  tf.dispose([x, y]);
});
