import * as tf from "@tensorflow/tfjs";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { gaussianSource } from "../../src/convex/linear/random.js";
import { convexLayer, type QuadraticTerms, quadraticProgram, registerLayers } from "../../src/index.js";
import { saveAndLoad } from "../helpers/models.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
  registerLayers();
});

const NAMES = ["P", "q", "A", "b", "G", "h"] as const;

/** The nearest point of the simplex by sorting (Held, Wolfe and Crowder 1974). */
function onSimplex(x: number[]): number[] {
  const sorted = [...x].sort((a, b) => b - a);
  let [sum, shift] = [0, 0];
  sorted.forEach((value, k) => {
    sum += value;
    if (value > (sum - 1) / (k + 1)) shift = (sum - 1) / (k + 1);
  });
  return x.map((value) => Math.max(0, value - shift));
}

/** Terms of a batch of programs that a common point meets. */
function draw(seed: number, { n, p, m, B }: { n: number; p: number; m: number; B: number }): Record<string, tf.Tensor> {
  const next = gaussianSource(seed);
  const tensor = (shape: number[], scale = 1) =>
    tf.tensor(
      Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => scale * next()),
      shape,
    );
  const point = tensor([n, 1]);
  const root = tensor([n, n]);
  const [A, G] = [tensor([p, n]), tensor([m, n])];
  return {
    P: root.matMul(root, false, true).add(tf.eye(n).mul(0.3)),
    q: tensor([B, n], 2),
    ...(p > 0 ? { A, b: A.matMul(point).reshape([p]) } : {}),
    ...(m > 0
      ? {
          G,
          h: G.matMul(point)
            .reshape([m])
            .add(tensor([m]).abs().mul(0.3).add(0.1)),
        }
      : {}),
  };
}

describe("quadraticProgram", () => {
  test("a ReLU layer written as a program is relu, in value and in slope", () => {
    const x = tf.tensor2d([
      [1.5, -2, 0.25],
      [-1, 3, -0.5],
    ]);
    const relu = (v: tf.Tensor) =>
      quadraticProgram({ P: tf.eye(3), q: v.neg(), G: tf.eye(3).neg(), h: tf.zeros([3]) }) as tf.Tensor2D;
    expect(relu(x).arraySync()).toEqual(tf.relu(x).arraySync());
    const slope = (f: (v: tf.Tensor) => tf.Tensor) => tf.grad((v) => f(v).square().sum())(x);
    const apart = slope(relu).sub(slope(tf.relu)).abs().max();
    expect(apart.dataSync()[0]).toBe(0);
  });

  test("points go to the simplex as sorting sends them", () => {
    fc.assert(
      fc.property(fc.array(fc.float({ min: -3, max: 3, noNaN: true }), { minLength: 2, maxLength: 7 }), (given) => {
        const n = given.length;
        const z = quadraticProgram({
          ...{ P: tf.eye(n), q: tf.tensor1d(given).neg(), A: tf.ones([1, n]), b: tf.ones([1]) },
          ...{ G: tf.eye(n).neg(), h: tf.zeros([n]) },
        }).dataSync();
        onSimplex(given).forEach((value, j) => void expect(z[j]).toBeCloseTo(value, 5));
      }),
      { numRuns: 30, seed: 1 },
    );
  });

  test("gradients by all six terms are those of finite differences, for terms with a batch and without", () => {
    fc.assert(
      fc.property(
        fc.record({
          ...{
            n: fc.integer({ min: 2, max: 5 }),
            p: fc.integer({ min: 0, max: 1 }),
            m: fc.integer({ min: 0, max: 5 }),
          },
          ...{ B: fc.integer({ min: 1, max: 3 }), seed: fc.nat(1000) },
        }),
        ({ seed, ...sizes }) => {
          const terms = draw(seed, sizes);
          const given = NAMES.filter((name) => terms[name] !== undefined);
          const weights = tf.randomNormal([sizes.B, sizes.n], 0, 1, "float32", seed);
          const lossOf = (...values: tf.Tensor[]) =>
            quadraticProgram(Object.fromEntries(given.map((name, k) => [name, values[k]])) as unknown as QuadraticTerms)
              .mul(weights)
              .sum();
          const values = given.map((name) => terms[name]);
          const slopes = tf.grads(lossOf as never)(values);
          const step = 2 ** -9;
          given.forEach((_, k) => {
            const direction = tf.randomNormal(values[k].shape, 0, 1, "float32", seed + k + 1);
            const at = (t: number) =>
              lossOf(...values.map((value, j) => (j === k ? value.add(direction.mul(t)) : value))).dataSync()[0];
            const [there, here, back] = [at(step), at(0), at(-step)];
            const kink = Math.abs(there - 2 * here + back); // a constraint comes or goes on the way
            const slope = slopes[k].mul(direction).sum().dataSync()[0];
            const size = 1 + Math.abs(slope);
            if (kink < 0.02 * step * size)
              expect(Math.abs((there - back) / (2 * step) - slope)).toBeLessThan(0.03 * size);
          });
        },
      ),
      { numRuns: 25, seed: 2 },
    );
  });

  test("a linear program ends at its vertex, and a free direction of least squares moves nothing", () => {
    const [cost, box] = [tf.tensor1d([-1, -2]), tf.tensor2d([[1, 0], [0, 1], [-1, 0], [0, -1], [1, 1]])]; // biome-ignore format: rows
    const terms = { P: tf.zeros([2, 2]), q: cost, G: box, h: tf.tensor1d([1, 1, 0, 0, 1.5]) };
    const z = quadraticProgram(terms).dataSync();
    expect([z[0], z[1]]).toEqual([0.5, 1]);
    const slope = tf
      .grad((h) => quadraticProgram({ ...terms, h }).sum())(terms.h)
      .dataSync();
    [0, 0, 0, 0, 1].forEach((value, k) => void expect(slope[k]).toBeCloseTo(value, 5)); // on y = 1 and x + y = 1.5
    const flat = tf.tensor2d([[1, 0], [0, 0]]); // biome-ignore format: rows
    const free = tf
      .grad((q) => quadraticProgram({ P: flat, q }).sum())(tf.tensor1d([-2, 0]))
      .dataSync();
    expect([free[0], free[1]]).toEqual([-1, 0]);
  });

  test("a semidefinite P in a box is solved: the point is feasible, and no step to another corner's side lowers the objective", () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 12 }), fc.nat(500), (n, seed) => {
        const root = tf.randomNormal([n, Math.ceil(n / 4)], 0, 1, "float32", seed) as tf.Tensor2D;
        const P = root.matMul(root, false, true) as tf.Tensor2D;
        const q = tf.randomNormal([n], 0, 1, "float32", seed + 1);
        const z = quadraticProgram({ P, q, G: tf.concat([tf.eye(n), tf.eye(n).neg()]), h: tf.ones([2 * n]) });
        expect(z.abs().max().dataSync()[0]).toBeLessThan(1 + 1e-5);
        const slope = P.matMul(z.reshape([n, 1]))
          .reshape([n])
          .add(q)
          .dataSync();
        z.dataSync().forEach((value, j) => {
          const steepest = Math.abs(value) < 1 - 1e-4 ? Math.abs(slope[j]) : Math.max(0, Math.sign(value) * slope[j]);
          expect(steepest).toBeLessThan(1e-3);
        });
      }),
      { numRuns: 40, seed: 3 },
    );
  });

  test("nothing is left in memory but the solution, whether there is one or not", () => {
    const [P, q] = [tf.eye(2), tf.tensor2d([[1, 2]])];
    const apart = { G: tf.tensor2d([[1, 0], [-1, 0]]), h: tf.tensor1d([-1, -1]) }; // biome-ignore format: rows
    const before = tf.memory().numTensors;
    quadraticProgram({ P, q }).dispose();
    expect(() => quadraticProgram({ P, q, ...apart })).toThrow(/contradict/);
    expect(tf.memory().numTensors).toBe(before);
  });

  test("what has no solution, or makes no program, is refused in a sentence", () => {
    const P = tf.eye(2);
    const q = tf.zeros([3, 2]);
    const apart = { G: tf.tensor2d([[1, 0], [-1, 0]]), h: tf.tensor2d([[1, 1], [1, 1], [-1, 0]]) }; // biome-ignore format: rows
    expect(() => quadraticProgram({ P, q, ...apart })).toThrow(
      /sample 2 of 3: expected constraints .* that some z meets/,
    );
    expect(() => quadraticProgram({ P: tf.zeros([2, 2]), q: tf.ones([2]) })).toThrow(/falls without end/);
    expect(() => quadraticProgram({ P: P.neg(), q: tf.ones([2]) })).toThrow(/positive semidefinite/);
    expect(() => quadraticProgram({ P, q: tf.tensor1d([1, Number.NaN]) })).toThrow(
      /q: expected finite numbers, got NaN at place 1/,
    );
    expect(() => quadraticProgram({ P, q, A: tf.ones([1, 2]) })).toThrow(/A and b together, got no b/);
    expect(() => quadraticProgram({ P: tf.eye(3), q })).toThrow(/P: expected a shape of \[2, 2\].*got \[3, 3\]/);
    expect(() => quadraticProgram({ P: tf.ones([2, 2, 2]), q })).toThrow(/expected a batch of/);
    expect(() => quadraticProgram({ P, q, c: q } as never)).toThrow(/P, q, A, b, G, h/);
    expect(() => quadraticProgram({ q } as never)).toThrow(/P: expected a tensor, got undefined/);
  });
});

describe("ConvexLayer", () => {
  test("without constraints it is the matrix P^-1; with them every sample's solution meets these", () => {
    const x = tf.randomNormal([6, 3], 0, 2, "float32", 4);
    const plain = convexLayer({ inputShape: [3] });
    const free = tf.sequential({ layers: [plain] });
    const size = x
      .sub((free.predict(x) as tf.Tensor).mul(1.001))
      .abs()
      .max()
      .dataSync()[0];
    expect(size).toBeLessThan(1e-5);
    const layer = convexLayer({ inequalities: 4, equalities: 1, seed: 3, inputShape: [3] });
    const model = tf.sequential({ layers: [layer] });
    const z = model.predict(x) as tf.Tensor2D;
    const weights = Object.fromEntries(
      layer.weights.map((weight) => [weight.originalName.split("/").pop(), weight.read()]),
    );
    const point = weights.point.reshape([3, 1]);
    const over = (rows: tf.Tensor) =>
      z
        .matMul(rows as tf.Tensor2D, false, true)
        .sub((rows as tf.Tensor2D).matMul(point as tf.Tensor2D).reshape([1, -1]));
    expect(over(weights.A).abs().max().dataSync()[0]).toBeLessThan(1e-5);
    expect(over(weights.G).max().dataSync()[0]).toBeLessThan(1 + 1e-5); // softplus of the slack is 1 at first
    for (const each of [free, model]) each.dispose();
  });

  test("model.fit trains it with the layers around it, without a tensor left over, and a saved model predicts the same", async () => {
    const x = tf.randomNormal([40, 3], 0, 1, "float32", 5) as tf.Tensor2D;
    const y = tf.tidy(() => x.slice([0, 0], [40, 1]).abs());
    const layers = [
      tf.layers.dense({ units: 3, inputShape: [3], kernelInitializer: tf.initializers.glorotNormal({ seed: 1 }) }),
      convexLayer({ inequalities: 3, seed: 2 }),
      tf.layers.dense({ units: 1, kernelInitializer: tf.initializers.glorotNormal({ seed: 3 }) }),
    ];
    const model = tf.sequential({ layers });
    model.compile({ optimizer: tf.train.adam(0.03), loss: "meanSquaredError" });
    const lossOf = () => tf.tidy(() => (model.evaluate(x, y) as tf.Scalar).dataSync()[0]);
    const before = layers[1].getWeights().map((weight) => Array.from(weight.dataSync()));
    const start = lossOf();
    await model.fit(x, y, { epochs: 1, batchSize: 20, verbose: 0 });
    const tensors = tf.memory().numTensors;
    await model.fit(x, y, { epochs: 12, batchSize: 20, verbose: 0 });
    expect(tf.memory().numTensors).toBe(tensors);
    expect(lossOf()).toBeLessThan(0.3 * start);
    const after = layers[1].getWeights().map((weight) => Array.from(weight.dataSync()));
    after.forEach((weight, k) => void expect(weight).not.toEqual(before[k]));
    const again = await saveAndLoad(model);
    expect((again.predict(x) as tf.Tensor).arraySync()).toEqual((model.predict(x) as tf.Tensor).arraySync());
    again.dispose();
    model.dispose();
  });

  test("sizes that are none, and more equations than columns, are refused", () => {
    expect(() => convexLayer({ inequalities: -1 })).toThrow(/inequalities: expected/);
    expect(() => convexLayer({ equalities: 1.5 })).toThrow(/equalities: expected/);
    expect(() => tf.sequential({ layers: [convexLayer({ equalities: 2, inputShape: [2] })] })).toThrow(
      /fewer than 2 columns/,
    );
  });
});
