/** Blocks of a splitting on a device against the same blocks in float64 on the host: one body for every engine that has them. */

import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import { sampleGates } from "../../../src/convex/arrangements/index.js";
import { hostCones } from "../../../src/convex/kernels/hostCones.js";
import { type Kernels, referenceKernels } from "../../../src/convex/kernels/index.js";
import type { ConeIterate, ConeSystem } from "../../../src/convex/kernels/types.js";
import { atOnce } from "../../../src/convex/linear/pieces.js";
import { sharedMatrix } from "../../../src/convex/solvers/splitting/matrices.js";
import type { GateSet, Matrix } from "../../../src/convex/types.js";
import { coneEngines } from "../../helpers/deviceEngines.js";
import { expectNear } from "../../helpers/expectNear.js";
import { gaussianMatrix, wellConditioned } from "../../helpers/problems.js";

/** Errors relative to the largest entry that is right. */
const TOLERANCE = 2e-5;
/** Sizes that meet the edges of tiles of 2, 4, 16, 32 and 64. */
const sets: { n: number; d: number; P: number; C: number; solved: boolean; cones: boolean }[] = [
  { n: 1, d: 1, P: 1, C: 1, solved: true, cones: true },
  { n: 33, d: 1, P: 3, C: 2, solved: false, cones: true },
  { n: 64, d: 8, P: 64, C: 1, solved: true, cones: true },
  { n: 65, d: 7, P: 35, C: 3, solved: true, cones: true },
  { n: 300, d: 70, P: 33, C: 1, solved: false, cones: true },
  { n: 65, d: 7, P: 35, C: 3, solved: true, cones: false },
  { n: 40, d: 70, P: 3, C: 2, solved: false, cones: false },
];

describe.each(coneEngines)("$name", ({ make }) => {
  let kernels: Kernels;
  beforeAll(async () => {
    await tf.ready();
    kernels = await make();
  });

  const gaussian = (length: number, seed: number) => gaussianMatrix(1, length, seed).data;
  const near = (got: ArrayLike<number>, wanted: ArrayLike<number>) => expectNear(got, wanted, TOLERANCE);
  /** The engine's blocks and the reference's. */
  const pair = async (X: Matrix, gates: GateSet, C: number, system: ConeSystem) => {
    const mine = await kernels.iterateCones?.(X, gates, C, system);
    const products = referenceKernels.bind(X, gates);
    return [mine as ConeIterate, hostCones(referenceKernels, products, X, gates, C, system)] as const;
  };
  const dense = async (blocks: ConeIterate, size: number, d: number) => {
    const { index, vectors } = await blocks.read();
    const all = new Float64Array(size);
    index.forEach((k, at) => {
      all.set(vectors.subarray(at * d, (at + 1) * d), k * d);
    });
    return all;
  };
  const systemOf = (X: Matrix, solved: boolean, cones: boolean): ConeSystem => {
    const shared = atOnce(sharedMatrix(X, referenceKernels, cones));
    if (shared === null) throw new Error("no system");
    return { ...shared, solution: solved ? Float32Array.from(wellConditioned(X.rows, 9)) : null };
  };

  test.each(sets)(
    "three steps agree for n $n, d $d, $P gates, $C outputs, cones: $cones",
    async ({ n, d, P, C, solved, cones }) => {
      const X = gaussianMatrix(n, d, 5);
      const gates = sampleGates(X, { count: P, seed: 1 });
      const [mine, truth] = await pair(X, gates, C, systemOf(X, solved, cones));
      const size = (cones ? 2 : 1) * gates.count * C * d;
      const some = Int32Array.from({ length: Math.ceil(size / d / 3) }, (_, k) => 3 * k);
      const start = Float64Array.from(gaussian(some.length * d, 6), Math.fround);
      const threshold = 0.5 * Math.sqrt(d);
      const both = [mine, truth] as const;
      await Promise.all(both.map((blocks) => blocks.write(some, start, threshold)));
      near(await dense(mine, size, d), await dense(truth, size, d));
      for (const step of [0, 1, 2]) {
        const Z = both.map(() => new Float64Array(n * C));
        const [U, W] = [gaussian(n * C, 7 + step), gaussian(n * C, 17 + step)];
        await Promise.all(both.map((blocks, k) => blocks.gather(U, Z[k])));
        near(Z[0], Z[1]);
        const measured = step > 0;
        const [got, wanted] = await Promise.all(both.map((blocks) => blocks.advance(W, 1.6, threshold, measured)));
        expect([got === null, wanted === null]).toEqual([!measured, !measured]);
        if (got !== null && wanted !== null) {
          expect(got.missed / wanted.missed).toBeCloseTo(1, 4);
          expect(got.moved / wanted.moved).toBeCloseTo(1, 4);
        }
        near(await dense(mine, size, d), await dense(truth, size, d));
        await Promise.all(both.map((blocks, k) => blocks.curvature(U, Z[k])));
        near(Z[0], Z[1]);
        await Promise.all(both.map((blocks) => blocks.rescale(1.7)));
      }
      mine.dispose();
      truth.dispose();
    },
  );

  test.each([true, false])(
    "cones: %s: they begin at zero, write what they are told, whatever was there, and leave no tensor",
    async (cones) => {
      const tensors = tf.memory().numTensors;
      const X = gaussianMatrix(20, 6, 1);
      const gates = sampleGates(X, { count: 10, seed: 1 });
      const [mine, truth] = await pair(X, gates, 2, systemOf(X, true, cones));
      const last = (cones ? 40 : 20) - 1;
      const Z = [new Float64Array(40), new Float64Array(40)];
      await mine.gather(Z[0], Z[1]);
      expect(Z[1].every((value) => value === 0)).toBe(true);
      expect((await mine.read()).index).toHaveLength(0);
      await mine.gather(gaussian(40, 3), Z[0]);
      await mine.advance(gaussian(40, 4), 1.6, 0.1, true);
      const vectors = Float64Array.from(gaussian(12, 2), Math.fround);
      for (const blocks of [mine, truth]) await blocks.write(Int32Array.of(3, last), vectors, 0.2);
      expect((await mine.read()).index).toEqual(Int32Array.of(3, last));
      const U = gaussian(40, 5);
      await mine.gather(U, Z[0]);
      await truth.gather(U, Z[1]);
      near(Z[0], Z[1]);
      mine.dispose();
      truth.dispose();
      expect(tf.memory().numTensors).toBe(tensors);
    },
  );
});
