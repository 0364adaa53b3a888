import * as tf from "@tensorflow/tfjs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  branchPower,
  type FitParallelOptions,
  fitParallel,
  gatedBranches,
  type ParallelOptions,
  trainParallel,
  WorkerTrainer,
} from "../../src/index.js";
import { makeData, weightsIn } from "../helpers/models.js";
import { startWorker, type TestWorker } from "../helpers/workers.js";

let worker: TestWorker;

beforeAll(async () => {
  await tf.setBackend("cpu");
  worker = await startWorker();
});

afterAll(async () => {
  await worker.terminate();
});

const relu = { loss: "meanSquaredError", hidden: 2, regularization: 0.02 } as const;
const wishes: readonly (readonly [string, ParallelOptions, number])[] = [
  ["ReLU", relu, 1],
  ["ReLU under path regularization", { ...relu, charge: "path" }, 1],
  ["ReLU of four layers", { ...relu, hidden: [1, 2], arrangements: { kind: "sample", count: 20 } }, 1],
  ["gated", { ...relu, units: "gated", branches: 6 }, 1],
  ["gated of four layers", { ...relu, units: "gated", branches: 6, hidden: [2, 2] }, 1],
  ["gated with several outputs", { ...relu, units: "gated", branches: 2 }, 3],
];

function gatedModel(branches = 8): tf.Sequential {
  const power = (along: "outputs" | "inputs") => branchPower({ factor: 0.01, branches, along });
  const [first, second] = [power("outputs"), power("inputs")];
  const model = tf.sequential({
    layers: [
      gatedBranches({
        branches,
        hidden: 2,
        seed: 1,
        inputShape: [3],
        kernelRegularizer: first,
        secondRegularizer: second,
      }),
      tf.layers.dense({ units: 1, kernelRegularizer: power("inputs") }),
    ],
  });
  model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
  return model;
}

describe("parallel networks in a worker", () => {
  test.each(wishes)(
    "trainParallel gives the model, history and proof that it gives here: %s",
    async (_, options, outputs) => {
      const { x, y } = makeData("meanSquaredError", 5, 3, outputs);
      const before = tf.memory().numTensors;
      const here = await trainParallel(x, y, { ...options, tolerance: 1e-3 });
      const there = await new WorkerTrainer(worker, { tolerance: 1e-3 }).trainParallel(x, y, options);
      expect(weightsIn(there.model)).toEqual(weightsIn(here.model));
      expect(there.certificate).toEqual(here.certificate);
      expect(there.objective).toEqual(here.objective);
      const { seconds: _here, ...ours } = here.history;
      const { seconds: _there, ...theirs } = there.history;
      expect(theirs).toEqual(ours);
      for (const { model } of [here, there]) model.dispose();
      expect(tf.memory().numTensors).toBe(before);
      tf.dispose([x, y]);
    },
  );

  test("fitParallel writes the weights that it writes here, with weights of rows", async () => {
    const { x, y } = makeData("meanSquaredError", 20, 3);
    const sampleWeight = Array.from({ length: 20 }, (_, k) => 0.1 + (k % 2) / 3);
    const [here, there] = [gatedModel(), gatedModel()];
    await fitParallel(here, x, y, { sampleWeight });
    const { model } = await new WorkerTrainer(worker).fitParallel(there, x, y, { sampleWeight });
    expect(model).toBe(there);
    expect(weightsIn(there)).toEqual(weightsIn(here));
    for (const each of [here, there]) each.dispose();
    tf.dispose([x, y]);
  });

  test("what the call leaves out, or gives as undefined, is as the trainer has it; what it gives counts", async () => {
    const { x, y } = makeData("meanSquaredError", 60, 3);
    const trainer = new WorkerTrainer(worker, { maxIterations: 1, tolerance: 1e-12 });
    const roundsOf = async (options: FitParallelOptions) => {
      const model = gatedModel();
      const { rounds, status } = await trainer.fitParallel(model, x, y, options);
      model.dispose();
      return [rounds, status];
    };
    const left = { maxIterations: undefined, tolerance: undefined, signal: undefined } as unknown as FitParallelOptions;
    expect(await roundsOf({})).toEqual([1, "iterationLimit"]);
    expect(await roundsOf(left)).toEqual([1, "iterationLimit"]);
    expect((await roundsOf({ maxIterations: 50, tolerance: 1e-2 }))[1]).toBe("solved");
    tf.dispose([x, y]);
  });

  test("callbacks hear every round here, and stop it; a signal stops it too", async () => {
    const { x, y } = makeData("meanSquaredError", 60, 3);
    const model = gatedModel();
    const epochs: number[] = [];
    const callbacks = {
      onEpochEnd: async (epoch: number) => {
        epochs.push(epoch);
        model.stopTraining = true;
      },
    };
    const { status } = await new WorkerTrainer(worker).fitParallel(model, x, y, { callbacks, tolerance: 1e-12 });
    expect([status, epochs]).toEqual(["cancelled", [0]]);
    const stopped = await new WorkerTrainer(worker, { signal: AbortSignal.abort() }).trainParallel(x, y, relu);
    expect(stopped.status).toBe("cancelled");
    for (const each of [model, stopped.model]) each.dispose();
    tf.dispose([x, y]);
  });

  test("what is refused here is refused there in the same words, weights and memory as they were", async () => {
    const { x, y } = makeData("meanSquaredError", 5, 3);
    const trainer = new WorkerTrainer(worker);
    const model = gatedModel(1);
    const before = weightsIn(model);
    const tensors = tf.memory().numTensors;
    const failing = { onTrainEnd: async () => Promise.reject(new Error("out of tea")) };
    const dense = { activation: "relu", useBias: false } as const;
    const uncompiled = tf.sequential({
      layers: [
        tf.layers.dense({ ...dense, units: 4, inputShape: [3] }),
        tf.layers.dense({ ...dense, units: 2 }),
        tf.layers.dense({ units: 1 }),
      ],
    });
    const words = tf.tensor2d([["a"], ["b"]]);
    const pairs = [
      ...[null, [[1]], words].map((bad) => [
        () => trainParallel(bad as never, y, relu),
        () => trainer.trainParallel(bad as never, y, relu),
      ]),
      ...[{ sampleWeight: 5 }, { sampleWeight: "abc" }, { sampleWeight: [1] }, { signal: null }, { callbacks: 3 }].map(
        (bad) => [
          () => trainParallel(x, y, { ...relu, ...bad } as never),
          () => trainer.trainParallel(x, y, { ...relu, ...bad } as never),
        ],
      ),
      [() => fitParallel(uncompiled, x, y), () => trainer.fitParallel(uncompiled, x, y)],
      [() => trainParallel(x, y, { ...relu, hidden: 0 }), () => trainer.trainParallel(x, y, { ...relu, hidden: 0 })],
      [() => fitParallel(x as never, x, y), () => trainer.fitParallel(x as never, x, y)],
      [
        () => fitParallel(model, x, y, { arrangements: { kind: "enumerate" } }),
        () => trainer.fitParallel(model, x, y, { arrangements: { kind: "enumerate" } }),
      ],
      [
        () => fitParallel(model, x, y, { callbacks: failing }),
        () => trainer.fitParallel(model, x, y, { callbacks: failing }),
      ],
      [
        () => trainParallel(x, y, { ...relu, callbacks: failing }),
        () => trainer.trainParallel(x, y, { ...relu, callbacks: failing }),
      ],
    ] as const;
    for (const [here, there] of pairs) {
      const message = await here().then(
        () => "nothing",
        (error: Error) => error.message,
      );
      expect(message).not.toBe("nothing");
      await expect(there()).rejects.toThrow(message);
    }
    expect(weightsIn(model)).toEqual(before);
    uncompiled.dispose();
    words.dispose();
    expect(tf.memory().numTensors).toBe(tensors);
    model.dispose();
    tf.dispose([x, y]);
  });
});
