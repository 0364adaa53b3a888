import * as tf from "@tensorflow/tfjs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bindLoss, lossNames, lossTraits, targetRefusal } from "../../../src/convex/losses/index.js";
import { smoothed } from "../../../src/convex/losses/smoothed.js";
import { lossAndGradient } from "../../../src/convex/operators/lossAndGradient.js";
import { minimiseOverBias } from "../../../src/convex/operators/outputBias.js";
import type { Loss, LossName } from "../../../src/convex/types.js";
import { gaussianMatrix, matrixOf, targetsFor } from "../../helpers/problems.js";

const n = 7;
const weights = Float64Array.of(1, 2, 0.5, 0, 1, 3, 1);

/** A loss with random targets, and a random point scaled by `reach`. */
function sample(name: LossName, seed: number, reach: number, weighted = true): { loss: Loss; Z: Float64Array } {
  const C = 3;
  const Y = targetsFor(name, gaussianMatrix(n, 4, seed), C, seed + 1);
  const Z = gaussianMatrix(n, C, seed + 2).data.map((value) => reach * value);
  return { loss: bindLoss(name, Y, weighted ? weights : null), Z };
}

const gradientOf = (loss: Loss, Z: Float64Array) => {
  const out = new Float64Array(Z.length);
  loss.gradient(Z, out);
  return out;
};
const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, value, k) => sum + value * b[k], 0);
const seeds = fc.integer({ min: 1, max: 10000 });
const reaches = fc.constantFrom(0.01, 1, 5, 30);

describe.each(lossNames)("%s", (name) => {
  test("its gradient is the slope of its value", () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const { loss, Z } = sample(name, seed, 1);
        const D = gaussianMatrix(1, Z.length, seed + 5).data;
        const at = (t: number) => loss.value(Z.map((value, k) => value + t * D[k]));
        const slope = (at(1e-6) - at(-1e-6)) / 2e-6;
        expect(Math.abs(slope - dot(gradientOf(loss, Z), D))).toBeLessThan(1e-6);
      }),
      { numRuns: 30 },
    );
  });

  test("its value comes with its gradient as both come alone, to the last bit, rounded off or not", () => {
    fc.assert(
      fc.property(seeds, reaches, (seed, reach) => {
        const { loss, Z } = sample(name, seed, reach);
        for (const one of [loss, smoothed(loss, 0.3)]) {
          const out = new Float64Array(Z.length);
          expect(lossAndGradient(one, Z, out)).toBe(one.value(Z));
          expect(out).toEqual(gradientOf(one, Z));
        }
      }),
      { numRuns: 30 },
    );
  });

  test("parts that share out its rows add up to it, and have its gradient", () => {
    fc.assert(
      fc.property(seeds, reaches, fc.subarray([...Array(n).keys()]), (seed, reach, some) => {
        const { loss, Z } = sample(name, seed, reach);
        const gradient = gradientOf(loss, Z);
        let sum = 0;
        for (const rows of [some, [...Array(n).keys()].filter((k) => !some.includes(k))]) {
          const part = loss.part?.(Int32Array.from(rows));
          if (part === undefined) throw new Error("the loss has no parts");
          const entries = rows.flatMap((k) => [3 * k, 3 * k + 1, 3 * k + 2]);
          const mine = Float64Array.from(entries, (k) => Z[k]);
          sum += part.value(mine);
          expect(Array.from(gradientOf(part, mine))).toEqual(entries.map((k) => gradient[k]));
          expect(part.curvature).toBeLessThanOrEqual(loss.curvature);
        }
        const whole = loss.value(Z);
        expect(Math.abs(sum - whole)).toBeLessThanOrEqual(1e-12 * (1 + Math.abs(whole)));
      }),
      { numRuns: 30 },
    );
  });

  test("the diagonal of its Hessian is the slope of its gradient, away from kinks", () => {
    const { loss, Z } = sample(name, 4, 1);
    const diagonal = new Float64Array(Z.length);
    loss.hessianDiagonal(Z, diagonal);
    for (let k = 0; k < Z.length; k++) {
      const shifted = (t: number) =>
        gradientOf(
          loss,
          Z.map((value, j) => value + (j === k ? t : 0)),
        )[k];
      expect(Math.abs((shifted(1e-6) - shifted(-1e-6)) / 2e-6 - diagonal[k])).toBeLessThan(1e-7);
    }
  });

  test("it meets Fenchel and Young: value + conjugate >= <N, Z>, with equality at the gradient", () => {
    fc.assert(
      fc.property(seeds, reaches, (seed, reach) => {
        const { loss, Z } = sample(name, seed, reach);
        const other = sample(name, seed, reach + 0.5).Z.map((value) => -0.7 * value);
        const N = gradientOf(loss, other);
        const slack = 1e-11 * (1 + loss.value(Z) + Math.abs(dot(N, Z)));
        expect(loss.value(Z) + loss.conjugate(N)).toBeGreaterThanOrEqual(dot(N, Z) - slack);
        const own = gradientOf(loss, Z);
        expect(Math.abs(loss.value(Z) + loss.conjugate(own) - dot(own, Z))).toBeLessThan(slack);
      }),
      { numRuns: 60 },
    );
  });

  test("its conjugate is infinite outside its domain, and for a sample of weight zero", () => {
    const { loss, Z } = sample(name, 3, 1);
    const N = gradientOf(loss, Z);
    N[3 * 3] = 0.1; // sample 3 has weight 0
    expect(loss.conjugate(N)).toBe(Number.POSITIVE_INFINITY);
    if (name === "meanSquaredError") return;
    const far = gradientOf(loss, Z);
    const Y = targetsFor(name, gaussianMatrix(n, 4, 3), 3, 4).data;
    far[0] = Y[0] > 0 && name !== "huberLoss" ? 10 : -10;
    if (name === "hinge" || name === "squaredHinge") far[0] = 10 * Y[0];
    expect(loss.conjugate(far)).toBe(Number.POSITIVE_INFINITY);
  });

  test("rounded off, it has a prox where its gradient pulls as hard as the distance", () => {
    fc.assert(
      fc.property(seeds, reaches, fc.constantFrom(0.01, 1, 40), (seed, reach, width) => {
        const { loss, Z: Q } = sample(name, seed, reach, false);
        const round = smoothed(loss, 0.5);
        const [Z, slope, spread] = [1, 2, 3].map(() => new Float64Array(Q.length));
        round.prox(Q, width, Z, slope, loss.separable ? null : spread);
        const N = gradientOf(round, Z);
        Q.forEach((value, k) => {
          expect(Math.abs((value - Z[k]) / width - N[k])).toBeLessThan(1e-6 * (1 + Math.abs(value) / width));
        });
      }),
      { numRuns: 30 },
    );
  });

  test("its prox is where the loss pulls as hard as the distance", () => {
    fc.assert(
      fc.property(seeds, reaches, fc.constantFrom(1e-3, 1, 40, 1e5), (seed, reach, tau) => {
        const { loss, Z: Q } = sample(name, seed, reach);
        const Z = new Float64Array(Q.length);
        loss.prox(Q, tau, Z, new Float64Array(Q.length), new Float64Array(Q.length));
        const N = Q.map((value, k) => (value - Z[k]) / tau); // exactly 0 at weight 0, or its conjugate is infinite
        const slack = 1e-10 * (1 + Math.abs(dot(N, Z)) + loss.value(Z) + (reach * reach) / tau);
        expect(Math.abs(loss.value(Z) + loss.conjugate(N) - dot(N, Z))).toBeLessThan(slack);
      }),
      { numRuns: 80 },
    );
  });

  test("its prox brings no two points further apart", () => {
    fc.assert(
      fc.property(seeds, reaches, fc.constantFrom(1e-3, 1, 40, 1e5), (seed, reach, tau) => {
        const { loss, Z: first } = sample(name, seed, reach);
        const second = first.map((value, k) => value + reach * Math.sin(seed + k));
        const proxOf = (Q: Float64Array) => {
          const Z = new Float64Array(Q.length);
          loss.prox(Q, tau, Z, new Float64Array(Q.length), null);
          return Z;
        };
        const distance = (a: Float64Array, b: Float64Array) => Math.hypot(...a.map((value, k) => value - b[k]));
        expect(distance(proxOf(first), proxOf(second))).toBeLessThanOrEqual(distance(first, second) * (1 + 1e-12));
      }),
      { numRuns: 40 },
    );
  });

  test("the Jacobian of its prox is diag(slope) + spread spread', by differences", () => {
    const { loss, Z: Q } = sample(name, 8, 1);
    const tau = 20;
    const size = Q.length;
    const prox = (q: Float64Array) => {
      const [Z, slope, spread] = [new Float64Array(size), new Float64Array(size), new Float64Array(size)];
      loss.prox(q, tau, Z, slope, loss.separable ? null : spread);
      return { Z, slope, spread };
    };
    const { slope, spread } = prox(Q);
    for (let k = 0; k < size; k++) {
      const at = (t: number) => prox(Q.map((value, j) => value + (j === k ? t : 0))).Z;
      const [above, below] = [at(1e-5), at(-1e-5)];
      for (let j = 0; j < size; j++) {
        const sameRow = Math.floor(j / 3) === Math.floor(k / 3);
        const expected = (j === k ? slope[k] : 0) + (sameRow ? spread[j] * spread[k] : 0);
        expect(Math.abs((above[j] - below[j]) / 2e-5 - expected)).toBeLessThan(1e-6);
      }
    }
  });

  test("extreme numbers stay finite", () => {
    const { loss, Z } = sample(name, 2, 1e3);
    const [out, slope, spread] = [new Float64Array(Z.length), new Float64Array(Z.length), new Float64Array(Z.length)];
    for (const tau of [1e-8, 1e8]) {
      loss.prox(Z, tau, out, slope, spread);
      for (const value of [...out, ...slope, ...spread, loss.value(Z), ...gradientOf(loss, Z)])
        expect(value).toSatisfy(Number.isFinite);
    }
  });

  test("balance moves a dual point to columns that sum to zero, inside the domain", () => {
    fc.assert(
      fc.property(seeds, reaches, (seed, reach) => {
        const { loss, Z } = sample(name, seed, reach);
        const N = gradientOf(loss, Z);
        const size = Math.max(...N.map(Math.abs), 1e-300);
        loss.balance(N);
        expect(loss.conjugate(N)).toBeLessThan(Number.POSITIVE_INFINITY);
        for (let c = 0; c < 3; c++) {
          let sum = 0;
          for (let k = c; k < N.length; k += 3) sum += N[k];
          expect(Math.abs(sum)).toBeLessThan(1e-12 * Math.max(size, 1e-3));
        }
      }),
      { numRuns: 60 },
    );
  });

  test("balance brings any numbers into the domain, also where one class is all there is", () => {
    fc.assert(
      fc.property(seeds, fc.constantFrom(1e-12, 1e-3, 1, 1e3), fc.boolean(), (seed, size, single) => {
        const C = 3;
        const Y = targetsFor(name, gaussianMatrix(n, 4, seed), C, seed + 1);
        if (single) for (let k = 0; k < n * C; k++) Y.data[k] = Y.data[k % C];
        const loss = bindLoss(name, Y, weights);
        const N = gaussianMatrix(n, C, seed + 2).data.map((value) => size * value);
        loss.balance(N);
        expect(loss.conjugate(N)).toBeLessThan(Number.POSITIVE_INFINITY);
        const largest = Math.max(...N.map(Math.abs));
        for (let c = 0; c < C; c++) {
          const sum = N.reduce((total, value, k) => total + (k % C === c ? value : 0), 0);
          // Entries far below the weights of the rows are differences of shares that round at 1e-16.
          expect(Math.abs(sum)).toBeLessThanOrEqual(1e-14 * Math.max(largest, 1e-6));
        }
      }),
      { numRuns: 60, examples: [[3122, 1e-12, false]] },
    );
  });

  test("balance leaves zero where it is", () => {
    const { loss, Z } = sample(name, 5, 1);
    const N = new Float64Array(Z.length);
    loss.balance(N);
    expect(N.every((value) => value === 0)).toBe(true);
  });

  test("minimiseOverBias finds the bias at which no shift helps", () => {
    const { loss, Z } = sample(name, 6, 1);
    const bias = minimiseOverBias(loss, Z, { ridge: 0.01 });
    const at = (c: number, t: number) =>
      loss.value(Z.map((value, k) => value + bias[k % 3] + (k % 3 === c ? t : 0))) +
      0.01 * bias.reduce((sum, value, o) => sum + (value + (o === c ? t : 0)) ** 2, 0);
    for (let c = 0; c < 3; c++)
      for (const t of [-0.01, 0.01]) expect(at(c, t)).toBeGreaterThanOrEqual(at(c, 0) - 1e-12);
  });

  test("it has tfjs's scaling: model.evaluate of a network that outputs Z returns its value", async () => {
    const C = lossTraits[name].activation === "softmax" ? 3 : 2;
    const Y = targetsFor(name, gaussianMatrix(n, 4, 1), C, 2);
    const Z = gaussianMatrix(n, C, 3);
    const { activation } = lossTraits[name];
    const model = tf.sequential({
      layers: [
        tf.layers.dense({ units: C, inputShape: [C], activation, kernelInitializer: "identity", useBias: false }),
      ],
    });
    model.compile({ optimizer: "sgd", loss: name === "huberLoss" ? (tf.losses.huberLoss as unknown as string) : name });
    const [x, y] = [tf.tensor2d(Float32Array.from(Z.data), [n, C]), tf.tensor2d(Float32Array.from(Y.data), [n, C])];
    const value = (model.evaluate(x, y, { batchSize: n }) as tf.Scalar).dataSync()[0];
    expect(bindLoss(name, Y).value(Z.data)).toBeCloseTo(value, 5);
    tf.dispose([x, y]);
    model.dispose();
  });

  test("the outputs of a separable loss sum to the whole", () => {
    const { loss, Z } = sample(name, 9, 1);
    if (!loss.separable) {
      expect(() => loss.output(0)).toThrow(/softmax couples/);
      return;
    }
    const parts = [0, 1, 2].map((c) => loss.output(c).value(Z.filter((_, k) => k % 3 === c)));
    expect(parts.reduce((sum, part) => sum + part, 0)).toBeCloseTo(loss.value(Z), 12);
  });
});

test("values by hand", () => {
  const value = (name: LossName, z: number, y: number) => bindLoss(name, matrixOf(1, 1, [y])).value(Float64Array.of(z));
  expect(value("meanSquaredError", 3, 1)).toBe(4);
  expect(value("hinge", 0.25, 1)).toBe(0.75);
  expect(value("squaredHinge", 0.5, 1)).toBe(0.25);
  expect(value("huberLoss", 3, 0)).toBe(2.5);
  expect(value("huberLoss", 0.5, 0)).toBe(0.125);
  expect(value("binaryCrossentropy", 0, 1)).toBeCloseTo(Math.log(2), 15);
  expect(bindLoss("categoricalCrossentropy", matrixOf(1, 4, [0, 1, 0, 0])).value(new Float64Array(4))).toBeCloseTo(
    Math.log(4),
    15,
  );
});

test.each([
  ["binaryCrossentropy", [0, 2], /targets in \[0, 1\], got 2 in row 1/],
  ["hinge", [1, 0], /targets -1 or 1, got 0 in row 1/],
  ["meanSquaredError", [1, Number.NaN], /finite targets, got NaN in row 1/],
] as const)("%s says which target does not fit", (name, data, message) => {
  expect(targetRefusal(name, matrixOf(2, 1, data))).toMatch(message);
});

test("categoricalCrossentropy wants rows that sum to one, and more than one class", () => {
  expect(targetRefusal("categoricalCrossentropy", matrixOf(2, 2, [1, 0, 1, 1]))).toMatch(/sum to 1.*sum 2 in row 1/);
  expect(targetRefusal("categoricalCrossentropy", matrixOf(2, 1, [1, 1]))).toMatch(/at least 2/);
  expect(targetRefusal("categoricalCrossentropy", matrixOf(1, 2, [0.25, 0.75]))).toBeNull();
});

test.each([
  // Solutions in 80-digit arithmetic of z + t (softmax(z) - y) = q.
  {
    q: [66864.48325870038, -113439.78134418889, 46569.7103184319],
    y: [0, 1, 0],
    t: 3125000,
    z: [-3.0111923961422535, 0.7963079415468715, -3.372882602016101],
  },
  {
    q: [-13641937.959492484, 12616000.636333333, 1025535.7378728006],
    y: [1, 0, 0],
    t: 78125000,
    z: [-131.93760046781497, -133.56902861187135, -136.078657270536],
  },
  { q: [-1.330128861921728, 3.1077130293812], y: [1, 0], t: 2 ** 38, z: [12.736679511221485, -10.959095343762014] },
  {
    q: [0.5, -1.25, 3],
    y: [0.25, 0.5, 0.25],
    t: 2 ** 33,
    z: [0.5189509396134429, 1.212098119608961, 0.5189509407775961],
  },
  { q: [300, -200, 100], y: [0.125, 0, 0.875], t: 2 ** -10, z: [299.9991455078125, -200, 100.0008544921875] },
])("the softmax prox is exact where logits and step are far apart in size, and where they are not: t = $t", (row) => {
  const C = row.y.length;
  const Z = new Float64Array(C);
  bindLoss("categoricalCrossentropy", matrixOf(1, C, row.y)).prox(
    Float64Array.from(row.q),
    row.t,
    Z,
    new Float64Array(C),
    new Float64Array(C),
  );
  const scale = Math.max(1, ...row.q.map(Math.abs));
  for (let c = 0; c < C; c++) expect(Math.abs(Z[c] - row.z[c])).toBeLessThan(1e-14 * scale);
});

test("with two classes the softmax prox is the logistic prox of the difference", () => {
  fc.assert(
    fc.property(
      fc.double({ min: -1e6, max: 1e6, noNaN: true }),
      fc.double({ min: -1e6, max: 1e6, noNaN: true }),
      fc.constantFrom(1e-6, 1, 1e3, 1e6, 1e10),
      fc.constantFrom(0, 0.25, 1),
      (q0, q1, t, y) => {
        const [Z, z] = [new Float64Array(2), new Float64Array(1)];
        const soft = bindLoss("categoricalCrossentropy", matrixOf(1, 2, [y, 1 - y]));
        soft.prox(Float64Array.of(q0, q1), t, Z, new Float64Array(2), null);
        const logistic = bindLoss("binaryCrossentropy", matrixOf(1, 1, [y]));
        logistic.prox(Float64Array.of(q0 - q1), 2 * t, z, new Float64Array(1), null);
        const scale = Math.max(1, Math.abs(q0), Math.abs(q1));
        expect(Math.abs(Z[0] - Z[1] - z[0])).toBeLessThan(1e-13 * scale);
        expect(Math.abs(Z[0] + Z[1] - q0 - q1)).toBeLessThan(1e-13 * scale);
      },
    ),
  );
});

test("cross entropies keep their digits where the fit is nearly perfect", () => {
  const tail = Math.exp(-40);
  const logistic = bindLoss("binaryCrossentropy", matrixOf(1, 1, [1]));
  const softmax = bindLoss("categoricalCrossentropy", matrixOf(1, 2, [1, 0]));
  const N = new Float64Array(2);
  expect(logistic.value(Float64Array.of(40)) / tail).toBeCloseTo(1, 12);
  expect(softmax.value(Float64Array.of(40, 0)) / tail).toBeCloseTo(1, 12);
  logistic.gradient(Float64Array.of(40), N);
  expect(N[0] / tail).toBeCloseTo(-1, 12);
  softmax.gradient(Float64Array.of(40, 0), N);
  expect(N[0] / tail).toBeCloseTo(-1, 12);
});

test("a row of targets that sums to s counts s times, as in tfjs, and its conjugate stays finite", () => {
  const rows = [0.5, 0.25, 0.25 + 2 ** -20, 0, 1, 0];
  const loss = bindLoss("categoricalCrossentropy", matrixOf(2, 3, rows));
  const Z = Float64Array.of(1, -1, 0.5, 0.25, 2, -3);
  const truth = tf.tidy(() => {
    const logits = tf.tensor2d(Float32Array.from(Z), [2, 3]);
    const terms = tf.mul(tf.tensor2d(Float32Array.from(rows), [2, 3]), tf.logSoftmax(logits));
    return -tf.mean(tf.sum(terms, 1)).dataSync()[0];
  });
  expect(loss.value(Z)).toBeCloseTo(truth, 6);
  expect(loss.conjugate(new Float64Array(6))).toBeLessThan(Number.POSITIVE_INFINITY);
  expect(targetRefusal("categoricalCrossentropy", matrixOf(2, 3, rows))).toBeNull();
});

test("an unknown loss is refused by name", () => {
  expect(() => bindLoss("cosine" as LossName, matrixOf(1, 1, [1]))).toThrow(/bindLoss: expected one of .*got "cosine"/);
});
