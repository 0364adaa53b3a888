import * as tf from "@tensorflow/tfjs";
import { describe, expect, test } from "vitest";
import { ConvexReLUTrainer, registerLayers } from "../../src/index.js";
import { type ConvModelOptions, makeConvModel, makeImages } from "../helpers/convModels.js";
import { coneEngines, deviceEngines } from "../helpers/deviceEngines.js";
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

describe.each(coneEngines)("what is split on engine $name", ({ name, engine, prepare }) => {
  const fitOn = async (
    on: typeof engine,
    formulation: "relu" | "gated",
    loss: "meanSquaredError" | "meanAbsoluteError",
  ) => {
    const { x, y } = makeData(loss, 20, 2);
    const arrangements = { kind: "sample", count: 12 } as const;
    const before = tf.memory().numTensors;
    const common = { engine: on, formulation, arrangements, tolerance: 1e-3 };
    const trainer = new ConvexReLUTrainer({ ...common, regularization: 0.05 });
    const result = await trainer.train(x, y, { loss });
    const value = result.model.evaluate(x, y) as tf.Scalar;
    const evaluated = (await value.data())[0];
    value.dispose();
    expect(
      result.model
        .getWeights()[0]
        .dataSync()
        .some((weight) => weight !== 0),
    ).toBe(true);
    result.model.dispose();
    const left = tf.memory().numTensors - before;
    tf.dispose([x, y]);
    return { result, evaluated, left };
  };

  test.each([
    ["relu", "meanSquaredError"],
    ["gated", "meanAbsoluteError"],
  ] as const)(
    "%s, %s: is fitted there to the host's optimum, evaluates to its objective, and leaves no tensor",
    async (formulation, loss) => {
      await prepare();
      const { result, evaluated, left } = await fitOn(engine, formulation, loss);
      const { result: host } = await fitOn("wasm", formulation, loss);
      expect([result.solver, result.status, left]).toEqual(["splitting", "solved", 0]);
      expect(result.engine, name).toMatch(
        new RegExp(`^${engine}: asked for; float32 on .*, certificate in float64 by `),
      );
      expect(evaluated / result.objective.loss).toBeCloseTo(1, 4);
      expect(result.certificate.relativeGap).toBeLessThanOrEqual(1e-3);
      expect(result.certificate.primal).toBeLessThanOrEqual(1.0011 * host.certificate.primal);
      expect(result.certificate.dual).toBeLessThanOrEqual(host.certificate.primal);
    },
  );
});

test("a ReLU network grows its gates between solves on the device", async () => {
  const { x, y } = makeData("meanSquaredError", 20, 2);
  const model = makeModel({ units: 40, inputs: 2, l2: 0.05 });
  const result = await new ConvexReLUTrainer({ engine: "tfjs", tolerance: 1e-2 }).fit(model, x, y);
  expect([result.solver, result.status]).toEqual(["splitting", "solved"]);
  expect(result.engine).toMatch(/^tfjs: asked for; float32 on /);
  expect(
    model
      .getWeights()[0]
      .dataSync()
      .some((weight) => weight !== 0),
  ).toBe(true);
  tf.dispose([x, y]);
  model.dispose();
});

test("digits that float32 does not have come on the host, and the result says so", async () => {
  const { x, y } = makeData("meanSquaredError", 16, 2);
  const arrangements = { kind: "sample", count: 6 } as const;
  const trainer = new ConvexReLUTrainer({ engine: "tfjs", arrangements, tolerance: 1e-8, regularization: 0.05 });
  const result = await trainer.train(x, y, { loss: "meanSquaredError" });
  expect([result.solver, result.status]).toEqual(["splitting", "solved"]);
  expect(result.engine).toMatch(/; the last digits in float64 on the host; \d+ thread/);
  result.model.dispose();
  tf.dispose([x, y]);
});

test("a ReLU network that no device keeps is solved on the host, and the result says so", async () => {
  const { x, y } = makeData("meanSquaredError", 20, 2);
  const arrangements = { kind: "sample", count: 12 } as const;
  const trainer = new ConvexReLUTrainer({ engine: "gpujs", arrangements, tolerance: 1e-3 });
  const result = await trainer.train(x, y, { loss: "meanSquaredError" });
  expect(result.solver).toBe("proximal-newton");
  expect(result.engine).toMatch(
    /^wasm: "gpujs" was asked for, but the solver proximal-newton works in float64 on the host/,
  );
  result.model.dispose();
  tf.dispose([x, y]);
});

test("a loss with kinks goes to the host's solver on a device engine where a norm of several outputs is charged", async () => {
  const { x, y } = makeData("hinge", 30, 2, 2);
  const model = makeModel({ units: 40, inputs: 2, outputs: 2, outputBias: false, loss: "hinge", formulation: "gated" });
  const result = await new ConvexReLUTrainer({ engine: "tfjs", regularization: 0.1 }).fit(model, x, y);
  expect([result.solver, result.status]).toEqual(["proximal-newton", "solved"]);
  tf.dispose([x, y]);
  model.dispose();
});
