import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import { certify, floorOf, relativeGap } from "../../src/convex/certificate/index.js";
import { ConvexReLUTrainer, type TrainerOptions } from "../../src/index.js";
import { gaussianMatrix, randomProgram } from "../helpers/problems.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

interface Layers {
  readonly loss: string;
  readonly activation?: "softmax" | "sigmoid";
  readonly bias?: boolean;
}

async function fitted(X: Float64Array, Y: readonly number[][], layers: Layers, options: TrainerOptions = {}) {
  const [n, C] = [Y.length, Y[0].length];
  const { loss, activation, bias: useBias = true } = layers;
  const hidden = tf.layers.dense({ units: 30, activation: "relu", inputShape: [X.length / n], useBias });
  const model = tf.sequential({
    layers: [hidden, tf.layers.dense({ units: C, activation: activation ?? "linear", useBias })],
  });
  model.compile({ optimizer: "sgd", loss });
  const [x, y] = [tf.tensor2d(Float32Array.from(X), [n, X.length / n]), tf.tensor2d(Y.map((row) => [...row]))];
  const result = await new ConvexReLUTrainer({ threads: 1, ...options }).fit(model, x, y);
  model.dispose();
  tf.dispose([x, y]);
  return result;
}

describe("objectives that are next to nothing", () => {
  const X = gaussianMatrix(12, 2, 3).data;

  test("rows of one class are fitted, and that is solved", async () => {
    const oneClass = Array.from({ length: 12 }, () => [1, 0]);
    const { status: softmax, certificate } = await fitted(
      X,
      oneClass,
      { loss: "categoricalCrossentropy", activation: "softmax" },
      { regularization: 0.01 },
    );
    expect(softmax).toBe("solved");
    expect(certificate.primal).toBeLessThan(1e-9);
    const { status } = await fitted(
      X,
      oneClass.map(() => [1]),
      { loss: "binaryCrossentropy", activation: "sigmoid" },
      { regularization: 0.01 },
    );
    expect(status).toBe("solved");
  });

  test.each([1e9, 1e13])("long columns, whose weights cost nothing, are solved (times %d)", async (scale) => {
    const Y = Array.from({ length: 12 }, (_, k) => [Math.abs(X[2 * k])]);
    const { status, certificate } = await fitted(
      X.map((value) => scale * value),
      Y,
      { loss: "meanSquaredError", bias: false },
      { regularization: 1e-6, arrangements: { kind: "enumerate" } },
    );
    expect(status).toBe("solved");
    expect(certificate.network).toBeLessThan(1e-9);
  });

  test.each([1e15, 1e-26, 1e6])(
    "targets of any size are fitted as they would be near one (times %d)",
    async (scale) => {
      const Y = Array.from({ length: 12 }, (_, k) => [scale * Math.sin(3 * X[2 * k] + X[2 * k + 1])]);
      const { status, certificate } = await fitted(
        X,
        Y,
        { loss: "meanSquaredError" },
        { regularization: scale * 1e-3 },
      );
      expect(status).toBe("solved");
      expect(certificate.relativeGap).toBeLessThanOrEqual(1e-4);
      expect(certificate.network).toBeLessThanOrEqual(certificate.primal * (1 + 1e-4));
    },
  );

  test("an offset of the targets, which the output bias takes up, hides no gap", async () => {
    const wave = Array.from({ length: 12 }, (_, k) => Math.sin(3 * X[2 * k] + X[2 * k + 1]));
    const at = async (offset: number) =>
      fitted(
        X,
        wave.map((value) => [value + offset]),
        { loss: "meanSquaredError" },
        { regularization: 1e-3 },
      );
    const [near, far] = [await at(0), await at(1e5)];
    expect(far.status).toBe("solved");
    expect(far.certificate.primal).toBeLessThan(near.certificate.primal * 1.05);
  });
});

describe("a bound above the objective", () => {
  const program = randomProgram({ rows: 6, features: 2, gates: 4, cones: true, seed: 5 });
  const gap = (primal: number, dual: number) => ({ primal, dual, relative: relativeGap(primal, dual, program) });

  test("is the objective where rounding explains it", () => {
    const { dual, relativeGap: relative } = certify(gap(0.5, 0.5 * (1 + 1e-12)), 0.5, program);
    expect(dual).toBe(0.5);
    expect(relative).toBe(0);
    const nothing = floorOf(program) * 1e-3;
    expect(certify(gap(nothing, nothing + 1e-10 * floorOf(program)), nothing, program).dual).toBe(nothing);
  });

  test("stays for all to see where it does not", () => {
    const { dual, relativeGap: relative } = certify(gap(0.5, 0.501), 0.5, program);
    expect(dual).toBe(0.501);
    expect(relative).toBeCloseTo(-0.002, 9);
  });
});
