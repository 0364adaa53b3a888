/** Quadratic models with cones, where these are all of space. */

import { expect, test } from "vitest";
import { referenceKernels } from "../../../src/convex/kernels/cpu.js";
import { gaussianSource } from "../../../src/convex/linear/random.js";
import { norm } from "../../../src/convex/linear/vectors.js";
import { solveConeQuadratic } from "../../../src/convex/sharded/cones/quadratic.js";

const WIDTH = 2;
const VECTORS = 3;
const HALF = WIDTH * VECTORS;

/** A model around zero of some vectors and a free entry, and how often its vectors were shrunk. */
function made(pull: number, bend = 1) {
  const draw = gaussianSource(3);
  const q = HALF + 1;
  const A = Float64Array.from({ length: 2 * q * q }, draw);
  const H = new Float64Array(q * q);
  for (let i = 0; i < q; i++) {
    for (let j = 0; j < q; j++)
      for (let k = 0; k < 2 * q; k++) H[i * q + j] += (bend * A[k * q + i] * A[k * q + j]) / q;
  }
  const counted = { calls: 0 };
  const prox = (_: number, z: Float64Array, threshold: number) => {
    counted.calls += 1;
    const share = Math.max(0, 1 - threshold / Math.max(norm(z), Number.MIN_VALUE));
    for (let k = 0; k < z.length; k++) z[k] *= share;
  };
  const gradient = Float64Array.from({ length: q }, (_, k) => (k < HALF ? pull * draw() : 0.05));
  return { problem: { H, gradient, centre: new Float64Array(q), beta: 1, prox, width: WIDTH }, counted };
}

const goOn = async () => false;
const start = () => new Float64Array(2 * HALF);

test("a model whose solution is zero ends when it is found, at a weight of the size of its curvature", async () => {
  const { problem, counted } = made(0.1);
  const found = await solveConeQuadratic(problem, start(), 0, 1e-12, referenceKernels, goOn);
  expect(found?.vectors.every((value) => value === 0)).toBe(true);
  expect(counted.calls).toBeLessThan(300 * 2 * VECTORS);
  expect(found?.weight).toBeLessThan(1e3);
});

test("a weight that comes from elsewhere is no further than a factor from the curvature", async () => {
  for (const before of [1e-300, 1e300]) {
    const { problem } = made(3);
    const found = await solveConeQuadratic(problem, start(), before, 1e-12, referenceKernels, goOn);
    expect(found?.weight).toBeGreaterThan(1e-13);
    expect(found?.weight).toBeLessThan(1e13);
  }
});

test("a pause is asked for at every step, and heard", async () => {
  const { problem, counted } = made(3);
  await solveConeQuadratic(problem, start(), 0, 0, referenceKernels, async () => true);
  expect(counted.calls).toBe(2 * VECTORS);
});

test("curvature that is not finite has no solution", async () => {
  const { problem } = made(3, Number.POSITIVE_INFINITY);
  expect(await solveConeQuadratic(problem, start(), 0, 1e-12, referenceKernels, goOn)).toBeNull();
});
