import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { endHelpers, referenceKernels, type ThreadUse, wasmKernels } from "../../../../src/convex/kernels/index.js";
import { openCore } from "../../../../src/convex/kernels/wasm/core.js";
import { WasmEngine } from "../../../../src/convex/kernels/wasm/engine.js";
import { HelperPool, openThreads } from "../../../../src/convex/kernels/wasm/helpers.js";
import { kernelCases, warmUp } from "../../../helpers/kernelCases.js";

const inPage = typeof document !== "undefined";

interface Run {
  readonly results: Float64Array[][];
  readonly use: ThreadUse | undefined;
}

/** The cases with a number of threads; a page's own thread has one, so there they run in a worker. */
async function runWith(threads: number): Promise<Run> {
  if (!inPage) {
    const kernels = await wasmKernels(threads);
    await warmUp(kernels, threads);
    const results = kernelCases.map(({ run }) => run(kernels));
    return { results, use: kernels.threads?.() };
  }
  const worker = new Worker(new URL("../../../helpers/kernels.worker.js", import.meta.url), { type: "module" });
  try {
    return await new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = ({ message }) => reject(new Error(message));
      worker.postMessage(threads);
    });
  } finally {
    worker.terminate();
  }
}

afterAll(endHelpers);

describe("threads of the WASM engine", () => {
  const truth = kernelCases.map(({ run }) => run(referenceKernels));
  const runs: Run[] = [];
  beforeAll(async () => {
    for (const threads of [1, 2, 3]) runs.push(await runWith(threads));
  });

  test.each([1, 2, 3])("%i of them take part when they are asked for", (threads) => {
    expect(runs[threads - 1].use).toEqual({ ran: threads, note: null });
  });

  test.each(kernelCases.map(({ title }, k) => [title, k] as const))("%s: the same to the last bit", (_, k) => {
    const [one, two, three] = runs.map(({ results }) => results[k]);
    expect(one.length).toBe(truth[k].length);
    one.forEach((values, part) => {
      const same = (other: Float64Array) =>
        values.length === other.length && values.every((value, at) => Object.is(value, other[at]));
      expect(same(two[part])).toBe(true);
      expect(same(three[part])).toBe(true);
      const scale = truth[k][part].reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      const worst = truth[k][part].reduce((most, value, at) => Math.max(most, Math.abs(value - values[at])), 0);
      expect(worst).toBeLessThanOrEqual((kernelCases[k].tolerance ?? 1e-12) * scale);
    });
  });
});

describe("an engine that gets no helpers", () => {
  test("does not look for any in a page that is not isolated", async () => {
    vi.stubGlobal("crossOriginIsolated", false);
    expect(await openThreads()).toMatch(/cross-origin isolated/);
    vi.unstubAllGlobals();
  });

  test("goes on alone where workers are forbidden, and says so", async () => {
    const core = await openCore(false);
    const forbidden = () => {
      throw new Error("workers are forbidden here");
    };
    const helpers = new HelperPool(forbidden, {} as WebAssembly.Module, core.heap, 16);
    const engine = new WasmEngine({ ...core, helpers }, 2);
    const n = 900;
    const [a, c] = [core.heap.take(n * n), core.heap.take(n * n)];
    core.heap.view(a, n * n).fill(0.5);
    core.heap.view(c, n * n).fill(0);
    engine.multiply(n, n, n, a, n, 1, a, n, 1, c, n, 1, false);
    expect(core.heap.view(c, n * n).every((value) => value === 225)).toBe(true);
    expect(engine.threads()).toEqual({ ran: 1, note: "workers are forbidden here" });
    core.heap.release(c);
    core.heap.release(a);
  });

  test("has none before there is work for them", async () => {
    await endHelpers();
    const kernels = await wasmKernels(2);
    kernels.multiply(new Float64Array(1e4), new Float64Array(1e4), new Float64Array(1e4), 100, 100, 100);
    expect(kernels.threads?.()).toEqual({ ran: 1, note: null });
  });
});
