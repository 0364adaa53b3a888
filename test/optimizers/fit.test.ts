import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import { lossNames } from "../../src/convex/losses/index.js";
import { ConvexReLUTrainer, FitResult } from "../../src/index.js";
import { type ModelOptions, makeData, makeModel, weightsIn } from "../helpers/models.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

/** Evaluates in one batch, so that tfjs's own rounding is that of one mean. */
function evaluate(model: tf.Sequential, x: tf.Tensor, y: tf.Tensor): number {
  return tf.tidy(() => (model.evaluate(x, y, { batchSize: x.shape[0] }) as tf.Scalar).dataSync()[0]);
}

function regularizers(model: tf.Sequential): number {
  return tf.tidy(() => model.calculateLosses().reduce((sum, loss) => sum + loss.dataSync()[0], 0));
}

const trainer = (options = {}) =>
  new ConvexReLUTrainer({ arrangements: { kind: "sample", count: 60, seed: 1 }, tolerance: 1e-5, ...options });

describe.each(["relu", "gated"] as const)("formulation %s", (formulation) => {
  describe.each(lossNames)("loss %s", (loss) => {
    test("the model evaluates to exactly the objective that is reported, and the proof holds for it", async () => {
      const { x, y } = makeData(loss);
      const model = makeModel({ loss, formulation, l2: 2e-3, units: 120 });
      const { objective, certificate, status, neurons } = await trainer().fit(model, x, y);
      expect(status).toBe("solved");
      expect(certificate.relativeGap).toBeLessThanOrEqual(1e-5);
      expect(evaluate(model, x, y)).toBeCloseTo(objective.loss, 5);
      expect(regularizers(model)).toBeCloseTo(objective.regularization, 5);
      expect(objective.total).toBeCloseTo(objective.loss + objective.regularization, 12);
      expect(certificate.network).toBeCloseTo(objective.total, 12);
      expect(certificate.network).toBeLessThanOrEqual(certificate.primal * (1 + 1e-6) + 1e-7);
      expect(certificate.dual).toBeLessThanOrEqual(certificate.primal);
      expect(neurons).toBeLessThanOrEqual(31 * (y.shape[1] ?? 1));
      tf.dispose([x, y]);
      model.dispose();
    });

    test("train builds a model exactly as wide as needed, with the same objective", async () => {
      const { x, y } = makeData(loss);
      const result = await trainer({ formulation, regularization: 4e-3 }).train(x, y, { loss, metrics: "accuracy" });
      const { model, objective, certificate, neurons } = result;
      expect(model.layers[0].getWeights()[0].shape[1]).toBe(neurons);
      const values = model.evaluate(x, y, { batchSize: 30 }) as tf.Scalar[];
      expect(values[0].dataSync()[0]).toBeCloseTo(objective.loss, 5);
      expect(regularizers(model)).toBeCloseTo(objective.regularization, 5);
      expect(certificate.network).toBeCloseTo(objective.total, 12);
      expect(certificate.relativeGap).toBeLessThanOrEqual(1e-5);
      tf.dispose([x, y, ...values]);
      model.dispose();
    });
  });
});

const shapes: ModelOptions[] = [
  { hiddenBias: false, outputBias: false },
  { hiddenBias: true, outputBias: false },
  { hiddenBias: false, outputBias: true },
  { hiddenBias: true, outputBias: true },
  { outputs: 2 },
  { outputs: 2, formulation: "gated", loss: "hinge" },
  { l2: 1e-3 },
  { l2: 1e-3, biasL2: 5e-4 },
];
describe.each(shapes)("a model with %o", (shape) => {
  test("its own objective is reported, and what the certificate charges beyond it is said in a note", async () => {
    const { x, y } = makeData(shape.loss ?? "meanSquaredError", 25, 3, shape.outputs ?? 1);
    const model = makeModel({ ...shape, units: 100 });
    const { objective, certificate, regularization, notes } = await trainer().fit(model, x, y);
    expect(evaluate(model, x, y)).toBeCloseTo(objective.loss, 5);
    if (shape.l2 !== undefined) {
      expect(regularization.source).toBe("model");
      expect(regularization.beta).toBeCloseTo(2 * shape.l2, 12);
      expect(regularizers(model)).toBeCloseTo(objective.regularization, 6);
    } else {
      expect(regularization.source).toBe("share");
      expect(notes.join(" ")).toMatch(/1e-3 of the smallest beta/);
    }
    const charged = shape.hiddenBias !== false && shape.l2 === undefined;
    expect(notes.some((note) => note.includes("hidden bias"))).toBe(charged);
    if (charged) expect(objective.total).toBeLessThanOrEqual(certificate.network);
    else expect(objective.total).toBeCloseTo(certificate.network, 12);
    tf.dispose([x, y]);
    model.dispose();
  });
});

test("beta of the model is 2 sqrt(g1 g2), and the neurons are balanced by it", async () => {
  const { x, y } = makeData();
  const model = tf.sequential({
    layers: [
      tf.layers.dense({
        units: 80,
        activation: "relu",
        inputShape: [3],
        useBias: false,
        kernelRegularizer: tf.regularizers.l2({ l2: 4e-3 }),
      }),
      tf.layers.dense({ units: 1, useBias: false, kernelRegularizer: tf.regularizers.l2({ l2: 1e-3 }) }),
    ],
  });
  model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
  const { regularization, certificate } = await trainer().fit(model, x, y);
  expect(regularization.beta).toBeCloseTo(4e-3, 12);
  expect(evaluate(model, x, y) + regularizers(model)).toBeCloseTo(certificate.network, 6);
  const [kernel, output] = model.getWeights().map((weight) => weight.dataSync());
  for (let j = 0; j < 80; j++) {
    const w = Math.hypot(...[0, 1, 2].map((p) => kernel[p * 80 + j]));
    expect(4e-3 * w * w).toBeCloseTo(1e-3 * output[j] ** 2, 6);
  }
  tf.dispose([x, y]);
  model.dispose();
});

describe("XOR (tensorflow/tfjs#411)", () => {
  const seeds = Array.from({ length: 20 }, (_, seed) => seed);
  test.each(["meanSquaredError", "binaryCrossentropy"] as const)("is solved with %s from every seed", async (loss) => {
    const x = tf.tensor2d([
      [0, 0],
      [0, 1],
      [1, 0],
      [1, 1],
    ]);
    const y = tf.tensor2d([[0], [1], [1], [0]]);
    for (const seed of seeds) {
      const model = makeModel({ loss, inputs: 2, units: 8 });
      const { certificate } = await new ConvexReLUTrainer({ seed }).fit(model, x, y);
      const prediction = tf.tidy(() => (model.predict(x) as tf.Tensor).dataSync());
      expect(Array.from(prediction, (value) => (value > 0.5 ? 1 : 0))).toEqual([0, 1, 1, 0]);
      expect(certificate.relativeGap).toBeLessThanOrEqual(1e-4);
      model.dispose();
    }
    tf.dispose([x, y]);
  });

  test("the same seed gives the same weights twice", async () => {
    const { x, y } = makeData();
    const runs: number[][][] = [];
    for (let k = 0; k < 2; k++) {
      const model = makeModel();
      await new ConvexReLUTrainer({ seed: 5 }).fit(model, x, y);
      runs.push(weightsIn(model));
      model.dispose();
    }
    expect(runs[0]).toEqual(runs[1]);
    tf.dispose([x, y]);
  });
});

describe("progress", () => {
  test("callbacks fire as in model.fit, and the result is a tf.History of the rounds", async () => {
    const { x, y } = makeData("binaryCrossentropy");
    const model = makeModel({ loss: "binaryCrossentropy", metrics: ["accuracy"] });
    const events: string[] = [];
    const result = await trainer().fit(model, x, y, {
      validationSplit: 0.2,
      callbacks: {
        onTrainBegin: () => void events.push("begin"),
        onEpochBegin: (epoch: number) => void events.push(`+${epoch}`),
        onEpochEnd: (epoch: number, logs?: tf.Logs) =>
          void events.push(`-${epoch} ${Object.keys(logs ?? {}).join(" ")}`),
        onTrainEnd: () => void events.push("end"),
      },
    });
    const rounds = result.epoch.length;
    expect(result).toBeInstanceOf(FitResult);
    expect(result).toBeInstanceOf(tf.History);
    expect(events.length).toBe(2 + 2 * rounds);
    expect(events.slice(0, 3)).toEqual(["begin", "+0", "-0 loss acc val_loss val_acc relativeGap seconds"]);
    expect(events[events.length - 1]).toBe("end");
    for (const name of ["loss", "acc", "val_loss", "val_acc", "relativeGap", "seconds"]) {
      expect(result.history[name]).toHaveLength(rounds);
    }
    const gaps = result.history.relativeGap as number[];
    expect(gaps[rounds - 1]).toBe(result.certificate.relativeGap);
    for (let k = 1; k < rounds; k++) expect(gaps[k]).toBeLessThanOrEqual(gaps[k - 1]);
    tf.dispose([x, y]);
    model.dispose();
  });

  test("val_loss and val_acc are what model.evaluate says of the validation data", async () => {
    const { x, y } = makeData("categoricalCrossentropy", 40);
    const other = makeData("categoricalCrossentropy", 20, 3, 3, 7);
    const model = makeModel({ loss: "categoricalCrossentropy", metrics: ["accuracy"], units: 100 });
    const { history } = await trainer().fit(model, x, y, { validationData: [other.x, other.y] });
    const values = model.evaluate(other.x, other.y, { batchSize: 20 }) as tf.Scalar[];
    expect((history.val_loss as number[]).at(-1)).toBeCloseTo(values[0].dataSync()[0], 4);
    expect((history.val_acc as number[]).at(-1)).toBeCloseTo(values[1].dataSync()[0], 6);
    tf.dispose([x, y, other.x, other.y, ...values]);
    model.dispose();
  });

  test("model.stopTraining and tf.callbacks.earlyStopping end the fit, with the best point written", async () => {
    const { x, y } = makeData();
    for (const callbacks of [
      {
        onEpochEnd: (epoch: number) => {
          if (epoch === 1) model.stopTraining = true;
        },
      },
      tf.callbacks.earlyStopping({ monitor: "loss", minDelta: 1e9, patience: 1 }),
    ]) {
      model = makeModel();
      const before = weightsIn(model);
      const result = await trainer({ tolerance: 1e-12 }).fit(model, x, y, { callbacks });
      expect(result.status).toBe("cancelled");
      expect(result.epoch).toHaveLength(2);
      expect(weightsIn(model)).not.toEqual(before);
      expect(evaluate(model, x, y)).toBeCloseTo(result.objective.loss, 5);
      model.dispose();
    }
    tf.dispose([x, y]);
  });
  let model: tf.Sequential;

  test("a signal stops it, also before it began, and so does the time limit", async () => {
    const { x, y } = makeData();
    const before = new AbortController();
    before.abort();
    const during = new AbortController();
    const stops = [
      { options: { signal: before.signal }, status: "cancelled" },
      { options: { signal: during.signal }, status: "cancelled" },
      { options: { timeLimit: 1e-6 }, status: "timeLimit" },
      { options: { maxIterations: 1 }, status: "iterationLimit" },
    ];
    for (const { options, status } of stops) {
      model = makeModel();
      const result = await trainer({ tolerance: 1e-13, ...options }).fit(model, x, y, {
        callbacks: { onEpochEnd: () => during.abort() },
      });
      expect(result.status).toBe(status);
      expect(result.advice).toMatch(/\.$/);
      expect(result.certificate.dual).toBeLessThanOrEqual(result.certificate.primal);
      expect(evaluate(model, x, y)).toBeCloseTo(result.objective.loss, 5);
      model.dispose();
    }
    tf.dispose([x, y]);
  });

  test("the time limit counts from the call: what is spent before the solver is not the solver's any more", async () => {
    const { x, y } = makeData();
    model = makeModel();
    const began = performance.now();
    const late = () => {
      while (performance.now() - began < 60) Math.random();
    };
    const result = await trainer({ tolerance: 1e-13, timeLimit: 0.05 }).fit(model, x, y, {
      callbacks: { onTrainBegin: late },
    });
    expect(result.status).toBe("timeLimit");
    expect(result.epoch).toHaveLength(1);
    model.dispose();
    tf.dispose([x, y]);
  });

  test("a warm start begins at the solution", async () => {
    const { x, y } = makeData();
    const first = makeModel();
    const earlier = await trainer().fit(first, x, y);
    const second = makeModel();
    const { epoch, certificate } = await new ConvexReLUTrainer({ tolerance: 1e-4 }).fit(second, x, y, {
      warmStart: earlier,
    });
    expect(epoch.length).toBeLessThan(earlier.epoch.length);
    expect(certificate.primal).toBeCloseTo(earlier.certificate.primal, 6);
    tf.dispose([x, y]);
    first.dispose();
    second.dispose();
  });
});

test("a warm start brings its gates: other arrangements beside it, or another shape, are refused; growing ones begin with it", async () => {
  const { x, y } = makeData();
  const model = makeModel({ units: 90 });
  const earlier = await trainer().fit(model, x, y);
  await expect(trainer().fit(model, x, y, { warmStart: earlier })).rejects.toThrow(
    /warmStart: expected no arrangements beside it/,
  );
  const wide = makeModel({ units: 90, outputs: 2 });
  const two = makeData("meanSquaredError", 30, 3, 2);
  const plain = new ConvexReLUTrainer({ regularization: 0.01 });
  await expect(plain.fit(wide, x, two.y, { warmStart: earlier })).rejects.toThrow(/with 2 outputs, got one with 1/);
  const growing = new ConvexReLUTrainer({
    arrangements: { kind: "grow", starts: 30 },
    regularization: earlier.regularization.beta,
  });
  const grown = await growing.fit(model, x, y, { warmStart: earlier });
  expect(grown.certificate.primal).toBeLessThanOrEqual(earlier.certificate.primal * (1 + 1e-9));
  tf.dispose([x, y, two.x, two.y]);
  model.dispose();
  wide.dispose();
});

test("models that the trainer made go on with model.fit", async () => {
  const { x, y } = makeData();
  const narrow = makeModel({ units: 1 });
  const { model: built } = await trainer().train(x, y, { loss: "meanSquaredError" });
  const { model: wider } = await trainer({ width: "resize" }).fit(narrow, x, y);
  narrow.dispose();
  for (const model of [built, wider]) {
    const { history } = await model.fit(x, y, { epochs: 2, verbose: 0 });
    expect(Number(history.loss[1])).toBeLessThan(1);
    model.dispose();
  }
  tf.dispose([x, y]);
});

test("weights beyond float32 end as nonFinite with advice, and the model's weights stay", async () => {
  const { x, y } = makeData();
  const [tiny, huge] = [tf.mul(x, 1e-36), tf.mul(y, 1e37)];
  const decay = (l2: number) => tf.regularizers.l2({ l2 });
  const model = tf.sequential({
    layers: [
      tf.layers.dense({
        units: 90,
        activation: "relu",
        useBias: false,
        inputShape: [3],
        kernelRegularizer: decay(1e-36),
      }),
      tf.layers.dense({ units: 1, useBias: false, kernelRegularizer: decay(1e-4) }),
    ],
  });
  model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
  const before = weightsIn(model);
  const { status, advice, notes } = await trainer().fit(model, tiny, huge);
  expect(status).toBe("nonFinite");
  expect(advice).toMatch(/scale the columns of x/);
  expect(notes.join()).toMatch(/the weights are as they were/);
  expect(weightsIn(model)).toEqual(before);
  tf.dispose([x, y, tiny, huge]);
  model.dispose();
});

describe("weights of samples and classes", () => {
  test("a sample of weight 2 counts as two samples, and one of weight 0 not at all", async () => {
    const { x, y } = makeData("meanSquaredError", 20);
    const weights = Array.from({ length: 20 }, (_, k) => (k === 0 ? 2 : k === 1 ? 0 : 1));
    const rows = [0, 0, ...Array.from({ length: 18 }, (_, k) => k + 2)];
    const doubled = { x: tf.gather(x, rows), y: tf.gather(y, rows) };
    const options = { arrangements: { kind: "enumerate" } as const, regularization: 0.01, tolerance: 1e-8 };
    const [a, b] = [makeModel({ hiddenBias: false, units: 50 }), makeModel({ hiddenBias: false, units: 50 })];
    const weighted = await new ConvexReLUTrainer(options).fit(a, x, y, { sampleWeight: tf.tidy(() => weights) });
    const repeated = await new ConvexReLUTrainer(options).fit(b, doubled.x, doubled.y);
    expect(weighted.certificate.scope).toBe("all gates");
    expect(weighted.certificate.primal).toBeCloseTo(repeated.certificate.primal, 6);
    tf.dispose([x, y, doubled.x, doubled.y]);
    a.dispose();
    b.dispose();
  });

  test("classWeight is the sampleWeight of each row's class", async () => {
    const { x, y } = makeData("binaryCrossentropy", 20);
    const labels = y.dataSync();
    const [a, b] = [makeModel({ loss: "binaryCrossentropy" }), makeModel({ loss: "binaryCrossentropy" })];
    const options = { regularization: 0.01, tolerance: 1e-7 };
    const byClass = await trainer(options).fit(a, x, y, { classWeight: { 0: 0.5, 1: 3 } });
    const bySample = await trainer(options).fit(b, x, y, {
      sampleWeight: Array.from(labels, (label) => (label === 1 ? 3 : 0.5)),
    });
    expect(byClass.certificate.primal).toBe(bySample.certificate.primal);
    tf.dispose([x, y]);
    a.dispose();
    b.dispose();
  });
});

describe("width", () => {
  test("'resize' returns a model of the width that is needed and leaves the given one alone", async () => {
    const { x, y } = makeData();
    const model = makeModel({ units: 2, metrics: ["mse"] });
    const before = weightsIn(model);
    const result = await trainer({ width: "resize" }).fit(model, x, y);
    expect(result.model).not.toBe(model);
    expect(weightsIn(model)).toEqual(before);
    expect(result.model.layers[0].getWeights()[0].shape).toEqual([3, result.neurons]);
    const values = result.model.evaluate(x, y, { batchSize: 30 }) as tf.Scalar[];
    expect(values[0].dataSync()[0]).toBeCloseTo(result.objective.loss, 5);
    tf.dispose([x, y, ...values]);
    result.model.dispose();
    model.dispose();
  });

  test("a wider model is padded with zero neurons", async () => {
    const { x, y } = makeData();
    const model = makeModel({ units: 90 });
    const { neurons } = await trainer().fit(model, x, y);
    const output = model.getWeights()[2].dataSync();
    expect(Array.from(output).filter((value) => value !== 0)).toHaveLength(neurons);
    tf.dispose([x, y]);
    model.dispose();
  });
});

test.each(["relu", "gated"] as const)(
  "a beta above the trivial one writes the zero network (%s)",
  async (formulation) => {
    const { x, y } = makeData();
    const model = makeModel({ formulation });
    const { neurons, objective, certificate } = await trainer({ regularization: 1e3 }).fit(model, x, y);
    expect(neurons).toBe(0);
    expect(certificate.relativeGap).toBeLessThanOrEqual(1e-5);
    expect(evaluate(model, x, y)).toBeCloseTo(objective.loss, 5);
    const built = await trainer({ regularization: 1e3, formulation }).train(x, y, { loss: "meanSquaredError" });
    expect(built.objective.total).toBeCloseTo(objective.total, 6);
    tf.dispose([x, y]);
    model.dispose();
    built.model.dispose();
  },
);

test("a fit leaves the number of tensors as it was, also after a resize, an abort and an error", async () => {
  const { x, y } = makeData("binaryCrossentropy");
  const model = makeModel({ loss: "binaryCrossentropy", metrics: ["accuracy"] });
  const narrow = makeModel({ loss: "binaryCrossentropy", units: 1 });
  const stopped = new AbortController();
  stopped.abort();
  const before = tf.memory().numTensors;
  await trainer().fit(model, x, y, { validationSplit: 0.3 });
  expect(tf.memory().numTensors).toBe(before);
  await trainer({ signal: stopped.signal }).fit(model, x, y);
  expect(tf.memory().numTensors).toBe(before);
  await trainer().fit(narrow, x, y);
  expect(tf.memory().numTensors).toBe(before);
  await expect(
    trainer().fit(model, x, y, {
      callbacks: {
        onEpochEnd: () => {
          throw new Error("mine");
        },
      },
    }),
  ).rejects.toThrow("mine");
  expect(tf.memory().numTensors).toBe(before);
  const { model: built } = await trainer().train(x, y, { loss: "binaryCrossentropy" });
  built.dispose();
  expect(tf.memory().numTensors).toBe(before);
  tf.dispose([x, y]);
  model.dispose();
  narrow.dispose();
});

describe("several outputs of a ReLU network", () => {
  test.each(["meanSquaredError", "categoricalCrossentropy"] as const)(
    "neurons share them: a lower objective, as written, within a bound of its own (%s)",
    async (loss) => {
      const arrangements = { kind: "grow", starts: 60 } as const;
      const { x, y } = makeData(loss, 40, 3, 3);
      const model = makeModel({ loss, outputs: 3, units: 100, l2: 5e-3 });
      const apart = await trainer({ arrangements, tolerance: 1e-2, vectorPenalty: "perOutput" }).fit(model, x, y);
      expect(apart.status).toBe("solved");
      expect(apart.certificate).toMatchObject({ neurons: "feed one output each", perOutput: null });
      expect(apart.certificate.claim).toMatch(/each feed one output.*feed several outputs.*not among them/);
      const together = await trainer({ arrangements, tolerance: 1e-2 }).fit(model, x, y);
      const { perOutput, network, primal, dual, relativeGap, claim, neurons } = together.certificate;
      expect(neurons).toBe("feed all outputs");
      expect(network).toBeLessThan(apart.certificate.dual);
      expect(network / primal).toBeCloseTo(1, 4);
      expect(dual).toBeLessThanOrEqual(primal);
      expect(relativeGap).toBeCloseTo((primal - dual) / primal, 12);
      expect(relativeGap).toBeLessThan(0.05);
      expect(together.status).toBe(relativeGap <= 1e-2 ? "solved" : "stalled");
      expect(claim).toContain(`below ${dual.toPrecision(8)}; this one has ${network.toPrecision(8)}.`);
      expect(perOutput?.primal).toBeGreaterThanOrEqual(apart.certificate.dual);
      expect(perOutput?.claim).toMatch(/each feed one output.*the best that was found has/);
      expect(evaluate(model, x, y)).toBeCloseTo(together.objective.loss, 5);
      expect((together.history.loss as number[]).at(-1)).toBeCloseTo(primal, 8);
      const { history } = together;
      expect((history.relativeGap as number[]).at(-1)).toBeGreaterThanOrEqual(relativeGap * (1 - 1e-9));
      expect((history.perOutputGap as number[]).at(-1)).toBeCloseTo(perOutput?.relativeGap ?? 0, 12);
      expect(together.notes.join(" ")).toMatch(
        /feed several outputs.*below the best that was found where each feeds one/,
      );
      tf.dispose([x, y]);
      model.dispose();
    },
  );
});
