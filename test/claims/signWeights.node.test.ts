/**
 * "Networks with weights -1 and 1 are trained to global optimality by tight semidefinite relaxations": docs/claims.md, 4.
 *
 * Networks sum_j a_j (x'u_j)(x'v_j), or sum_j a_j (x'u_j)^2, u_j and v_j of -1 and 1, charge beta sum |a_j|, loss 1/2 |f - y|^2. The
 * relaxation lets Z be any rho times the inner products of unit vectors in place of u v'.
 */

import * as tf from "@tensorflow/tfjs";
import { beforeAll, expect, test } from "vitest";
import { gaussianSource } from "../../src/convex/linear/random.js";
import { type QuantizedOptions, trainQuantized } from "../../src/index.js";

const KRIVINE = Math.PI / (2 * Math.log(1 + Math.SQRT2));

type Vector = readonly number[];

const dot = (a: Vector, b: Vector) => a.reduce((sum, value, k) => sum + value * b[k], 0);
const signs = (d: number): Vector[] =>
  Array.from({ length: 2 ** d }, (_, bits) => Array.from({ length: d }, (_, p) => ((bits >> p) & 1 ? 1 : -1)));
const objective = (f: Vector, y: Vector, charge: number) =>
  0.5 *
    dot(
      f.map((v, k) => v - y[k]),
      f.map((v, k) => v - y[k]),
    ) +
  charge;

/** Two rows, and targets along what tells the two sets apart. */
const BILINEAR = {
  X: [
    [1, 1],
    [0, 1],
  ],
  y: [1, -2],
  beta: 2,
};
const QUADRATIC = {
  X: [
    [1, 1, 1],
    [1, 0, 0],
  ],
  y: [-0.1, 1],
  beta: 0.9,
};

const OPTIONS: Omit<QuantizedOptions, "regularization"> = {
  ...{ loss: "meanSquaredError", hiddenBias: false, outputBias: false, tolerance: 1e-6 },
};

beforeAll(async () => {
  await tf.setBackend("cpu");
});

test("bilinear, d = 2: no unit helps the zero network, whose objective 2.5 is the optimum", () => {
  const { X, y, beta } = BILINEAR;
  const outputs = signs(2).flatMap((u) => signs(2).map((v) => X.map((x) => dot(x, u) * dot(x, v))));
  // The lasso over all units has the solution 0 where no column's product with the targets exceeds beta.
  expect(Math.max(...outputs.map((column) => Math.abs(dot(column, y))))).toBe(2);
  expect(beta).toBe(2);
  expect(objective([0, 0], y, 0)).toBe(2.5);
});

test("bilinear, d = 2: the relaxation has a point of 2.3628, by the unit vectors of the CHSH inequality", () => {
  const { X, y, beta } = BILINEAR;
  const half = Math.SQRT1_2;
  const [left, right] = [
    [
      [1, 0],
      [0, 1],
    ],
    [
      [half, half],
      [half, -half],
    ],
  ];
  for (const vector of [...left, ...right]) expect(dot(vector, vector)).toBeCloseTo(1, 15); // Q has a constant diagonal
  const Z = left.map((u) => right.map((v) => dot(u, v)));
  const f = X.map((x) =>
    dot(
      x,
      Z.map((row) => dot(row, x)),
    ),
  );
  expect(dot(f, y)).toBeCloseTo(2 * Math.SQRT2, 12); // Tsirelson's bound, where signs reach 2
  const rho = (dot(f, y) - beta) / dot(f, f);
  const value = objective(
    f.map((output) => rho * output),
    y,
    beta * rho,
  );
  expect(value).toBeCloseTo(2.36274, 5);
  expect(value).toBeLessThan(2.5);
});

test("bilinear, d = 2: units sampled by Krivine's rounding are the relaxation's Z over 1.7822, on average", () => {
  // Gram matrix of u and v: ones, and sin(k Z) across, k = ln(1 + sqrt 2); signs of such Gaussians have means 2 k Z / pi.
  const s = Math.sin(Math.log(1 + Math.SQRT2) * Math.SQRT1_2);
  const rest = Math.sqrt(1 - 2 * s * s);
  const draw = gaussianSource(1);
  const DRAWS = 100_000;
  const means = [0, 0, 0, 0];
  for (let k = 0; k < DRAWS; k++) {
    const [g, h] = [draw(), draw()];
    const v = [s * (g + h) + rest * draw(), s * (g - h) + rest * draw()];
    [g, h].forEach((u, i) => {
      v.forEach((w, j) => {
        means[2 * i + j] += (Math.sign(u) * Math.sign(w)) / DRAWS;
      });
    });
  }
  const Z = [1, 1, 1, -1].map((sign) => sign * Math.SQRT1_2);
  means.forEach((mean, k) => {
    expect(Math.abs(mean - Z[k] / KRIVINE)).toBeLessThan(0.015); // five standard deviations
  });
});

test("quadratic, d = 3: the zero network's 0.505 is the optimum, and three unit vectors at 120 degrees have 0.5", () => {
  const { X, y, beta } = QUADRATIC;
  const outputs = signs(3).map((u) => X.map((x) => dot(x, u) ** 2));
  expect(Math.max(...outputs.map((column) => Math.abs(dot(column, y))))).toBeLessThanOrEqual(beta + 1e-12);
  expect(objective([0, 0], y, 0)).toBeCloseTo(0.505, 12);
  const vectors = [0, 1, 2].map((k) => [Math.cos((2 * Math.PI * k) / 3), Math.sin((2 * Math.PI * k) / 3)]);
  const gram = vectors.map((u) => vectors.map((v) => dot(u, v)));
  const f = X.map((x) =>
    dot(
      x,
      gram.map((row) => dot(row, x)),
    ),
  );
  expect(f[0]).toBeCloseTo(0, 12); // of signs an odd sum, so 1 or 9
  expect(f[1]).toBeCloseTo(1, 12);
  expect(
    objective(
      f.map((output) => 0.1 * output),
      y,
      0.1 * beta,
    ),
  ).toBeCloseTo(0.5, 12);
});

test.each([
  { name: "bilinear", ...BILINEAR, more: {}, optimum: 2.5, point: 2.36274 },
  { name: "quadratic", ...QUADRATIC, more: { activation: { a: 1, b: 0, c: 0 } }, optimum: 0.505, point: 0.5 },
])(
  "trainQuantized, which prices every unit, proves the optimum of the $name ones and has the lower bound beside it",
  async ({ X, y, beta, more, optimum, point }) => {
    const [x, targets] = [tf.tensor2d(X), tf.tensor2d(y.map((value) => [value]))];
    // Its loss is the mean over two rows: 1/2 |f - y|^2.
    const options = { ...OPTIONS, ...more, regularization: beta };
    const { certificate, model } = await trainQuantized(x, targets, options);
    expect(certificate.enumerated).toBe(true);
    expect(certificate.network).toBeCloseTo(optimum, 4);
    expect(certificate.dual).toBeCloseTo(optimum, 4);
    expect(certificate.bound).toBeLessThanOrEqual(point + 1e-5);
    // What holds: the optimum is below the relaxation at 1.7822 times the charge.
    const dearer = await trainQuantized(x, targets, { ...options, regularization: KRIVINE * beta });
    expect(certificate.network).toBeLessThanOrEqual(dearer.certificate.bound * (1 + 1e-5));
    model.dispose();
    dearer.model.dispose();
    tf.dispose([x, targets]);
  },
);
