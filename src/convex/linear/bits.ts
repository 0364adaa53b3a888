/** Bit-packed masks: reading, writing and comparing the sign patterns of a gate set. */

import type { Kernels } from "../kernels/types.js";
import type { GateSet, Matrix } from "../types.js";
import { eachBlock } from "./rowBlock.js";

/** Words of 32 bits that one gate over n rows takes. */
export function wordsPerGate(rows: number): number {
  return (rows + 31) >>> 5;
}

/** D_gate[row, row] as a boolean. */
export function isActive(gates: GateSet, gate: number, row: number): boolean {
  return ((gates.bits[gate * wordsPerGate(gates.rows) + (row >>> 5)] >>> (row & 31)) & 1) === 1;
}

/** Calls `use` with the rows on which a gate is active, in order. */
export function eachActive(gates: GateSet, gate: number, use: (row: number) => void): void {
  const words = wordsPerGate(gates.rows);
  for (let w = 0; w < words; w++) {
    for (let word = gates.bits[gate * words + w], row = w << 5; word !== 0; word >>>= 1, row++) if (word & 1) use(row);
  }
}

/** out [n]: `value` where the gate is active, 0 elsewhere. */
export function unpackPattern(gates: GateSet, gate: number, value: number, out: Float64Array): void {
  const words = wordsPerGate(gates.rows);
  for (let w = 0; w < words; w++) {
    let word = gates.bits[gate * words + w];
    const end = Math.min(gates.rows, (w + 1) << 5);
    for (let j = w << 5; j < end; j++) {
      out[j] = word & 1 ? value : 0;
      word >>>= 1;
    }
  }
}

/** Rows that are read together: their patches, where they are made from images, then serve all generators. */
const BLOCK = 1024;

/** Writes the pattern 1[X g >= 0] of one generator into `words`. */
export function packPattern(X: Matrix, g: Float64Array, words: Uint32Array): void {
  packPatterns(X, [g], [words]);
}

/** Reads the patterns of several generators off the rows: `packPatterns`, or what does the same faster. */
export type ReadPatterns = (X: Matrix, generators: readonly Float64Array[], words: readonly Uint32Array[]) => void;

/** Generators whose patterns are read off in one pass over the rows: at most so many, and as many as some 10 ms have room for. */
const TOGETHER = 128;
const PASS_WORK = 2 ** 24;

export function patternsAtOnce({ rows, cols }: Pick<Matrix, "rows" | "cols">): number {
  return Math.max(1, Math.min(TOGETHER, Math.floor(PASS_WORK / (rows * cols))));
}

/** What an engine reads patterns with. */
export function patternReader(kernels: Pick<Kernels, "packPatterns">): ReadPatterns {
  return kernels.packPatterns?.bind(kernels) ?? packPatterns;
}

/** 1[x g >= 0] of every row, [m x n], a byte each. */
export function patternBytes(
  X: Matrix,
  generators: readonly Float64Array[], // [d] each
  kernels: Pick<Kernels, "packPatterns">,
): Uint8Array {
  const bytes = new Uint8Array(generators.length * X.rows);
  const patterns = generators.map(() => new Uint32Array(wordsPerGate(X.rows)));
  patternReader(kernels)(X, generators, patterns);
  patterns.forEach((pattern, j) => {
    for (let r = 0; r < X.rows; r++) bytes[j * X.rows + r] = (pattern[r >>> 5] >>> (r & 31)) & 1;
  });
  return bytes;
}

/** The same for several generators, with one pass over the rows. */
export function packPatterns(X: Matrix, generators: readonly Float64Array[], words: readonly Uint32Array[]): void {
  for (const pattern of words) pattern.fill(0);
  const d = X.cols;
  eachBlock(X, BLOCK, (rows, from, count) => {
    packBlock(rows, count, d, generators, words, from);
  });
}

/** Four rows and two generators at a time, so that sums need not wait for each other; each is summed in order. */
function packBlock(
  rows: Float64Array,
  count: number,
  d: number,
  generators: readonly Float64Array[],
  words: readonly Uint32Array[],
  from: number,
): void {
  for (let i = 0; i < generators.length; i += 2) {
    const last = Math.min(i + 1, generators.length - 1); // the same again where their number is odd
    const [g, h] = [generators[i], generators[last]];
    const [u, v] = [words[i], words[last]];
    for (let j = 0; j < count; j += 4) {
      const a = j * d;
      const b = Math.min(j + 1, count - 1) * d;
      const c = Math.min(j + 2, count - 1) * d;
      const e = Math.min(j + 3, count - 1) * d;
      let ga = 0;
      let gb = 0;
      let gc = 0;
      let ge = 0;
      let ha = 0;
      let hb = 0;
      let hc = 0;
      let he = 0;
      for (let p = 0; p < d; p++) {
        const x = rows[a + p];
        const y = rows[b + p];
        const z = rows[c + p];
        const w = rows[e + p];
        const r = g[p];
        const s = h[p];
        ga += x * r;
        gb += y * r;
        gc += z * r;
        ge += w * r;
        ha += x * s;
        hb += y * s;
        hc += z * s;
        he += w * s;
      }
      const room = Math.min(4, count - j);
      setSigns(u, from + j, room, ga, gb, gc, ge);
      setSigns(v, from + j, room, ha, hb, hc, he);
    }
  }
}

/** Sets the bits of the first `room` of four rows whose products are not negative; rows come in fours, so in one word. */
function setSigns(words: Uint32Array, row: number, room: number, a: number, b: number, c: number, e: number): void {
  const four = (a >= 0 ? 1 : 0) | (b >= 0 ? 2 : 0) | (c >= 0 ? 4 : 0) | (e >= 0 ? 8 : 0);
  words[row >>> 5] |= (four & ((1 << room) - 1)) << (row & 31);
}
