import * as tf from "@tensorflow/tfjs";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { ConvexReLUTrainer, certify, gatedDense, type TrainerOptions } from "../../src/index.js";
import { makeModel } from "../helpers/models.js";
import { gaussianMatrix } from "../helpers/problems.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const table = (rows: readonly (readonly number[])[]) => tf.tensor2d(rows.map((row) => [...row]));
const column = (values: readonly number[]) => tf.tensor2d(values.map((value) => [value]));

/** A gated network without biases, l2 in both layers; `gates` [d x units] as they are to be. */
function gatedModel(inputs: number, l2: number, units: number, gates?: tf.Tensor2D): tf.Sequential {
  const kernelRegularizer = tf.regularizers.l2({ l2 });
  const first = gatedDense({ units, useBias: false, inputShape: [inputs], kernelRegularizer, seed: 3 });
  const model = tf.sequential({ layers: [first, tf.layers.dense({ units: 1, useBias: false, kernelRegularizer })] });
  model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
  if (gates !== undefined) first.setWeights([first.getWeights()[0], gates]);
  return model;
}

describe("all gates of gated networks", () => {
  test("the zero gate, on for rows of both signs, is one of them", async () => {
    const x = column([1, -1, 2, -2]);
    const options = { arrangements: { kind: "enumerate" }, tolerance: 1e-9 } as const;
    const { certificate } = await new ConvexReLUTrainer(options).fit(gatedModel(1, 0.1, 4), x, x);
    expect(certificate.scope).toBe("all gates");
    expect(certificate.dual).toBeCloseTo(0.196, 6); // one unit, on everywhere: 0.2 |s| + (s - 1)^2 2.5 at its least
  });

  test("no gates, zero ones and those on which rows lie among them, undercut the bound of all", async () => {
    const entry = fc.integer({ min: -2, max: 2 });
    const rows = fc.array(fc.tuple(entry, entry), { minLength: 2, maxLength: 5 });
    const gates = fc.array(fc.tuple(entry, entry), { minLength: 3, maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(rows, gates, fc.integer({ min: 1, max: 99 }), async (X, G, seed) => {
        fc.pre(X.some(([a, b]) => a !== X[0][0] || b !== X[0][1])); // constant columns are refused
        const x = table(X);
        const y = column([...gaussianMatrix(X.length, 1, seed).data]);
        const all: TrainerOptions = { arrangements: { kind: "enumerate" }, tolerance: 1e-6 };
        const { certificate } = await new ConvexReLUTrainer(all).fit(gatedModel(2, 0.02, 30), x, y);
        expect(certificate.scope).toBe("all gates");
        const own = gatedModel(2, 0.02, 3, tf.transpose(table(G)) as tf.Tensor2D);
        const some = await new ConvexReLUTrainer({ tolerance: 1e-6 }).fit(own, x, y);
        expect(certificate.dual).toBeLessThanOrEqual(some.certificate.network * (1 + 1e-6) + 1e-9);
      }),
      { numRuns: 25 },
    );
  });

  test("with rank the gates are those in the span, and the claim is about these", async () => {
    const { data } = gaussianMatrix(8, 3, 8);
    const x = table(Array.from({ length: 8 }, (_, k) => [data[3 * k], 3e-4 * data[3 * k + 1]]));
    const y = column(Array.from({ length: 8 }, (_, k) => data[3 * k + 2]));
    const make = () => makeModel({ formulation: "gated", inputs: 2, units: 100, l2: 5e-4 });
    const options: TrainerOptions = { arrangements: { kind: "enumerate" }, tolerance: 1e-6, width: "resize" };
    const whole = await new ConvexReLUTrainer(options).fit(make(), x, y);
    const reduced = await new ConvexReLUTrainer({ ...options, rank: 1 }).fit(make(), x, y);
    expect(whole.certificate.scope).toBe("all gates");
    expect(whole.certificate.network).toBeLessThan(0.9 * reduced.certificate.dual);
    expect(reduced.certificate.scope).toBe("these gates");
    expect(reduced.certificate.claim).toMatch(/No network with these \d+ gates/);
  });
});

describe("all gates of other rows", () => {
  const make = () => makeModel({ inputs: 2, units: 40, l2: 0.01, hiddenBias: false, outputBias: false });
  const A = () =>
    table([
      [1, 0],
      [1, 0],
      [0, 1],
    ]);
  const B = () =>
    table([
      [1, 0.3],
      [1, -0.3],
      [0, 1],
    ]);
  const y = () => column([1, 0, 2]);

  test("are these gates, as `arrangements` and as a warm start, also when they came from a worker; notes say why", async () => {
    const first = await new ConvexReLUTrainer().fit(make(), A(), column([1, 1, 2]));
    expect(first.certificate.scope).toBe("all gates");
    const sent = structuredClone(first.gates);
    const results = [
      await new ConvexReLUTrainer({ arrangements: first.gates }).fit(make(), B(), y()),
      await new ConvexReLUTrainer({ arrangements: sent }).fit(make(), B(), y()),
      await new ConvexReLUTrainer().fit(make(), B(), y(), { warmStart: first }),
      await certify(make(), B(), y(), { arrangements: first.gates }),
    ];
    for (const { certificate, notes } of results) {
      expect(certificate.scope).toBe("these gates");
      expect(notes.join(" ")).toMatch(/all that there are for other rows/);
    }
    const same = await new ConvexReLUTrainer({ arrangements: sent }).fit(make(), A(), y());
    expect(same.certificate.scope).toBe("all gates");
  });
});

describe("columns of very different scale", () => {
  test("time stamps beside a small column: no network is below the bound of all gates", async () => {
    const values = [-2, -1, -0.5, 0.5, 1, 2];
    const y = column(values.map(Math.abs));
    for (const big of [1e8, 1e10, 1.7e12]) {
      const x = table(values.map((value) => [big, value]));
      const model = makeModel({ inputs: 2, units: 100, l2: 0.02, hiddenBias: false });
      const { gates, certificate } = await new ConvexReLUTrainer().fit(model, x, y);
      expect(gates.count).toBe(12);
      // Two units with weights (0, +-s) and outputs s = 0.99 have 0.0791.
      expect(certificate.dual).toBeLessThanOrEqual(0.0791011);
    }
  });
});

describe("branch and bound", () => {
  const data = (n: number, seed: number) => {
    const { data: z } = gaussianMatrix(n, 2, seed);
    const rows = Array.from({ length: n }, (_, k) => [z[2 * k], z[2 * k + 1]]);
    return { x: table(rows), y: column(rows.map(([a, b]) => Math.max(0, a - b) + Math.abs(b))) };
  };
  const base = { width: "resize", regularization: 0.01, tolerance: 1e-4 } as const;
  const pricing = { kind: "branch-and-bound" } as const;

  test.each([10, 30])(
    "beside few sampled gates is solved only within the tolerance, and its advice helps (%i rows)",
    async (n) => {
      const { x, y } = data(n, n);
      const trained = (arrangements: TrainerOptions["arrangements"]) =>
        new ConvexReLUTrainer({ ...base, pricing, ...(arrangements ? { arrangements } : {}) }).fit(
          makeModel({ inputs: 2 }),
          x,
          y,
        );
      const few = await trained({ kind: "sample", count: 6 });
      expect(few.certificate.relativeGap).toBeGreaterThan(0.01);
      expect(few.status).toBe("stalled");
      expect(few.advice).toMatch(/arrangements: \{ kind: "grow" \}/);
      const grown = await trained({ kind: "grow" });
      expect(grown.status).toBe("solved");
      expect(grown.certificate.scope).toBe("all gates");
      expect(grown.certificate.relativeGap).toBeLessThanOrEqual(1e-4);
      expect(few.certificate.dual).toBeLessThanOrEqual(grown.certificate.network);
    },
  );

  test("that runs out of cones claims these gates, whose gap it has, and says that the rest is open", async () => {
    const { x, y } = data(30, 4);
    const options = { ...base, pricing: { ...pricing, cones: 1 }, arrangements: { kind: "sample", count: 6 } } as const;
    const { status, advice, certificate } = await new ConvexReLUTrainer(options).fit(makeModel({ inputs: 2 }), x, y);
    expect(certificate.allGates?.finished).toBe(false);
    expect(certificate.scope).toBe("these gates");
    expect(status).toBe("solved");
    expect(certificate.relativeGap).toBeLessThanOrEqual(1e-4);
    expect(advice).toMatch(/certificate\.allGates, is not finished: raise `pricing\.cones`/);
  });
});
