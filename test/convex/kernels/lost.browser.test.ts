/** What becomes of the work when a device goes away. */

import { expect, test } from "vitest";
import { sampleGates } from "../../../src/convex/arrangements/index.js";
import { chooseEngine } from "../../../src/convex/kernels/index.js";
import { findDevice } from "../../../src/convex/kernels/webgpu/device.js";
import { penalties } from "../../../src/convex/penalties/index.js";
import { fitAndLoseContext } from "../../helpers/lostContext.js";
import { gaussianMatrix } from "../../helpers/problems.js";

test("a lost WebGPU device ends the work with engine/lost, and the next fit gets a new device", async () => {
  const { kernels } = await chooseEngine("webgpu");
  const X = gaussianMatrix(20, 6, 1);
  const gates = sampleGates(X, { count: 10, seed: 1 });
  const blocks = await kernels.iterate?.(X, gates, 1, penalties.perOutput);
  (await findDevice()).device.destroy();
  await expect(blocks?.step(0.1, 0)).rejects.toMatchObject({ name: "ConvexError", code: "engine/lost" });
  await expect(blocks?.gradient(new Float64Array(20))).rejects.toThrow(/The model is as it was: fit again/);
  blocks?.dispose();

  const { kernels: anew } = await chooseEngine("webgpu");
  const again = await anew.iterate?.(X, gates, 1, penalties.perOutput);
  expect(await again?.read()).toMatchObject({ index: Int32Array.of() });
  again?.dispose();
});

test("a lost WebGL context ends a fit with engine/lost, and the model's weights are as they were", async () => {
  const { error, before, after, left } = await fitAndLoseContext("webgl");
  expect(error).toMatchObject({ name: "ConvexError", code: "engine/lost" });
  expect(after).toEqual(before);
  expect(left).toBe(0);
  await expect(chooseEngine("webgl")).rejects.toMatchObject({ code: "engine/unavailable" });
});
