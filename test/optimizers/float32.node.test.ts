import * as tf from "@tensorflow/tfjs";
import { expect, test } from "vitest";
import { ConvexReLUTrainer } from "../../src/index.js";
import { makeData, makeModel } from "../helpers/models.js";

test("a gap that float32 blocks can't reach ends as stalled, with advice, and with a certificate that holds", async () => {
  const { x, y } = makeData("meanSquaredError", 40, 2);
  const model = makeModel({ formulation: "gated", units: 10, inputs: 2 });
  const { status, advice, certificate } = await new ConvexReLUTrainer({
    engine: "tfjs",
    tolerance: 1e-13,
    regularization: 0.02,
  }).fit(model, x, y);
  expect(status).toBe("stalled");
  expect(advice).toMatch(/float64 `engine`/);
  expect(certificate.relativeGap).toBeLessThan(1e-6);
  expect(certificate.dual).toBeLessThanOrEqual(certificate.primal);
  tf.dispose([x, y]);
  model.dispose();
});
