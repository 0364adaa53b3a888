/** What becomes of the work when a device goes away. */

import * as tf from "@tensorflow/tfjs";
import { expect, test } from "vitest";
import { sampleGates } from "../../../src/convex/arrangements/index.js";
import { chooseEngine } from "../../../src/convex/kernels/index.js";
import { findDevice } from "../../../src/convex/kernels/webgpuDevice.js";
import { penalties } from "../../../src/convex/penalties/index.js";
import { ConvexReLUTrainer } from "../../../src/index.js";
import { makeData, makeModel, weightsIn } from "../../helpers/models.js";
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
  await tf.setBackend("webgl");
  const { x, y } = makeData("meanSquaredError", 20, 3);
  const model = makeModel({ formulation: "gated", units: 20 });
  const twin = weightsIn(makeModel({ formulation: "gated", units: 20 })); // what is read is kept on the host: not the model's own
  const { gl } = (tf.backend() as unknown as { gpgpu: { gl: WebGL2RenderingContext } }).gpgpu;
  const lose = () => gl.getExtension("WEBGL_lose_context")?.loseContext();
  const trainer = new ConvexReLUTrainer({ engine: "webgl", tolerance: 1e-9 });
  await expect(trainer.fit(model, x, y, { callbacks: { onEpochEnd: async () => lose() } })).rejects.toMatchObject({
    name: "ConvexError",
    code: "engine/lost",
  });
  expect(weightsIn(model)).toEqual(twin);
  await expect(chooseEngine("webgl")).rejects.toMatchObject({ code: "engine/unavailable" });
});
