/** When "auto" takes a device: by what was measured of it, or by a trial. The devices are made up. */

import fc from "fast-check";
import { beforeEach, expect, test, vi } from "vitest";
import { chooseEngine, engineFor, type Kernels, referenceKernels } from "../../../src/convex/kernels/index.js";
import { measured } from "../../../src/convex/kernels/thresholds.js";
import { engineOn } from "../../../src/optimizers/solve/onEngine.js";
import { referenceProblems } from "../../helpers/problems.js";

const gpu = { kernels: { ...referenceKernels, name: "webgpu" } as Kernels, device: "a card", emulated: false };
vi.mock("../../../src/convex/kernels/webgpu/index.js", () => ({ openWebgpu: async () => ({ ...gpu }) }));

const work = { cones: false, width: 100, outputs: 1, tolerance: 1e-3, solver: { name: "fista", firstOrder: true } };

beforeEach(() => {
  gpu.emulated = false;
  gpu.device = "a card";
});

test("a device that nobody has measured is taken where a trial says that it is the faster one, and nowhere else", async () => {
  const chosen = await chooseEngine("auto");
  await fc.assert(
    fc.asyncProperty(
      fc.double({ min: 1e-6, max: 1, noNaN: true }),
      fc.double({ min: 1e-6, max: 1, noNaN: true }),
      fc.integer({ min: 1, max: 1e6 }),
      fc.integer({ min: 1, max: 1e4 }),
      async (there, here, rows, gates) => {
        const tried: string[] = [];
        const trial = async ({ name }: Kernels) => {
          tried.push(name);
          return name === "webgpu" ? there : here;
        };
        const { kernels, reason } = await engineFor("auto", chosen, { ...work, rows, gates, trial });
        const large = rows * gates * 100 >= 1e9;
        expect(tried).toEqual(large ? ["webgpu", "wasm"] : []);
        expect(kernels.name).toBe(large && there <= here ? "webgpu" : "wasm");
        if (!large) expect(reason).toMatch(/; no device, since the program is small$/);
        else if (there > here) expect(reason).toMatch(/webgpu only on a card, slower than the host in a trial \(/);
      },
    ),
    { numRuns: 60 },
  );
});

test("with cones, where there is no trial, only what was measured counts", async () => {
  const large = { ...work, rows: 1e5, gates: 1e4, solver: { name: "splitting", firstOrder: true }, cones: true };
  const { kernels, reason } = await engineFor("auto", await chooseEngine("auto"), { ...large, trial: async () => 0 });
  expect(kernels.name).toBe("wasm");
  expect(reason).toMatch(/not measured against the host/);
});

test("a device in the table of measurements is taken by it, without a trial", async () => {
  const trial = async () => {
    throw new Error("tried");
  };
  for (const { engine, device, gated } of measured.filter((row) => row.engine === "webgpu")) {
    gpu.device = `Vendor ${device} 1.2`;
    const { kernels } = await engineFor("auto", await chooseEngine("auto"), { ...work, rows: 1e6, gates: 1e6, trial });
    expect(kernels.name).toBe(gated === null ? "wasm" : engine);
  }
  gpu.device = "a card";
  gpu.emulated = true;
  const { reason } = await engineFor("auto", await chooseEngine("auto"), { ...work, rows: 1e6, gates: 1e6, trial });
  expect(reason).toMatch(/webgpu only on a card, which is this CPU/);
});

test("programs of the lists on which solvers are held to others stay on the host, which says why", async () => {
  const chosen = await chooseEngine("auto");
  const settings = { engine: "auto", solver: null, tolerance: 1e-3, threads: null } as const;
  for (const { program } of referenceProblems) {
    const { kernels, reason } = await engineOn(program, chosen, settings);
    expect(kernels).toBe(chosen.kernels);
    expect(reason).toMatch(/(works in float64 on the host|no device, since .*)$/);
  }
});
