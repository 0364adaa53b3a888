import * as tf from "@tensorflow/tfjs";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import {
  ConvexReLUTrainer,
  certify,
  describeNetwork,
  gatedDense,
  joinNetworks,
  lossSurface,
  optimalSet,
  type TrainerOptions,
} from "../../src/index.js";
import reference from "../reference/skip.json";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const ENUMERATED = { arrangements: { kind: "enumerate" }, vectorPenalty: "perOutput" } as const;

interface Wish {
  readonly features?: number;
  readonly outputs?: number;
  readonly loss?: string;
  readonly beta?: number | null; // null: no regularizer of the hidden layer and the read-out
  readonly l2?: number; // of the linear layer; 0: none
  readonly readOutBias?: number | null; // null: no bias
  readonly skipBias?: number | null;
  readonly gated?: boolean;
  readonly units?: number;
  readonly skips?: boolean;
  readonly metrics?: string[];
}

const l2Of = (l2: number | null) => (l2 === null || l2 === 0 ? null : tf.regularizers.l2({ l2 })) as never;
const ACTIVATIONS: Readonly<Record<string, string>> = {
  binaryCrossentropy: "sigmoid",
  categoricalCrossentropy: "softmax",
};

/** A hidden layer with its read-out, and beside both a linear layer. */
function modelOf(wish: Wish = {}): tf.LayersModel {
  const { features = 2, outputs = 1, loss = "meanSquaredError", beta = 0.01, l2 = 0, gated = false, metrics } = wish;
  const { readOutBias = 0, skipBias = null, units = 60, skips = true } = wish;
  const half = l2Of(beta === null ? null : beta / 2);
  const decay = { kernelRegularizer: half, biasRegularizer: half };
  const seeded = { kernelInitializer: tf.initializers.glorotNormal({ seed: 3 }) };
  const biased = (bias: number | null) => ({ useBias: bias !== null, biasRegularizer: l2Of(bias) });
  const inputs = tf.input({ shape: [features] });
  const hidden = gated
    ? gatedDense({ units, seed: 3, ...decay })
    : tf.layers.dense({ units, activation: "relu", ...decay, ...seeded });
  const last = tf.layers.dense({ units: outputs, kernelRegularizer: half, ...biased(readOutBias), ...seeded });
  const deep = last.apply(hidden.apply(inputs)) as tf.SymbolicTensor;
  const linear = tf.layers.dense({ units: outputs, kernelRegularizer: l2Of(l2), ...biased(skipBias), ...seeded });
  const sum = skips ? tf.layers.add().apply([deep, linear.apply(inputs) as tf.SymbolicTensor]) : deep;
  const activation = ACTIVATIONS[loss] ?? "linear";
  const end = tf.layers.activation({ activation: activation as "linear" }).apply(sum) as tf.SymbolicTensor;
  const model = tf.model({ inputs, outputs: end });
  const optimizer = tf.train.sgd(0.1);
  model.compile({ optimizer, loss, ...(metrics === undefined ? {} : { metrics }) });
  (model as unknown as { isOptimizerOwned: boolean }).isOptimizerOwned = true;
  return model;
}

function dataOf(rows = 14, features = 2, outputs = 1, seed = 1): { x: tf.Tensor2D; y: tf.Tensor2D } {
  const x = Float32Array.from(
    { length: rows * features },
    (_, k) => Math.sin(seed + k * 12.9898) * Math.cos(k * k * 0.37),
  );
  const y = Float32Array.from({ length: rows * outputs }, (_, k) => Math.sin(3 * k + seed + (k % 7)));
  return { x: tf.tensor2d(x, [rows, features]), y: tf.tensor2d(y, [rows, outputs]) };
}

const objectiveBy = (model: tf.LayersModel, x: tf.Tensor, y: tf.Tensor) =>
  tf.tidy(() => {
    const loss = (model.evaluate(x, y, { batchSize: x.shape[0] }) as tf.Scalar).dataSync()[0];
    return model.calculateLosses().reduce((sum, term) => sum + term.dataSync()[0], loss);
  });

/** The kernel of the linear layer. */
const kernelOf = (model: tf.LayersModel) => {
  const dense = model.layers.filter((layer) => layer.getClassName() === "Dense");
  const { features } = { features: model.inputs[0].shape[1] };
  const linear = dense.find(
    (layer) => layer.getConfig().activation === "linear" && layer.getWeights()[0].shape[0] === features,
  );
  return Array.from(linear?.getWeights()[0].dataSync() ?? []);
};

async function fitted(wish: Wish, x: tf.Tensor, y: tf.Tensor, options: TrainerOptions = {}) {
  const model = modelOf(wish);
  const result = await new ConvexReLUTrainer({ tolerance: 1e-8, ...ENUMERATED, ...options }).fit(model, x, y);
  return { model, result };
}

describe.each(reference.problems)(
  "$loss, l2 $l2, biases $readOutBias and $skipBias, $outputs outputs, gated: $gated",
  (problem) => {
    test("the fit over all patterns is the optimum that CVXPY has, and certify bounds any model by no more", async () => {
      const { loss, outputs, features, rows, optimum, within } = problem;
      const before = tf.memory().numTensors;
      const x = tf.tensor2d(problem.x, [rows, features]);
      const y = tf.tensor2d(problem.y, [rows, outputs]);
      const model = modelOf({ ...problem, units: 200 });
      const untrained = await certify(model, x, y, ENUMERATED);
      expect(untrained.objective.total).toBeCloseTo(objectiveBy(model, x, y), 4);
      expect(untrained.certificate.dual).toBeLessThanOrEqual(optimum * (1 + within));
      const result = await new ConvexReLUTrainer({ tolerance: 1e-7, ...ENUMERATED }).fit(model, x, y);
      expect(result.status).toBe("solved");
      expect(result.gates.count).toBe(problem.patterns);
      expect(result.certificate.scope).toBe("all gates");
      expect(result.certificate.primal).toBeGreaterThanOrEqual(optimum * (1 - within));
      expect(result.certificate.primal).toBeLessThanOrEqual(optimum * (1 + 2 * within));
      expect(result.certificate.dual).toBeLessThanOrEqual(optimum * (1 + within));
      expect(result.certificate.network).toBeLessThanOrEqual(optimum * (1 + 1e-5));
      expect(objectiveBy(model, x, y)).toBeCloseTo(result.objective.total, 5);
      const trained = await certify(model, x, y, ENUMERATED);
      expect(trained.certificate.dual).toBeLessThanOrEqual(optimum * (1 + within));
      expect(trained.objective.total).toBeCloseTo(result.objective.total, 6);
      expect(loss).toBe(model.loss);
      tf.dispose([x, y]);
      model.dispose();
      expect(tf.memory().numTensors).toBe(before);
    });
  },
);
