import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import type { LossName } from "../../src/convex/types.js";
import { type Certificate, ConvexReLUTrainer, certify, type TrainerOptions } from "../../src/index.js";
import { makeConvModel, makeImages } from "../helpers/convModels.js";
import { makeData, makeModel } from "../helpers/models.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

/** A claim, its numbers and its network agree. */
function expectConsistent(certificate: Certificate): void {
  const { primal, dual, relativeGap, network, claim, neurons, perOutput } = certificate;
  expect(dual).toBeLessThanOrEqual(primal);
  expect(relativeGap).toBeCloseTo((primal - dual) / Math.max(Math.abs(primal), 1e-300), 10);
  expect(network).toBeLessThanOrEqual(primal * (1 + 1e-5));
  expect(network).toBeGreaterThanOrEqual(dual * (1 - 1e-6));
  expect(claim).toContain(`below ${dual.toPrecision(8)}; this one has ${network.toPrecision(8)}`);
  const one = /neurons each feed one output.*feed several outputs, which the layers can be too, are not among them/;
  if (neurons === "feed one output each") expect(claim).toMatch(one);
  else expect(claim).not.toMatch(/one output/);
  if (perOutput !== null) {
    expect(perOutput.dual).toBeLessThanOrEqual(perOutput.primal);
    expect(perOutput.claim).toMatch(/neurons each feed one output/);
    expect(primal).toBeLessThanOrEqual(perOutput.primal * (1 + 1e-9));
  }
}

/** The least objective that Adam finds for a model of the same layers, whose neurons may feed all outputs. */
async function leastByAdam(loss: LossName, x: tf.Tensor2D, y: tf.Tensor2D, l2: number): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let seed = 1; seed <= 3; seed++) {
    const model = makeModel({ loss, outputs: y.shape[1], units: 30, inputs: x.shape[1], l2, hiddenBias: false });
    const initializer = tf.initializers.glorotNormal({ seed });
    model.layers.forEach((layer) => {
      layer.setWeights(layer.getWeights().map((weight) => initializer.apply(weight.shape)));
    });
    model.compile({ optimizer: tf.train.adam(0.02), loss });
    await model.fit(x, y, { epochs: 150, batchSize: x.shape[0], verbose: 0, shuffle: false });
    const { balanced } = await certify(model, x, y);
    least = Math.min(least, balanced);
    model.dispose();
  }
  return least;
}

describe.each([
  ["meanSquaredError", 2],
  ["meanSquaredError", 4],
  ["categoricalCrossentropy", 3],
] as const)("%s with %i outputs", (loss, outputs) => {
  test.each([1, 2])(
    "the certificate is about networks that share outputs: no descent is below its bound (data %i)",
    async (seed) => {
      const { x, y } = makeData(loss, 12, 2, outputs, seed);
      const l2 = 5e-3;
      const model = makeModel({ loss, outputs, inputs: 2, units: 60, l2, hiddenBias: false });
      const tolerance = 1e-3;
      const result = await new ConvexReLUTrainer({ tolerance, width: "resize" }).fit(model, x, y);
      const { certificate, status, advice, history } = result;
      expectConsistent(certificate);
      expect(certificate).toMatchObject({ neurons: "feed all outputs", scope: "all gates" });
      expect(status).toBe(certificate.relativeGap <= tolerance ? "solved" : "stalled");
      if (status === "stalled") {
        expect(advice).toMatch(/vectorPenalty: "perOutput"/);
        const followed = new ConvexReLUTrainer({ tolerance, width: "resize", vectorPenalty: "perOutput" });
        expect((await followed.fit(model, x, y)).status).toBe("solved");
      }
      const gaps = history.relativeGap as number[];
      const losses = history.loss as number[];
      gaps.forEach((gap, k) => {
        // Every round's bound is one of all networks: none is above the best that was found.
        expect(losses[k] * (1 - gap)).toBeLessThanOrEqual(certificate.primal * (1 + 1e-9));
      });
      expect(history.perOutputGap.length).toBe(gaps.length);
      expect(await leastByAdam(loss, x, y, l2)).toBeGreaterThanOrEqual(certificate.dual * (1 - 1e-6));
      const judged = await certify(result.model, x, y);
      expectConsistent(judged.certificate);
      expect(judged.certificate.neurons).toBe("feed all outputs");
      expect(judged.certificate.dual).toBeLessThanOrEqual(certificate.primal * (1 + 1e-6));
      tf.dispose([x, y]);
      model.dispose();
    },
  );
});

const trainerOf = (options: TrainerOptions) => new ConvexReLUTrainer({ width: "resize", tolerance: 1e-3, ...options });

test.each([
  ["vectorPenalty perOutput", "meanSquaredError", { vectorPenalty: "perOutput" }],
  ["a hinge loss", "hinge", {}],
  ["absolute errors", "meanAbsoluteError", {}],
  ["fewer dimensions", "meanSquaredError", { rank: 2 }],
  ["sampled gates", "meanSquaredError", { arrangements: { kind: "sample", count: 10 } }],
] as [string, LossName, TrainerOptions][])(
  "where sharing is not looked for, the claim names networks of one-output neurons: %s",
  async (_, loss, options) => {
    const { x, y } = makeData(loss, 12, 3, 2, 3);
    const model = makeModel({ loss, outputs: 2, units: 60, l2: 0.01, hiddenBias: false });
    const { certificate, history } = await trainerOf(options).fit(model, x, y);
    expectConsistent(certificate);
    expect(certificate).toMatchObject({ neurons: "feed one output each", perOutput: null });
    expect(history.perOutputGap).toBeUndefined();
    const judged = await certify(model, x, y, { ...(options.rank === undefined ? {} : { rank: options.rank }) });
    expectConsistent({ ...judged.certificate, perOutput: null });
    expect(judged.certificate.neurons).toBe("feed all outputs");
    tf.dispose([x, y]);
    model.dispose();
  },
);

test("a path, and patches that are read out apart, name networks of one-output neurons too", async () => {
  const { x, y } = makeData("meanSquaredError", 12, 2, 2);
  const model = makeModel({ outputs: 2, inputs: 2, units: 60 });
  const { points } = await trainerOf({}).path(model, x, y, { count: 2, ratio: 0.1 });
  for (const { certificate } of points) expect(certificate.neurons).toBe("feed one output each");
  const conv = makeConvModel({ readOut: "flatten", kernelSize: 3, l2: 0.02 });
  const images = makeImages(conv, "meanSquaredError", 8);
  const sampled = trainerOf({ arrangements: { kind: "sample", count: 8 } });
  const { certificate } = await sampled.fit(conv, images.x, images.y);
  expectConsistent(certificate);
  expect(certificate.neurons).toBe("feed one output each");
  tf.dispose([x, y, images.x, images.y]);
  model.dispose();
});
