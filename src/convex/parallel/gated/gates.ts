/**
 * Gates of branches of three layers: D_1kj = 1[X g_kj >= 0] for every hidden neuron, and D_2k = 1[sum_j (X g_kj)_+ a_kj >= 0], so that a branch's
 * gates are the patterns of a ReLU branch of weights (g, a).
 */

import { PatternSet } from "../../arrangements/patternSet.js";
import { wordsPerGate } from "../../linear/bits.js";
import type { Pieces } from "../../linear/pieces.js";
import { PlainProducts } from "../../linear/plainProducts.js";
import { gaussianSource } from "../../linear/random.js";
import type { Matrix } from "../../types.js";

export interface BranchGates {
  readonly hidden: number; // m
  readonly first: Matrix; // [d x K m]: g_kj in column k m + j
  readonly second: Float64Array; // [K m]: a_kj
}

/** Rows that are read at a time: at most so many, and as many as some 20 ms of products have room for. */
const BLOCK = 256;
const TURN = 2 ** 24;

/** Gaussian gates in float32, as layers hold them. The same seed gives the same, and more branches extend those of fewer. */
export function drawBranchGates(features: number, hidden: number, branches: number, seed: number): BranchGates {
  const draw = gaussianSource(seed);
  const units = branches * hidden;
  const first = new Float64Array(features * units);
  const second = new Float64Array(units);
  for (let u = 0; u < units; u++) {
    for (let p = 0; p < features; p++) first[p * units + u] = Math.fround(draw());
    second[u] = Math.fround(draw());
  }
  return { hidden, first: { rows: features, cols: units, data: first }, second };
}

/** The number of branches K. */
export function branchCount({ hidden, second }: BranchGates): number {
  return second.length / hidden;
}

/** D_2k D_1kj of every hidden neuron as packed masks, [K m x ceil(n / 32)]. */
export function* productMasks(X: Matrix, gates: BranchGates): Pieces<Uint32Array> {
  const words = wordsPerGate(X.rows);
  const masks = new Uint32Array(gates.second.length * words);
  yield* eachOpen(X, gates, (row, unit) => {
    masks[unit * words + (row >>> 5)] |= 1 << (row & 31);
  });
  return masks;
}

/** The same for rows that stand m times, row k m + j of branch i being the mask of its neuron j on row k: [K x ceil(n m / 32)]. */
export function* branchMasks(X: Matrix, gates: BranchGates): Pieces<Uint32Array> {
  const { hidden: m } = gates;
  const words = wordsPerGate(X.rows * m);
  const masks = new Uint32Array(branchCount(gates) * words);
  yield* eachOpen(X, gates, (row, unit) => {
    const j = unit % m;
    const bit = row * m + j;
    masks[((unit - j) / m) * words + (bit >>> 5)] |= 1 << (bit & 31);
  });
  return masks;
}

/** Calls `use` for every row and neuron at which both gates are open. */
export function* eachOpen(
  { rows: n, cols: d, data }: Matrix,
  { hidden: m, first, second }: BranchGates,
  use: (row: number, unit: number) => void,
): Pieces<void> {
  const units = second.length;
  const products = new PlainProducts(first);
  const block = Math.max(1, Math.min(BLOCK, Math.floor(TURN / (d * units))));
  const sums = new Float64Array(block * units);
  for (let from = 0; from < n; from += block) {
    const count = Math.min(block, n - from);
    products.of(data.subarray(from * d, (from + count) * d), count, sums);
    for (let k = 0; k < count; k++) {
      for (let unit = 0; unit < units; unit += m) {
        const at = k * units + unit;
        let h = 0;
        for (let j = 0; j < m; j++) h += Math.max(0, sums[at + j]) * second[unit + j];
        if (h < 0) continue;
        for (let j = 0; j < m; j++) if (sums[at + j] >= 0) use(from + k, unit + j);
      }
    }
    yield;
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
export function gatesOfBranches({ hidden: m, first, second }: BranchGates, chosen: readonly number[]): BranchGates {
  const units = chosen.flatMap((k) => Array.from({ length: m }, (_, j) => k * m + j));
  return { hidden: m, first: columnsOf(first, units), second: Float64Array.from(units, (u) => second[u]) };
}

/** The different gates, and the branches that have each: of several outputs many branches share theirs. */
export function distinctGates(gates: BranchGates): {
  readonly distinct: BranchGates;
  readonly branches: readonly (readonly number[])[];
} {
  const { hidden: m, first: kernel, second } = gates;
  const branches: number[][] = [];
  const seen = new PatternSet();
  const own = new Float64Array((kernel.rows + 1) * m);
  for (let k = 0; k < branchCount(gates); k++) {
    // Adding 0 makes -0 the 0 that it equals.
    for (let j = 0; j < m; j++) own[j] = second[k * m + j] + 0;
    for (let p = 0, at = m; p < kernel.rows; p++) {
      for (let j = 0; j < m; j++, at++) own[at] = kernel.data[p * kernel.cols + k * m + j] + 0;
    }
    const words = new Uint32Array(own.buffer);
    if (seen.add(words)) branches.push([k]);
    else branches[seen.find(words)].push(k);
  }
  const first = branches.map(([k]) => k);
  return { distinct: gatesOfBranches(gates, first), branches };
}
