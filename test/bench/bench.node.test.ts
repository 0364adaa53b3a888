/** What the benches rest on: judges that agree, components that are principal, clocks and flags that are read as meant. */

import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import { type Contest, dealt } from "../../bench/data/contests.js";
import { sources } from "../../bench/data/sets.js";
import { planted } from "../../bench/data/synthetic.js";
import { judgedLoss, judgedNetwork } from "../../bench/peers/judge.js";
import { judge } from "../../bench/peers/scnn.js";
import { contest } from "../../bench/rivals/contest.js";
import { principalScores } from "../../bench/support/components.js";
import { numbers, readFlags } from "../../bench/support/flags.js";
import { linesOf } from "../../bench/support/gpu/children.js";
import { problemOf } from "../../bench/support/gpu/problems.js";
import { timingOf } from "../../bench/support/measure.js";
import { convolutionsAt, kernelsAt } from "../../bench/support/rates.js";
import { asJson } from "../../bench/support/report.js";
import { thinned } from "../../bench/support/thin.js";
import { sampleGates } from "../../src/convex/arrangements/index.js";
import { referenceKernels, wasmKernels } from "../../src/convex/kernels/index.js";
import { isActive } from "../../src/convex/linear/bits.js";
import { gaussianSource } from "../../src/convex/linear/random.js";
import { bindLoss } from "../../src/convex/losses/index.js";
import { penalties } from "../../src/convex/penalties/index.js";
import { solve } from "../../src/convex/solvers/solve.js";
import type { ConvexProgram } from "../../src/convex/types.js";
import { registerLayers } from "../../src/index.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
  registerLayers();
});

describe("the judge of all networks of a contest", () => {
  test.each([
    ["meanSquaredError", 1],
    ["meanSquaredError", 2],
    ["binaryCrossentropy", 1],
    ["binaryCrossentropy", 3],
    ["categoricalCrossentropy", 3],
  ] as const)("charges what the loss of the package and weight decay do (%s, %i outputs)", (loss, C) => {
    const draw = gaussianSource(5);
    const [n, d, m, beta] = [9, 3, 4, 0.3];
    const made = (size: number) => Float64Array.from({ length: size }, draw);
    const [X, W, A] = [made(n * d), made(m * d), made(m * C)];
    const Y = new Float64Array(n * C);
    for (let k = 0; k < n; k++) {
      if (loss === "categoricalCrossentropy") Y[k * C + (k % C)] = 1;
      else for (let c = 0; c < C; c++) Y[k * C + c] = loss === "binaryCrossentropy" ? (k + c) % 2 : draw();
    }
    const Z = new Float64Array(n * C);
    for (let k = 0; k < n; k++) {
      for (let j = 0; j < m; j++) {
        let h = 0;
        for (let p = 0; p < d; p++) h += X[k * d + p] * W[j * d + p];
        for (let c = 0; c < C; c++) Z[k * C + c] += Math.max(0, h) * A[j * C + c];
      }
    }
    const target = { rows: n, cols: C, data: Y };
    const decay = [...W, ...A].reduce((sum, value) => sum + value * value, 0);
    const contest = { name: "made", X: { rows: n, cols: d, data: X }, Y: target, loss, beta };
    expect(judgedNetwork(contest, W, A)).toBeCloseTo(bindLoss(loss, target).value(Z) + (beta / 2) * decay, 12);
  });
});

test.each([1, 4])("rows held out and the others have the loss of all rows together (%i patches a row)", (patches) => {
  const draw = gaussianSource(6);
  const [n, d, m] = [10, 4, 3];
  const made = (rows: number, cols: number) => ({ rows, cols, data: Float64Array.from({ length: rows * cols }, draw) });
  const images = { images: { pixels: made(n, 9), side: 3, filter: 2 } };
  const [X, Y] = [made(n * patches, d), made(n, 1)];
  const whole: Contest = { name: "made", X, Y, loss: "meanSquaredError", beta: 1, ...(patches > 1 ? images : {}) };
  const { seen, held } = dealt(whole, 0.3, 1);
  expect([seen.Y.rows, held.Y.rows, seen.images?.pixels.rows]).toEqual([7, 3, patches > 1 ? 7 : undefined]);
  const [W, A] = [made(m, d).data, made(m, 1).data];
  expect(7 * judgedLoss(seen, W, A) + 3 * judgedLoss(held, W, A)).toBeCloseTo(n * judgedLoss(whole, W, A), 10);
});

describe("the judge of a peer's weights", () => {
  const { X, Y } = planted(40, 4, 3);
  const gates = sampleGates(X, { count: 12, seed: 1 });
  const [n, d, P] = [X.rows, X.cols, gates.count];

  test.each(["gated", "relu"] as const)(
    "gives our own %s solution the value that the program gives it",
    async (formulation) => {
      const program: ConvexProgram = {
        X,
        gates,
        loss: bindLoss("meanSquaredError", Y),
        penalty: penalties.perOutput,
        beta: 0.02,
        outputBias: null,
        cones: formulation === "relu",
      };
      const { gap, blocks } = await solve(program, referenceKernels, {
        tolerance: 1e-8,
        maxIterations: 200,
        seconds: 20,
      });
      const weights = new Float64Array((program.cones ? 2 : 1) * P * d);
      blocks.index.forEach((block, k) => {
        weights.set(blocks.vectors.subarray(k * d, (k + 1) * d), block * d);
      });
      const generators = new Float64Array(d * P);
      for (let i = 0; i < P; i++) for (let p = 0; p < d; p++) generators[p * P + i] = gates.generators.data[i * d + p];
      const value = judge({ X, y: Y.data, gates, beta: program.beta, formulation }, weights, generators);
      expect(blocks.index.length).toBeGreaterThan(1);
      expect(n).toBe(gates.rows);
      expect(Math.abs(value / gap.primal - 1)).toBeLessThan(1e-12);
    },
  );
});

test("the trainer's objective in a contest lies between its bound and its gap, by the measure of the optimizers", async () => {
  const { X, Y } = planted(40, 4, 3);
  const x = { ...X, data: X.data.map(Math.fround) };
  const set = { name: "tiny", x, y: Y, loss: "meanSquaredError", gates: 8, decay: 0.01 } as const;
  const settings = { tolerance: 1e-4, patience: 30, limit: 2, least: 0.2, factor: 1, trial: 0.01, repeats: 1 };
  const before = tf.memory().numTensors;
  for (const modelClass of ["gated", "relu"] as const) {
    const { trainer, rivals } = await contest(set, modelClass, settings);
    expect(trainer.status).toBe("solved");
    expect(trainer.objective).toBeGreaterThan(trainer.lowerBound * (1 - 1e-6));
    expect(trainer.objective).toBeLessThan((trainer.lowerBound / (1 - 1e-4)) * (1 + 1e-6));
    for (const rival of rivals) {
      // With the same gates no network is below the bound, whoever trained it.
      if (modelClass === "gated")
        expect((1 + rival.excess) * trainer.objective).toBeGreaterThan(trainer.lowerBound * (1 - 1e-6));
      expect(rival.tuningSeconds).toBeGreaterThan(0);
    }
  }
  await tf.setBackend("cpu");
  expect(tf.memory().numTensors).toBe(before);
});

test("principal scores have the Gram matrix of the centred rows when all components are kept", async () => {
  const { X } = planted(30, 5, 2);
  const { data, cols } = principalScores(X, 5, await wasmKernels());
  const mean = (p: number) => X.data.reduce((sum, value, k) => (k % 5 === p ? sum + value / X.rows : sum), 0);
  const means = Array.from({ length: 5 }, (_, p) => mean(p));
  for (const [a, b] of [
    [0, 0],
    [3, 17],
    [29, 4],
  ]) {
    let wanted = 0;
    let got = 0;
    for (let p = 0; p < 5; p++) {
      wanted += (X.data[a * 5 + p] - means[p]) * (X.data[b * 5 + p] - means[p]);
      got += data[a * cols + p] * data[b * cols + p];
    }
    expect(Math.abs(got - wanted)).toBeLessThan(1e-5 * Math.abs(wanted));
  }
  const variance = (p: number) =>
    Array.from({ length: X.rows }, (_, k) => data[k * cols + p] ** 2).reduce((s, v) => s + v);
  expect(variance(0)).toBeGreaterThan(variance(1));
  expect(variance(1)).toBeGreaterThan(variance(4));
});

test("fewer rows of the synthetic set are the first rows of more", () => {
  const few = planted(10, 6, 951);
  const more = planted(25, 6, 951);
  expect(more.X.data.subarray(0, 60)).toEqual(few.X.data);
  expect(more.Y.data.subarray(0, 10)).toEqual(few.Y.data);
});

test("the synthetic set of the contest is float32 and its labels are -1 and 1", async () => {
  const set = await sources[0].read("");
  expect([set.x.rows, set.x.cols]).toEqual([250, 50]);
  expect(set.x.data.every((value) => Math.fround(value) === value)).toBe(true);
  expect(new Set(set.y.data)).toEqual(new Set([-1, 1]));
});

test("every timed kernel runs on every engine and counts its work", async () => {
  for (const kernels of [referenceKernels, await wasmKernels()]) {
    for (const kernel of [...kernelsAt(20, 4, 6), ...convolutionsAt(3, 5, 4)]) {
      kernel.prepare(kernels)();
      expect(kernel.flops).toBeGreaterThan(0);
      expect(kernel.bytes).toBeGreaterThan(0);
    }
  }
});

test("a median of an even number of runs is the mean of the middle two", () => {
  expect(timingOf([4, 1, 3, 2])).toEqual({ median: 2.5, least: 1, most: 4 });
});

test("flags keep their types, and numbers that are none are refused", () => {
  const flags = { rows: { default: "1,2", help: "" }, limit: { default: 5, help: "" } };
  expect(readFlags("x", flags, ["--limit", "7", "--json"])).toEqual({ rows: "1,2", limit: 7, json: true, dry: false });
  expect(() => readFlags("x", flags, ["--limit", "soon"])).toThrow("--limit: expected a number");
  expect(numbers("250,1000")).toEqual([250, 1000]);
  expect(numbers("")).toEqual([]);
  expect(() => numbers("a")).toThrow("Expected numbers");
});

describe("curves of a report", () => {
  const curve = Array.from({ length: 500 }, (_, k) => ({ seconds: k / 100, objective: 1 / (k + 1) }));

  test("keep their ends and at most a point for each place that a chart shows", () => {
    const kept = thinned(curve);
    expect(kept.length).toBeLessThan(70);
    expect([kept[0], kept[kept.length - 1]]).toEqual([curve[0], curve[499]]);
    const steps = kept.slice(2).map(({ seconds }, k) => Math.log(seconds / kept[k + 1].seconds));
    expect(Math.max(...steps)).toBeLessThan(2 * Math.log(2)); // the first places are as far apart as the run's first points
  });

  test("that are short stay as they are, and so do lists that are no curves", () => {
    const data = { short: curve.slice(0, 50), long: curve, sizes: Array.from({ length: 200 }, (_, k) => k) };
    const { short, long, sizes } = JSON.parse(asJson(data));
    expect([short.length, sizes.length]).toEqual([50, 200]);
    expect(long.length).toBeLessThan(70);
  });
});

describe("a bench whose parts are processes of their own", () => {
  const lines = async (script: string, seconds: number) => {
    const found: unknown[] = [];
    const why = await linesOf([process.execPath, "-e", script], seconds, (line) => found.push(line));
    return { found, why };
  };
  const say = "console.log('{\"k\": 1}'); console.log('{broken'); console.log('words');";

  test("hears what each finds, and why it ended, whether it falls over or hangs with what it began", async () => {
    expect(await lines(say, 20)).toEqual({ found: [{ k: 1 }], why: null });
    const fallen = await lines(`${say} throw new TypeError("no card");`, 20);
    expect(fallen).toEqual({ found: [{ k: 1 }], why: "status 1: TypeError: no card" });
    expect((await lines("process.kill(process.pid, 'SIGKILL')", 20)).why).toBe("SIGKILL");
    const began = performance.now();
    const child =
      "require('child_process').spawn(process.execPath, ['-e', 'setTimeout(() => {}, 60000)'], { stdio: 'inherit' });";
    const hung = await lines(`${say} ${child} setTimeout(() => {}, 60000);`, 0.5);
    expect(hung).toEqual({ found: [{ k: 1 }], why: "ended after 1 s" });
    expect(performance.now() - began).toBeLessThan(20_000);
    expect((await linesOf(["no such program"], 5, () => undefined)) ?? "").toMatch(/ENOENT/);
  });

  test("makes programs whose gates are those of their generators", async () => {
    const size = { rows: 70, features: 20, gates: 9, outputs: 3, cones: false };
    const { X, gates, loss } = problemOf(size, referenceKernels);
    for (let i = 0; i < 9; i++) {
      for (let j = 0; j < 70; j++) {
        let product = 0;
        for (let p = 0; p < 20; p++) product += X.data[j * 20 + p] * gates.generators.data[i * 20 + p];
        expect(isActive(gates, i, j)).toBe(product >= 0);
      }
    }
    expect(loss.bound?.targets.data.reduce((sum, value) => sum + value, 0)).toBe(70);
  });
});
