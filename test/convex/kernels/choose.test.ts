import { describe, expect, test } from "vitest";
import { sampleGates } from "../../../src/convex/arrangements/index.js";
import { hostIterate } from "../../../src/convex/kernels/hostIterate.js";
import {
  bindProducts,
  chooseEngine,
  engineFor,
  type Kernels,
  keepsPooled,
  referenceKernels,
  trialSeconds,
} from "../../../src/convex/kernels/index.js";
import type { GateSet } from "../../../src/convex/types.js";
import { gaussianMatrix } from "../../helpers/problems.js";

const firstOrder = { name: "fista", firstOrder: true };
const newton = { name: "proximal-newton", firstOrder: false };
const small = { cones: false, rows: 100, width: 10, gates: 50, outputs: 1, tolerance: 1e-3, solver: firstOrder };
const large = { cones: false, rows: 20_000, width: 500, gates: 1000, outputs: 10, tolerance: 1e-3, solver: firstOrder };

describe('engine "auto"', () => {
  test.each([
    ["a small program", small],
    ["a solver without work for a device", { ...large, solver: newton }],
    ["a gap that float32 may not reach", { ...large, tolerance: 1e-9 }],
    ["patches that it keeps pooled", { ...large, pooledOnHost: true }],
  ])("stays in float64 on the host for %s", async (_, work) => {
    const chosen = await chooseEngine("auto");
    const { kernels, reason } = await engineFor("auto", chosen, work);
    expect(kernels).toBe(chosen.kernels);
    expect(reason).toMatch(/^wasm: SIMD float64.*; (no device, since |proximal-newton works in float64)/);
  });

  test("takes a GPU for a large first-order program, or says why it did not", async () => {
    const { kernels, reason } = await engineFor("auto", await chooseEngine("auto"), large);
    if (kernels.name === "wasm")
      expect(reason).toMatch(/^wasm: .*(no webgpu: |webgpu only on ).*(no webgl: |webgl only on )/);
    else expect(reason).toMatch(/^webg(pu|l): .*, the fastest for a program of this size$/);
  });
});

test("the host keeps patches pooled where they are averaged and the matrices of all gates have room", () => {
  const gates = { count: 64, rows: 90_000, bits: new Uint32Array(0), complete: false } as unknown as GateSet;
  const X = { rows: 90_000, cols: 27, data: new Float64Array(0) };
  const pooling = { patches: 900, positions: 1, scale: 1 / 900 };
  expect(keepsPooled({ X, gates, pooling })).toBe(true);
  expect(keepsPooled({ X, gates: { ...gates, count: 12_800 }, pooling })).toBe(false);
  expect(keepsPooled({ X, gates, pooling: { patches: 900, positions: 900, scale: 1 } })).toBe(false);
  expect(keepsPooled({ X, gates, pooling: null })).toBe(false);
});

test("a trial times an iteration over as many gates as its work has room for, and leaves nothing", async () => {
  const X = gaussianMatrix(40, 5, 1);
  const program = { X, gates: sampleGates(X, { count: 30, seed: 1 }), pooling: null, loss: { rows: 40, outputs: 2 } };
  const counts: number[] = [];
  let [made, disposed] = [0, 0];
  const watched: Kernels = {
    ...referenceKernels,
    async iterate(data, gates, ...rest) {
      counts.push(gates.count);
      made += 1;
      const blocks = hostIterate(
        bindProducts({ X: data, gates, pooling: null }, referenceKernels),
        data,
        gates,
        ...rest,
      );
      return { ...blocks, dispose: () => (disposed += 1) };
    },
  };
  expect(await trialSeconds(watched, program, 40 * 5 * 2 * 7)).toBeGreaterThan(0);
  expect(await trialSeconds(watched, program, 1e9)).toBeGreaterThan(0);
  expect(await trialSeconds(watched, program, 1)).toBeGreaterThan(0);
  expect(counts).toEqual([7, 30, 1]);
  expect([made, disposed]).toEqual([3, 3]);
  expect(await trialSeconds(referenceKernels, program, 1e9)).toBeGreaterThan(0);
});

test("an engine that is asked for and has no work for its device leaves it to the host, and says so", async () => {
  const chosen = await chooseEngine("tfjs");
  expect(chosen.kernels.dtype).toBe("float32");
  expect(await engineFor("tfjs", chosen, small)).toBe(chosen);
  const { kernels, reason } = await engineFor("tfjs", chosen, { ...small, solver: newton });
  expect([kernels.name, kernels.dtype]).toEqual(["wasm", "float64"]);
  expect(reason).toMatch(/"tfjs" was asked for, but the solver proximal-newton works in float64 on the host/);
});

test("a program with cones stays on a device that keeps such blocks, and on no other", async () => {
  const cones = { ...small, cones: true, solver: { name: "splitting", firstOrder: true } };
  const tfjs = await chooseEngine("tfjs");
  expect(await engineFor("tfjs", tfjs, cones)).toBe(tfjs);
  const gpujs = await chooseEngine("gpujs");
  const { kernels, reason } = await engineFor("gpujs", gpujs, cones);
  expect(kernels.name).toBe("wasm");
  expect(reason).toMatch(/"gpujs" was asked for, but the solver splitting works in float64 on the host/);
  const auto = await chooseEngine("auto");
  expect((await engineFor("auto", auto, cones)).kernels).toBe(auto.kernels);
});
