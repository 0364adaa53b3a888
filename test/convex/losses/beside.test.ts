import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { withLinearPart } from "../../../src/convex/losses/beside/index.js";
import { bindLoss, lossNames } from "../../../src/convex/losses/index.js";
import type { LinearPart, Loss, LossName } from "../../../src/convex/types.js";
import { gaussianMatrix, matrixOf, targetsFor } from "../../helpers/problems.js";

const [n, k, C] = [12, 3, 2];
const smooth = lossNames.filter((name) => name !== "hinge" && name !== "meanAbsoluteError");
const seeds = fc.integer({ min: 1, max: 10000 });
const weights = Float64Array.from({ length: n }, (_, j) => 0.5 + (j % 3));

/** A loss beside a constant and two columns that are orthogonal to it, each free (ridge 0) or charged. */
function sample(name: LossName, seed: number, ridge: readonly number[]): { loss: Loss; whole: Loss; part: LinearPart } {
  const X = gaussianMatrix(n, 3, seed);
  // Labels that no plane separates: each row stands here twice, with both.
  const twice = matrixOf(
    n,
    3,
    X.data.map((_, at) => X.data[at % (1.5 * n)]),
  );
  const Y = targetsFor(name, X, C, seed + 1);
  const loss = bindLoss(name, Y, weights);
  const F = matrixOf(n, k, new Float64Array(n * k).fill(1));
  for (let p = 1; p < k; p++) {
    for (let j = 0; j < n; j++) F.data[j * k + p] = twice.data[j * 3 + p];
    for (let q = 0; q < p; q++) {
      let [along, square] = [0, 0];
      for (let j = 0; j < n; j++) {
        along += F.data[j * k + p] * F.data[j * k + q];
        square += F.data[j * k + q] ** 2;
      }
      for (let j = 0; j < n; j++) F.data[j * k + p] -= (along / square) * F.data[j * k + q];
    }
  }
  const maps = { layers: F, program: F };
  const gram = Float64Array.from({ length: k * k }, (_, at) => {
    let sum = 0;
    for (let j = 0; j < n; j++) sum += F.data[j * k + Math.floor(at / k)] * F.data[j * k + (at % k)];
    return sum;
  });
  const whole = withLinearPart(loss, { F, gram, ridge: Float64Array.from(ridge), maps });
  return { loss, whole, part: whole.beside as LinearPart };
}

const drawn = (seed: number, reach = 1) => gaussianMatrix(n, C, seed).data.map((value) => reach * value);
const gradientOf = (loss: Loss, Z: Float64Array) => {
  const out = new Float64Array(Z.length);
  loss.gradient(Z, out);
  return out;
};
const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, value, at) => sum + value * b[at], 0);
const charges = fc.constantFrom([0.1, 0.1, 0.1], [0, 0.03, 0.2]);

describe.each(smooth)("%s, beside a linear part", (name) => {
  test("its value is the least over the part: no other coefficients have less", () => {
    fc.assert(
      fc.property(seeds, charges, (seed, ridge) => {
        const { loss, whole, part } = sample(name, seed, ridge);
        const Z = drawn(seed + 3);
        const best = part.best(Z);
        const at = (c: Float64Array) => {
          const W = Z.slice();
          part.add(c, W);
          return loss.value(W) + c.reduce((sum, value, q) => sum + ridge[Math.floor(q / C)] * value ** 2, 0);
        };
        expect(whole.value(Z)).toBeCloseTo(at(best), 12);
        for (let draw = 0; draw < 6; draw++) {
          const size = 10 ** -draw;
          const other = gaussianMatrix(k, C, seed + 50 + draw).data.map((value, q) => best[q] + size * value);
          expect(at(other)).toBeGreaterThanOrEqual(whole.value(Z) - 1e-13);
        }
      }),
      { numRuns: 15 },
    );
  });

  test("its gradient is the slope of its value, and what the part asks of a dual point", () => {
    fc.assert(
      fc.property(seeds, charges, (seed, ridge) => {
        const { whole, part } = sample(name, seed, ridge);
        const Z = drawn(seed + 3);
        const D = drawn(seed + 5);
        // Where free columns separate the labels there is no best part.
        fc.pre(whole.value(Z) > 1e-9);
        const along = (t: number) => whole.value(Z.map((value, at) => value + t * D[at]));
        const N = gradientOf(whole, Z);
        expect(Math.abs((along(1e-5) - along(-1e-5)) / 2e-5 - dot(N, D))).toBeLessThan(1e-6);
        const c = part.best(Z);
        part.pull(N).forEach((value, q) => {
          expect(value + 2 * ridge[Math.floor(q / C)] * c[q]).toBeCloseTo(0, 10);
        });
      }),
      { numRuns: 15, examples: [[3726, [0, 0.03, 0.2]]] },
    );
  });

  test("it meets Fenchel and Young, with equality at the gradient", () => {
    fc.assert(
      fc.property(seeds, charges, (seed, ridge) => {
        const { whole } = sample(name, seed, ridge);
        const [Z, other] = [drawn(seed + 3), drawn(seed + 4, 3)];
        // Where free columns separate the labels there is no best part.
        fc.pre(whole.value(Z) > 1e-9);
        const N = gradientOf(whole, Z);
        const value = whole.conjugate(N);
        expect(value + whole.value(Z)).toBeCloseTo(dot(N, Z), 9);
        expect(value + whole.value(other)).toBeGreaterThanOrEqual(dot(N, other) - 1e-9);
      }),
      // All labels of one output are the same there, which a free constant separates.
      { numRuns: 15, examples: [[3715, [0, 0.03, 0.2]]] },
    );
  });

  test("a bias beside it is refused, which is one of its columns", () => {
    const { whole } = sample(name, 3, [0, 0.1, 0.1]);
    expect(() => whole.balance(drawn(6))).toThrow(/without an output bias beside the linear part/);
  });

  test("what a free column sees is no dual point: the conjugate is infinite", () => {
    const { whole, loss } = sample(name, 3, [0, 0.1, 0.1]);
    const N = gradientOf(loss, drawn(6));
    expect(loss.conjugate(N)).toBeLessThan(Number.POSITIVE_INFINITY);
    expect(whole.conjugate(N)).toBe(Number.POSITIVE_INFINITY);
  });

  test("it does not depend on where it was asked for before", () => {
    const Z = drawn(9);
    const [one, other] = [sample(name, 4, [0, 0.1, 0.1]).whole, sample(name, 4, [0, 0.1, 0.1]).whole];
    for (let reach = 0; reach < 5; reach++) other.value(drawn(20 + reach, reach));
    expect(other.value(Z)).toBeCloseTo(one.value(Z), 12);
    gradientOf(one, Z).forEach((value, at) => {
      expect(gradientOf(other, Z)[at]).toBeCloseTo(value, 10);
    });
  });
});
