/** One engine's first-order iteration as a timed run; works in Node and in a page. */

import * as tf from "@tensorflow/tfjs";
import { sampleGates } from "../src/convex/arrangements/index.js";
import { gaussianSource } from "../src/convex/arrangements/random.js";
import { hostIterate } from "../src/convex/kernels/hostIterate.js";
import { chooseEngine, type EngineChoice } from "../src/convex/kernels/index.js";
import type { BlockIterate } from "../src/convex/kernels/types.js";
import { penalties } from "../src/convex/penalties/index.js";
import { startThreads } from "./rates.js";
import { timingOf } from "./support/measure.js";

export interface DeviceCase {
  readonly engine: EngineChoice;
  readonly backend: string; // of tfjs, current while it runs
  readonly threads?: number; // of the WASM engine
}

export interface DeviceSize {
  readonly rows: number; // n
  readonly features: number; // d
  readonly gates: number; // P
  readonly outputs: number; // C
}

export interface DeviceRate extends DeviceCase, DeviceSize {
  readonly reason: string; // what chooseEngine said, with the device
  readonly ran: number; // threads of the host engine that took part
  readonly seconds: number; // of an iteration, median
  readonly flops: number; // of its two products, masked ones counted as dense
}

/** Medians of `repeats` iterations, each a gradient, a step without a threshold, a product and an extrapolation. */
export async function iterationRate(how: DeviceCase, size: DeviceSize, repeats: number): Promise<DeviceRate> {
  const { rows: n, features: d, gates: P, outputs: C } = size;
  await useBackend(how.backend);
  const { kernels, reason } = await chooseEngine(how.engine, how.threads ?? null);
  if (how.threads !== undefined) await startThreads(kernels, how.threads);
  const X = { rows: n, cols: d, data: Float64Array.from({ length: n * d }, gaussianSource(1)) };
  const gates = sampleGates(X, { count: P, seed: 1 });
  const products = kernels.iterate === undefined ? kernels.bind(X, gates) : null;
  const blocks: BlockIterate | undefined =
    products === null
      ? await kernels.iterate?.(X, gates, C, penalties.perOutput)
      : hostIterate(products, X, gates, C, penalties.perOutput);
  if (blocks === undefined) throw new Error(`bench: ${how.engine} has no blocks.`);
  const R = Float64Array.from({ length: n * C }, gaussianSource(2));
  const Z = new Float64Array(n * C);
  const iteration = async () => {
    await blocks.gradient(R);
    await Promise.all([blocks.step(1 / n, 0), blocks.forward(Z)]);
    await blocks.accept(0.5);
  };
  const seconds = await medianOf(iteration, repeats);
  blocks.dispose();
  products?.dispose();
  const ran = kernels.threads?.().ran ?? 1;
  return { ...how, ...size, gates: gates.count, reason, ran, seconds, flops: 4 * n * d * gates.count * C };
}

/** FLOP/s of the best square product of float32 matrices that tfjs makes on a backend. */
export async function densePeak(backend: string, sizes: readonly number[], repeats: number): Promise<number> {
  await useBackend(backend);
  const rates: number[] = [];
  for (const n of sizes) {
    const A = tf.randomNormal([n, n]);
    const product = async () => {
      const B = tf.matMul(A, A);
      const corner = tf.slice(B, [0, 0], [1, 1]);
      await corner.data(); // waits for the product and reads one number
      tf.dispose([B, corner]);
    };
    rates.push((2 * n ** 3) / (await medianOf(product, repeats)));
    A.dispose();
  }
  return Math.max(...rates);
}

async function useBackend(name: string): Promise<void> {
  if (!(await tf.setBackend(name))) throw new Error(`bench: tfjs has no backend "${name}" here.`);
}

async function medianOf(run: () => Promise<void>, repeats: number): Promise<number> {
  await run();
  const runs: number[] = [];
  for (let k = 0; k < repeats; k++) {
    const start = performance.now();
    await run();
    runs.push((performance.now() - start) / 1000);
  }
  return timingOf(runs).median;
}
