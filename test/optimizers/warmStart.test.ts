import * as tf from "@tensorflow/tfjs";
import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import { referenceKernels } from "../../src/convex/kernels/cpu.js";
import { solve } from "../../src/convex/solvers/solve.js";
import type { SparseBlocks } from "../../src/convex/types.js";
import { ConvexError, ConvexReLUTrainer, type FitResult } from "../../src/index.js";
import { onCountingClock } from "../helpers/clock.js";
import { makeConvModel, makeImages } from "../helpers/convModels.js";
import { makeData, makeModel, weightsIn } from "../helpers/models.js";
import { randomProgram } from "../helpers/problems.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const trainer = new ConvexReLUTrainer({ width: "resize", regularization: 0.01 });

/** What every result must be, whatever it began with. */
function expectHonest({ certificate, status, objective }: FitResult): void {
  const { primal, dual, relativeGap, network } = certificate;
  expect(dual).toBeLessThanOrEqual(primal);
  expect(relativeGap).toBeGreaterThanOrEqual(0);
  if (status !== "solved") return;
  expect(relativeGap).toBeLessThanOrEqual(1e-4);
  expect(network).toBeLessThanOrEqual(primal * (1 + 1e-5));
  expect(objective.total).toBeLessThanOrEqual(primal * (1 + 1e-5));
}

test("a gated result as the start of a ReLU fit is no more than a hint: the optimum over its gates is found", async () => {
  const { x, y } = makeData("meanSquaredError", 30, 3);
  const gated = await trainer.fit(makeModel({ formulation: "gated", units: 20 }), x, y);
  const relu = await trainer.fit(makeModel(), x, y, { warmStart: gated });
  const cold = await new ConvexReLUTrainer({ width: "resize", regularization: 0.01, arrangements: gated.gates }).fit(
    makeModel(),
    x,
    y,
  );
  expect(relu.status).toBe("solved");
  expectHonest(relu);
  expect(relu.certificate.primal / cold.certificate.primal).toBeCloseTo(1, 3);
  tf.dispose([x, y]);
});

test("gates in float64 as the start of a gated fit become those that its layer can hold", async () => {
  const { x, y } = makeData("meanSquaredError", 12, 2);
  const options = { width: "resize", regularization: 0.01 } as const;
  const model = makeModel({ inputs: 2, hiddenBias: false });
  const relu = await new ConvexReLUTrainer({ ...options, arrangements: { kind: "enumerate" } }).fit(model, x, y);
  const { gates, blocks } = relu;
  const half = Array.from(blocks.index.keys()).filter((k) => blocks.index[k] < gates.count);
  const positive = {
    index: Int32Array.from(half, (k) => blocks.index[k]),
    vectors: Float64Array.from(half.flatMap((k) => [...blocks.vectors.subarray(2 * k, 2 * k + 2)])),
    bias: blocks.bias,
  };
  const into = makeModel({ formulation: "gated", inputs: 2, hiddenBias: false });
  const gated = await trainer.fit(into, x, y, { warmStart: { gates, blocks: positive } });
  expect(gated.status).toBe("solved");
  expectHonest(gated);
  tf.dispose([x, y]);
});

test("a start from data nearby lies in the cones of these rows, or is refused", async () => {
  let taken = 0;
  for (const [eps, seed] of [1e-6, 1e-4, 1e-3, 1e-2].flatMap((e) => [1, 2, 3].map((s) => [e, s]))) {
    const { x, y } = makeData("meanSquaredError", 12, 2, 1, seed);
    const model = () => makeModel({ inputs: 2, hiddenBias: false });
    const sampled = new ConvexReLUTrainer({
      width: "resize",
      regularization: 0.01,
      arrangements: { kind: "sample", count: 6 },
    });
    const first = await sampled.fit(model(), x, y);
    const near = tf.tidy(() => x.add(tf.randomNormal(x.shape, 0, eps, "float32", seed)));
    try {
      const second = await trainer.fit(model(), near, y, { warmStart: first });
      taken += 1;
      expect(second.status).toBe("solved");
      expectHonest(second);
    } catch (error) {
      expect((error as ConvexError).code).toBe("gates/mismatch");
    }
    tf.dispose([x, y, near]);
  }
  expect(taken).toBeGreaterThan(6);
});

test.each([
  ["relu", "meanSquaredError"],
  ["relu", "hinge"],
  ["gated", "binaryCrossentropy"],
] as const)(
  "whatever stands in the blocks, the result is honest and as good as without (%s, %s)",
  async (formulation, loss) => {
    const { x, y } = makeData(loss, 10, 2, 1, 3);
    const model = () => makeModel({ loss, formulation, inputs: 2, units: 12 });
    const cold = await trainer.fit(model(), x, y);
    const { gates } = cold;
    const blocks = (formulation === "relu" ? 2 : 1) * gates.count;
    const number = fc.oneof(
      { weight: 8, arbitrary: fc.double({ min: -10, max: 10, noNaN: true }) },
      { weight: 1, arbitrary: fc.constantFrom(0, 1e-300, 1e20, -1e200, 1e308) },
    );
    const vector = fc.tuple(fc.nat(blocks - 1), fc.array(number, { minLength: 3, maxLength: 3 }));
    const point = fc.record({ list: fc.array(vector, { maxLength: 6 }), bias: number });
    await fc.assert(
      fc.asyncProperty(point, async ({ list, bias }) => {
        const start = {
          index: Int32Array.from(list, ([index]) => index),
          vectors: Float64Array.from(list.flatMap(([, entries]) => entries)),
          bias: Float64Array.of(bias),
        };
        const warm = await trainer.fit(model(), x, y, { warmStart: { gates, blocks: start } });
        expect(warm.status).toBe("solved");
        expectHonest(warm);
        expect(Math.abs(warm.certificate.primal / cold.certificate.primal - 1)).toBeLessThan(2.1e-4);
      }),
      { numRuns: 25, seed: 1 },
    );
    tf.dispose([x, y]);
  },
);

test("images whose patches are read out apart: a start is projected position by position", async () => {
  const make = () => makeConvModel({ readOut: "flatten", filters: 40, kernelSize: 3, outputs: 2 });
  const { x, y } = makeImages(make(), "meanSquaredError", 8);
  const sampled = new ConvexReLUTrainer({
    width: "resize",
    regularization: 0.05,
    arrangements: { kind: "sample", count: 8 },
  });
  const cold = await sampled.fit(make(), x, y);
  const warmed = new ConvexReLUTrainer({ width: "resize", regularization: 0.05 });
  const turned = { ...cold.blocks, vectors: cold.blocks.vectors.map((value, k) => value * (k % 3 === 0 ? -1 : 1)) };
  const warm = await warmed.fit(make(), x, y, { warmStart: { gates: cold.gates, blocks: turned } });
  expectHonest(warm);
  expect(warm.status).toBe("solved");
  expect(Math.abs(warm.certificate.primal / cold.certificate.primal - 1)).toBeLessThan(2.1e-4);
  tf.dispose([x, y]);
});

test.each([
  ["NaN among the vectors", (b: SparseBlocks) => ({ ...b, vectors: b.vectors.map(() => Number.NaN) }), "options/value"],
  [
    "an infinite bias",
    (b: SparseBlocks) => ({ ...b, bias: Float64Array.of(Number.POSITIVE_INFINITY) }),
    "options/value",
  ],
  ["a negative place", (b: SparseBlocks) => ({ ...b, index: b.index.map(() => -1) }), "gates/mismatch"],
  ["a place beyond the blocks", (b: SparseBlocks) => ({ ...b, index: b.index.map(() => 1e6) }), "gates/mismatch"],
  ["too few numbers", (b: SparseBlocks) => ({ ...b, vectors: b.vectors.subarray(1) }), "gates/mismatch"],
  ["no vectors", (b: SparseBlocks) => ({ index: b.index, bias: b.bias }), "options/value"],
  ["plain arrays", (b: SparseBlocks) => ({ ...b, vectors: [...b.vectors] }), "options/value"],
  ["no blocks", () => undefined, "options/value"],
  ["biases of another model", (b: SparseBlocks) => ({ ...b, bias: new Float64Array(2) }), "gates/mismatch"],
])("what is no point is refused by a sentence, and the weights stay: %s", async (_, spoil, code) => {
  const { x, y } = makeData("meanSquaredError", 10, 2);
  const first = await trainer.fit(makeModel({ inputs: 2 }), x, y);
  const model = makeModel({ inputs: 2 });
  const before = weightsIn(model);
  const start = { gates: first.gates, blocks: spoil(first.blocks) as SparseBlocks };
  const error = await trainer.fit(model, x, y, { warmStart: start }).catch((thrown) => thrown);
  expect(error).toBeInstanceOf(ConvexError);
  expect(error.code).toBe(code);
  expect(error.message).toMatch(/^warmStart: expected .* got .*\./);
  expect(weightsIn(model)).toEqual(before);
  tf.dispose([x, y]);
});

test("the loop never calls a point outside the cones solved: a bound above its objective contradicts it", async () => {
  const program = randomProgram({ cones: true, rows: 30, gates: 20, beta: 1e-3 });
  const budget = { tolerance: 1e-5, maxIterations: 200, seconds: 30 };
  const gated = await solve({ ...program, cones: false }, referenceKernels, budget);
  const solution = await solve(program, referenceKernels, budget, gated.blocks);
  expect(gated.status).toBe("solved");
  expect(solution).toMatchObject({ status: "stalled", contradicted: true });
  expect(solution.advice).toMatch(/bound came out above the objective/);
});

test.each(["meanSquaredError", "categoricalCrossentropy"] as const)(
  "what little time has left of neurons that feed several outputs is no worse after as little more of it (%s)",
  async (loss) => {
    const { x, y } = makeData(loss, 120, 5, 3);
    const within = (timeLimit: number, args = {}) => {
      const model = makeModel({ loss, inputs: 5, outputs: 3, units: 20 });
      return onCountingClock(() => new ConvexReLUTrainer({ regularization: 0.01, timeLimit }).fit(model, x, y, args));
    };
    const { made: first } = await within(0.5);
    expect(first.status).toBe("timeLimit");
    for (const timeLimit of [0.01, 0.1]) {
      const { made: next } = await within(timeLimit, { warmStart: first });
      expectHonest(next);
      expect(next.certificate.primal).toBeLessThanOrEqual(first.certificate.primal * (1 + 1e-9));
      expect(next.certificate.network).toBeLessThanOrEqual(first.certificate.network * (1 + 1e-5));
    }
    tf.dispose([x, y]);
  },
);
