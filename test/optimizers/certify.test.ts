import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import { lossNames, lossTraits } from "../../src/convex/losses/index.js";
import { type Certificate, type CertifyOptions, ConvexError, ConvexReLUTrainer, certify } from "../../src/index.js";
import { makeConvModel, makeImages } from "../helpers/convModels.js";
import { makeData, makeModel, weightsIn } from "../helpers/models.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

function evaluate(model: tf.Sequential, x: tf.Tensor, y: tf.Tensor): number {
  return tf.tidy(() => (model.evaluate(x, y, { batchSize: x.shape[0] }) as tf.Scalar).dataSync()[0]);
}

/** What is said of the convex program, whose neurons feed one output each where there are several. */
function ofOneOutput({ certificate }: { certificate: Certificate }) {
  return certificate.perOutput ?? certificate;
}

describe.each(["relu", "gated"] as const)("a %s model", (formulation) => {
  test.each(lossNames)("that nobody trained: the bound holds, and the trainer goes on from it (%s)", async (loss) => {
    const { x, y } = makeData(loss);
    const model = makeModel({
      loss,
      formulation,
      l2: 2e-3,
      units: 90,
      ...(lossTraits[loss].targets === "distribution" ? {} : { outputs: 1 }),
    });
    const before = weightsIn(model);
    const tensors = tf.memory().numTensors;
    const quick = await certify(model, x, y);
    const exact = await certify(model, x, y, { tolerance: 1e-5 });
    expect(tf.memory().numTensors).toBe(tensors);
    expect(weightsIn(model)).toEqual(before);
    expect(evaluate(model, x, y)).toBeCloseTo(quick.objective.loss, 5);
    expect(quick.certificate.network).toBeCloseTo(quick.objective.total, 12);
    expect(quick.balanced).toBeLessThanOrEqual(quick.objective.total * (1 + 1e-12));
    expect(quick.certificate.dual).toBeLessThanOrEqual(exact.certificate.dual);
    expect(exact.certificate.dual).toBeLessThanOrEqual(exact.certificate.primal);
    const result = await new ConvexReLUTrainer({ tolerance: 1e-5 }).fit(model, x, y, { warmStart: exact });
    expect(result.certificate.primal).toBeLessThanOrEqual(exact.certificate.primal);
    expect(result.certificate.primal).toBeGreaterThanOrEqual(exact.certificate.dual * (1 - 1e-9));
    expect(ofOneOutput(result).primal).toBeLessThanOrEqual(ofOneOutput(exact).dual * (1 + 3e-5));
    tf.dispose([x, y]);
    model.dispose();
  });

  test("that the trainer has made: its own residual proves it", async () => {
    const { x, y } = makeData();
    const trainer = new ConvexReLUTrainer({ formulation, tolerance: 1e-6, regularization: 4e-3 });
    const { model, certificate } = await trainer.train(x, y, { loss: "meanSquaredError" });
    const proof = await certify(model, x, y);
    expect(proof.certificate.relativeGap).toBeLessThan(1e-3); // float32 weights, and the neurons' gates only
    expect(proof.certificate.network).toBeCloseTo(certificate.network, 8);
    expect(proof.balanced).toBeCloseTo(proof.objective.total, 6);
    tf.dispose([x, y]);
    model.dispose();
  });
});

test("few rows: the bound is about all arrangements, and training by Adam ends above it", async () => {
  const { x, y } = makeData("meanSquaredError", 10, 2);
  const model = makeModel({ inputs: 2, l2: 1e-2, hiddenBias: false, outputBias: false });
  model.compile({ optimizer: tf.train.adam(0.01), loss: "meanSquaredError" });
  await model.fit(x, y, { epochs: 300, batchSize: 10, verbose: 0 });
  const { certificate, objective } = await certify(model, x, y, { tolerance: 1e-6 });
  expect(certificate.scope).toBe("all gates");
  expect(certificate.claim).toMatch(/all 20 arrangements/);
  expect(certificate.evidence).toBeNull();
  expect(objective.total).toBeGreaterThan(certificate.dual);
  expect(certificate.relativeGap).toBeGreaterThan(1e-6);
  expect(certificate.relativeGap).toBeLessThan(0.2);
  tf.dispose([x, y]);
  model.dispose();
});

test("the gates of the model are searched beyond, and what was found is evidence", async () => {
  const { x, y } = makeData("meanSquaredError", 60, 6);
  const model = makeModel({ inputs: 6, units: 4, l2: 1e-3 });
  const { certificate, gates, engine } = await certify(model, x, y, { tolerance: 1e-3, engine: "cpu" });
  expect(certificate.scope).toBe("these gates");
  expect(gates.count).toBeLessThanOrEqual(4);
  expect(certificate.evidence?.bestRatio).toBeGreaterThan(1);
  expect(engine).toMatch(/^cpu/);
  tf.dispose([x, y]);
  model.dispose();
});

test("branch and bound: the bound is about all gates, at once loosely, with a tolerance to within it", async () => {
  const { x, y } = makeData("meanSquaredError", 60, 2);
  const model = makeModel({ inputs: 2, units: 4, l2: 5e-3, outputBias: false });
  const pricing = { kind: "branch-and-bound" } as const;
  const quick = await certify(model, x, y, { pricing });
  expect(quick.certificate.scope).toBe("all gates");
  expect(quick.certificate.claim).toMatch(/^No network with any activation patterns/);
  const exact = await certify(model, x, y, { pricing, tolerance: 1e-4 });
  expect(exact.certificate.scope).toBe("all gates");
  expect(exact.certificate.dual).toBeGreaterThan(quick.certificate.dual);
  expect(exact.certificate.dual).toBeLessThan(exact.objective.total);
  const trainer = new ConvexReLUTrainer({ pricing, tolerance: 1e-4, width: "resize" });
  const result = await trainer.fit(model, x, y);
  expect(result.certificate.scope).toBe("all gates");
  expect(result.certificate.relativeGap).toBeLessThanOrEqual(1e-4);
  expect(result.certificate.primal / exact.certificate.dual).toBeCloseTo(1, 3);
  const hurried = await certify(model, x, y, { pricing: { kind: "branch-and-bound", cones: 1 } });
  expect(hurried.certificate.scope).toBe("these gates");
  expect(hurried.certificate.allGates?.finished).toBe(false);
  expect(hurried.certificate.allGates?.dual).toBeLessThanOrEqual(exact.certificate.primal);
  expect(hurried.certificate.claim).toMatch(/With any activation patterns no such network has one below/);
  tf.dispose([x, y]);
  if (result.model !== model) result.model.dispose();
  model.dispose();
});

test("a model whose neurons feed several outputs is bounded as it is, and as the program of one-output neurons has it", async () => {
  const { x, y } = makeData("meanSquaredError", 25, 3, 2);
  const model = makeModel({ outputs: 2, l2: 1e-3 });
  const { certificate, notes } = await certify(model, x, y);
  const { primal, dual, network, neurons, claim, perOutput } = certificate;
  expect(neurons).toBe("feed all outputs");
  expect(primal).toBe(network);
  expect(dual).toBeLessThanOrEqual(primal);
  expect(claim).not.toMatch(/one output/);
  expect(perOutput?.primal).toBeGreaterThan(primal); // each of its neurons counts twice
  expect(perOutput?.dual).toBeLessThanOrEqual(perOutput?.primal ?? 0);
  expect(notes.join(" ")).toMatch(/counts a neuron of the model that feeds several as several/);
  tf.dispose([x, y]);
  model.dispose();
});

test.each([
  { kind: "conv2d", readOut: "average" },
  { kind: "conv2d", readOut: "flatten", padding: "same" },
  { kind: "gatedConv2D", readOut: "flatten" },
  { kind: "conv1d", readOut: "flatten" },
] as const)("a convolutional model is judged too: %o", async (shape) => {
  const model = makeConvModel({ ...shape, l2: 2e-3, filters: 6 });
  const { x, y } = makeImages(model);
  const { certificate, objective, gates, blocks } = await certify(model, x, y, { tolerance: 1e-4 });
  expect(evaluate(model, x, y)).toBeCloseTo(objective.loss, 5);
  expect(certificate.dual).toBeLessThanOrEqual(certificate.primal);
  const trainer = new ConvexReLUTrainer({ tolerance: 1e-4, width: "resize" });
  const result = await trainer.fit(model, x, y, { warmStart: { gates, blocks } });
  expect(result.certificate.primal).toBeGreaterThanOrEqual(certificate.dual * (1 - 1e-9));
  expect(ofOneOutput(result).primal).toBeLessThanOrEqual(ofOneOutput({ certificate }).dual * (1 + 3e-4));
  tf.dispose([x, y]);
  if (result.model !== model) result.model.dispose();
  model.dispose();
});

test("a frozen model may be judged", async () => {
  const { x, y } = makeData();
  const model = makeModel({ l2: 1e-3 });
  model.layers[0].trainable = false;
  expect((await certify(model, x, y)).certificate.dual).toBeGreaterThanOrEqual(0);
  tf.dispose([x, y]);
  model.dispose();
});

const wrong: [name: string, options: object, says: RegExp][] = [
  ["an unknown option", { budget: 3 }, /certify: expected options among .* got "budget"/],
  ["growing gates", { arrangements: { kind: "grow" } }, /arrangements that do not grow/],
  ["a tolerance that is none", { tolerance: 0 }, /tolerance: expected a finite number above 0, got 0/],
];
test.each(wrong)("certify refuses %s", async (_, options, says) => {
  const { x, y } = makeData();
  const model = makeModel({ l2: 1e-3 });
  await expect(certify(model, x, y, options as CertifyOptions)).rejects.toThrow(says);
  tf.dispose([x, y]);
  model.dispose();
});

test("certify refuses weights that are no numbers", async () => {
  const { x, y } = makeData();
  const model = makeModel({ l2: 1e-3 });
  const [kernel, ...rest] = model.layers[1].getWeights();
  const spoilt = tf.fill(kernel.shape, Number.NaN);
  model.layers[1].setWeights([spoilt, ...rest]);
  const error = await certify(model, x, y).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(ConvexError);
  expect((error as ConvexError).code).toBe("model/weights");
  tf.dispose([x, y, spoilt]);
  model.dispose();
});
