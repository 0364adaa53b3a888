/** A ReLU network whose device goes away; a file of its own, since a context that is lost stays lost. */

import * as tf from "@tensorflow/tfjs";
import { expect, test } from "vitest";
import { findDevice } from "../../../src/convex/kernels/webgpu/device.js";
import { ConvexReLUTrainer } from "../../../src/index.js";
import { fitAndLoseContext } from "../../helpers/lostContext.js";
import { makeData, makeModel, weightsIn } from "../../helpers/models.js";

const arrangements = { kind: "sample", count: 10 } as const;

test("a lost WebGPU device ends a fit of a ReLU network with engine/lost, and its weights are as they were", async () => {
  const { x, y } = makeData("meanSquaredError", 20, 3);
  const model = makeModel({ units: 20 });
  const before = weightsIn(model);
  const onEpochEnd = async () => (await findDevice()).device.destroy();
  const trainer = new ConvexReLUTrainer({ engine: "webgpu", arrangements, tolerance: 1e-9 });
  const fit = trainer.fit(model, x, y, { callbacks: { onEpochEnd } });
  await expect(fit).rejects.toMatchObject({ name: "ConvexError", code: "engine/lost" });
  expect(weightsIn(model)).toEqual(before);
  tf.dispose([x, y]);
  model.dispose();
});

test("a lost WebGL context does the same", async () => {
  const { error, before, after, left } = await fitAndLoseContext("webgl", "relu");
  expect(error).toMatchObject({ name: "ConvexError", code: "engine/lost" });
  expect(after).toEqual(before);
  expect(left).toBe(0);
});
