import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import {
  branchPower,
  type ConvexError,
  fitParallel,
  gatedBranches,
  type ParallelOptions,
  ParallelResult,
  trainParallel,
} from "../../src/index.js";
import { onCountingClock } from "../helpers/clock.js";
import { makeData, weightsIn } from "../helpers/models.js";

beforeAll(() => tf.setBackend("cpu"));

const kinds = [
  { units: "relu", charge: "power", rows: 6 },
  { units: "relu", charge: "path", rows: 6 },
  { units: "relu", charge: "path", rows: 3, hidden: [1, 2] },
  { units: "gated", charge: "power", rows: 60 },
  { units: "gated", charge: "path", rows: 60 },
] as const;

function optionsOf({ units, charge, ...more }: (typeof kinds)[number]): ParallelOptions {
  const { hidden = 2 } = more as { hidden?: readonly number[] };
  return { units, charge, loss: "meanSquaredError", hidden, regularization: 0.01, tolerance: 1e-5 };
}

/** A compiled model of either kind. */
function modelOf({ units, charge }: (typeof kinds)[number], branches = 12): tf.Sequential {
  const power = (along: "outputs" | "inputs") =>
    charge === "power" ? branchPower({ factor: 0.01, branches, along }) : tf.regularizers.l2({ l2: 0.01 });
  const first =
    charge === "power"
      ? { kernelRegularizer: power("outputs") }
      : { kernelConstraint: tf.constraints.unitNorm({ axis: 0 }) };
  const relu = (units: number) => ({ units, useBias: false, activation: "relu" as const });
  const hidden =
    units === "gated"
      ? [gatedBranches({ branches, hidden: 2, seed: 3, inputShape: [3], ...first, secondRegularizer: power("inputs") })]
      : [
          tf.layers.dense({ ...relu(2 * branches), inputShape: [3], ...first }),
          tf.layers.dense({ ...relu(branches), kernelRegularizer: power("outputs") }),
        ];
  const model = tf.sequential({
    layers: [...hidden, tf.layers.dense({ units: 1, kernelRegularizer: power("inputs") })],
  });
  model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
  return model;
}

describe.each(kinds)("rounds of parallel networks of $units units under $charge", (kind) => {
  test("are told as epochs, their objective never rises, and the last one's is the certificate's", async () => {
    const { x, y } = makeData("meanSquaredError", kind.rows, 3);
    const told: { epoch: number; logs: tf.Logs | undefined }[] = [];
    const began: object[] = [];
    const ended: object[] = [];
    const callbacks = {
      onTrainBegin: async () => void began.push({}),
      onEpochEnd: async (epoch: number, logs?: tf.Logs) => void told.push({ epoch, logs: { ...logs } as tf.Logs }),
      onTrainEnd: async () => void ended.push({}),
    };
    const result = await trainParallel(x, y, { ...optionsOf(kind), callbacks });
    expect(result).toBeInstanceOf(ParallelResult);
    expect(result).toBeInstanceOf(tf.History);
    const { history, epoch, certificate, rounds, status } = result;
    expect(status).toBe("solved");
    expect([began.length, ended.length]).toEqual([1, 1]);
    expect(epoch).toEqual(told.map((each) => each.epoch));
    expect(epoch).toEqual(Array.from({ length: rounds }, (_, k) => k));
    for (const [name, values] of Object.entries(history)) {
      expect(values).toEqual(told.map(({ logs }) => (logs as Record<string, number>)[name]));
    }
    const loss = history.loss as number[];
    for (let k = 1; k < loss.length; k++) expect(loss[k]).toBeLessThanOrEqual(loss[k - 1]);
    expect(Math.abs(loss[loss.length - 1] / certificate.primal - 1)).toBeLessThan(1e-5);
    expect((history.relativeGap as number[])[rounds - 1]).toBeLessThanOrEqual(1e-5);
    result.model.dispose();
    tf.dispose([x, y]);
  });

  test("end where a callback sets stopTraining, with a network that is as good as its round", async () => {
    const { x, y } = makeData("meanSquaredError", kind.rows, 3);
    const model = modelOf(kind);
    const callbacks = {
      onEpochEnd: async () => {
        model.stopTraining = true;
      },
    };
    const { status, epoch, objective, history } = await fitParallel(model, x, y, { callbacks, tolerance: 1e-12 });
    expect(status).toBe("cancelled");
    expect(epoch).toEqual([0]);
    expect(objective.total).toBeLessThanOrEqual((history.loss[0] as number) * (1 + 1e-5));
    model.dispose();
    tf.dispose([x, y]);
  });

  test.each(["onTrainBegin", "onEpochEnd", "onTrainEnd"])(
    "leave weights and memory as they were where %s throws",
    async (name) => {
      const { x, y } = makeData("meanSquaredError", kind.rows, 3);
      const callbacks = {
        [name]: async () => {
          throw new Error("out of coffee");
        },
      };
      const model = modelOf(kind);
      const before = weightsIn(model);
      const tensors = tf.memory().numTensors;
      await expect(fitParallel(model, x, y, { callbacks })).rejects.toThrow("out of coffee");
      await expect(trainParallel(x, y, { ...optionsOf(kind), callbacks })).rejects.toThrow("out of coffee");
      expect(weightsIn(model)).toEqual(before);
      expect(tf.memory().numTensors).toBe(tensors);
      model.dispose();
      tf.dispose([x, y]);
    },
  );

  test.each([0.05, 0.3])(
    "end within a limit of %d s, whatever the rows, with a network and a bound that hold",
    async (timeLimit) => {
      const { x, y } = makeData("meanSquaredError", 150, 6);
      const hidden = "hidden" in kind ? [3, 2] : 6;
      const options = { ...optionsOf(kind), hidden, branches: 60, tolerance: 1e-12, timeLimit };
      const { made, time } = await onCountingClock(() => trainParallel(x, y, options));
      expect(time).toBeLessThan(1050 * timeLimit + 300);
      expect(made.status).toBe("timeLimit");
      expect(Number.isFinite(made.objective.total)).toBe(true);
      const { dual, network, claim } = made.certificate;
      expect(dual).toBeLessThanOrEqual(network * (1 + 1e-6));
      if (dual === Number.NEGATIVE_INFINITY) expect(claim).toMatch(/^Nothing is proven/);
      made.model.dispose();
      tf.dispose([x, y]);
    },
  );
});

test.each([
  [{ callbacks: "none" }, "callbacks"],
  [{ callbacks: [3] }, "callbacks"],
  [{ epochs: 3 }, "epochs"],
])("what are no callbacks is refused before any work: %j", async (given, words) => {
  const { x, y } = makeData("meanSquaredError", 6, 3);
  const tensors = tf.memory().numTensors;
  const options = { ...optionsOf(kinds[0]), ...given } as unknown as ParallelOptions;
  await expect(trainParallel(x, y, options)).rejects.toSatisfy((error: ConvexError) => {
    return error.code.startsWith("options/") && error.message.includes(words);
  });
  expect(tf.memory().numTensors).toBe(tensors);
  tf.dispose([x, y]);
});
