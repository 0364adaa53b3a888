/** One engine's first-order iteration as a timed run; works in Node and in a page. */

import * as tf from "@tensorflow/tfjs";
import { sampleGates } from "../../src/convex/arrangements/index.js";
import { chooseEngine, type EngineChoice } from "../../src/convex/kernels/index.js";
import { iterationOn } from "../../src/convex/kernels/trial.js";
import type { Kernels } from "../../src/convex/kernels/types.js";
import { gaussianSource } from "../../src/convex/linear/random.js";
import { bindLoss } from "../../src/convex/losses/index.js";
import { patchGeometry, patchMatrix } from "../../src/convex/operators/patches.js";
import { perOutput } from "../../src/convex/penalties/perOutput.js";
import { stepOnHost, stepRoom } from "../../src/convex/solvers/splitting/outer.js";
import { SplittingSystem } from "../../src/convex/solvers/splitting/system.js";
import { Workbench } from "../../src/convex/solvers/workbench.js";
import type { GateSet, Matrix, Pooling } from "../../src/convex/types.js";
import { timingOf } from "./measure.js";
import { startThreads } from "./rates.js";

/** Of the convolutions that are measured. */
const FILTER = 3;
const CHANNELS = 3;
export const PATCH_FEATURES = FILTER * FILTER * CHANNELS;
/** Rows up to which engines have a solution of the splitting's system, and steps that are asked for together. */
const WHOLE_ROWS = 1500;
const STEPS = 10;

export interface DeviceCase {
  readonly engine: EngineChoice;
  readonly backend: string; // of tfjs, current while it runs
  readonly threads?: number; // of the WASM engine
}

export interface DeviceSize {
  readonly rows: number; // n
  readonly features: number; // d; of a patch where the rows are images
  readonly gates: number; // P
  readonly outputs: number; // C
  /** ReLU: blocks with cones, as the splitting has them. */
  readonly cones?: boolean;
  /** Rows are images of side x side x 3 under filters of 3 x 3, read out by their mean or patch by patch. */
  readonly image?: { readonly side: number; readonly readOut: "mean" | "patches" };
}

export interface DeviceRate extends DeviceCase, DeviceSize {
  readonly reason: string; // what chooseEngine said, with the device
  readonly ran: number; // threads of the host engine that took part
  readonly seconds: number; // of an iteration, median
  readonly flops: number; // of its products, masked ones counted as dense
}

/** Medians of `repeats` iterations (`iterationOn`; of programs with cones `coneSeconds`). */
export async function iterationRate(how: DeviceCase, size: DeviceSize, repeats: number): Promise<DeviceRate> {
  const { rows: n, gates: P, outputs: C } = size;
  await useBackend(how.backend);
  const { kernels, reason } = await chooseEngine(how.engine, how.threads ?? null);
  if (how.threads !== undefined) await startThreads(kernels, how.threads);
  const { X, pooling } = rowsOf(size);
  const gates = sampleGates(X, { count: P, seed: 1 });
  if (size.cones === true) {
    const seconds = await coneSeconds(kernels, X, gates, C, repeats);
    const ran = kernels.threads?.().ran ?? 1;
    return { ...how, ...size, gates: gates.count, reason, ran, seconds, flops: 12 * n * X.cols * gates.count * C };
  }
  const iteration = await iterationOn(kernels, { X, gates, pooling, loss: { rows: n, outputs: C } });
  const seconds = await medianOf(() => iteration.run(), repeats);
  iteration.dispose();
  const ran = kernels.threads?.().ran ?? 1;
  return { ...how, ...size, gates: gates.count, reason, ran, seconds, flops: 4 * X.rows * X.cols * gates.count * C };
}

/**
 * Of a step of the splitting: two products of all 2 P C vectors, two of half of them; what is n x n or d x d is not counted. Whole steps, with
 * outputs and squared loss, where there are few enough rows that the engine makes them or the host has them solved; else the products alone.
 */
async function coneSeconds(kernels: Kernels, X: Matrix, gates: GateSet, C: number, repeats: number): Promise<number> {
  const size = X.rows * C;
  const targets: Matrix = { rows: X.rows, cols: C, data: Float64Array.from({ length: size }, gaussianSource(3)) };
  const loss = bindLoss("meanSquaredError", targets);
  const program = { X, gates, loss, penalty: perOutput, beta: 0.1, outputBias: null, cones: true };
  const bench = new Workbench(program, kernels);
  const never = async () => false;
  const common = { program, kernels, tolerance: 1e-3, pause: never, late: () => false };
  const system = await SplittingSystem.of({ ...common, products: bench.products, memory: bench.part(0, program) });
  if (system === null) throw new Error("bench: the rows have no matrix in common.");
  const [z, c] = [2, 4].map((seed) => Float64Array.from({ length: size }, gaussianSource(seed)));
  const state = { z, c, e: new Float64Array(C), te: new Float64Array(C) };
  const numbers = { relaxation: 1.8, threshold: 0.1, tau: 1, biasShare: 1 };
  const room = stepRoom(loss);
  const whole = X.rows <= WHOLE_ROWS;
  const { steps } = system.iterate;
  const run = async () => {
    if (steps !== undefined) await steps(STEPS, numbers, state);
    else if (whole)
      for (let k = 0; k < STEPS; k++) await stepOnHost(system, loss, state, numbers, room, k + 1 === STEPS, never);
    else {
      await system.iterate.gather(z, c);
      await system.iterate.advance(c, 1.8, 0.1, false);
    }
  };
  const seconds = await medianOf(run, repeats);
  system.dispose();
  bench.dispose();
  return whole ? seconds / STEPS : seconds;
}

function rowsOf({ rows: n, features: d, image }: DeviceSize): { X: Matrix; pooling: Pooling | null } {
  const gaussian = (cols: number): Matrix => {
    return { rows: n, cols, data: Float64Array.from({ length: n * cols }, gaussianSource(1)) };
  };
  if (image === undefined) return { X: gaussian(d), pooling: null };
  const axis = { size: image.side, filter: FILTER, stride: 1, dilation: 1 };
  const shape = { height: axis, width: axis, channels: CHANNELS } as const;
  const geometry = patchGeometry({ ...shape, padding: "valid", dataFormat: "channelsLast" });
  const { patches } = geometry;
  const positions = image.readOut === "mean" ? 1 : patches;
  const pooling = { patches, positions, scale: positions / patches };
  return { X: patchMatrix(gaussian(geometry.pixels), geometry), pooling };
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

export async function useBackend(name: string): Promise<void> {
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
