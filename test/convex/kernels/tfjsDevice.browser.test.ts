/** The WebGPU engine beside the tfjs backend of that name. */

import * as tf from "@tensorflow/tfjs";
import "@tensorflow/tfjs-backend-webgpu";
import { expect, test } from "vitest";
import { sampleGates } from "../../../src/convex/arrangements/index.js";
import { chooseEngine } from "../../../src/convex/kernels/index.js";
import { findDevice } from "../../../src/convex/kernels/webgpu/device.js";
import { penalties } from "../../../src/convex/penalties/index.js";
import { gaussianMatrix } from "../../helpers/problems.js";

test("where the tfjs backend webgpu is current, the engine works on its device, and agrees with the ops of tfjs there", async () => {
  expect(await tf.setBackend("webgpu")).toBe(true);
  const { device } = tf.backend() as unknown as { device: GPUDevice };
  expect((await findDevice()).device).toBe(device);
  const X = gaussianMatrix(40, 7, 1);
  const gates = sampleGates(X, { count: 12, seed: 1 });
  const R = gaussianMatrix(40, 2, 2).data;
  const products: Float64Array[] = [];
  for (const engine of ["webgpu", "tfjs"] as const) {
    const blocks = await (await chooseEngine(engine)).kernels.iterate?.(X, gates, 2, penalties.perOutput);
    const Z = new Float64Array(80);
    await blocks?.gradient(R);
    await blocks?.step(-1, 5);
    await blocks?.forward(Z);
    blocks?.dispose();
    products.push(Z);
  }
  const [mine, composed] = products;
  const largest = Math.max(...composed.map(Math.abs));
  expect(largest).toBeGreaterThan(1);
  mine.forEach((value, k) => {
    expect(Math.abs(value - composed[k])).toBeLessThan(1e-5 * largest);
  });
});
