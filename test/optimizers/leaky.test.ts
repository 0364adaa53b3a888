import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import {
  ConvexReLUTrainer,
  certify,
  describeNetwork,
  type FitResult,
  joinNetworks,
  lossSurface,
  optimalSet,
} from "../../src/index.js";
import { objectiveOf } from "../helpers/objective.js";
import reference from "../reference/leaky.json";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

interface Wish {
  readonly slope: number;
  readonly features: number;
  readonly patches?: number;
  readonly loss?: string;
  readonly beta?: number | null; // null: no regularizers
  readonly outputs?: number;
  readonly units?: number;
}

/** Dense or convolutional, beta / 2 on all weights but the output bias, which there is none of. */
function modelOf({ slope, features, patches = 1, loss = "meanSquaredError", beta = 0.01, ...more }: Wish) {
  const { outputs = 1, units = 60 } = more;
  const l2 = () => (beta === null ? null : tf.regularizers.l2({ l2: beta / 2 }));
  const decay = { kernelRegularizer: l2(), biasRegularizer: l2() } as object;
  const seeded = { kernelInitializer: tf.initializers.glorotNormal({ seed: 3 }) };
  const activation = loss === "binaryCrossentropy" ? "sigmoid" : "linear";
  const last = tf.layers.dense({
    units: outputs,
    useBias: false,
    activation,
    kernelRegularizer: l2() as never,
    ...seeded,
  });
  const first =
    patches === 1
      ? [tf.layers.dense({ units, inputShape: [features], ...decay, ...seeded }), tf.layers.leakyReLU({ alpha: slope })]
      : [
          tf.layers.conv1d({ filters: units, kernelSize: 1, inputShape: [patches, features], ...decay, ...seeded }),
          tf.layers.leakyReLU({ alpha: slope }),
          tf.layers.globalAveragePooling1d(),
        ];
  const model = tf.sequential({ layers: [...first, last] });
  model.compile({ optimizer: "sgd", loss });
  return model;
}

function dataOf(rows: number, features: number, outputs = 1): { x: tf.Tensor; y: tf.Tensor } {
  const x = Float32Array.from(
    { length: rows * features },
    (_, k) => Math.sin(1 + k * 12.9898) * Math.cos(k * k * 0.37),
  );
  const y = Float32Array.from({ length: rows * outputs }, (_, k) => Math.sin(3 * k + (k % 7)));
  return { x: tf.tensor2d(x, [rows, features]), y: tf.tensor2d(y, [rows, outputs]) };
}

describe.each(reference.problems)("alpha $slope, $loss, $patches patches", (problem) => {
  test("the fit, over all patterns or with branch and bound over those it grows, is the optimum that CVXPY has", async () => {
    const { slope, features, patches, loss, beta, rows, optimum } = problem;
    const before = tf.memory().numTensors;
    const model = modelOf({ slope, features, patches, loss, beta });
    const x = tf.tensor(problem.x, patches === 1 ? [rows, features] : [rows, patches, features]);
    const y = tf.tensor(problem.y, [rows, 1]);
    const result = await new ConvexReLUTrainer({ tolerance: 1e-6, arrangements: { kind: "enumerate" } }).fit(
      model,
      x,
      y,
    );
    expect(result.status).toBe("solved");
    expect(result.gates.count).toBe(problem.patterns);
    expect(result.certificate.scope).toBe("all gates");
    expect(result.certificate.primal).toBeGreaterThanOrEqual(optimum * (1 - 1e-8));
    expect(result.certificate.primal).toBeLessThanOrEqual(optimum * (1 + 2e-6));
    expect(result.certificate.dual).toBeLessThanOrEqual(optimum * (1 + 1e-8));
    expect(objectiveOf(model, x, y)).toBeCloseTo(result.objective.total, 5);
    if (loss !== "hinge") {
      const pricing = { kind: "branch-and-bound" } as const;
      const grown = await new ConvexReLUTrainer({ tolerance: 1e-5, arrangements: { kind: "grow" }, pricing }).fit(
        model,
        x,
        y,
      );
      expect(grown.certificate.scope).toBe("all gates");
      expect(grown.certificate.primal).toBeLessThanOrEqual(optimum * (1 + 2e-5));
      expect(grown.certificate.dual).toBeLessThanOrEqual(optimum * (1 + 1e-8));
      const { certificate } = await certify(model, x, y);
      expect(certificate.dual).toBeLessThanOrEqual(optimum * (1 + 1e-8));
    }
    tf.dispose([x, y]);
    model.optimizer.dispose();
    model.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe("what takes ReLU takes leakyReLU({ alpha: 0.3 }) and alpha: -1, the absolute value", () => {
  test.each([0.3, -1])(
    "alpha %d: optima have one objective, the set writes them, and neurons are described",
    async (slope) => {
      const model = modelOf({ slope, features: 2, beta: 6e-3 });
      const { x, y } = dataOf(20, 2);
      const result = await new ConvexReLUTrainer({ arrangements: { kind: "enumerate" }, tolerance: 1e-6 }).fit(
        model,
        x,
        y,
      );
      const set = await optimalSet(result);
      const small = set.fewest();
      expect(small.objective).toBeCloseTo(result.objective.total, 6);
      set.write(model, small);
      expect(objectiveOf(model, x, y)).toBeCloseTo(result.objective.total, 5);
      const described = await describeNetwork(model, x);
      // Contributions and the outputs have one variance, whatever is open.
      const predicted = Array.from((model.predict(x) as tf.Tensor).dataSync());
      const mean = predicted.reduce((sum, value) => sum + value / 20, 0);
      expect(described.variance).toBeCloseTo(
        predicted.reduce((sum, value) => sum + (value - mean) ** 2 / 20, 0),
        5,
      );
      const surface = await lossSurface(model, x, y, { resolution: 3, span: 0.1 });
      expect(surface.objective).toBeCloseTo(result.objective.total, 5);
      tf.dispose([x, y]);
    },
  );

  test.each([0.3, -1])("alpha %d: on one input the description is the function, piece by piece", async (slope) => {
    const model = modelOf({ slope, features: 1, beta: 2e-3 });
    const { x, y } = dataOf(14, 1);
    await new ConvexReLUTrainer().fit(model, x, y);
    const { piecewise } = await describeNetwork(model, x);
    expect(piecewise?.kinks.length).toBeGreaterThan(0);
    const probes = Float32Array.from({ length: 41 }, (_, k) => -2 + k / 10 + 1e-3);
    const values = (model.predict(tf.tensor2d(probes, [41, 1])) as tf.Tensor).dataSync();
    probes.forEach((t, k) => {
      const segment = piecewise?.segments.find(({ from, to }) => from <= t && t <= to);
      expect((segment?.offset[0] ?? 0) + (segment?.slope[0] ?? 0) * t).toBeCloseTo(values[k], 4);
    });
    tf.dispose([x, y]);
  });

  test.each([0.3, -1])("alpha %d: a path and cross-validation run over their betas", async (slope) => {
    const model = modelOf({ slope, features: 2, beta: null });
    const { x, y } = dataOf(18, 2);
    const { points } = await new ConvexReLUTrainer().path(model, x, y, { betas: [0.1, 0.03, 0.01] });
    points.reduce((before, { objective }) => {
      expect(objective.total).toBeLessThan(before);
      return objective.total;
    }, Number.POSITIVE_INFINITY);
    const { best } = await new ConvexReLUTrainer().crossValidate(model, x, y, { folds: 3, betas: [0.1, 0.01] });
    expect([0, 1]).toContain(best);
    tf.dispose([x, y]);
  });

  test("two networks are joined on one level, and those of another alpha are not", async () => {
    const { x, y } = dataOf(16, 2);
    const [a, b, other] = [0.3, 0.3, 0.2].map((slope) => modelOf({ slope, features: 2, beta: 6e-3 }));
    await new ConvexReLUTrainer({ seed: 1 }).fit(a, x, y);
    const { barrier } = await joinNetworks(a, b, x, y, { steps: 5 });
    expect(barrier).toBeLessThan(1e-6);
    await expect(joinNetworks(a, other, x, y)).rejects.toMatchObject({ code: "model/layer" });
    tf.dispose([x, y]);
  });

  test("several outputs share neurons, and the bound is below the network", async () => {
    const model = modelOf({ slope: -1, features: 2, outputs: 2, beta: 6e-3, units: 80 });
    const { x, y } = dataOf(16, 2, 2);
    const result: FitResult = await new ConvexReLUTrainer({ tolerance: 1e-3 }).fit(model, x, y);
    expect(result.certificate.neurons).toBe("feed all outputs");
    expect(objectiveOf(model, x, y)).toBeCloseTo(result.objective.total, 5);
    expect(result.certificate.dual).toBeLessThanOrEqual(result.certificate.network);
    tf.dispose([x, y]);
  });

  test("alpha 1 is a linear network, alpha 0 is ReLU, and an alpha that is no number is refused by name", async () => {
    const { x, y } = dataOf(16, 2);
    const linear = modelOf({ slope: 1, features: 2 });
    expect((await new ConvexReLUTrainer().fit(linear, x, y)).problem.formulation.name).toBe("linear");
    const relu = modelOf({ slope: 0, features: 2 });
    expect((await new ConvexReLUTrainer().fit(relu, x, y)).problem.program.pooling).toBe(null);
    const none = modelOf({ slope: Number.NaN, features: 2 });
    await expect(new ConvexReLUTrainer().fit(none, x, y)).rejects.toThrow(
      /leakyReLU layer whose alpha is a finite number/,
    );
    tf.dispose([x, y]);
  });
});
