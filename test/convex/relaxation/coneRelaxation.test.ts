/** Bounds of |V u| over cones, against directions of the cones and values known in closed form. */

import { describe, expect, test } from "vitest";
import { bindProducts, referenceKernels } from "../../../src/convex/kernels/index.js";
import { gaussianSource } from "../../../src/convex/linear/random.js";
import { dot, norm } from "../../../src/convex/linear/vectors.js";
import { coneProjector } from "../../../src/convex/operators/coneProjection.js";
import { ConeRelaxation } from "../../../src/convex/relaxation/coneRelaxation.js";
import { randomProgram } from "../../helpers/problems.js";

/** What y lacks to lie in the nonnegative orthant. */
const toOrthant = (y: Float64Array) => y.map((value) => Math.max(0, -value));

/** Rounds until no further one helps; the bound after each. */
function bounds(
  V: Float64Array,
  outputs: number,
  lack: (y: Float64Array) => Float64Array,
  tolerance = 1e-5,
  enough = 0,
): number[] {
  const relaxation = new ConeRelaxation(V, outputs, V.length / outputs, referenceKernels);
  const all = [relaxation.bound];
  while (relaxation.bound > enough && relaxation.sharpen(lack, enough, tolerance)) all.push(relaxation.bound);
  return [...all, relaxation.bound];
}

const last = (all: readonly number[]) => all[all.length - 1];

/** V u. */
function outputsOf(V: Float64Array, u: Float64Array): number[] {
  const d = u.length;
  return Array.from({ length: V.length / d }, (_, c) => dot(V.subarray(c * d, (c + 1) * d), u));
}

/** |V u| / |u|. */
function pull(V: Float64Array, u: Float64Array): number {
  return Math.hypot(...outputsOf(V, u)) / norm(u);
}

/** V'g along which the outputs g that u has grow fastest. */
function climb(V: Float64Array, u: Float64Array): Float64Array {
  const g = outputsOf(V, u);
  return u.map((_, p) => g.reduce((sum, value, c) => sum + (value / Math.hypot(...g)) * V[c * u.length + p], 0));
}

describe("ConeRelaxation", () => {
  test("a difference of two coordinates is at most 1 in the orthant, where its singular value is sqrt 2", () => {
    const all = bounds(Float64Array.of(1, -1), 1, toOrthant);
    expect(all[0]).toBeCloseTo(Math.SQRT2, 12);
    expect(last(all)).toBeGreaterThanOrEqual(1);
    expect(last(all)).toBeLessThan(1 + 1e-4);
  });

  test("where the largest singular vector lies in the cone the bound stays that value", () => {
    const all = bounds(Float64Array.of(3, 4, 0, 0, 0, 1), 2, toOrthant);
    expect(last(all)).toBeGreaterThanOrEqual(5);
    expect(last(all)).toBeLessThanOrEqual(all[0]);
  });

  test.each([
    [3, 2, 4],
    [5, 4, 8],
    [8, 6, 12],
    [6, 9, 20],
  ])(
    "no direction of a cone is above it, and it is close to the best (d = %i, C = %i, %i rows)",
    (d, outputs, rows) => {
      for (let seed = 1; seed <= 5; seed++) {
        const draw = gaussianSource(10 * seed + d);
        const V = Float64Array.from({ length: outputs * d }, draw);
        const wish = randomProgram({ cones: true, rows, features: d, gates: 1, seed });
        const projector = coneProjector(wish, bindProducts(wish, referenceKernels));
        const inside = (y: Float64Array) => {
          const u = y.slice();
          projector.project(0, 0, u, -1);
          return u;
        };
        let best = 0;
        for (let k = 0; k < 30; k++) {
          let u = inside(Float64Array.from({ length: d }, draw));
          for (let turn = 0; turn < 30 && Math.hypot(...u) > 1e-6; turn++) {
            best = Math.max(best, pull(V, u));
            u = inside(climb(V, u));
          }
        }
        const lack = (y: Float64Array) => inside(y).map((value, p) => value - y[p]);
        const all = bounds(V, outputs, lack, 1e-4);
        for (let k = 1; k < all.length; k++) expect(all[k]).toBeLessThanOrEqual(all[k - 1]);
        expect(last(all)).toBeGreaterThanOrEqual(best * (1 - 1e-9));
        expect(last(all)).toBeLessThanOrEqual(best * 1.03);
      }
    },
  );

  test("the Horn matrix H: it comes to the doubly nonnegative bound, above what is true", () => {
    // H is copositive with u'H u = 0 somewhere in the orthant, and no sum of a semidefinite and a nonnegative matrix. With c its
    // largest eigenvalue V'V = c I - H has the value c there; by symmetry the relaxation has c + sqrt 5 - 2.
    const c = 1 + Math.sqrt(5);
    const wave = (k: number, shift: number) =>
      Array.from(
        { length: 5 },
        (_, j) => Math.sqrt((4 * Math.sqrt(5)) / 5) * Math.cos((2 * Math.PI * k * j) / 5 - shift),
      );
    const V = Float64Array.from([
      ...Array(5).fill(Math.sqrt(Math.sqrt(5) / 5)),
      ...wave(1, 0),
      ...wave(1, Math.PI / 2),
    ]);
    expect(pull(V, Float64Array.of(1, 1, 0, 0, 0))).toBeCloseTo(Math.sqrt(c), 10);
    const bound = last(bounds(V, 3, toOrthant, 1e-4));
    expect(bound).toBeGreaterThan(Math.sqrt(c + Math.sqrt(5) - 2));
    expect(bound).toBeLessThan(Math.sqrt(c + Math.sqrt(5) - 2) * 1.001);
  });

  test("it stops as soon as the bound is low enough", () => {
    const V = Float64Array.of(1, -1, 0.2, 0.3);
    const whole = bounds(V, 2, toOrthant);
    const enough = (whole[0] + last(whole)) / 2;
    const short = bounds(V, 2, toOrthant, 1e-5, enough);
    expect(last(short)).toBeLessThanOrEqual(enough);
    expect(short.length).toBeLessThan(whole.length);
  });

  test("nothing is bounded by nothing", () => {
    expect(bounds(new Float64Array(6), 2, toOrthant)).toEqual([0, 0]);
  });
});
