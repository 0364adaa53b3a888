/**
 * The search for gates that are worth more than beta: max over |u| <= 1 of N_c' (X u)_+ (or its negative), for a dual point N;
 * over patches of N_c' S (X u)_+, S their pooling.
 *
 * This is what prices a new neuron in the convex neural networks of Bengio et al. (2006) and the Frank-Wolfe step of Bach (2017);
 * it is NP-hard, so ascent from many starts finds lower bounds of it: evidence, not proof.
 */

import type { DeviceNeurons, Kernels } from "../kernels/types.js";
import { dotAt } from "../linear/vectors.js";
import { neuronsThereFor } from "../operators/neuronLayer.js";
import type { Matrix, Pooling } from "../types.js";
import { eachSampleBlock, readingOf, replaceByPull } from "./sampleBlocks.js";

/** A stretch of the step after it helped, and a cut after it did not. */
const STRETCH = 1.5;
const CUT = 0.3;

/** One start: a direction and the (signed) column of the dual point that it is to align with. */
export interface Start {
  readonly direction: Float64Array; // [d], any length above zero
  readonly output: number; // over patches a C + c, as in `Pooling`
  readonly sign: 1 | -1; // of the neuron: a positive one wants -N
}

/** Where an ascent ended. */
export interface Found {
  readonly direction: Float64Array; // [d], unit
  readonly value: number; // -sign N_c' (X u)_+
}

/**
 * Projected gradient ascent on the sphere from all starts together, so that each step is two matrix products; after each of
 * `rounds` rounds of `steps` steps the worse half of the ends is let go. Answers with the ends of every start, as far as it came
 * when `pause`, asked in each step, says that time is up.
 */
export async function searchGates(
  kernels: Kernels,
  X: Matrix,
  N: Float64Array, // [n x C]
  outputs: number,
  starts: readonly Start[],
  steps: number,
  rounds = 1,
  pooling: Pooling | null = null,
  pause: () => Promise<boolean> = async () => false,
): Promise<Found[]> {
  const there = steps > 1 ? await neuronsThereFor({ X, pooling }, kernels, outputs, starts.length) : null;
  try {
    there?.turn(N);
    const ends = await climbed(
      new Ascent(kernels, X, N, outputs, starts, pooling, there),
      starts,
      steps,
      rounds,
      pause,
    );
    if (there === null) return ends;
    // What float32 says of them is not what they are worth. The first step of an ascent is where it begins.
    const found = starts.map((start, k) => ({ ...start, direction: ends[k].direction }));
    return await new Ascent(kernels, X, N, outputs, found, pooling, null).run(1, pause);
  } finally {
    there?.dispose();
  }
}

async function climbed(
  ascent: Ascent,
  starts: readonly Start[],
  steps: number,
  rounds: number,
  pause: () => Promise<boolean>,
): Promise<Found[]> {
  const ends: Found[] = new Array(starts.length);
  let alive = starts.map((_, i) => i);
  for (let round = 0; round < rounds; round++) {
    for (const [k, found] of (await ascent.run(steps, pause)).entries()) ends[alive[k]] = found;
    if (round + 1 === rounds || (await pause())) break;
    const order = alive.map((_, k) => k).sort((a, b) => ends[alive[b]].value - ends[alive[a]].value);
    const kept = order.slice(0, Math.ceil(order.length / 2));
    alive = kept.map((k) => alive[k]);
    ascent.keep(kept);
  }
  return ends;
}

/** The state of the ascents: the best direction of each, and the step that it tries next. */
class Ascent {
  private best: Float64Array; // [S x d]
  private value: Float64Array; // [S]
  private stride: Float64Array; // [S]
  private gradient: Float64Array; // [S x d], at the best directions

  constructor(
    private readonly kernels: Kernels,
    private readonly X: Matrix,
    private readonly N: Float64Array,
    private readonly outputs: number,
    private starts: readonly Start[],
    private readonly pooling: Pooling | null,
    private readonly there: DeviceNeurons | null, // where a device makes the products
  ) {
    const S = starts.length;
    const d = X.cols;
    this.best = new Float64Array(S * d);
    starts.forEach(({ direction }, i) => {
      this.best.set(direction, i * d);
      normalise(this.best, i * d, d);
    });
    this.value = new Float64Array(S).fill(Number.NEGATIVE_INFINITY);
    this.stride = new Float64Array(S).fill(1);
    this.gradient = new Float64Array(S * d);
  }

  /** Goes on with these starts only. */
  keep(kept: readonly number[]): void {
    const d = this.X.cols;
    const rows = (from: Float64Array, width: number) => {
      const to = new Float64Array(kept.length * width);
      kept.forEach((i, k) => {
        to.set(from.subarray(i * width, (i + 1) * width), k * width);
      });
      return to;
    };
    this.starts = kept.map((i) => this.starts[i]);
    this.best = rows(this.best, d);
    this.gradient = rows(this.gradient, d);
    this.value = rows(this.value, 1);
    this.stride = rows(this.stride, 1);
  }

  async run(steps: number, pause: () => Promise<boolean>): Promise<Found[]> {
    const { kernels, X, N, outputs, starts, best, value, stride, gradient, there } = this;
    const d = X.cols;
    const S = starts.length;
    const reading = readingOf(
      this.pooling,
      outputs,
      Int32Array.from(starts, ({ output }) => output),
    );
    const trial = new Float64Array(S * d);
    const trialGradient = new Float64Array(S * d);
    const part = new Float64Array(S * d);
    const sums = new Float64Array(S);
    let products = new Float64Array(0);
    for (let step = 0; step < steps && (step === 0 || !(await pause())); step++) {
      for (let i = 0; i < S; i++) {
        const from = i * d;
        const length = lengthOf(gradient, from, d);
        const scale = length > 0 ? stride[i] / length : 0;
        for (let p = from; p < from + d; p++) trial[p] = best[p] + scale * gradient[p];
        normalise(trial, from, d);
      }
      if (there !== null) {
        await there.pulls(trial, reading.columns, trialGradient);
        for (let i = 0; i < S; i++) sums[i] = -starts[i].sign * dotAt(trial, i * d, trialGradient, i * d, d);
      } else {
        trialGradient.fill(0);
        sums.fill(0);
        eachSampleBlock(X, reading.pooling, S, (rows, first, count) => {
          const length = rows.length / d;
          if (products.length < S * length) products = new Float64Array(S * length);
          kernels.multiplyTransposed(trial, rows, products, S, d, length);
          for (let i = 0; i < S; i++) sums[i] -= starts[i].sign * replaceByPull(reading, i, N, products, first, count);
          kernels.multiply(products, rows, part, S, length, d);
          for (let k = 0; k < part.length; k++) trialGradient[k] += part[k];
        });
      }
      for (let i = 0; i < S; i++) {
        const improved = sums[i] > value[i];
        stride[i] *= improved ? STRETCH : CUT;
        if (!improved) continue;
        value[i] = sums[i];
        best.set(trial.subarray(i * d, (i + 1) * d), i * d);
        for (let p = i * d; p < (i + 1) * d; p++) gradient[p] = -starts[i].sign * trialGradient[p];
      }
    }
    return starts.map((_, i) => ({ direction: best.slice(i * d, (i + 1) * d), value: value[i] }));
  }
}

function lengthOf(values: Float64Array, from: number, d: number): number {
  let square = 0;
  for (let p = from; p < from + d; p++) square += values[p] * values[p];
  return Math.sqrt(square);
}

function normalise(values: Float64Array, from: number, d: number): void {
  const length = lengthOf(values, from, d);
  if (length > 0) for (let p = from; p < from + d; p++) values[p] /= length;
}
