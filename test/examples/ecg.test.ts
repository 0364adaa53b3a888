import * as tf from "@tensorflow/tfjs";
import { beforeAll, expect, test } from "vitest";
import { linearPredictor, predictNext } from "../../examples/ecg/experiment.js";
import { madeSignal, windowsOf } from "../../examples/ecg/signal.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

test("a convex network predicts the next sample of a heartbeat better than a linear predictor, with a proof", async () => {
  const signal = madeSignal(500, 2);
  const [train, check] = [windowsOf(signal, 15, 0, 300), windowsOf(signal, 15, 300, 500)];
  const { result, description, errors } = await predictNext(train, check, 3e-4);
  expect(result.status).toBe("solved");
  expect(result.certificate.relativeGap).toBeLessThan(2e-3);
  expect(errors.network).toBeLessThan(0.8 * errors.linear);
  expect(errors.linear).toBeLessThan(0.5 * errors.last);
  expect(description.neurons.length).toBe(result.neurons);
  expect(description.neurons.every(({ samples }) => samples > 0 && samples <= 285)).toBe(true);
  result.model.dispose();
});

test("the linear predictor finds a linear recurrence exactly", () => {
  const signal = Float64Array.from({ length: 80 }, (_, k) => Math.sin(0.3 * k) + 0.5 * Math.cos(0.7 * k));
  const windows = windowsOf(signal, 15, 0, 80);
  const predict = linearPredictor(windows);
  for (let k = 0; k < windows.rows; k++) {
    expect(predict(windows.x.subarray(15 * k, 15 * k + 15))).toBeCloseTo(windows.y[k], 5);
  }
});
