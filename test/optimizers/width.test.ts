import * as tf from "@tensorflow/tfjs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ConvexReLUTrainer, certify } from "../../src/index.js";
import { secondsLeft } from "../../src/optimizers/report/progress.js";
import { makeData, makeModel, weightsIn } from "../helpers/models.js";

beforeAll(() => tf.setBackend("cpu"));
afterAll(() => tf.disposeVariables());

function evaluated(model: tf.Sequential, x: tf.Tensor, y: tf.Tensor): number {
  return tf.tidy(() => {
    const loss = (model.evaluate(x, y) as tf.Scalar).dataSync()[0];
    const charges = model.calculateLosses().map((term) => term.dataSync()[0]);
    return charges.reduce((sum, term) => sum + term, loss);
  });
}

describe.each([
  { name: "one output", options: {} },
  { name: "three outputs", options: { outputs: 3 } },
  { name: "classes", options: { loss: "categoricalCrossentropy" } },
  { name: "a loss with kinks and two outputs", options: { loss: "meanAbsoluteError", outputs: 2 } },
  { name: "gates that are kept", options: { formulation: "gated", units: 2 } },
] as const)("a layer that is too narrow ($name)", ({ options }) => {
  test("gets the best network of its width that is found, with a bound over all widths", async () => {
    const { loss = "meanSquaredError", outputs } = { outputs: undefined, ...options } as {
      loss?: "meanSquaredError";
      outputs?: number;
    };
    const { x, y } = makeData(loss, 16, 2, outputs);
    const model = makeModel({ inputs: 2, units: 1, l2: 5e-4, ...options });
    const before = weightsIn(model);
    const tensors = tf.memory().numTensors;
    const arrangements = "formulation" in options ? ({ kind: "sample", count: 30 } as const) : undefined;
    const result = await new ConvexReLUTrainer({ tolerance: 1e-2, ...(arrangements && { arrangements }) }).fit(
      model,
      x,
      y,
    );
    expect(tf.memory().numTensors).toBe(tensors);
    expect(result.model).toBe(model);
    expect(weightsIn(model)).not.toEqual(before);
    expect(result.status).toBe("widthLimit");
    expect(result.advice).toMatch(/width is the limit.*has \d+ neurons.*Build the layer with \d+ units/);
    const { network, dual, primal, relativeGap, claim } = result.certificate;
    expect(evaluated(model, x, y)).toBeCloseTo(network, 5);
    expect(primal / network).toBeCloseTo(1, 4);
    expect(dual).toBeLessThanOrEqual(network * (1 + 1e-6));
    expect(relativeGap).toBeCloseTo((primal - dual) / primal, 8);
    expect(claim).toContain(dual.toPrecision(8));
    // The advice helps: a layer as wide as it says has no more than that.
    const units = Number(/with (\d+) units/.exec(result.advice)?.[1]);
    const wide = makeModel({ inputs: 2, l2: 5e-4, ...options, units });
    const better = await new ConvexReLUTrainer({ tolerance: 1e-2, ...(arrangements && { arrangements }) }).fit(
      wide,
      x,
      y,
    );
    expect(better.certificate.network).toBeLessThan(network);
    tf.dispose([x, y]);
    model.dispose();
    wide.dispose();
  });
});

test("one unit is the best single neuron: no worse than any of a fine grid of directions", async () => {
  const x = tf.tensor2d([[-2], [-1], [0], [1], [2], [3]]);
  const y = tf.tensor2d([[0.5], [0], [0.2], [1], [0.3], [2.5]]);
  const model = makeModel({ inputs: 1, units: 1, l2: 0.01, biasL2: 0.01 });
  const { certificate } = await new ConvexReLUTrainer({ tolerance: 1e-6 }).fit(model, x, y);
  const [xs, ys] = [Array.from(x.dataSync()), Array.from(y.dataSync())];
  let best = Number.POSITIVE_INFINITY;
  for (let k = 0; k < 720; k++) {
    const [w, b] = [Math.cos((Math.PI * k) / 360), Math.sin((Math.PI * k) / 360)];
    const h = xs.map((value) => Math.max(0, w * value + b));
    for (let size = -4; size <= 4; size += 0.01) {
      // The output bias that is best, charged as the layer charges it or free, is found on a grid as well.
      const rest = ys.map((value, j) => value - size * h[j]);
      const mean = rest.reduce((sum, value) => sum + value, 0) / rest.length;
      const c = mean; // it is free
      const loss = rest.reduce((sum, value) => sum + (value - c) ** 2, 0) / rest.length;
      best = Math.min(best, loss + 2 * 0.01 * Math.abs(size));
    }
  }
  expect(certificate.network).toBeLessThan(best * (1 + 1e-3));
  tf.dispose([x, y]);
  model.dispose();
});

test("along a path and in cross-validation points are judged by networks of the layer's width", async () => {
  const { x, y } = makeData("meanSquaredError", 30, 2);
  const model = makeModel({ inputs: 2, units: 1 });
  const trainer = new ConvexReLUTrainer({ tolerance: 1e-2 });
  const path = await trainer.path(model, x, y, { count: 4, ratio: 1e-3 });
  for (const { neurons, status, certificate } of path.points) {
    expect(neurons).toBeLessThanOrEqual(1);
    expect(certificate.dual).toBeLessThanOrEqual(certificate.network * (1 + 1e-6));
    if (status === "solved") expect(certificate.relativeGap).toBeLessThanOrEqual(1e-2);
  }
  const last = path.points[path.points.length - 1];
  expect(last.status).toBe("widthLimit");
  expect(path.write(last)).toBe(model);
  const loss = tf.tidy(() => (model.evaluate(x, y) as tf.Scalar).dataSync()[0]);
  expect(loss).toBeCloseTo(last.metrics.loss, 5);
  const validated = await trainer.crossValidate(model, x, y, { count: 4, folds: 3, ratio: 1e-3 });
  expect(validated.model).toBe(model);
  tf.dispose([x, y]);
  model.dispose();
});

test("far more columns than rows are solved in the span of the rows by themselves, to the objective of all columns", async () => {
  const { x, y } = makeData("meanSquaredError", 8, 30);
  const options = { arrangements: { kind: "grow", starts: 40 }, tolerance: 1e-3, width: "resize" } as const;
  const model = makeModel({ inputs: 30, l2: 1e-2, biasL2: 1e-2 });
  const inSpan = await new ConvexReLUTrainer(options).fit(model, x, y);
  expect(inSpan.problem.reduction?.space).toMatchObject({ basis: { cols: 8 } });
  // A start that has gates over all columns keeps them.
  const full = await new ConvexReLUTrainer({ tolerance: 1e-3, width: "resize" }).fit(model, x, y, {
    warmStart: await certify(inSpan.model, x, y),
  });
  expect(full.problem.reduction).toBeNull();
  expect(inSpan.certificate.network / full.certificate.network).toBeCloseTo(1, 2);
  expect(evaluated(inSpan.model, x, y)).toBeCloseTo(inSpan.certificate.network, 5);
  tf.dispose([x, y]);
});

test.each([1])(
  "far more standardised columns than rows are solved in the span of their rows, with %i outputs",
  async (outputs) => {
    const { x, y } = makeData("meanSquaredError", 5, 30, outputs);
    const scaled = tf.tidy(() => x.mul(tf.linspace(0.5, 4, 30)).add(2) as tf.Tensor2D);
    const model = makeModel({ inputs: 30, outputs });
    const charge = { regularization: 0.1, standardize: true } as const;
    const options = { ...charge, tolerance: 1e-3, width: "resize" } as const;
    const inSpan = await new ConvexReLUTrainer(options).fit(model, scaled, y);
    // Four dimensions of five centred rows, and the hidden bias.
    expect(inSpan.problem.reduction?.space).toMatchObject({ span: { basis: { rows: 30, cols: 4 } } });
    expect(inSpan.problem.program.X.cols).toBe(5);
    const start = await certify(inSpan.model, scaled, y, charge);
    expect(start.gates.generators.cols).toBe(31);
    // The network is the same one over all columns, and the bound of the span holds for what is found there.
    expect(start.certificate.network / inSpan.certificate.network).toBeCloseTo(1, 5);
    const full = await new ConvexReLUTrainer(options).fit(model, scaled, y, { warmStart: start });
    expect(full.problem.reduction?.space).toMatchObject({ span: null });
    expect(inSpan.certificate.network / full.certificate.network).toBeCloseTo(1, 2);
    const [loss] = tf.tidy(() => (inSpan.model.evaluate(scaled, y) as tf.Scalar).dataSync());
    expect(loss).toBeCloseTo(inSpan.objective.loss, 5);
    tf.dispose([x, y, scaled]);
  },
);

test("a growth that was cut short goes on from its result, and comes to a lower objective", async () => {
  const { x, y } = makeData("meanSquaredError", 40, 3);
  const model = makeModel({ units: 100, l2: 2e-4 });
  const arrangements = { kind: "grow", method: "frank-wolfe", starts: 30 } as const;
  const short = await new ConvexReLUTrainer({ arrangements, maxIterations: 3 }).fit(model, x, y);
  expect(short.certificate.evidence?.bestRatio).toBeGreaterThan(1);
  const on = await new ConvexReLUTrainer({ maxIterations: 200 }).fit(model, x, y, { warmStart: short });
  expect(on.problem.growth).toEqual(arrangements);
  expect(on.certificate.primal).toBeLessThan(short.certificate.primal * 0.99);
  expect(on.gates.count).not.toBe(short.gates.count);
  tf.dispose([x, y]);
  model.dispose();
});

test("equal rows with different targets are named where every target is to be met", async () => {
  const x = tf.tensor2d([
    [1, 2],
    [0, 1],
    [1, 2],
    [3, 1],
  ]);
  const y = tf.tensor2d([[1], [0], [2], [1]]);
  const model = makeModel({ inputs: 2 });
  const trainer = new ConvexReLUTrainer({ regularization: "interpolate", arrangements: { kind: "enumerate" } });
  const { status, advice } = await trainer.fit(model, x, y);
  expect(status).toBe("stalled");
  expect(advice).toMatch(/Rows 0 and 2 are equal and have different targets.*regularization/);
  tf.dispose([x, y]);
  model.dispose();
});

test("what is left of the time is told from the pace of the gap, and by the limit", () => {
  expect(secondsLeft({ seconds: 10, relativeGap: 1e-2 }, 1e-4, Number.POSITIVE_INFINITY)).toBe("about 10 s");
  expect(secondsLeft({ seconds: 10, relativeGap: 1e-2 }, 1e-4, 13)).toBe("about 3.0 s");
  expect(secondsLeft({ seconds: 10, relativeGap: 1.5 }, 1e-4, Number.POSITIVE_INFINITY)).toBe("?");
  expect(secondsLeft({ seconds: 10, relativeGap: 1e-5 }, 1e-4, Number.POSITIVE_INFINITY)).toBe("about 0.0 s");
});
