/** One fit in a process of its own, for bench/memory.ts: prints the peak resident set as JSON. */

import * as tf from "@tensorflow/tfjs";
import { ConvexReLUTrainer, type FitResult, gatedConv2D, registerLayers } from "../../src/index.js";
import { planted } from "../data/synthetic.js";

export interface MemoryCase {
  readonly formulation: "gated" | "relu";
  readonly n: number;
  readonly d: number; // features of a row, or of a patch
  readonly P: number;
  /** Present where the n samples are images under a convolution, global average pooling and a dense layer. */
  readonly images?: { readonly side: number; readonly channels: number; readonly filter: number };
  readonly limit: number; // seconds
}

export interface MemoryUse extends MemoryCase {
  readonly peakBytes: number; // resident set
  readonly maskBytes: number;
  readonly solver: string;
  readonly status: string;
  readonly seconds: number; // of the solver
  readonly callSeconds: number; // of the whole fit, gates and certificate included
  readonly processorSeconds: number; // of all threads, of the whole process
  readonly relativeGap: number;
}

const wish: MemoryCase = JSON.parse(process.argv[2]);
const { formulation, n, d, P, limit, images } = wish;
registerLayers();
await tf.setBackend("cpu");
const trainer = new ConvexReLUTrainer({
  formulation,
  arrangements: { kind: "sample", count: P },
  regularization: 2e-3,
  tolerance: 1e-3,
  timeLimit: limit,
  width: "resize",
});
let began = performance.now();
const result = await (images === undefined ? fitRows() : fitImages(images));
const callSeconds = (performance.now() - began) / 1000;
const use: MemoryUse = {
  ...wish,
  P: result.gates.count,
  peakBytes: process.resourceUsage().maxRSS * 1024,
  maskBytes: result.gates.bits.byteLength,
  solver: result.solver,
  status: result.status,
  seconds: result.seconds,
  callSeconds,
  processorSeconds: (process.cpuUsage().user + process.cpuUsage().system) / 1e6,
  relativeGap: result.certificate.relativeGap,
};
console.log(JSON.stringify(use));

function fitRows(): Promise<FitResult> {
  const { X, Y } = planted(n, d, 951);
  const x = tf.tensor2d(Float32Array.from(X.data), [n, d]);
  const y = tf.tensor2d(Float32Array.from(Y.data), [n, 1]);
  began = performance.now();
  return trainer.train(x, y, { loss: "meanSquaredError", hiddenBias: false });
}

/** Images of noise: half of them, of class 1, have vertical stripes. */
function fitImages({ side, channels, filter }: NonNullable<MemoryCase["images"]>): Promise<FitResult> {
  const [x, y] = tf.tidy(() => {
    const labels = tf.range(0, n).mod(2).reshape([n, 1]) as tf.Tensor2D;
    const stripes = tf.range(0, side).mod(2).sub(0.5).reshape([1, 1, side, 1]);
    const noise = tf.randomNormal([n, side, side, channels], 0, 1, "float32", 951);
    return [noise.add(stripes.mul(labels.reshape([n, 1, 1, 1]))), labels];
  });
  const model = tf.sequential({
    layers: [
      gatedConv2D({ filters: P, kernelSize: filter, useBias: false, inputShape: [side, side, channels] }),
      tf.layers.globalAveragePooling2d({ dataFormat: "channelsLast" }),
      tf.layers.dense({ units: 1 }),
    ],
  });
  model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
  began = performance.now();
  return trainer.fit(model, x, y);
}
