import { describe, expect, test } from "vitest";
import { chooseEngine, engineFor } from "../../../src/convex/kernels/index.js";

const firstOrder = { name: "fista", firstOrder: true };
const newton = { name: "proximal-newton", firstOrder: false };
const small = { rows: 100, width: 10, gates: 50, outputs: 1, tolerance: 1e-3, solver: firstOrder };
const large = { rows: 20_000, width: 500, gates: 1000, outputs: 10, tolerance: 1e-3, solver: firstOrder };

describe('engine "auto"', () => {
  test.each([
    ["a small program", small],
    ["a solver without work for a device", { ...large, solver: newton }],
    ["a gap that float32 may not reach", { ...large, tolerance: 1e-9 }],
  ])("stays in float64 on the host for %s", async (_, work) => {
    const chosen = await chooseEngine("auto");
    expect(await engineFor("auto", chosen, work)).toBe(chosen);
    expect(chosen.reason).toMatch(/^wasm: SIMD float64/);
  });

  test("takes a GPU for a large first-order program, or says why it did not", async () => {
    const { kernels, reason } = await engineFor("auto", await chooseEngine("auto"), large);
    if (kernels.name === "wasm")
      expect(reason).toMatch(/^wasm: .*(no webgpu: |webgpu only on ).*(no webgl: |webgl only on )/);
    else expect(reason).toMatch(/^webg(pu|l): .*, the fastest for a program of this size$/);
  });
});

test("an engine that is asked for and has no work for its device leaves it to the host, and says so", async () => {
  const chosen = await chooseEngine("tfjs");
  expect(chosen.kernels.dtype).toBe("float32");
  expect(await engineFor("tfjs", chosen, small)).toBe(chosen);
  const { kernels, reason } = await engineFor("tfjs", chosen, { ...small, solver: newton });
  expect([kernels.name, kernels.dtype]).toEqual(["wasm", "float64"]);
  expect(reason).toMatch(/"tfjs" was asked for, but the solver proximal-newton works in float64 on the host/);
});
