import * as tf from "@tensorflow/tfjs";
import { describe, expect, test } from "vitest";
import { ConvexReLUTrainer, registerLayers } from "../../src/index.js";
import { type ConvModelOptions, makeConvModel, makeImages } from "../helpers/convModels.js";
import { deviceEngines } from "../helpers/deviceEngines.js";
import { makeData, makeModel } from "../helpers/models.js";

registerLayers();
const convolutions: readonly ConvModelOptions[] = [
  { readOut: "average", inputShape: [4, 5, 2], outputs: 2, padding: "same", strides: 2 },
  { readOut: "flatten", inputShape: [5, 3, 1], windows: { size: 2 }, outputs: 3 },
];

describe.each(deviceEngines)("engine $name", ({ name, engine, prepare }) => {
  test("a gated fit with several outputs runs on it, leaves no tensor, and evaluates to its objective", async () => {
    await prepare();
    const { x, y } = makeData("meanSquaredError", 24, 3, 2);
    const before = tf.memory().numTensors;
    const trainer = new ConvexReLUTrainer({
      engine,
      formulation: "gated",
      arrangements: { kind: "sample", count: 12 },
      tolerance: 1e-2,
      regularization: 0.2,
    });
    const result = await trainer.train(x, y, { loss: "meanSquaredError" });
    expect([result.solver, result.status]).toEqual(["fista", "solved"]);
    expect(result.engine, name).toMatch(new RegExp(`^${engine}: asked for; float32 on .*, certificate in float64 by `));
    const loss = result.model.evaluate(x, y) as tf.Scalar;
    expect((await loss.data())[0] / result.objective.loss).toBeCloseTo(1, 4);
    expect(result.certificate.network).toBeLessThanOrEqual(result.certificate.primal * (1 + 1e-5));
    loss.dispose();
    result.model.dispose();
    expect(tf.memory().numTensors).toBe(before);
    tf.dispose([x, y]);
  });

  test.each(convolutions)("gated filters of %o are fitted on it, with a bound in float64", async (options) => {
    await prepare();
    const model = makeConvModel({ kind: "gatedConv2D", filters: 60, l2: 0.1, ...options });
    const { x, y } = makeImages(model, "meanSquaredError", 14);
    const before = tf.memory().numTensors;
    const arrangements = { kind: "sample", count: 6 } as const;
    const fitOn = (on: typeof engine) =>
      new ConvexReLUTrainer({ engine: on, arrangements, tolerance: 1e-2 }).fit(model, x, y);
    const result = await fitOn(engine);
    expect([result.solver, result.status]).toEqual(["fista", "solved"]);
    expect(result.engine, name).toMatch(new RegExp(`^${engine}: asked for; float32 on .*, certificate in float64 by `));
    const loss = tf.tidy(() => model.evaluate(x, y, { batchSize: 14 }) as tf.Scalar);
    expect((await loss.data())[0] / result.objective.loss).toBeCloseTo(1, 4);
    expect(result.certificate.network).toBeLessThanOrEqual(result.certificate.primal * (1 + 1e-5));
    const host = await fitOn("wasm");
    expect(result.certificate.dual).toBeLessThanOrEqual(host.certificate.primal);
    expect(result.certificate.primal).toBeGreaterThanOrEqual(host.certificate.dual);
    loss.dispose();
    expect(tf.memory().numTensors).toBe(before);
    tf.dispose([x, y]);
    model.dispose();
  });
});

test("the result says how many threads worked, and their number changes no weight", async () => {
  const { x, y } = makeData("meanSquaredError", 300, 12);
  const arrangements = { kind: "sample", count: 300 } as const;
  const fits = [1, 3].map(async (threads) => {
    const trainer = new ConvexReLUTrainer({ formulation: "gated", arrangements, threads, tolerance: 1e-5 });
    const result = await trainer.train(x, y, { loss: "meanSquaredError" });
    const weights = result.model.getWeights().flatMap((weight) => [...weight.dataSync()]);
    result.model.dispose();
    return { engine: result.engine, weights };
  });
  const [one, three] = await Promise.all(fits);
  expect(one.engine).toMatch(/^wasm: SIMD float64, .*; 1 thread$/);
  expect(three.engine).toMatch(/^wasm: SIMD float64, .*; [123] threads?( \(.*\))?$/);
  expect(three.weights).toEqual(one.weights);
  tf.dispose([x, y]);
});

test("a ReLU program is solved on the host whatever device is asked for, and the result says so", async () => {
  const { x, y } = makeData("meanSquaredError", 20, 2);
  const model = makeModel({ units: 40, inputs: 2 });
  const result = await new ConvexReLUTrainer({ engine: "tfjs", tolerance: 1e-3 }).fit(model, x, y);
  expect(result.solver).toBe("proximal-newton");
  expect(result.engine).toMatch(
    /^wasm: "tfjs" was asked for, but the solver proximal-newton works in float64 on the host/,
  );
  tf.dispose([x, y]);
  model.dispose();
});

test("a loss with kinks goes to the host's solver on a device engine", async () => {
  const { x, y } = makeData("hinge", 30, 2);
  const model = makeModel({ units: 40, inputs: 2, outputBias: false, loss: "hinge", formulation: "gated" });
  const result = await new ConvexReLUTrainer({ engine: "tfjs", regularization: 0.1 }).fit(model, x, y);
  expect([result.solver, result.status]).toEqual(["proximal-newton", "solved"]);
  tf.dispose([x, y]);
  model.dispose();
});
