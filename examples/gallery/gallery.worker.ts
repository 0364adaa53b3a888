/** The script of both workers: convex fits for WorkerTrainer, and runs of model.fit. */

import * as tf from "@tensorflow/tfjs";
import { serveTrainer } from "../../src/index.js";
import type { DescentOrder, FromGallery, ToGallery } from "./descent.js";
import { runStarts } from "./runs.js";

let stopped = false;

serveTrainer();
addEventListener("message", ({ data }: MessageEvent<ToGallery>) => {
  if (data.kind === "descend") {
    stopped = false;
    descend(data).catch((error) => say({ kind: "descentFailed", message: String(error?.message ?? error) }));
  } else if (data.kind === "stopDescent") {
    stopped = true;
  } else if (data.kind === "memory") {
    say({ kind: "memory", tensors: tf.memory().numTensors });
  }
});

function say(message: FromGallery): void {
  postMessage(message);
}

async function descend(order: DescentOrder): Promise<void> {
  await runStarts(order, say, () => stopped);
  say({ kind: "descentDone", backend: tf.getBackend(), tensors: tf.memory().numTensors });
}
