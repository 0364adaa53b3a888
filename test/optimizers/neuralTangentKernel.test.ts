import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import { makeUnitRows, runWide } from "../../examples/tangent-kernel/experiment.js";
import { gaussianSource } from "../../src/convex/linear/random.js";
import { neuralTangentKernel } from "../../src/index.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

type Smooth = { readonly s: (z: number) => number; readonly ds: (z: number) => number; readonly square: number };
const logistic = (z: number) => 1 / (1 + Math.exp(-z));
const functions: Record<string, Omit<Smooth, "square">> = {
  relu: { s: (z) => Math.max(0, z), ds: (z) => (z > 0 ? 1 : 0) },
  tanh: { s: Math.tanh, ds: (z) => 1 - Math.tanh(z) ** 2 },
  sigmoid: { s: logistic, ds: (z) => logistic(z) * (1 - logistic(z)) },
  softplus: { s: (z) => Math.log1p(Math.exp(z)), ds: logistic },
  swish: { s: (z) => z * logistic(z), ds: (z) => logistic(z) * (1 + z * (1 - logistic(z))) },
};

/** E over u = sqrt(q) z and v of correlation r, by a grid of both: slow and plain. */
function expectation(f: (u: number) => number, q: number, r: number): number {
  let sum = 0;
  const step = 0.05;
  for (let a = -8; a <= 8; a += step) {
    for (let b = -8; b <= 8; b += step) {
      const density = (step * step * Math.exp(-(a * a + b * b) / 2)) / (2 * Math.PI);
      sum += density * f(Math.sqrt(q) * a) * f(Math.sqrt(q) * (r * a + Math.sqrt(1 - r * r) * b));
    }
  }
  return sum;
}

const rows = [
  [1, 0, 0],
  [0.6, 0.8, 0],
  [-0.48, 0.6, 0.64],
];

describe.each(Object.keys(functions))("%s", (activation) => {
  const { s, ds } = functions[activation];

  test("with one hidden layer the kernel is x_i'x_j E[s' s'], and E[s s] more with the read-out, by plain integrals", async () => {
    const x = tf.tensor2d(rows.map((row) => row.map((value) => 1.5 * value)));
    const X = await x.array();
    const options = { activation: activation as "relu" };
    const hidden = await neuralTangentKernel(x, options);
    const all = await neuralTangentKernel(x, { ...options, trainReadOut: true });
    for (const [i, j] of [
      [0, 1],
      [1, 2],
    ]) {
      const product = X[i].reduce((sum, value, p) => sum + value * X[j][p], 0);
      const r = product / 2.25;
      const at = i * 3 + j;
      // ReLU's slope jumps, which the grid of the integral sees.
      expect(hidden.kernel.data[at]).toBeCloseTo(product * expectation(ds, 2.25, r), activation === "relu" ? 1 : 6);
      const more = all.kernel.data[at] - hidden.kernel.data[at];
      expect(more).toBeCloseTo(expectation(s, 2.25, r), activation === "relu" ? 3 : 6);
    }
    x.dispose();
  });

  test.each([0.1, 1, 12])("two equal rows of length %f are never told apart, whatever the layers", async (length) => {
    const x = tf.tensor2d([rows[1], rows[2], rows[1]]).mul(length) as tf.Tensor2D;
    for (const layers of [2, 3]) {
      const { leastEigenvalue, kernel } = await neuralTangentKernel(x, { layers, activation: activation as "relu" });
      expect(leastEigenvalue).toBe(0);
      expect(kernel.data[2]).toBe(kernel.data[0]);
    }
    x.dispose();
  });

  test("with two hidden layers it is that of a random network of width 1,200, but for its randomness", async () => {
    const x = tf.tensor2d(rows);
    const X = await x.array();
    const m = 1200;
    const draw = gaussianSource(5);
    const c = 1 / expectation((u) => s(u), 1, 0.999999);
    const W = Float64Array.from({ length: 3 * m }, draw);
    const V = Float64Array.from({ length: m * m }, draw);
    const a = Float64Array.from({ length: m }, (_, k) => (k % 2 === 0 ? 1 : -1));
    const each = X.map((row) => {
      const first = Float64Array.from({ length: m }, (_, k) => row.reduce((sum, v, p) => sum + v * W[3 * k + p], 0));
      const h = first.map((z) => Math.sqrt(c / m) * s(z));
      const second = Float64Array.from({ length: m }, (_, k) => h.reduce((sum, v, p) => sum + v * V[k * m + p], 0));
      const back = second.map((z, k) => (a[k] * ds(z)) / Math.sqrt(m));
      const deep = first.map((z, p) => {
        let sum = 0;
        for (let k = 0; k < m; k++) sum += V[k * m + p] * back[k];
        return Math.sqrt(c / m) * ds(z) * sum;
      });
      return { row: Float64Array.from(row), h, back, deep, out: second.map((z) => s(z) / Math.sqrt(m)) };
    });
    const dot = (u: Float64Array, v: Float64Array) => u.reduce((sum, value, k) => sum + value * v[k], 0);
    const { kernel } = await neuralTangentKernel(x, {
      layers: 3,
      activation: activation as "relu",
      trainReadOut: true,
    });
    for (let i = 0; i < 3; i++) {
      for (let j = 0; j < 3; j++) {
        const [p, q] = [each[i], each[j]];
        const wanted =
          dot(p.back, q.back) * dot(p.h, q.h) + dot(p.deep, q.deep) * dot(p.row, q.row) + dot(p.out, q.out);
        expect(Math.abs(kernel.data[i * 3 + j] - wanted)).toBeLessThan(0.08 * kernel.data[0]);
      }
    }
    x.dispose();
  });
});

describe("ReLU, one hidden layer", () => {
  test("the kernel is x_i'x_j (pi - angle) / (2 pi), and its least eigenvalue is zero for equal rows and not for opposite ones", async () => {
    const same = tf.tensor2d([...rows, rows[1]]);
    const opposite = tf.tensor2d([...rows, rows[1].map((value) => -value)]);
    const plain = await neuralTangentKernel(opposite);
    expect(plain.kernel.data[1]).toBeCloseTo((0.6 * (Math.PI - Math.acos(0.6))) / (2 * Math.PI), 7);
    expect(plain.leastEigenvalue).toBeGreaterThan(0.05);
    const doubled = await neuralTangentKernel(same);
    expect(doubled.leastEigenvalue).toBe(0);
    expect(doubled.steps(0.1)).toBe(Number.POSITIVE_INFINITY);
    expect(doubled.claim).toMatch(/least eigenvalue is zero/);
    tf.dispose([same, opposite]);
  });

  test("the errors are those of powers of I - stepSize kernel, below the rate of the theorem", async () => {
    const x = tf.tensor2d(rows);
    const ntk = await neuralTangentKernel(x, { stepSize: 0.7 });
    let r = [1, -2, 0.5];
    const start = r.reduce((sum, value) => sum + value * value, 0);
    const errors = ntk.errors(r, 40);
    for (let step = 0; step <= 40; step++) {
      expect(errors[step]).toBeCloseTo(
        r.reduce((sum, value) => sum + value * value, 0),
        12,
      );
      expect(errors[step]).toBeLessThanOrEqual(start * ntk.rate ** step * (1 + 1e-12));
      r = r.map((value, i) => value - 0.7 * r.reduce((sum, other, j) => sum + ntk.kernel.data[3 * i + j] * other, 0));
    }
    expect(ntk.rate ** ntk.steps(1e-3)).toBeLessThanOrEqual(1e-3);
    expect(ntk.rate ** (ntk.steps(1e-3) - 1)).toBeGreaterThan(1e-3);
    expect((await neuralTangentKernel(x, { stepSize: 100 })).steps(0.5)).toBe(Number.POSITIVE_INFINITY);
    x.dispose();
  });

  test("rows in one direction have a least eigenvalue of zero, and the claim says so", async () => {
    const x = tf.tensor2d([
      [1, 0],
      [2, 0],
    ]);
    const { leastEigenvalue, claim } = await neuralTangentKernel(x);
    expect(leastEigenvalue).toBe(0);
    expect(claim).toMatch(/rows in the same direction, or a zero one/);
    x.dispose();
  });

  test.each([0.1, 1, 1.4, 1.5, 1.6, 1.9, 1.99])(
    "whatever the step, here %f over the largest eigenvalue, no errors stay above `rate`, and `steps` are enough",
    async (share) => {
      for (const given of [[[1]], rows]) {
        const x = tf.tensor2d(given);
        const { largestEigenvalue } = await neuralTangentKernel(x);
        const ntk = await neuralTangentKernel(x, { stepSize: share / largestEigenvalue });
        const steps = ntk.steps(1e-3);
        for (let k = 0; k < given.length; k++) {
          const residual = given.map((_, i) => (i === k ? 1 : 0.3));
          const errors = ntk.errors(residual, steps);
          errors.forEach((error, step) => {
            expect(error).toBeLessThanOrEqual(errors[0] * ntk.rate ** step * (1 + 1e-9));
          });
          expect(errors[steps]).toBeLessThanOrEqual(1e-3 * errors[0] * (1 + 1e-9));
        }
        if (share <= 1.5) expect(ntk.rate).toBeCloseTo(1 - (ntk.stepSize * ntk.leastEigenvalue) / 2, 12);
        x.dispose();
      }
    },
  );

  test("opposite rows are told apart, but not under tanh, and the claim says so", async () => {
    const x = tf.tensor2d([
      [0.6, 0.8],
      [-0.6, -0.8],
    ]);
    expect((await neuralTangentKernel(x)).leastEigenvalue).toBeGreaterThan(0.1);
    const { leastEigenvalue, claim } = await neuralTangentKernel(x, { activation: "tanh" });
    expect(leastEigenvalue).toBe(0);
    expect(claim).toMatch(/under tanh and sigmoid, opposite ones/);
    x.dispose();
  });

  test("what is said to be proven depends on the activation, the layers and the lengths of the rows", async () => {
    const x = tf.tensor2d(rows);
    const longer = x.mul(2) as tf.Tensor2D;
    const claim = async (given: tf.Tensor, options = {}) => (await neuralTangentKernel(given, options)).claim;
    expect(await claim(x)).toMatch(/^Proven for ReLU .* high probability\.$/);
    expect(await claim(longer)).toMatch(/rows of length one, which these are not/);
    expect(await claim(x, { layers: 3 })).toMatch(/^Not covered .* smooth/);
    expect(await claim(x, { layers: 3, activation: "tanh" })).toMatch(/^Proven for smooth activations/);
    tf.dispose([x, longer]);
  });
});

test("timers run while the kernel is made", async () => {
  const draw = gaussianSource(3);
  const x = tf.tensor2d(Array.from({ length: 150 }, () => [draw(), draw(), draw()]));
  let turns = 0;
  const timer = setInterval(() => turns++, 0);
  await neuralTangentKernel(x, { activation: "tanh", layers: 3 });
  clearInterval(timer);
  expect(turns).toBeGreaterThan(0);
  x.dispose();
});

test("a signal stops the kernel, its eigenvalues too, with the signal's reason", async () => {
  const x = tf.randomNormal([400, 3], 0, 1, "float32", 3);
  await expect(neuralTangentKernel(x, { signal: AbortSignal.abort(new Error("never mind")) })).rejects.toThrow(
    "never mind",
  );
  const control = new AbortController();
  setTimeout(() => control.abort(new Error("enough")), 0);
  await expect(neuralTangentKernel(x, { signal: control.signal })).rejects.toThrow("enough");
  await expect(neuralTangentKernel(x, { signal: true as never })).rejects.toThrow(/signal: expected .*AbortSignal/);
  x.dispose();
});

test("a network of width 500 trained by gradient descent stays below the rate, and within a factor of two of what the kernel predicts for 50 steps", async () => {
  const data = makeUnitRows(10, 4, 1);
  const x = tf.tensor2d(Float32Array.from(data.x), [10, 4]);
  const ntk = await neuralTangentKernel(x);
  const { errors, residual } = runWide(data, 500, ntk.stepSize, 300, 2);
  const predicted = ntk.errors(residual, 300);
  errors.forEach((error, step) => {
    expect(error).toBeLessThanOrEqual(errors[0] * ntk.rate ** step * (1 + 1e-9));
  });
  for (const step of [10, 50]) expect(Math.abs(Math.log2(errors[step] / predicted[step]))).toBeLessThan(1);
  x.dispose();
});
