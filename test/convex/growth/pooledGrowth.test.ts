import { describe, expect, test } from "vitest";
import { networkObjective, outputsOf } from "../../../src/convex/growth/descents/movingNeurons.js";
import { type Start, searchGates } from "../../../src/convex/growth/search.js";
import { referenceKernels, wasmKernels } from "../../../src/convex/kernels/index.js";
import { gaussianSource } from "../../../src/convex/linear/random.js";
import type { ConvexProgram } from "../../../src/convex/types.js";
import { type Pool, randomConvProgram } from "../../helpers/convProblems.js";
import { gaussianMatrix } from "../../helpers/problems.js";

const pools: Pool[] = ["sum", "mean", "flatten", "windows"];

/** S (X w)_+ [n] at a position, by the definition. */
function activation({ X, loss, pooling }: ConvexProgram, w: Float64Array, position: number): Float64Array {
  if (pooling == null) throw new Error("a program over patches was expected");
  const { patches: K, positions, scale } = pooling;
  const out = new Float64Array(loss.rows);
  for (let row = 0; row < X.rows; row++) {
    if ((row % K) % positions !== position) continue;
    let product = 0;
    for (let p = 0; p < X.cols; p++) product += X.data[row * X.cols + p] * w[p];
    out[Math.floor(row / K)] += scale * Math.max(0, product);
  }
  return out;
}

describe.each(pools)("patches that are read out by %s", (pool) => {
  const program = randomConvProgram({ pool, outputs: 2, cones: true, ridge: 0.1 });
  const { X, loss, pooling } = program;
  const columns = Int32Array.from({ length: 6 }, (_, j) => (5 * j + 1) % (2 * (pooling?.positions ?? 1)));
  const d = X.cols;

  test("the network's objective has the gradient that differences say, and the outputs of the definition", () => {
    const objective = networkObjective(program, referenceKernels, columns);
    const x = gaussianMatrix(1, 6 * d + 6 + 2, 5).data;
    const gradient = new Float64Array(x.length);
    const value = objective(x, gradient);
    const unused = new Float64Array(x.length);
    for (let k = 0; k < x.length; k++) {
      const at = (t: number) =>
        objective(
          x.map((entry, j) => entry + (j === k ? t : 0)),
          unused,
        );
      expect((at(1e-6) - at(-1e-6)) / 2e-6).toBeCloseTo(gradient[k], 5);
    }
    const [weights, scales, bias] = [x.slice(0, 6 * d), x.slice(6 * d, 6 * d + 6), x.slice(6 * d + 6)];
    const Z = outputsOf(program, referenceKernels, { weights, scales, outputs: columns, bias });
    const wanted = Float64Array.from(Z, (_, k) => bias[k % 2]);
    columns.forEach((column, j) => {
      activation(program, weights.slice(j * d, (j + 1) * d), column >> 1).forEach((z, row) => {
        wanted[row * 2 + (column % 2)] += scales[j] * z;
      });
    });
    Z.forEach((z, k) => {
      expect(z).toBeCloseTo(wanted[k], 12);
    });
    const decay = x.slice(0, 6 * d + 6).reduce((sum, entry) => sum + entry * entry, 0);
    const ridge = 0.1 * bias.reduce((sum, entry) => sum + entry * entry, 0);
    expect(value).toBeCloseTo(loss.value(wanted) + 0.5 * program.beta * decay + ridge, 12);
  });

  test("the search for gates values each end as the definition does, and never below its start", async () => {
    const N = gaussianMatrix(loss.rows, 2, 7).data;
    const draw = gaussianSource(3);
    const starts: Start[] = Array.from(columns, (output, k) => ({
      direction: Float64Array.from({ length: d }, draw),
      output,
      sign: k % 2 === 0 ? 1 : -1,
    }));
    const value = (u: Float64Array, { output, sign }: Start) => {
      const z = activation(program, u, output >> 1);
      return z.reduce((sum, entry, j) => sum - sign * N[j * 2 + (output % 2)] * entry, 0) / Math.hypot(...u);
    };
    (await searchGates(referenceKernels, X, N, 2, starts, 30, 1, pooling)).forEach((found, k) => {
      expect(found.value).toBeCloseTo(value(found.direction, starts[k]), 10);
      expect(found.value).toBeGreaterThanOrEqual(value(starts[k].direction, starts[k]) - 1e-12);
    });
  });
});

test("many neurons on many patches go through the data in blocks, to the same objective", async () => {
  const kernels = await wasmKernels();
  const program = randomConvProgram({ samples: 300, patches: 150, features: 2, gates: 2, cones: true });
  const m = 400; // 18 million products
  const columns = new Int32Array(m);
  const x = gaussianMatrix(1, m * 3 + 1, 8).data.map((value) => value / m);
  const whole = new Float64Array(x.length);
  const value = networkObjective(program, kernels, columns)(x, whole);
  // Each neuron alone feeds the same sum: the objective of all is that of parts whose outputs are added.
  const Z = new Float64Array(300);
  for (let from = 0; from < m; from += 100) {
    const neurons = {
      weights: x.slice(2 * from, 2 * (from + 100)),
      scales: x.slice(2 * m + from, 2 * m + from + 100),
      outputs: columns.subarray(0, 100),
      bias: new Float64Array(1),
    };
    outputsOf(program, kernels, neurons).forEach((z, k) => {
      Z[k] += z;
    });
  }
  const bias = x[3 * m];
  const decay = x.slice(0, 3 * m).reduce((sum, entry) => sum + entry * entry, 0);
  const wanted = program.loss.value(Z.map((z) => z + bias)) + 0.5 * program.beta * decay;
  expect(value).toBeCloseTo(wanted, 10);
  const step = 1e-6; // the objective is 212, so that differences have six digits
  for (const k of [2 * m - 1, 2 * m]) {
    const at = (t: number) =>
      networkObjective(
        program,
        kernels,
        columns,
      )(
        x.map((entry, j) => entry + (j === k ? t : 0)),
        new Float64Array(x.length),
      );
    expect((at(step) - at(-step)) / (2 * step)).toBeCloseTo(whole[k], 5);
  }
});
