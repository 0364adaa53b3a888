import { describe, expect, test } from "vitest";
import { sampleGates } from "../../../../src/convex/arrangements/index.js";
import type { GatedProducts } from "../../../../src/convex/kernels/types.js";
import { openCore } from "../../../../src/convex/kernels/wasm/core.js";
import { WasmEngine } from "../../../../src/convex/kernels/wasm/engine.js";
import { WasmFactor } from "../../../../src/convex/kernels/wasm/factor.js";
import { WasmHeap } from "../../../../src/convex/kernels/wasm/heap.js";
import { WasmKernels } from "../../../../src/convex/kernels/wasm/index.js";
import { WasmProducts } from "../../../../src/convex/kernels/wasm/products.js";
import { inTurns } from "../../../../src/convex/linear/pieces.js";
import type { Matrix } from "../../../../src/convex/types.js";
import { gaussianMatrix } from "../../../helpers/problems.js";

const PAGE = 65536;

/** A heap with room for a number of doubles. */
function smallHeap(doubles: number): WasmHeap {
  const maximum = Math.ceil((8 * doubles) / PAGE);
  return new WasmHeap(new WebAssembly.Memory({ initial: 0, maximum }), maximum * PAGE - 8 * doubles);
}

test("blocks beyond the end of the memory are refused, and what fits is given out after that", () => {
  const heap = smallHeap(PAGE);
  expect(() => heap.take(2 * PAGE)).toThrow(RangeError);
  const at = heap.take(PAGE);
  heap.view(at, PAGE).fill(1);
  expect(() => heap.take(1)).toThrow(RangeError);
  heap.release(at);
  expect(heap.take(PAGE)).toBe(at);
});

test("what was taken before a failure is released, and nothing else is", () => {
  const heap = smallHeap(PAGE);
  const [first, second] = [heap.take(100), heap.take(100)];
  heap.view(second, 100).fill(7);
  const fails = () => {
    heap.take(50);
    heap.release(first);
    heap.take(100); // where the first one was
    return heap.take(PAGE);
  };
  expect(() => heap.whole(fails)).toThrow(RangeError);
  expect(heap.take(100)).toBe(first);
  expect(heap.view(second, 100).every((value) => value === 7)).toBe(true);
  expect(heap.take(PAGE - 200)).toBe(second + 800);
});

test("a factor for which there is no room leaves none taken", async () => {
  const n = 200;
  const core = await openCore(false);
  const H = new Float64Array(n * n);
  for (let k = 0; k < n; k++) H[k * n + k] = 1;
  const room = n * n + 4 * 64 * 64; // not for the panel
  const heap = smallHeap(room);
  expect(() => WasmFactor.of(new WasmEngine({ ...core, heap }, 1), H, n)).toThrow(RangeError);
  expect(heap.take(room)).toBeGreaterThan(0);
});

test.each([1, 2, 3])("a factor whose pause %i throws leaves none taken", async (last) => {
  const X = gaussianMatrix(300, 4, 1);
  const core = await openCore(false);
  const products = new WasmProducts(new WasmEngine(core, 1), X, sampleGates(X, { count: 9, seed: 1 }));
  const next = () => {
    const at = core.heap.take(1);
    core.heap.release(at);
    return at;
  };
  const before = next();
  let pauses = 0;
  const pause = async () => {
    if (++pauses === last) throw new Error("no more");
    return false;
  };
  await expect(inTurns(products.gatedFactor(Int32Array.of(0, 3, 5), 1, 0, true), pause)).rejects.toThrow("no more");
  expect(next()).toBe(before);
});

test("products for whose masks there is no room leave none taken", async () => {
  const X = gaussianMatrix(64, 10, 1);
  const count = 1000;
  const generators = { rows: count, cols: 10, data: new Float64Array(10 * count) };
  const gates = { count, rows: 64, bits: new Uint32Array(2 * count), generators, complete: false };
  const core = await openCore(false);
  const heap = smallHeap(1000);
  const engine = new WasmEngine({ ...core, heap }, 1);
  expect(() => heap.whole(() => new WasmProducts(engine, X, gates))).toThrow(RangeError);
  expect(heap.take(1000)).toBeGreaterThan(0);
});

test("records of faces keep near rows in 64 MB; those beyond have none, and project as well", async () => {
  const [n, d, slots] = [60_000, 2, 2700];
  const X = gaussianMatrix(n, d, 1);
  const core = await openCore(false);
  const products = new WasmProducts(new WasmEngine(core, 1), X, sampleGates(X, { count: 1, seed: 1 }));
  const search = products.faceSearch();
  const bytes = () => core.heap.memory.buffer.byteLength;
  const before = bytes();
  const none = () => new Int32Array(slots);
  const Z = new Float64Array(slots * d).map((_, k) => [-1, 0.5][k % d]);
  for (let turn = 0; turn < 2; turn++) {
    const [points, norms] = [Z.slice(), new Float64Array(slots)];
    const each = Int32Array.from({ length: slots }, (_, k) => k);
    search.project({ count: slots, gates: none(), positions: none(), slots: each, Z: points, norms }, -1);
    expect(norms.every((value) => value === norms[0])).toBe(true);
    expect(points.subarray((slots - 1) * d)).toEqual(points.subarray(0, d));
  }
  expect(bytes() - before).toBeLessThan(2 ** 26 + 2 ** 22);
  products.dispose();
});

test("neurons read rows that the engine itself makes, also where its memory grows meanwhile", async () => {
  const { data, ...shape } = gaussianMatrix(9000, 3, 1);
  const { heap, ...core } = await openCore(false);
  const kernels = new WasmKernels(new WasmEngine({ ...core, heap }, 1));
  let grown = 0;
  const block = (from: number, count: number) => {
    heap.take(heap.memory.buffer.byteLength / 8);
    grown += 1;
    return data.subarray(3 * from, 3 * (from + count));
  };
  const outputs = (X: Matrix) => {
    const Z = new Float64Array(9000);
    kernels.neurons(X, Int32Array.of(0), 1, 0).forward(Float64Array.of(1, -1, 0.5), Float64Array.of(1), Z);
    return Z;
  };
  const held = outputs({ ...shape, data });
  expect(outputs({ ...shape, data: new Float64Array(0), block })).toEqual(held);
  expect(grown).toBe(3);
  expect(held[8999]).not.toBe(0);
});

/** The engine where the memory cannot grow, and what it has taken of `doubles`. */
async function fullKernels(doubles: number) {
  const core = await openCore(false);
  core.heap.memory.grow(Math.ceil((8 * doubles) / PAGE));
  const { buffer } = core.heap.memory;
  const grow = (): number => {
    throw new RangeError("no memory");
  };
  const heap = new WasmHeap({ buffer, grow } as unknown as WebAssembly.Memory, buffer.byteLength - 8 * doubles);
  const inside = heap as unknown as { free: object[]; end: number; taken: Map<number, object> };
  return {
    kernels: new WasmKernels(new WasmEngine({ ...core, heap }, 1)),
    state: () => JSON.stringify([inside.free, inside.end, [...inside.taken.keys()]]),
    /** Runs `use` where `room` doubles are free. */
    within(room: number, use: () => void): void {
      const rest = heap.take((buffer.byteLength - inside.end) / 8 - room);
      try {
        use();
      } finally {
        heap.release(rest);
      }
    },
  };
}

describe("where there is no room for all that a call wants, it keeps nothing:", () => {
  const [n, d, C] = [60, 8, 2];
  const X = gaussianMatrix(n, d, 1);
  const gates = sampleGates(X, { count: 30, seed: 1 });
  const R = gaussianMatrix(n, C, 2).data;
  const large = gaussianMatrix(100, 100, 3).data;
  const face = Int32Array.of(1, 5, 9);
  const all = Int32Array.from({ length: gates.count }, (_, i) => i);
  const room = (length: number) => new Float64Array(length);
  const shape = { pooling: { patches: 4, positions: 2, scale: 1 }, gates: 5, samples: 15, d, first: 0, words: 2 };
  type Call = (products: GatedProducts, kernels: WasmKernels) => void;
  const calls: Record<string, Call> = {
    forward: (on) =>
      on.forward(
        all,
        all.map((i) => i % C),
        room(all.length).fill(1),
        room(all.length * d),
        C,
        room(n * C),
      ),
    adjoint: (on) => on.adjoint(R, C, null, room(all.length * C * d)),
    adjointNorms: (on) => on.adjointNorms(R, C, room(all.length * C)),
    rows: (on) => on.rows(3, large, 3, room(3 * n)),
    faceRows: (on) => on.faceRows?.(3, face, room((d - 3) * d), room((d - 3) * n)),
    gram: (on) => on.gram(),
    addMaskedGram: (on) => on.addMaskedGram(room(n * n), all, room(all.length).fill(1)),
    multiply: (_, on) => on.multiply(large, large, room(1e4), 100, 100, 100),
    addOuter: (_, on) => on.addOuter(room(1e4), large, 100, 100, 1),
    factor: (_, on) => on.factor(symmetric(100), 100),
    poolPatches: (_, on) => on.poolPatches(X.data, new Uint32Array(10), shape, room(5 * 2 * 15 * d)),
    layer: (_, on) => on.layer(X, 7, C, 0).dispose(),
    packPatterns: (_, on) => on.packPatterns(X, [R.subarray(0, d)], [new Uint32Array(2)]),
  };

  test.each(Object.keys(calls))("%s", async (name) => {
    const { kernels, state, within } = await fullKernels(1e5);
    const products = kernels.bind(X, gates);
    const before = state();
    let refused = 0;
    for (let free = 0, done = false; !done; free += 40) {
      try {
        within(free, () => calls[name](products, kernels));
        done = true;
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError);
        refused += 1;
      }
      expect(state()).toBe(before);
    }
    expect(refused).toBeGreaterThan(1);
  });

  test("solves with a factor, and projections but for the faces that are remembered", async () => {
    const { kernels, state, within } = await fullKernels(1e5);
    const products = kernels.bind(X, gates);
    const factor = kernels.cholesky(symmetric(100), 100);
    const search = products.faceSearch?.();
    const slots = all.slice(0, 20);
    const points = { count: 20, gates: slots, slots, positions: new Int32Array(20), Z: room(20 * d), norms: room(20) };
    const before = state();
    for (const call of [() => factor?.solve(large.slice(), 100), () => search?.project(points, 0)]) {
      let refused = 0;
      for (let free = 0, done = false; !done; free += 200) {
        try {
          within(free, call);
          done = true;
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
          refused += 1;
        }
        search?.forget();
        expect(state()).toBe(before);
      }
      expect(refused).toBeGreaterThan(1);
    }
  });
});

function symmetric(n: number): Float64Array {
  return Float64Array.from({ length: n * n }, (_, k) => (k % (n + 1) === 0 ? 2 : 0));
}

test("what is lasting outlives a failure, as helpers do that start in the middle of one", () => {
  const heap = smallHeap(PAGE);
  let kept = 0;
  const fails = () => {
    heap.take(50);
    kept = heap.take(100, true);
    heap.view(kept, 100).fill(3);
    return heap.take(PAGE);
  };
  expect(() => heap.whole(fails)).toThrow(RangeError);
  const again = heap.take(50);
  expect(again).toBeLessThan(kept);
  heap.view(heap.take(100), 100).fill(0);
  expect(heap.view(kept, 100).every((value) => value === 3)).toBe(true);
});
