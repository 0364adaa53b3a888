import { expect, test } from "vitest";
import { TogetherPasses } from "../../../src/convex/growth/index.js";
import { roughPassesOf } from "../../../src/convex/growth/passes.js";
import { referenceKernels, wasmKernels } from "../../../src/convex/kernels/index.js";
import type { NeuronLayer } from "../../../src/convex/kernels/types.js";
import { layerFor, layerObjective, pooledLayer, roughLayerFor } from "../../../src/convex/operators/neuronLayer.js";
import { randomConvProgram } from "../../helpers/convProblems.js";
import { gaussianMatrix, randomProgram } from "../../helpers/problems.js";

test("a layer is let go of where there is no memory for the outputs beside it", () => {
  const { loss, ...program } = randomProgram({ rows: 4, features: 2, gates: 1, seed: 1 });
  let gone = 0;
  const dispose = () => {
    gone += 1;
  };
  const layer = { forward: () => undefined, backward: () => undefined, dispose };
  const endless = { ...loss, rows: Number.MAX_SAFE_INTEGER };
  expect(() => layerObjective({ ...program, loss: endless }, layer, 2, 1)).toThrow(RangeError);
  expect(gone).toBe(1);
  layerObjective({ ...program, loss }, layer, 2, 1).dispose?.();
  expect(gone).toBe(2);
});

test.each(["sum", "mean"] as const)(
  "pooled patches, %s: layers say and pull what loops over the patches do",
  async (pool) => {
    const kernels = await wasmKernels(1);
    for (const [outputs, slope] of [
      [1, 0],
      [3, 0],
      [10, 0.2],
    ]) {
      const drawn = randomConvProgram({ pool, outputs, cones: true, samples: 9, features: 5, seed: outputs });
      const pooling = drawn.pooling == null ? null : { ...drawn.pooling, negativeSlope: slope };
      const program = { ...drawn, pooling };
      const [m, d, n] = [11, program.X.cols, program.loss.rows];
      const W = gaussianMatrix(m, d, 4).data;
      const N = gaussianMatrix(n, outputs, 6).data;
      const passed = (layer: NeuronLayer, A: Float64Array) => {
        const Z = new Float64Array(n * outputs);
        const [inW, inA] = [new Float64Array(m * d), new Float64Array(A.length)];
        layer.forward(W, A, Z);
        layer.backward(W, A, N, inW, inA);
        layer.dispose();
        return [Z, inW, inA];
      };
      const A = gaussianMatrix(outputs, m, 5).data;
      const packed = Float64Array.from([...W, ...A, ...gaussianMatrix(1, outputs, 8).data]);
      const objective = layerObjective(program, given(layerFor(program, kernels, m)), W.length, A.length);
      const value = objective(packed, new Float64Array(packed.length));
      expect(objective.value?.(packed)).toBeCloseTo(value, 12);
      objective.dispose?.();
      const expected = passed(new TogetherPasses(program, referenceKernels, m), A);
      expectNear(passed(given(layerFor(program, kernels, m)), A), expected, 1e-12);
      expectNear(passed(given(roughLayerFor(program, kernels, m)), A), expected, 1e-5);
      // Neuron j feeds one output: the others of its column of A are zero.
      const fed = Int32Array.from({ length: m }, (_, j) => j % outputs);
      const scales = gaussianMatrix(m, 1, 7).data;
      const spread = new Float64Array(outputs * m);
      fed.forEach((c, j) => {
        spread[c * m + j] = scales[j];
      });
      const [Z, inW, inA] = passed(new TogetherPasses(program, referenceKernels, m), spread);
      const own = inA.filter((_, k) => fed[k % m] === Math.floor(k / m));
      const order = Array.from(fed.keys()).sort((a, b) => fed[a] - fed[b] || a - b); // as `filter` has left them
      const inScales = new Float64Array(m);
      order.forEach((j, k) => {
        inScales[j] = own[k];
      });
      expectNear(passed(given(roughPassesOf(program, kernels, fed)), scales), [Z, inW, inScales], 1e-5);
    }
  },
);

test.each(["flatten", "windows"] as const)(
  "there is no layer for patches that are read out apart (%s)",
  async (pool) => {
    const kernels = await wasmKernels(1);
    const program = randomConvProgram({ pool, outputs: 2, cones: true });
    expect([layerFor(program, kernels, 3), roughLayerFor(program, kernels, 3)]).toEqual([null, null]);
  },
);

test("there is no layer whose patches, or outputs of patches, are more than it may hold, and none is made", async () => {
  const { loss, pooling = null, X } = randomConvProgram({ pool: "mean", outputs: 2, cones: true });
  let made = 0;
  const make = () => {
    made += 1;
    return { forward: () => undefined, backward: () => undefined, dispose: () => undefined };
  };
  expect(pooledLayer({ X: { ...X, rows: 2 ** 27 }, loss, pooling }, 3, make)).toBe(null);
  expect(pooledLayer({ X, loss: { ...loss, outputs: 2 ** 27 }, pooling }, 3, make)).toBe(null);
  expect(made).toBe(0);
  expect(pooledLayer({ X, loss, pooling }, 3, make)).not.toBe(null);
});

test("of pooled patches, too, it is let go of where there is no memory for the outputs beside it", () => {
  const { loss, pooling = null, X } = randomConvProgram({ pool: "mean", outputs: 2, cones: true });
  let gone = 0;
  const dispose = () => {
    gone += 1;
  };
  const make = () => ({ forward: () => undefined, backward: () => undefined, dispose });
  const room = globalThis.Float64Array;
  const full = new Proxy(room, {
    construct() {
      throw new RangeError("Array buffer allocation failed");
    },
  });
  try {
    globalThis.Float64Array = full;
    expect(pooledLayer({ X, loss, pooling }, 3, make)).toBe(null);
  } finally {
    globalThis.Float64Array = room;
  }
  expect(gone).toBe(1);
});

function given(layer: NeuronLayer | null): NeuronLayer {
  if (layer === null) throw new Error("The engine has no such layer.");
  return layer;
}

function expectNear(all: readonly Float64Array[], others: readonly Float64Array[], tolerance: number): void {
  all.forEach((values, i) => {
    const size = others[i].reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    values.forEach((value, k) => void expect(Math.abs(value - others[i][k])).toBeLessThanOrEqual(tolerance * size));
  });
}
