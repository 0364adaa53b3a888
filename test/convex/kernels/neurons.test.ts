/** Neurons on a device against their definition, and what climbs and descends by them: one body for every engine. */

import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import {
  descended,
  type MovingNeurons,
  networkObjective,
  packed,
} from "../../../src/convex/growth/descents/movingNeurons.js";
import { searchGates } from "../../../src/convex/growth/index.js";
import { type Kernels, referenceKernels, wasmKernels } from "../../../src/convex/kernels/index.js";
import { dot } from "../../../src/convex/linear/vectors.js";
import { ConvexError, type ErrorCode } from "../../../src/errors.js";
import { coneEngines } from "../../helpers/deviceEngines.js";
import { expectNear } from "../../helpers/expectNear.js";
import { gaussianMatrix, randomProgram } from "../../helpers/problems.js";

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

  /** The engine, and how often it was asked for neurons. */
  const watched = () => {
    const asked: number[] = [];
    const own: Pick<Kernels, "neuronsThere" | "neuronsFrom"> = {
      neuronsFrom: 1e6,
      neuronsThere: async (X, outputs, most) => {
        asked.push(most);
        const neurons = await kernels.neuronsThere?.(X, outputs, most);
        if (neurons === undefined) throw new Error("no neurons");
        return neurons;
      },
    };
    return { asked, kernels: Object.assign(Object.create(kernels), own) as Kernels };
  };

  test.each(sets)("n $n, d $d, $C outputs, $m neurons: outputs and pulls, of fewer too", async ({ n, d, C, m }) => {
    const tensors = tf.memory().numTensors;
    const [X, N] = [gaussianMatrix(n, d, 1), gaussianMatrix(n, C, 2).data];
    const neurons = await kernels.neuronsThere?.(X, C, m);
    neurons?.turn(N);
    for (const count of [m, Math.ceil(m / 2), m]) {
      const W = gaussianMatrix(count, d, 3 + count).data;
      const scales = gaussianMatrix(1, count, 99).data;
      const columns = Int32Array.from({ length: count }, (_, j) => (2 * j) % C);
      const pulls = new Float64Array(count * d).fill(Number.NaN);
      const [Z, outputs] = [0, 1].map(() => new Float64Array(n * C).fill(0.5));
      await neurons?.pulls(W, columns, pulls);
      await neurons?.outputs(W, scales, columns, Z);
      const wanted = new Float64Array(count * d);
      for (let j = 0; j < count; j++) {
        for (let k = 0; k < n; k++) {
          const row = X.data.subarray(k * d, (k + 1) * d);
          const h = dot(row, W.subarray(j * d, (j + 1) * d));
          if (!(h > 0)) continue;
          outputs[k * C + columns[j]] += scales[j] * h;
          for (let p = 0; p < d; p++) wanted[j * d + p] += N[k * C + columns[j]] * row[p];
        }
      }
      expectNear(pulls, wanted, 1e-5);
      expectNear(Z, outputs, 1e-5);
    }
    neurons?.dispose();
    expect(tf.memory().numTensors).toBe(tensors);
  });

  test("the search climbs by them as high as on the host, and tells prices in float64", async () => {
    const host = await wasmKernels(1);
    const [n, d, C] = [400, 20, 2];
    const [X, N] = [gaussianMatrix(n, d, 1), gaussianMatrix(n, C, 2).data];
    const starts = Array.from({ length: 160 }, (_, k) => ({
      direction: gaussianMatrix(1, d, 10 + k).data,
      output: k % C,
      sign: k % 4 < 2 ? (1 as const) : (-1 as const),
    }));
    const there = watched();
    const mine = await searchGates(there.kernels, X, N, C, starts, 20, 2);
    const truth = await searchGates(host, X, N, C, starts, 20, 2);
    expect(there.asked).toEqual([160]);
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

  test("a descent by them ends as low as on the host, and is judged in float64", async () => {
    const host = await wasmKernels(1);
    const program = randomProgram({ rows: 300, features: 12, gates: 5, outputs: 2, ridge: 0, cones: true, beta: 1e-3 });
    const m = 300;
    const neurons: MovingNeurons = {
      weights: gaussianMatrix(m, 12, 5).data.map((value) => 0.2 * value),
      scales: gaussianMatrix(1, m, 6).data.map((value) => 0.2 * value),
      outputs: Int32Array.from({ length: m }, (_, j) => j % 2),
      bias: new Float64Array(2),
    };
    const never = async () => false;
    const there = watched();
    const mine = await descended(program, there.kernels, neurons, 30, never);
    const truth = await descended(program, host, neurons, 30, never);
    expect(there.asked).toEqual([m]);
    expect(mine.value / truth.value).toBeLessThan(1.02);
    const x = packed(mine.neurons);
    const objective = networkObjective(program, referenceKernels, neurons.outputs);
    expect(objective(x, new Float64Array(x.length)) / mine.value).toBeCloseTo(1, 9);
  });
});

describe("a device that has no room for neurons", () => {
  const refusing = (code: ErrorCode) => {
    const neuronsThere: Kernels["neuronsThere"] = async () => {
      throw new ConvexError(code, "no");
    };
    return { ...referenceKernels, neuronsFrom: 1, neuronsThere };
  };
  const program = randomProgram({ rows: 30, features: 4, gates: 5, outputs: 2, ridge: 0, cones: true, beta: 1e-3 });
  const neurons: MovingNeurons = {
    weights: gaussianMatrix(6, 4, 5).data,
    scales: gaussianMatrix(1, 6, 6).data,
    outputs: Int32Array.from({ length: 6 }, (_, j) => j % 2),
    bias: new Float64Array(2),
  };
  const starts = [1, 2, 3].map((seed) => ({ direction: gaussianMatrix(1, 4, seed).data, output: 0, sign: 1 as const }));
  const searched = (kernels: Kernels) => searchGates(kernels, program.X, gaussianMatrix(30, 2, 2).data, 2, starts, 9);
  const went = (kernels: Kernels) => descended(program, kernels, neurons, 10, async () => false);

  test("leaves them to the host", async () => {
    const full = refusing("engine/unavailable");
    expect(await searched(full)).toEqual(await searched(referenceKernels));
    expect(await went(full)).toEqual(await went(referenceKernels));
  });

  test("and one that is lost does not", async () => {
    await expect(searched(refusing("engine/lost"))).rejects.toThrow(ConvexError);
    await expect(went(refusing("engine/lost"))).rejects.toThrow(ConvexError);
  });
});
