/** Bit-packed masks: reading, writing and comparing the sign patterns of a gate set. */

import { eachBlock } from "../rowBlock.js";
import type { GateSet, Matrix } from "../types.js";

/** Words of 32 bits that one gate over n rows takes. */
export function wordsPerGate(rows: number): number {
  return (rows + 31) >>> 5;
}

/** D_gate[row, row] as a boolean. */
export function isActive(gates: GateSet, gate: number, row: number): boolean {
  return ((gates.bits[gate * wordsPerGate(gates.rows) + (row >>> 5)] >>> (row & 31)) & 1) === 1;
}

/** The diagonal of D_gate as zeros and ones, out [n]. */
export function gateRow(gates: GateSet, gate: number, out: Float64Array): void {
  for (let j = 0; j < gates.rows; j++) out[j] = isActive(gates, gate, j) ? 1 : 0;
}

/** On how many rows a gate is open: the trace of D_gate. */
export function activeCount(gates: GateSet, gate: number): number {
  const words = wordsPerGate(gates.rows);
  let count = 0;
  for (let k = gate * words; k < (gate + 1) * words; k++) {
    for (let rest = gates.bits[k]; rest !== 0; rest &= rest - 1) count += 1; // each turn clears the lowest bit that is set
  }
  return count;
}

/** Rows that are read together: their patches, where they are made from images, then serve all generators. */
const BLOCK = 1024;

/** Writes the pattern 1[X g >= 0] of one generator into `words`. */
export function packPattern(X: Matrix, g: Float64Array, words: Uint32Array): void {
  packPatterns(X, [g], [words]);
}

/** The same for several generators, with one pass over the rows. */
export function packPatterns(X: Matrix, generators: readonly Float64Array[], words: readonly Uint32Array[]): void {
  for (const pattern of words) pattern.fill(0);
  const d = X.cols;
  eachBlock(X, BLOCK, (rows, from, count) => {
    generators.forEach((g, i) => {
      packBlock(rows, count, d, g, words[i], from);
    });
  });
}

/** Four rows at a time, so that their sums need not wait for each other; each is summed in order. */
function packBlock(
  rows: Float64Array,
  count: number,
  d: number,
  g: Float64Array,
  words: Uint32Array,
  from: number,
): void {
  let j = 0;
  for (; j + 3 < count; j += 4) {
    let [a, b, c, e] = [0, 0, 0, 0];
    for (let p = 0, at = j * d; p < d; p++, at++) {
      const weight = g[p];
      a += rows[at] * weight;
      b += rows[at + d] * weight;
      c += rows[at + 2 * d] * weight;
      e += rows[at + 3 * d] * weight;
    }
    if (a >= 0) words[(from + j) >>> 5] |= 1 << ((from + j) & 31);
    if (b >= 0) words[(from + j + 1) >>> 5] |= 1 << ((from + j + 1) & 31);
    if (c >= 0) words[(from + j + 2) >>> 5] |= 1 << ((from + j + 2) & 31);
    if (e >= 0) words[(from + j + 3) >>> 5] |= 1 << ((from + j + 3) & 31);
  }
  for (; j < count; j++) {
    let product = 0;
    for (let p = 0; p < d; p++) product += rows[j * d + p] * g[p];
    if (product >= 0) words[(from + j) >>> 5] |= 1 << ((from + j) & 31);
  }
}
