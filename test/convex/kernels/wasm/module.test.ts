import { describe, expect, test } from "vitest";
import { moduleBytes } from "../../../../src/convex/kernels/wasm/core.js";
import { wasmKernels } from "../../../../src/convex/kernels/wasm/index.js";

/** Relaxed SIMD: prefix 0xfd, opcodes 0x100 to 0x113 in LEB128. Bytes that only look so would be found too, none is missed. */
function relaxedAt(bytes: Uint8Array): number {
  return bytes.findIndex((byte, k) => byte === 0xfd && (bytes[k + 1] & 0xe0) === 0x80 && bytes[k + 2] === 2);
}

describe.each([false, true])("the compiled module (shared memory: %s)", (shared) => {
  test("holds no instruction of relaxed SIMD, whose results are the host's", () => {
    expect(relaxedAt(Uint8Array.of(0, 0xfd, 0x87, 2))).toBe(1); // f64x2.relaxed_madd would be found
    expect(relaxedAt(moduleBytes(shared))).toBe(-1);
  });
});

test("a product is rounded before it is added, on every host", async () => {
  const kernels = await wasmKernels(1);
  const a = 1 + 2 ** -30;
  // -(1 + 2^-29) + a^2: a^2 = 1 + 2^-29 + 2^-60 loses its last term to rounding; fused it would be left.
  const C = new Float64Array(64);
  const left = Float64Array.from({ length: 16 }, (_, k) => (k % 2 === 0 ? 1 : a)); // [8 x 2]
  const right = Float64Array.from({ length: 16 }, (_, k) => (k < 8 ? -(1 + 2 ** -29) : a)); // [2 x 8]
  kernels.multiply(left, right, C, 8, 2, 8);
  expect([...C]).toEqual(new Array(64).fill(0));
});
