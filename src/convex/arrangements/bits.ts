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

/** Writes the pattern 1[X g >= 0] of one generator into `words`. */
export function packPattern(X: Matrix, g: Float64Array, words: Uint32Array): void {
  words.fill(0);
  for (let j = 0; j < X.rows; j++) {
    let product = 0;
    for (let p = 0; p < X.cols; p++) product += X.data[j * X.cols + p] * g[p];
    if (product >= 0) words[j >>> 5] |= 1 << (j & 31);
  }
}

/** A set of patterns that knows which it has seen: hashed by FNV-1a over words, compared word by word. */
export class PatternSet {
  private readonly buckets = new Map<number, Uint32Array[]>();
  count = 0;

  /** Adds a copy of the pattern; false when it is there already. */
  add(words: Uint32Array): boolean {
    let hash = 0x811c9dc5;
    for (const word of words) hash = Math.imul(hash ^ word, 0x01000193) >>> 0;
    const bucket = this.buckets.get(hash);
    if (bucket?.some((other) => other.every((word, k) => word === words[k])) === true) return false;
    if (bucket === undefined) this.buckets.set(hash, [words.slice()]);
    else bucket.push(words.slice());
    this.count += 1;
    return true;
  }
}
