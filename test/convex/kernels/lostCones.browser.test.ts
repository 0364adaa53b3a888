/** A ReLU network whose device goes away; a file of its own, since a context that is lost stays lost. */

import * as tf from "@tensorflow/tfjs";
import { expect, test } from "vitest";
import { findDevice } from "../../../src/convex/kernels/webgpu/device.js";
import { ConvexReLUTrainer } from "../../../src/index.js";
import { fitAndLoseContext } from "../../helpers/lostContext.js";
import { makeData, makeModel, weightsIn } from "../../helpers/models.js";

const arrangements = { kind: "sample", count: 10 } as const;

test("fits of ReLU networks give every buffer of a WebGPU device back", async () => {
  const { device } = await findDevice();
  const create = device.createBuffer;
  let [made, given] = [0, 0];
  device.createBuffer = (how) => {
    const buffer = create.call(device, how);
    const destroy = buffer.destroy;
    made += 1;
    buffer.destroy = () => {
      given += 1;
      return destroy.call(buffer);
    };
    return buffer;
  };
  const { x, y } = makeData("meanSquaredError", 20, 2);
  for (let fit = 0; fit < 5; fit++) {
    const trainer = new ConvexReLUTrainer({ engine: "webgpu", arrangements, tolerance: 1e-2, regularization: 0.3 });
    const result = await trainer.train(x, y, { loss: "meanSquaredError" });
    expect(result.solver).toBe("splitting");
    result.model.dispose();
  }
  device.createBuffer = create;
  tf.dispose([x, y]);
  expect(made).toBeGreaterThan(50);
  expect(given).toBe(made);
});

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
