/** A driver in a process of its own, to be killed: fits with a checkpoint in a file, and prints each round's number. */

import * as tf from "@tensorflow/tfjs";
import { fileCheckpoint, local } from "../../src/cluster/index.js";
import { ConvexReLUTrainer } from "../../src/index.js";
import { cases, LOAD, modelOf } from "./shardedCases.js";

const [path, module] = process.argv.slice(2);
const [squared] = cases;
await tf.setBackend("cpu");
const trainer = new ConvexReLUTrainer({ regularization: 1e-2, tolerance: 1e-12, width: "resize" });
await trainer.fitSharded(modelOf(squared), {
  cluster: local({ program: { module } }),
  shards: 2,
  load: LOAD,
  args: squared.rows,
  checkpoint: fileCheckpoint(path),
  checkpointRounds: 2,
  callbacks: { onEpochEnd: async (epoch: number) => void process.stdout.write(`${epoch}\n`) },
});
