import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import { enumerating } from "../../src/convex/arrangements/enumerate.js";
import { enumerateGates } from "../../src/convex/arrangements/index.js";
import { atOnce, inTurns } from "../../src/convex/linear/pieces.js";
import { pruneNeurons, pruning } from "../../src/convex/recovery/prune.js";
import { ConvexReLUTrainer, type TrainerOptions } from "../../src/index.js";
import { onCountingClock } from "../helpers/clock.js";
import { makeData, makeModel } from "../helpers/models.js";
import { gaussianMatrix } from "../helpers/problems.js";

beforeAll(() => tf.setBackend("cpu"));

const always = async () => true;

/** Milliseconds of the counting clock that a limit of so many seconds allows. */
const allowed = (seconds: number) => 1050 * seconds + 300;

test("an enumeration that has to end before its time answers with gates of the rows, which are not complete", async () => {
  const X = gaussianMatrix(60, 3, 1);
  const all = enumerateGates(X);
  expect(all.complete).toBe(true);
  for (const pauses of [1, 10, 70]) {
    let left = pauses;
    const some = await inTurns(enumerating(X), async () => --left <= 0);
    expect(some.complete).toBe(false);
    expect(some.count).toBeGreaterThan(0);
    expect(some.count).toBeLessThan(all.count);
  }
  expect(atOnce(enumerating(X)).bits).toEqual(all.bits);
});

test("surplus neurons stay where there is no time to trade them away, and the function is the same", async () => {
  const X = gaussianMatrix(12, 3, 3);
  const neurons = Array.from({ length: 60 }, (_, k) => {
    const { data } = gaussianMatrix(1, 4, 50 + k);
    const length = Math.hypot(data[0], data[1], data[2]);
    return { direction: data.slice(0, 3).map((value) => value / length), output: data.slice(3), gate: null };
  });
  expect(await inTurns(pruning(neurons, X), always)).toHaveLength(60);
  const outputs = (list: typeof neurons) =>
    Array.from({ length: 12 }, (_, j) =>
      list.reduce((sum, { direction, output }) => {
        const pre = direction.reduce((total, value, p) => total + value * X.data[j * 3 + p], 0);
        return sum + Math.max(0, pre) * output[0];
      }, 0),
    );
  for (const pauses of [61, 75, 100, 200]) {
    let left = pauses;
    const kept = await inTurns(pruning(neurons, X), async () => --left <= 0);
    outputs(kept as typeof neurons).forEach((value, j) => void expect(value).toBeCloseTo(outputs(neurons)[j], 8));
    expect(kept.length).toBeLessThanOrEqual(60);
  }
  expect(pruneNeurons(neurons, X).length).toBeLessThanOrEqual(13);
});

describe.each([
  { title: "growing gates", options: { arrangements: { kind: "grow" } } },
  { title: "growing gates, resized", options: { arrangements: { kind: "grow" }, width: "resize" } },
  { title: "an enumeration", options: { arrangements: { kind: "enumerate" } } },
  { title: "an enumeration of a gated network", options: { arrangements: { kind: "enumerate" } }, gated: true },
  { title: "a sample", options: { arrangements: { kind: "sample", count: 3000 } } },
  { title: "three outputs", options: { arrangements: { kind: "grow" } }, outputs: 3 },
] as const)("a time limit with $title", ({ options, ...rest }) => {
  test.each([0.05, 1])(
    "of %d s is kept, with weights that are a point of the program and a bound that holds",
    async (timeLimit) => {
      const { gated = false, outputs = 1 } = rest as { gated?: boolean; outputs?: number };
      const { x, y } = makeData("meanSquaredError", 40, 3, outputs);
      const model = makeModel({ units: 6, outputs, formulation: gated ? "gated" : "relu" });
      const settings: TrainerOptions = { ...options, timeLimit };
      const { made: result, time } = await onCountingClock(() => new ConvexReLUTrainer(settings).fit(model, x, y));
      expect(time).toBeLessThan(allowed(timeLimit));
      const { network, dual } = result.certificate;
      expect(Number.isFinite(network)).toBe(true);
      expect(dual).toBeLessThanOrEqual(network * (1 + 1e-6));
      const zero = tf.tidy(() => y.sub(y.mean(0)).square().mean().dataSync()[0]);
      expect(network).toBeLessThanOrEqual(zero * (1 + 1e-5));
      tf.dispose([x, y]);
      result.model.dispose();
      if (result.model !== model) model.dispose();
    },
  );
});

test("an enumeration that time cuts short lets gates grow, and says so", async () => {
  const { x, y } = makeData("meanSquaredError", 60, 3);
  const model = makeModel({ units: 60 });
  const trainer = new ConvexReLUTrainer({ arrangements: { kind: "enumerate" }, timeLimit: 0.5 });
  const { made } = await onCountingClock(() => trainer.fit(model, x, y));
  expect(made.notes.join(" ")).toMatch(/did not suffice to enumerate all arrangements.*Raise timeLimit/);
  expect(made.certificate.scope).toBe("these gates");
  expect(made.status).not.toBe("solved");
  tf.dispose([x, y]);
  model.dispose();
});

test("in cross-validation one clock runs for all folds, and betas that were not reached are not judged", async () => {
  const { x, y } = makeData("meanSquaredError", 40, 3);
  const model = makeModel({ units: 60 });
  const trainer = new ConvexReLUTrainer({ timeLimit: 2, width: "resize" });
  const { made, time } = await onCountingClock(() => trainer.crossValidate(model, x, y, { count: 40 }));
  expect(time).toBeLessThan(allowed(2));
  expect(made.betas.length).toBeLessThan(40);
  expect(made.betas.length).toBeGreaterThan(0);
  for (const fold of made.values) expect(fold).toHaveLength(made.betas.length);
  expect(made.best).toBeLessThan(made.betas.length);
  tf.dispose([x, y]);
});
