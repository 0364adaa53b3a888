/**
 * Gates of branches of L layers, the patterns of a ReLU branch of weights G_1k, .., G_L-1,k: h_1 = X G_1k, D_1kj = 1[h_1j >= 0] for every neuron,
 * h_2 = (h_1)_+ G_2k and so on to D_L-1,k of one neuron. Of three layers they are D_1kj = 1[X g_kj >= 0] and D_2k = 1[sum_j (X g_kj)_+ a_kj >= 0].
 *
 * What the program sees of a branch are its paths (j_1, .., j_L-2), whose mask is the product of their gates. The numbers behind the first are a
 * tail: T = m_2 .. m_L-2 of them, 1 of three layers, j_2 running fastest, and path (j_1, t) of branch k is number (k T + t) m_1 + j_1.
 */

import { PatternSet } from "../../arrangements/patternSet.js";
import { wordsPerGate } from "../../linear/bits.js";
import type { Pieces } from "../../linear/pieces.js";
import { PlainProducts } from "../../linear/plainProducts.js";
import { gaussianSource } from "../../linear/random.js";
import type { Matrix } from "../../types.js";
import { tailCount } from "../branch.js";

export interface BranchGates {
  readonly hidden: readonly number[]; // m_1, .., m_L-2
  readonly first: Matrix; // G_1 [d x K m_1]: g_kj in column k m_1 + j
  readonly behind: readonly Float64Array[]; // G_2, .., G_L-1: [K m_l x m_l+1], a branch's rows side by side, m_L-1 = 1
}

/** Rows that are read at a time: at most so many, and as many as some 20 ms of products have room for. */
const BLOCK = 256;
const TURN = 2 ** 24;

const NO_TAIL: readonly number[] = [];
/** Of a branch whose last neuron is open, before those below it have been looked at. */
const ONE_TAIL: readonly number[] = [0];

/** Gaussian gates in float32, as layers hold them. The same seed gives the same, and more branches extend those of fewer. */
export function drawBranchGates(
  features: number,
  hidden: readonly number[],
  branches: number,
  seed: number,
): BranchGates {
  const draw = gaussianSource(seed);
  const units = branches * hidden[0];
  const first = new Float64Array(features * units);
  const sizes = behindSizes(hidden);
  const behind = sizes.map((size) => new Float64Array(branches * size));
  const [, fanOut] = [...hidden, 1];
  for (let k = 0; k < branches; k++) {
    for (let u = k * hidden[0]; u < (k + 1) * hidden[0]; u++) {
      for (let p = 0; p < features; p++) first[p * units + u] = Math.fround(draw());
      for (let at = u * fanOut; at < (u + 1) * fanOut; at++) behind[0][at] = Math.fround(draw());
    }
    for (let l = 1; l < sizes.length; l++) {
      for (let at = k * sizes[l]; at < (k + 1) * sizes[l]; at++) behind[l][at] = Math.fround(draw());
    }
  }
  return { hidden, first: { rows: features, cols: units, data: first }, behind };
}

/** The numbers that a branch has in each kernel behind the first and before the last. */
export function behindSizes(hidden: readonly number[]): number[] {
  return hidden.map((m, l) => m * (hidden[l + 1] ?? 1));
}

/** The number of branches K. */
export function branchCount({ hidden, first }: BranchGates): number {
  return first.cols / hidden[0];
}

/** Paths of all branches. */
export function pathCount({ hidden, first }: BranchGates): number {
  return first.cols * tailCount(hidden);
}

/** j_2, .., j_L-2 of a tail, and 0 for the one neuron of layer L - 1. */
export function tailNeurons(hidden: readonly number[], tail: number): number[] {
  let rest = tail;
  const neurons = hidden.slice(1).map((m) => {
    const neuron = rest % m;
    rest = (rest - neuron) / m;
    return neuron;
  });
  return [...neurons, 0];
}

/** D_L-1,k .. D_1kj of every path as packed masks, [K T m_1 x ceil(n / 32)]. */
export function* productMasks(X: Matrix, gates: BranchGates): Pieces<Uint32Array> {
  const words = wordsPerGate(X.rows);
  const masks = new Uint32Array(pathCount(gates) * words);
  yield* eachOpen(X, gates, (row, unit) => {
    masks[unit * words + (row >>> 5)] |= 1 << (row & 31);
  });
  return masks;
}

/** The same of three layers for rows that stand m times, row k m + j of branch i being the mask of its neuron j on row k: [K x ceil(n m / 32)]. */
export function* branchMasks(X: Matrix, gates: BranchGates): Pieces<Uint32Array> {
  const [m] = gates.hidden;
  const words = wordsPerGate(X.rows * m);
  const masks = new Uint32Array(branchCount(gates) * words);
  yield* eachOpen(X, gates, (row, unit) => {
    const j = unit % m;
    const bit = row * m + j;
    masks[((unit - j) / m) * words + (bit >>> 5)] |= 1 << (bit & 31);
  });
  return masks;
}

/** Calls `use` for every row and path whose gates are all open, row by row. */
export function* eachOpen(
  { rows: n, cols: d, data }: Matrix,
  gates: BranchGates,
  use: (row: number, path: number) => void,
): Pieces<void> {
  const { hidden, first } = gates;
  const [m] = hidden;
  const units = first.cols;
  const tails = tailCount(hidden);
  const products = new PlainProducts(first);
  const work = d * units + gates.behind.reduce((all, { length }) => all + length, 0) + pathCount(gates);
  const block = Math.max(1, Math.min(BLOCK, Math.floor(TURN / work)));
  const sums = new Float64Array(block * units);
  const neurons = new BranchNeurons(gates);
  for (let from = 0; from < n; from += block) {
    const count = Math.min(block, n - from);
    products.of(data.subarray(from * d, (from + count) * d), count, sums);
    for (let row = 0; row < count; row++) {
      for (let k = 0; k < units / m; k++) {
        const at = row * units + k * m;
        for (const tail of neurons.openTails(k, sums, at)) {
          const path = (k * tails + tail) * m;
          for (let j = 0; j < m; j++) if (sums[at + j] >= 0) use(from + row, path + j);
        }
      }
    }
    yield;
  }
}

/** The neurons of one branch at a time, behind the first layer. */
class BranchNeurons {
  private readonly values: readonly Float64Array[]; // of layers 2, .., L - 1
  private readonly sizes: readonly number[];

  constructor(private readonly gates: BranchGates) {
    this.sizes = behindSizes(gates.hidden);
    this.values = [...gates.hidden.slice(1), 1].map((m) => new Float64Array(m));
  }

  /** Tails of branch k that are open where its first layer has the sums from an entry on. */
  openTails(k: number, sums: Float64Array, first: number): readonly number[] {
    const { values, sizes, gates } = this;
    let [below, from] = [sums, first];
    for (let l = 0; l < values.length; l++) {
      const [into, kernel, m] = [values[l], gates.behind[l], gates.hidden[l]];
      for (let i = 0; i < into.length; i++) {
        let sum = 0;
        for (let j = 0, at = k * sizes[l] + i; j < m; j++, at += into.length) {
          sum += Math.max(0, below[from + j]) * kernel[at];
        }
        into[i] = sum;
      }
      [below, from] = [into, 0];
    }
    if (below[0] < 0) return NO_TAIL;
    let open = ONE_TAIL;
    for (let l = values.length - 2; l >= 0; l--) {
      const layer = values[l];
      open = open.flatMap((tail) =>
        Array.from(layer.keys(), (j) => tail * layer.length + j).filter((_, j) => layer[j] >= 0),
      );
    }
    return open;
  }
}

/** Some columns of a matrix. */
export function columnsOf({ rows, cols, data }: Matrix, chosen: readonly number[]): Matrix {
  const kept = new Float64Array(rows * chosen.length);
  for (let p = 0; p < rows; p++)
    for (const [k, u] of chosen.entries()) kept[p * chosen.length + k] = data[p * cols + u];
  return { rows, cols: chosen.length, data: kept };
}

/** The gates of some branches. */
export function gatesOfBranches({ hidden, first, behind }: BranchGates, chosen: readonly number[]): BranchGates {
  const [m] = hidden;
  const units = chosen.flatMap((k) => Array.from({ length: m }, (_, j) => k * m + j));
  const sizes = behindSizes(hidden);
  const kept = behind.map((kernel, l) => {
    const own = new Float64Array(chosen.length * sizes[l]);
    for (const [at, k] of chosen.entries()) own.set(kernel.subarray(k * sizes[l], (k + 1) * sizes[l]), at * sizes[l]);
    return own;
  });
  return { hidden, first: columnsOf(first, units), behind: kept };
}

/** The different gates, and the branches that have each: of several outputs many branches share theirs. */
export function distinctGates(gates: BranchGates): {
  readonly distinct: BranchGates;
  readonly branches: readonly (readonly number[])[];
} {
  const { hidden, first: kernel, behind } = gates;
  const [m] = hidden;
  const branches: number[][] = [];
  const seen = new PatternSet();
  const sizes = behindSizes(hidden);
  const own = new Float64Array(kernel.rows * m + sizes.reduce((all, size) => all + size, 0));
  for (let k = 0; k < branchCount(gates); k++) {
    let at = 0;
    // Adding 0 makes -0 the 0 that it equals.
    for (const [l, size] of sizes.entries()) {
      for (let p = k * size; p < (k + 1) * size; p++, at++) own[at] = behind[l][p] + 0;
    }
    for (let p = 0; p < kernel.rows; p++) {
      for (let j = 0; j < m; j++, at++) own[at] = kernel.data[p * kernel.cols + k * m + j] + 0;
    }
    const words = new Uint32Array(own.buffer);
    if (seen.add(words)) branches.push([k]);
    else branches[seen.find(words)].push(k);
  }
  const first = branches.map(([k]) => k);
  return { distinct: gatesOfBranches(gates, first), branches };
}
