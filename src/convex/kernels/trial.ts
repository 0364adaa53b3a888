/** An iteration of the first-order method on an engine, to be timed: by benches, and where "auto" meets a device that nobody has measured. */

import { wordsPerGate } from "../linear/bits.js";
import { perOutput } from "../penalties/perOutput.js";
import type { ConvexProgram, GateSet } from "../types.js";
import { hostIterate } from "./hostIterate.js";
import { bindProducts } from "./products.js";
import type { Kernels } from "./types.js";

export type TrialProgram = Pick<ConvexProgram, "X" | "gates" | "pooling"> & {
  readonly loss: Pick<ConvexProgram["loss"], "rows" | "outputs">;
};

/** A gradient, a step without a threshold, a product and an extrapolation of all blocks. The caller disposes it. */
export interface TimedIteration {
  run(): Promise<void>;
  dispose(): void;
}

export async function iterationOn(kernels: Kernels, program: TrialProgram): Promise<TimedIteration> {
  const { X, gates, pooling = null, loss } = program;
  const { rows: n, outputs: C } = loss;
  const products = kernels.iterate === undefined ? bindProducts({ X, gates, pooling }, kernels) : null;
  const blocks =
    products === null
      ? await kernels.iterate?.(X, gates, C, perOutput, pooling)
      : hostIterate(products, X, gates, C, perOutput, pooling);
  const R = Float64Array.from({ length: n * C }, (_, k) => 1 - (k % 3));
  const Z = new Float64Array(n * C);
  return {
    async run() {
      await blocks?.gradient(R);
      await Promise.all([blocks?.step(1 / n, 0), blocks?.forward(Z)]);
      await blocks?.accept(0.5);
    },
    dispose() {
      blocks?.dispose();
      products?.dispose();
    },
  };
}

/** Runs after one that compiles and warms up, of which the least counts. */
const TIMED = 2;

/** Seconds of an iteration over the first gates of a program, as many as some multiplications have room for. */
export async function trialSeconds(kernels: Kernels, program: TrialProgram, work: number): Promise<number> {
  const { X, gates, loss } = program;
  const count = Math.max(1, Math.min(gates.count, Math.floor(work / (X.rows * X.cols * loss.outputs))));
  const iteration = await iterationOn(kernels, { ...program, gates: firstGates(gates, count) });
  try {
    let least = Number.POSITIVE_INFINITY;
    for (let k = 0; k <= TIMED; k++) {
      const began = performance.now();
      await iteration.run();
      if (k > 0) least = Math.min(least, (performance.now() - began) / 1000);
    }
    return least;
  } finally {
    iteration.dispose();
  }
}

function firstGates({ rows, bits, generators, ...rest }: GateSet, count: number): GateSet {
  const { cols, data } = generators;
  return {
    ...rest,
    ...{ count, rows, complete: false, bits: bits.subarray(0, count * wordsPerGate(rows)) },
    generators: { rows: count, cols, data: data.subarray(0, count * cols) },
  };
}
