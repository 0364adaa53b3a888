import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import { reducedRows, rowSpaceOf } from "../../../src/convex/operators/axes/index.js";
import type { LossName, Matrix } from "../../../src/convex/types.js";
import { ConvexReLUTrainer, certify, type FitResult, optimalSet, type TrainerOptions } from "../../../src/index.js";
import { makeModel } from "../../helpers/models.js";
import { gaussianMatrix, matrixOf, targetsFor } from "../../helpers/problems.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

/** n rows in d dimensions that lie near a subspace of dimension r, around a center. */
function nearly(n: number, d: number, r: number, noise: number, center = 0) {
  const [A, B, E] = [gaussianMatrix(n, r, 1), gaussianMatrix(r, d, 2), gaussianMatrix(n, d, 3)];
  const data = new Float64Array(n * d);
  for (let k = 0; k < n; k++) {
    for (let p = 0; p < d; p++) {
      for (let i = 0; i < r; i++) data[k * d + p] += A.data[k * r + i] * B.data[i * d + p];
      data[k * d + p] += noise * E.data[k * d + p] + center * (1 + p);
    }
  }
  return matrixOf(n, d, data);
}

/** 14 rows of rank 2 in three dimensions without any rounding: whole numbers. */
const exact = (() => {
  const whole = gaussianMatrix(14, 2, 6).data.map((value) => Math.round(3 * value));
  return matrixOf(
    14,
    3,
    Array.from({ length: 14 }, (_, k) => [whole[2 * k], whole[2 * k + 1], whole[2 * k] - 2 * whole[2 * k + 1]]).flat(),
  );
})();

function tensors(loss: LossName, X: Matrix): { x: tf.Tensor2D; y: tf.Tensor2D } {
  const Y = targetsFor(loss, X, 1, 4);
  return {
    x: tf.tensor2d(Float32Array.from(X.data), [X.rows, X.cols]),
    y: tf.tensor2d(Float32Array.from(Y.data), [X.rows, 1]),
  };
}

async function fitOn(
  data: { x: tf.Tensor2D; y: tf.Tensor2D },
  options: TrainerOptions,
  loss: LossName = "meanSquaredError",
  bias = false,
): Promise<FitResult> {
  const trainer = new ConvexReLUTrainer({
    arrangements: { kind: "enumerate" },
    regularization: 0.05,
    tolerance: 1e-7,
    ...options,
  });
  return trainer.train(data.x, data.y, { loss, hiddenBias: bias, outputBias: false });
}

describe("rowSpaceOf", () => {
  test.each([
    [20, 6],
    [5, 9],
    [60, 40], // many: they are turned before they are rotated
    [40, 70],
  ])("the basis is orthonormal and leaves out a part whose spectral norm is the tail (%i x %i)", (n, d) => {
    const X = gaussianMatrix(n, d, 5);
    const full = rowSpaceOf(X, "numerical");
    expect(full.basis.cols).toBe(Math.min(n, d));
    expect(full.tail).toBe(0);
    const space = rowSpaceOf(X, 3);
    const { basis, tail } = space;
    for (let i = 0; i < 3; i++) {
      for (let j = 0; j < 3; j++) {
        let sum = 0;
        for (let p = 0; p < d; p++) sum += basis.data[p * 3 + i] * basis.data[p * 3 + j];
        expect(sum).toBeCloseTo(i === j ? 1 : 0, 12);
      }
    }
    const reduced = reducedRows(X, space);
    const rest = X.data.slice();
    for (let k = 0; k < n; k++) {
      for (let p = 0; p < d; p++)
        for (let i = 0; i < 3; i++) rest[k * d + p] -= reduced.data[k * 3 + i] * basis.data[p * 3 + i];
    }
    expect(spectralNorm(rest, n, d)).toBeCloseTo(tail, 9);
  });
});

describe("rank", () => {
  test.each(["relu", "gated"] as const)(
    "data of rank 2 in 3 dimensions: the same optimum, proven, from 2 dimensions (%s)",
    async (formulation) => {
      const data = tensors("meanSquaredError", exact);
      const result = await fitOn(data, { formulation, rank: "numerical" });
      expect(result.problem.program.X.cols).toBe(2);
      expect(result.model.layers[0].getWeights()[0].shape).toEqual([3, result.neurons]);
      const { certificate, objective } = result;
      expect(certificate.network / certificate.primal).toBeCloseTo(1, 6);
      expect(certificate.relativeGap).toBeLessThan(1e-5);
      const evaluated = tf.tidy(
        () => (result.model.evaluate(data.x, data.y, { batchSize: 14 }) as tf.Scalar).dataSync()[0],
      );
      expect(evaluated).toBeCloseTo(objective.loss, 5);
      if (formulation === "relu") {
        const full = await fitOn(data, {});
        expect(full.certificate.scope).toBe("all gates");
        expect(certificate.primal / full.certificate.primal).toBeCloseTo(1, 5);
        full.model.dispose();
      }
      const set = await optimalSet(result);
      const model = set.modelOf(set.fewest());
      expect(model.layers[0].getWeights()[0].shape[0]).toBe(3);
      model.dispose();
      result.model.dispose();
      tf.dispose([data.x, data.y]);
    },
  );

  test.each(["meanSquaredError", "binaryCrossentropy", "hinge", "huberLoss"] as const)(
    "the bound for x as it is lies below its optimum, and by no more than the factor 1 + R sigma / beta (%s)",
    async (loss) => {
      for (const noise of [0.003, 0.03]) {
        const X = nearly(14, 3, 2, noise);
        const data = tensors(loss, X);
        const full = await fitOn(data, {}, loss);
        const { certificate, problem } = await fitOn(data, { rank: 2 }, loss);
        const optimum = full.certificate.primal;
        expect(full.certificate.scope).toBe("all gates");
        expect(certificate.dual).toBeLessThanOrEqual(optimum * (1 + 1e-7));
        expect(certificate.network).toBeGreaterThanOrEqual(full.certificate.dual * (1 - 1e-6));
        // With slopes up to R the optimum in the span is at most (1 + R sigma / beta) times that of x as it is.
        const space = problem.reduction?.space;
        const tail = space !== undefined && "tail" in space ? space.tail : 0;
        const R = loss === "meanSquaredError" ? null : 1 / Math.sqrt(14);
        if (R !== null) {
          const factor = 1 + (R * tail) / 0.05;
          expect(certificate.primal).toBeLessThanOrEqual(optimum * factor * (1 + 1e-6));
          expect(certificate.dual).toBeGreaterThanOrEqual((certificate.primal / factor) * (1 - 1e-5));
        }
        expect(certificate.dual).toBeGreaterThan(0.5 * optimum);
        tf.dispose([data.x, data.y]);
      }
    },
  );

  test("with a hidden bias and validation data, and notes that say what was left out", async () => {
    const data = tensors("meanSquaredError", nearly(30, 6, 2, 1e-3));
    const model = makeModel({ units: 60, inputs: 6 });
    const trainer = new ConvexReLUTrainer({
      regularization: 0.02,
      rank: 2,
      arrangements: { kind: "sample", count: 80 },
    });
    const { history, notes, certificate } = await trainer.fit(model, data.x, data.y, {
      validationData: [data.x, data.y],
    });
    const losses = history.val_loss as number[];
    expect(losses[losses.length - 1]).toBeLessThanOrEqual(losses[0]);
    expect(notes.join(" ")).toMatch(
      /Solved in 2 of 6 dimensions: what is left out of x is at most .*e-[34] of it, in norm/,
    );
    expect(certificate.relativeGap).toBeLessThan(0.05);
    model.dispose();
    tf.dispose([data.x, data.y]);
  });

  test("in too few dimensions it is not solved, and the advice helps: with more of them it is", async () => {
    const data = tensors("meanSquaredError", nearly(10, 3, 2, 0.1));
    const few = await fitOn(data, { rank: 2, tolerance: 1e-4 });
    expect(few.certificate.relativeGap).toBeGreaterThan(1e-4);
    expect(few.status).toBe("stalled");
    expect(few.advice).toMatch(/in 2 dimensions is solved, but .* raise `rank`/);
    const all = await fitOn(data, { rank: 3, tolerance: 1e-4 });
    expect(all.certificate.relativeGap).toBeLessThanOrEqual(1e-4);
    expect(all.status).toBe("solved");
    for (const { model } of [few, all]) model.dispose();
    tf.dispose([data.x, data.y]);
  });
});

describe("pca", () => {
  test("centring and rotation are folded into the first layer: the model predicts what the reduced network does", async () => {
    const X = nearly(30, 6, 2, 0.01, 5);
    const data = tensors("meanSquaredError", X);
    const result = await fitOn(data, { pca: 2, arrangements: { kind: "sample", count: 80 } }, "meanSquaredError", true);
    const { problem, blocks, certificate, objective } = result;
    expect(problem.program.X.cols).toBe(3);
    const network = problem.formulation.recover(problem.program, blocks);
    const predictions = Array.from({ length: 30 }, (_, k) => {
      const row = problem.program.X.data.slice(3 * k, 3 * k + 3);
      return network.neurons.reduce(
        (sum, { direction, output }) => sum + Math.max(0, dot(row, direction)) * output[0],
        0,
      );
    });
    const said = tf.tidy(() => Array.from((result.model.predict(data.x) as tf.Tensor).dataSync()));
    said.forEach((value, k) => void expect(value).toBeCloseTo(predictions[k], 3));
    expect(certificate.network / certificate.primal).toBeCloseTo(1, 5);
    expect(certificate.claim).toContain("on 2 principal components of x");
    const evaluated = tf.tidy(
      () => (result.model.evaluate(data.x, data.y, { batchSize: 30 }) as tf.Scalar).dataSync()[0],
    );
    expect(evaluated).toBeCloseTo(objective.loss, 3);
    const decay = tf.tidy(() => result.model.calculateLosses().reduce((sum, term) => sum + term.dataSync()[0], 0));
    expect(decay).toBeCloseTo(objective.regularization, 5);
    result.model.dispose();
    tf.dispose([data.x, data.y]);
  });
});

describe("axes that time does not suffice for", () => {
  test.each([
    [{ pca: 10 }, "(on 10 directions of x, not its principal components)", 10],
    [{ pca: 10 }, "Time was up before the leading directions were known: these hold", 10],
    [{ rank: 10 }, "Patterns are those in the span of 10 directions of x", 10],
    [{ rank: 10 }, "Time was up before the leading directions were known: these hold", 10],
    [{ rank: "numerical" }, "", 200],
  ] as const)(
    "a fit with %j ends, says on what, and reports what its model evaluates to",
    async (options, said, columns) => {
      const data = tensors("meanSquaredError", gaussianMatrix(300, 200, 3));
      const trainer = new ConvexReLUTrainer({ ...options, regularization: 0.05, timeLimit: 1e-9 });
      const result = await trainer.train(data.x, data.y, { loss: "meanSquaredError" });
      expect(result.status).toBe("timeLimit");
      expect(result.problem.program.X.cols - 1).toBe(columns);
      expect(`${result.certificate.claim} ${result.notes.join(" ")}`).toContain(said);
      expect(result.certificate.dual).toBeLessThanOrEqual(result.certificate.primal);
      const evaluated = tf.tidy(() => (result.model.evaluate(data.x, data.y) as tf.Scalar).dataSync()[0]);
      expect(evaluated / result.objective.loss).toBeCloseTo(1, 4);
      result.model.dispose();
      tf.dispose([data.x, data.y]);
    },
  );
});

describe("beyond one fit", () => {
  const evaluate = (model: tf.Sequential, x: tf.Tensor, y: tf.Tensor) =>
    tf.tidy(() => (model.evaluate(x, y, { batchSize: x.shape[0] }) as tf.Scalar).dataSync()[0]);

  test.each(["relu", "gated"] as const)("a path in the span is the path of x as it is (%s)", async (formulation) => {
    const { x, y } = tensors("meanSquaredError", exact);
    const model = makeModel({ inputs: 3, formulation, hiddenBias: false, outputBias: false });
    const arrangements = { kind: "enumerate" } as const;
    const betas = [0.3, 0.1, 0.03];
    const count = tf.memory().numTensors;
    const trainer = (options: TrainerOptions) =>
      new ConvexReLUTrainer({ arrangements, tolerance: 1e-7, width: "resize", ...options });
    const reduced = await trainer({ rank: "numerical" }).path(model, x, y, { betas, validationData: [x, y] });
    const full = await trainer({}).path(model, x, y, { betas });
    expect(tf.memory().numTensors).toBe(count);
    reduced.points.forEach(({ certificate, metrics, blocks }, k) => {
      expect(blocks.vectors.length).toBe(2 * blocks.index.length);
      expect(certificate.relativeGap).toBeLessThan(1e-5);
      expect(certificate.network / certificate.primal).toBeCloseTo(1, 6);
      expect(metrics.val_loss).toBeCloseTo(metrics.loss, 12);
      const optimum = full.points[k].certificate;
      expect(certificate.dual).toBeLessThanOrEqual(optimum.primal * (1 + 1e-7));
      if (formulation === "relu") expect(certificate.primal / optimum.primal).toBeCloseTo(1, 5);
    });
    const written = reduced.write(reduced.points[2]);
    expect(written.layers[0].getWeights()[0].shape[0]).toBe(3);
    expect(evaluate(written, x, y)).toBeCloseTo(reduced.points[2].metrics.loss, 5);
    for (const each of new Set([model, written])) each.dispose();
    tf.dispose([x, y]);
  });

  test("cross-validation on principal components judges each fold on its own, and writes a model for x as it is", async () => {
    const { x, y } = tensors("meanSquaredError", nearly(40, 5, 2, 0.01, 3));
    const model = makeModel({ inputs: 5 });
    const trainer = new ConvexReLUTrainer({
      ...{ pca: 2, tolerance: 1e-3, width: "resize" },
      arrangements: { kind: "sample", count: 40 },
    });
    const { path, best, mean, model: chosen } = await trainer.crossValidate(model, x, y, { count: 6, folds: 4 });
    expect(mean[best]).toBeLessThan(mean[0]);
    const point = path.points[path.points.length - 1];
    expect(point.certificate.claim).toContain("on 2 principal components of x");
    expect(evaluate(chosen, x, y)).toBeCloseTo(point.metrics.loss, 3);
    for (const each of new Set([model, chosen])) each.dispose();
    tf.dispose([x, y]);
  });

  test.each([0, 0.003, 0.03])("certify in the span: its bound is one for x as it is (noise %d)", async (noise) => {
    const { x, y } = tensors("meanSquaredError", noise === 0 ? exact : nearly(14, 3, 2, noise));
    const arrangements = { kind: "enumerate" } as const;
    const model = makeModel({ inputs: 3, l2: 0.02, hiddenBias: false, outputBias: false });
    const options = { arrangements, tolerance: 1e-7 };
    const full = await certify(model, x, y, options);
    const count = tf.memory().numTensors;
    const quick = await certify(model, x, y, { arrangements, rank: 2 });
    const exactly = await certify(model, x, y, { ...options, rank: 2 });
    expect(tf.memory().numTensors).toBe(count);
    for (const { certificate } of [quick, exactly]) {
      expect(certificate.network).toBeCloseTo(full.certificate.network, 12);
      expect(certificate.primal).toBeCloseTo(full.certificate.primal, 12);
      expect(certificate.dual).toBeLessThanOrEqual(full.certificate.dual * (1 + 1e-6));
    }
    expect(quick.certificate.dual).toBeLessThanOrEqual(exactly.certificate.dual * (1 + 1e-9));
    expect(exactly.certificate.dual).toBeGreaterThan((1 - 1e-4 - 10 * noise) * full.certificate.dual);
    expect(exactly.notes.join(" ")).toContain("Solved in 2 of 3 dimensions");
    model.dispose();
    tf.dispose([x, y]);
  });

  test.each([30, 100_000])("a claim about all gates is about x as it is (%i cones)", async (cones) => {
    const { x, y } = tensors("meanSquaredError", nearly(14, 3, 2, 0.1));
    const model = makeModel({ inputs: 3, hiddenBias: false, outputBias: false });
    const options = { regularization: 0.02, tolerance: 1e-5, width: "resize" } as const;
    const best = await new ConvexReLUTrainer({ ...options, arrangements: { kind: "enumerate" } }).fit(model, x, y);
    const pricing = { kind: "branch-and-bound", cones } as const;
    const grown = new ConvexReLUTrainer({ ...options, arrangements: { kind: "grow" }, rank: 2, pricing });
    const { certificate, model: wide } = await grown.fit(model, x, y);
    const { allGates, claim } = certificate;
    if (allGates === null) throw new Error("expected a bound over all gates");
    expect(allGates.finished).toBe(cones > 30);
    expect(allGates.dual).toBeGreaterThan(0);
    expect(allGates.dual).toBeLessThan(best.certificate.primal);
    expect(claim).toContain(`below ${certificate.dual.toPrecision(8)};`);
    if (!allGates.finished) {
      expect(claim).toContain(`no such network has one below ${allGates.dual.toPrecision(8)}`);
      expect(claim).toContain("Patterns are those in the span of the first 2 singular vectors");
    }
    for (const each of new Set([model, best.model, wide])) each.dispose();
    tf.dispose([x, y]);
  });

  test("certify in the span counts the neurons of the model itself, not of their part in the span", async () => {
    const { x, y } = tensors("meanSquaredError", nearly(14, 3, 2, 0.1));
    const two = tf.tidy(() => y.concat(y.square(), 1));
    const model = makeModel({ inputs: 3, outputs: 2, l2: 0.02, hiddenBias: false, outputBias: false });
    const options = { arrangements: { kind: "enumerate" } } as const;
    const { certificate } = await certify(model, x, two, options);
    const reduced = (await certify(model, x, two, { ...options, rank: 2 })).certificate;
    expect(reduced.primal).toBeGreaterThanOrEqual(certificate.primal * (1 - 1e-12));
    expect(reduced.primal / certificate.primal).toBeLessThan(1.2);
    expect(reduced.dual).toBeLessThan(reduced.primal);
    model.dispose();
    tf.dispose([x, y, two]);
  });

  test("certify refuses a rank for gates that need not lie in the span", async () => {
    const { x, y } = tensors("meanSquaredError", exact);
    const model = makeModel({ inputs: 3, formulation: "gated", l2: 0.02 });
    await expect(certify(model, x, y, { rank: 2 })).rejects.toThrow("no rank for a gated model");
    model.dispose();
    tf.dispose([x, y]);
  });
});

describe("misuse is refused", () => {
  test.each([
    [{ rank: 0 }, {}, "rank: expected an integer of at least 1, got 0"],
    [{ rank: "some" }, {}, "rank: expected an integer"],
    [{ pca: 1.5 }, {}, "pca: expected an integer of at least 1, got 1.5"],
    [{ pca: 2, rank: 2 }, {}, "nothing beside pca"],
    [{ pca: 2 }, { hiddenBias: false }, "a first layer with a bias"],
    [{ pca: 2 }, { l2: 0.1 }, "without a biasRegularizer"],
    [{ rank: 2, vectorPenalty: "nuclear" }, { outputs: 2 }, 'vectorPenalty "perOutput" for a ReLU network beside rank'],
    [{ rank: 2, regularization: "interpolate" }, {}, 'no rank beside regularization "interpolate"'],
  ])("options %j, model %j", async (options, wish, message) => {
    const data = tensors("meanSquaredError", nearly(20, 3, 2, 0.1));
    const model = makeModel({ inputs: 3, ...wish });
    const y = tf.tidy(() => tf.tile(data.y, [1, model.outputs[0].shape[1] ?? 1]));
    const attempt = async () => new ConvexReLUTrainer(options as TrainerOptions).fit(model, data.x, y);
    await expect(attempt()).rejects.toThrow(message);
    model.dispose();
    tf.dispose([data.x, data.y, y]);
  });
});

function spectralNorm(data: Float64Array, n: number, d: number): number {
  let v = gaussianMatrix(1, d, 9).data;
  let norm = 0;
  for (let step = 0; step < 2000; step++) {
    const u = Float64Array.from({ length: n }, (_, k) => dot(data.subarray(k * d, (k + 1) * d), v));
    v = Float64Array.from({ length: d }, (_, p) => u.reduce((sum, value, k) => sum + value * data[k * d + p], 0));
    norm = Math.sqrt(dot(v, v));
    v = v.map((value) => value / norm);
  }
  return Math.sqrt(norm);
}

function dot(a: Float64Array, b: Float64Array): number {
  return a.reduce((sum, value, p) => sum + value * b[p], 0);
}
