/** Blocks on a device against the same blocks in float64 on the host: one body for every engine. */

import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import { sampleGates } from "../../../src/convex/arrangements/index.js";
import { hostIterate } from "../../../src/convex/kernels/hostIterate.js";
import { bindProducts, type Kernels, referenceKernels, wasmKernels } from "../../../src/convex/kernels/index.js";
import type { BlockIterate } from "../../../src/convex/kernels/types.js";
import { patchGeometry, patchMatrix } from "../../../src/convex/operators/patches.js";
import { penalties } from "../../../src/convex/penalties/index.js";
import type { GateSet, Matrix, Penalty, Pooling } from "../../../src/convex/types.js";
import { type DeviceEngine, deviceEngines } from "../../helpers/deviceEngines.js";
import { expectNear } from "../../helpers/expectNear.js";
import { gaussianMatrix } from "../../helpers/problems.js";

/** Errors relative to the largest entry that is right; sums of float32 products of up to 20,000 terms. */
const TOLERANCE = { float32: 2e-5, float64: 1e-12 };

const engines: readonly Pick<DeviceEngine, "name" | "make">[] = [{ name: "wasm", make: wasmKernels }, ...deviceEngines];

/** Sizes that meet the edges of tiles of 2, 4, 16, 32 and 64. */
const small = [
  { n: 1, d: 1, P: 1, C: 1 },
  { n: 33, d: 1, P: 3, C: 2 },
  { n: 31, d: 5, P: 9, C: 1 },
  { n: 64, d: 8, P: 64, C: 1 },
  { n: 65, d: 7, P: 70, C: 3 },
  { n: 150, d: 67, P: 130, C: 2 },
];
/** Rows, features and vectors beyond a texture's row of 8,192 texels, and more outputs than fit into a few vectors of four. */
const large = [
  { n: 8201, d: 2, P: 3, C: 1 },
  { n: 5, d: 8201, P: 2, C: 1 },
  { n: 60, d: 3, P: 1640, C: 5 },
  { n: 40, d: 33, P: 5, C: 11 },
];
/** More outputs than features: factors of the nuclear norm stand on the right. */
const wide = { n: 40, d: 3, P: 33, C: 5 };
const sets = { perOutput: [...small, ...large], nuclear: [small[0], small[4], small[5], large[3], wide] };

/** Patches: one and many, in windows below, at and above a tile's 64 rows, with and without padding and bias. */
const patches: readonly PatchSet[] = [
  { penalty: "perOutput", n: 1, image: [1, 1, 1], filter: [1, 1], positions: 1, P: 1, C: 1 },
  { penalty: "nuclear", n: 7, image: [5, 6, 2], filter: [3, 2], same: true, bias: 0.5, positions: 1, P: 9, C: 3 },
  { penalty: "perOutput", n: 5, image: [9, 15, 1], filter: [2, 2], positions: 1, P: 70, C: 2 },
  { penalty: "perOutput", n: 67, image: [1, 12, 3], filter: [1, 3], bias: 1, positions: 5, P: 5, C: 2 },
  { penalty: "nuclear", n: 3, image: [13, 13, 1], filter: [2, 2], positions: 2, P: 4, C: 1 },
  { penalty: "nuclear", n: 33, image: [4, 3, 2], filter: [2, 2], stored: true, positions: 6, P: 35, C: 2 },
  { penalty: "perOutput", n: 6, image: [3, 5, 9], filter: [3, 3], same: true, positions: 15, P: 3, C: 1 },
];
/** More rows, pixels, vectors or words of masks than a texture has in a row of 8,192 texels. */
const manyPatches: readonly PatchSet[] = [
  { penalty: "perOutput", n: 2, image: [92, 92, 2], filter: [3, 3], positions: 1, P: 3, C: 1 },
  { penalty: "perOutput", n: 3, image: [1, 300, 1], filter: [1, 5], positions: 296, P: 60, C: 1 },
];

describe.each(engines)("$name", ({ make }) => {
  let kernels: Kernels;
  beforeAll(async () => {
    await tf.ready();
    kernels = await make();
  });

  const gaussian = (length: number, seed: number) => gaussianMatrix(1, length, seed).data;
  const near = (got: ArrayLike<number>, wanted: ArrayLike<number>) => expectNear(got, wanted, TOLERANCE[kernels.dtype]);

  /** The engine's blocks and the reference's. */
  const pair = async (X: Matrix, gates: GateSet, C: number, penalty: Penalty, pooling: Pooling | null = null) => {
    const products = bindProducts({ X, gates, pooling }, kernels);
    const make = kernels.iterate?.bind(kernels) ?? (async (...args) => hostIterate(products, ...args));
    const truth = bindProducts({ X, gates, pooling }, referenceKernels);
    const blocks = await make(X, gates, C, penalty, pooling);
    return [blocks, hostIterate(truth, X, gates, C, penalty, pooling)] as const;
  };
  const dense = async (blocks: BlockIterate, count: number, d: number) => {
    const { index, vectors } = await blocks.read();
    const all = new Float64Array(count * d);
    index.forEach((k, at) => {
      all.set(vectors.subarray(at * d, (at + 1) * d), k * d);
    });
    return all;
  };

  /** A write, two steps and a new base: the engine's products, reports and blocks are those of the reference. */
  const twoSteps = async (
    X: Matrix,
    gates: GateSet,
    C: number,
    penalty: Penalty,
    threshold: number,
    pooling: Pooling | null = null,
  ) => {
    const [n, d] = [X.rows / (pooling?.patches ?? 1), X.cols];
    const [mine, truth] = await pair(X, gates, C, penalty, pooling);
    const vectors = gates.count * C * (pooling?.positions ?? 1);
    const some = Int32Array.from({ length: Math.ceil(vectors / 3) }, (_, k) => 3 * k);
    const start = Float64Array.from(gaussian(some.length * d, 6), Math.fround);
    const step = 1 / n;
    const Z = [new Float64Array(n * C), new Float64Array(n * C)];
    const based = new Float64Array(n * C); // the product of the base: of what was written, for those that have one
    await Promise.all([mine.write(some, start), truth.write(some, start)]);
    if (mine.rebase !== undefined) await truth.forward(based);
    for (const [round, momentum] of [0.7, 0].entries()) {
      const R = gaussian(n * C, 7 + round);
      await Promise.all([mine.gradient(R), truth.gradient(R)]);
      // The product is asked for before the report is there: calls take effect in their order.
      const [got] = await Promise.all([mine.step(step, threshold), mine.forward(Z[0])]);
      const wanted = await truth.step(step, threshold);
      await truth.forward(Z[1]);
      near([...Z[0].map((value, k) => value + based[k]), ...based], [...Z[1], ...based]);
      near([got.moved], [wanted.moved]);
      near([got.penalty, 1], [wanted.penalty, 1]);
      near([got.turned, wanted.moved], [wanted.turned, wanted.moved]);
      near(await dense(mine, vectors, d), await dense(truth, vectors, d));
      await Promise.all([mine.accept(momentum), truth.accept(momentum)]);
    }
    if (mine.rebase !== undefined) {
      await mine.rebase();
      near(await dense(mine, vectors, d), await dense(truth, vectors, d));
      await mine.forward(Z[0]);
      const sizeOf = (values: Float64Array) => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
      const rest = sizeOf(Z[0]) / sizeOf(based);
      expect(rest).toBeLessThan(1e-6);
    }
    mine.dispose();
    truth.dispose();
  };

  describe.each([penalties.perOutput, penalties.nuclear])("penalty $name", (penalty) => {
    test.each(sets[penalty.name as keyof typeof sets])(
      "two steps agree for n $n, d $d, $P gates, $C outputs",
      async ({ n, d, P, C }) => {
        const X = gaussianMatrix(n, d, 5);
        // About half of the blocks vanish: one entry of y - step g has a deviation of about 0.7 sqrt(1 / n).
        const threshold = 0.7 * Math.sqrt(d / n) * (penalty.separable ? 1 : Math.sqrt(Math.max(1, C / d)));
        await twoSteps(X, sampleGates(X, { count: P, seed: 1 }), C, penalty, threshold);
      },
    );

    test("a threshold above every norm gives zero, and what was written is read back", async () => {
      const X = gaussianMatrix(20, 6, 1);
      const gates = sampleGates(X, { count: 10, seed: 1 });
      const [mine] = await pair(X, gates, 2, penalty);
      const index = Int32Array.of(0, 7, 19);
      const vectors = Float64Array.from(gaussian(18, 2), Math.fround);
      await mine.write(index, vectors);
      expect(await mine.read()).toEqual({ index, vectors });
      await mine.gradient(gaussian(40, 3));
      const { penalty: value } = await mine.step(0.1, 1e4);
      expect(value).toBe(0);
      expect((await mine.read()).index).toHaveLength(0);
      mine.dispose();
    });
  });

  test.each([...patches, ...manyPatches])(
    "two steps agree over patches: $n images $image, filter $filter, $positions positions, $P gates, $C outputs",
    async (set) => {
      const { X, pooling } = patchesOf(set);
      const { n, C } = set;
      const gates = sampleGates(X, { count: set.P, seed: 1 });
      // About half of the blocks vanish.
      const products = bindProducts({ X, gates, pooling }, referenceKernels);
      const norms = new Float64Array(gates.count * C * pooling.positions);
      products.adjointNorms(gaussian(n * C, 7), C, norms);
      products.dispose();
      const threshold = (1.01 * norms.sort()[norms.length >> 1]) / n;
      await twoSteps(X, gates, C, penalties[set.penalty], threshold, pooling);
    },
  );

  test("blocks leave no tensor behind", async () => {
    const tensors = tf.memory().numTensors;
    const X = gaussianMatrix(20, 6, 1);
    const [mine] = await pair(X, sampleGates(X, { count: 10, seed: 1 }), 2, penalties.nuclear);
    await mine.write(Int32Array.of(3), gaussian(6, 1));
    await mine.gradient(gaussian(40, 3));
    await mine.step(0.1, 0.2);
    await mine.forward(new Float64Array(40));
    await mine.accept(0.5);
    mine.dispose();
    expect(tf.memory().numTensors).toBe(tensors);
  });
});

interface PatchSet {
  readonly penalty: keyof typeof penalties;
  readonly n: number;
  readonly image: readonly [number, number, number]; // height, width, channels
  readonly filter: readonly [number, number];
  readonly same?: boolean; // padding
  readonly bias?: number;
  readonly stored?: boolean; // the patches themselves, and not the images
  readonly positions: number;
  readonly P: number;
  readonly C: number;
}

/** Read out by averages; patch by patch, where the positions are as many, as they are. */
function patchesOf({ n, image, filter, same, bias, stored, positions }: PatchSet): { X: Matrix; pooling: Pooling } {
  const axis = (k: number) => ({ size: image[k], filter: filter[k], stride: 1, dilation: 1 });
  const padding = same ? "same" : "valid";
  const shape = { height: axis(0), width: axis(1), channels: image[2], padding, dataFormat: "channelsLast" } as const;
  const geometry = patchGeometry(shape);
  const gathered = patchMatrix(gaussianMatrix(n, geometry.pixels, 5), geometry, bias);
  const X = stored ? { rows: gathered.rows, cols: gathered.cols, data: gathered.data } : gathered;
  return { X, pooling: { patches: geometry.patches, positions, scale: positions / geometry.patches } };
}
