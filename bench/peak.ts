/** One fit in a process of its own, for bench/memory.ts: prints the peak resident set as JSON. */

import * as tf from "@tensorflow/tfjs";
import { ConvexReLUTrainer, registerLayers } from "../src/index.js";
import { planted } from "./support/synthetic.js";

export interface MemoryCase {
  readonly formulation: "gated" | "relu";
  readonly n: number;
  readonly d: number;
  readonly P: number;
  readonly limit: number; // seconds
}

export interface MemoryUse extends MemoryCase {
  readonly peakBytes: number; // resident set
  readonly maskBytes: number;
  readonly solver: string;
  readonly status: string;
  readonly seconds: number;
  readonly relativeGap: number;
}

const wish: MemoryCase = JSON.parse(process.argv[2]);
const { formulation, n, d, P, limit } = wish;
registerLayers();
await tf.setBackend("cpu");
const { X, Y } = planted(n, d, 951);
const x = tf.tensor2d(Float32Array.from(X.data), [n, d]);
const y = tf.tensor2d(Float32Array.from(Y.data), [n, 1]);
const trainer = new ConvexReLUTrainer({
  formulation,
  arrangements: { kind: "sample", count: P },
  regularization: 2e-3,
  tolerance: 1e-3,
  timeLimit: limit,
});
const result = await trainer.train(x, y, { loss: "meanSquaredError", hiddenBias: false });
const use: MemoryUse = {
  ...wish,
  P: result.gates.count,
  peakBytes: process.resourceUsage().maxRSS * 1024,
  maskBytes: result.gates.bits.byteLength,
  solver: result.solver,
  status: result.status,
  seconds: result.seconds,
  relativeGap: result.certificate.relativeGap,
};
console.log(JSON.stringify(use));
