/** Bit-packed masks: reading, writing and comparing the sign patterns of a gate set. */

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

/** Writes the pattern 1[X g >= 0] of one generator into `words`. */
export function packPattern(X: Matrix, g: Float64Array, words: Uint32Array): void {
  words.fill(0);
  for (let j = 0; j < X.rows; j++) {
    let product = 0;
    for (let p = 0; p < X.cols; p++) product += X.data[j * X.cols + p] * g[p];
    if (product >= 0) words[j >>> 5] |= 1 << (j & 31);
  }
}
