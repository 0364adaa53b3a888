/** What the browser under test must offer, so that no test of an engine passes because the engine is missing. */

import { expect, test } from "vitest";

/** A module of one function that uses one SIMD instruction: (func (result v128) i32.const 0 i8x16.splat). */
const SIMD_MODULE = new Uint8Array([
  ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00], // magic, version
  ...[0x01, 0x05, 0x01, 0x60, 0x00, 0x01, 0x7b], // type: () -> v128
  ...[0x03, 0x02, 0x01, 0x00], // function 0 has type 0
  ...[0x0a, 0x08, 0x01, 0x06, 0x00, 0x41, 0x00, 0xfd, 0x0f, 0x0b], // its body
]);

test("the browser runs WebAssembly with SIMD", () => {
  expect(WebAssembly.validate(SIMD_MODULE)).toBe(true);
});

test("the browser has WebGL 2 with float textures to draw into", () => {
  const context = document.createElement("canvas").getContext("webgl2");
  expect(context?.getExtension("EXT_color_buffer_float")).toBeTruthy();
});

test("the browser has a WebGPU adapter", async () => {
  expect("gpu" in navigator).toBe(true);
  const { gpu } = navigator as unknown as { readonly gpu: { requestAdapter(): Promise<object | null> } };
  expect(await gpu.requestAdapter()).not.toBeNull();
});
