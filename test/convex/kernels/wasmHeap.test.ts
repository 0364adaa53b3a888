import { expect, test } from "vitest";
import { openCore } from "../../../src/convex/kernels/wasmCore.js";
import { WasmEngine } from "../../../src/convex/kernels/wasmEngine.js";
import { WasmFactor } from "../../../src/convex/kernels/wasmFactor.js";
import { WasmHeap } from "../../../src/convex/kernels/wasmHeap.js";
import { WasmProducts } from "../../../src/convex/kernels/wasmProducts.js";
import { gaussianMatrix } from "../../helpers/problems.js";

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
  const { multiply } = new WasmEngine(await openCore(false), 1);
  const H = new Float64Array(n * n);
  for (let k = 0; k < n; k++) H[k * n + k] = 1;
  const room = n * n + 4 * 64 * 64; // not for the panel
  const heap = smallHeap(room);
  expect(() => WasmFactor.of(heap, multiply, H, n)).toThrow(RangeError);
  expect(heap.take(room)).toBeGreaterThan(0);
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
