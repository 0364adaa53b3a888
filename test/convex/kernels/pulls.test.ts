/** Pulls of neurons on a device against their definition, and the search for gates that climbs by them: one body for every engine. */

import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import { searchGates } from "../../../src/convex/growth/index.js";
import { type Kernels, wasmKernels } from "../../../src/convex/kernels/index.js";
import { dot } from "../../../src/convex/linear/vectors.js";
import { coneEngines } from "../../helpers/deviceEngines.js";
import { expectNear } from "../../helpers/expectNear.js";
import { gaussianMatrix } from "../../helpers/problems.js";

/** Sizes that meet the edges of tiles of 2, 4, 16 and 64, and splits. */
const sets = [
  { n: 1, d: 1, C: 1, m: 1 },
  { n: 33, d: 5, C: 3, m: 7 },
  { n: 64, d: 64, C: 2, m: 64 },
  { n: 1030, d: 67, C: 1, m: 65 },
];

describe.each(coneEngines)("$name", ({ make }) => {
  let kernels: Kernels;
  beforeAll(async () => {
    await tf.ready();
    kernels = await make();
  });

  test.each(sets)(
    "n $n, d $d, $C outputs, $m neurons: they are those of the definition, of fewer too",
    async (size) => {
      const { n, d, C, m } = size;
      const tensors = tf.memory().numTensors;
      const [X, N] = [gaussianMatrix(n, d, 1), gaussianMatrix(n, C, 2).data];
      const pulls = await kernels.pulls?.(X, N, C, m);
      for (const count of [m, Math.ceil(m / 2), m]) {
        const W = gaussianMatrix(count, d, 3 + count).data;
        const columns = Int32Array.from({ length: count }, (_, j) => (2 * j) % C);
        const out = new Float64Array(count * d).fill(Number.NaN);
        await pulls?.at(W, columns, out);
        const wanted = new Float64Array(count * d);
        for (let j = 0; j < count; j++) {
          for (let k = 0; k < n; k++) {
            const row = X.data.subarray(k * d, (k + 1) * d);
            if (!(dot(row, W.subarray(j * d, (j + 1) * d)) > 0)) continue;
            for (let p = 0; p < d; p++) wanted[j * d + p] += N[k * C + columns[j]] * row[p];
          }
        }
        expectNear(out, wanted, 1e-5);
      }
      pulls?.dispose();
      expect(tf.memory().numTensors).toBe(tensors);
    },
  );

  test("the search climbs by them as high as on the host, and tells prices in float64", async () => {
    const host = await wasmKernels(1);
    const [n, d, C] = [400, 20, 2];
    const [X, N] = [gaussianMatrix(n, d, 1), gaussianMatrix(n, C, 2).data];
    const starts = Array.from({ length: 160 }, (_, k) => ({
      direction: gaussianMatrix(1, d, 10 + k).data,
      output: k % C,
      sign: k % 4 < 2 ? (1 as const) : (-1 as const),
    }));
    let asked = 0;
    const watched: Kernels = Object.assign(Object.create(kernels), {
      pulls: async (...given: Parameters<NonNullable<Kernels["pulls"]>>) => {
        asked += 1;
        return kernels.pulls?.(...given);
      },
    });
    const mine = await searchGates(watched, X, N, C, starts, 20, 3);
    const truth = await searchGates(host, X, N, C, starts, 20, 3);
    expect(asked).toBe(1);
    const best = (found: typeof mine) => found.reduce((most, { value }) => Math.max(most, value), 0);
    expect(best(mine) / best(truth)).toBeGreaterThan(0.999);
    mine.forEach(({ direction, value }, k) => {
      let price = 0;
      for (let j = 0; j < n; j++) {
        const h = dot(X.data.subarray(j * d, (j + 1) * d), direction);
        price -= starts[k].sign * N[j * C + starts[k].output] * Math.max(0, h);
      }
      expect(value).toBeCloseTo(price, 9);
      expect(Math.sqrt(dot(direction, direction))).toBeCloseTo(1, 12);
    });
  });
});
