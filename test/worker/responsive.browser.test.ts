import * as tf from "@tensorflow/tfjs";
import { expect, test } from "vitest";
import { WorkerTrainer } from "../../src/index.js";
import { makeData, makeModel } from "../helpers/models.js";
import { startWorker } from "../helpers/workers.js";

/** The longest time in which the page got no turn while something ran. */
async function longestWait(work: () => Promise<unknown>): Promise<{ longest: number; turns: number }> {
  const channel = new MessageChannel();
  let longest = 0;
  let turns = 0;
  let last = performance.now();
  channel.port1.onmessage = () => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    turns += 1;
    setTimeout(() => channel.port2.postMessage(null), 5);
  };
  channel.port2.postMessage(null);
  await work();
  channel.port1.close();
  return { longest, turns };
}

test("while a worker trains on wasm, the page keeps its turns", async () => {
  await tf.setBackend("cpu");
  const worker = await startWorker();
  const { x, y } = makeData("meanSquaredError", 600, 20);
  const model = makeModel({ inputs: 20, units: 600, l2: 1e-4 });
  const trainer = new WorkerTrainer(worker, { engine: "wasm", tolerance: 1e-6, timeLimit: 3 });
  let seconds = 0;
  const { longest, turns } = await longestWait(async () => {
    ({ seconds } = await trainer.fit(model, x, y));
  });
  expect(turns).toBeGreaterThan(20);
  expect(longest).toBeLessThan(500 * seconds); // half of the solve, which would take all of it on the page
  worker.terminate();
  tf.dispose([x, y]);
  model.dispose();
});
