/** What "auto" does with a solve that stalled on a device; the search for a device is answered by hand. */

import { beforeEach, expect, test, vi } from "vitest";
import { type Kernels, referenceKernels } from "../../src/convex/kernels/index.js";
import { type Solution, solve } from "../../src/convex/solvers/solve.js";
import { solveOn } from "../../src/optimizers/solve/onEngine.js";
import { randomProgram } from "../helpers/problems.js";

const device: Kernels = { ...referenceKernels, name: "webgpu" };
vi.mock("../../src/convex/kernels/index.js", async (original) => ({
  ...(await original<typeof import("../../src/convex/kernels/index.js")>()),
  engineFor: async () => ({ kernels: device, reason: "webgpu: a device" }),
}));

const settings = { engine: "auto", solver: null, tolerance: 1e-3, threads: null } as const;
const program = randomProgram({ cones: true });
let point: Solution;
const asked: string[] = [];

beforeEach(async () => {
  asked.length = 0;
  point = await solve(program, referenceKernels, { tolerance: 1e-2, maxIterations: 50, seconds: 10 });
});

/** Solves whose first ends as told. */
async function fitted(first: Partial<Solution>) {
  const chosen = { kernels: referenceKernels, reason: "cpu" };
  return solveOn(program, chosen, settings, async ({ name }) => {
    asked.push(name);
    return asked.length === 1 ? { ...point, ...first } : { ...point, status: "solved" as const };
  });
}

test("a stall on the device is taken up by the host", async () => {
  const { engine, solution } = await fitted({ status: "stalled" });
  expect(asked).toEqual(["webgpu", "cpu"]);
  expect(solution.status).toBe("solved");
  expect(engine).toMatch(/; then float64 on cpu, where float32 had stalled/);
});

test("a stall on the host, where the run from the device had gone on, is not solved there again", async () => {
  const { engine, solution } = await fitted({ status: "stalled", endedOnHost: true });
  expect(asked).toEqual(["webgpu"]);
  expect(solution.status).toBe("stalled");
  expect(engine).toBe("webgpu: a device; the last digits in float64 on the host");
});
