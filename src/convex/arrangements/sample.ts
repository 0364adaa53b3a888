/** Gates drawn at random: Gaussian directions, duplicates removed. */

import { ConvexError } from "../../errors.js";
import type { GateSet, Matrix } from "../types.js";
import { PatternSet, packPattern, wordsPerGate } from "./bits.js";
import { gateSetBytes } from "./count.js";
import { gaussianSource } from "./random.js";

/** Largest gate set that is made: beyond it typed arrays fail on some engines. */
const MAX_BYTES = 2 ** 31;
/** Draws spent for each gate asked for before settling for fewer: small data have fewer patterns than asked. */
const DRAWS_PER_GATE = 20;

export interface SampleOptions {
  readonly count: number; // gates wanted
  readonly seed?: number; // integer, default 0
}

/**
 * Draws g ~ N(0, I) until `count` distinct nonzero patterns 1[X g >= 0] are found, or 20 `count` draws are spent (small data
 * have fewer patterns than one may ask for; the set then holds those that were found).
 *
 * The same seed gives the same gates on every engine, and a larger count extends the gates of a smaller one.
 *
 * @throws ConvexError "gates/count" when the set would not fit in memory.
 */
export function sampleGates(X: Matrix, options: SampleOptions): GateSet {
  const { count, seed = 0 } = options;
  refuseBytes("sampleGates", count, X);
  const words = wordsPerGate(X.rows);
  const draw = gaussianSource(seed);
  const seen = new PatternSet();
  const bits: Uint32Array[] = [];
  const generators: Float64Array[] = [];
  const pattern = new Uint32Array(words);
  for (let spent = 0; spent < DRAWS_PER_GATE * count && bits.length < count; spent++) {
    const g = Float64Array.from({ length: X.cols }, draw);
    packPattern(X, g, pattern);
    if (pattern.every((word) => word === 0) || !seen.add(pattern)) continue;
    bits.push(pattern.slice());
    generators.push(g);
  }
  return gateSetOf(X, bits, generators, false);
}

/** @internal Puts patterns and their generators side by side. */
export function gateSetOf(
  X: Matrix,
  bits: readonly Uint32Array[],
  generators: readonly Float64Array[],
  complete: boolean,
): GateSet {
  const words = wordsPerGate(X.rows);
  const packed = new Uint32Array(bits.length * words);
  const data = new Float64Array(bits.length * X.cols);
  bits.forEach((pattern, i) => {
    packed.set(pattern, i * words);
    data.set(generators[i], i * X.cols);
  });
  return {
    count: bits.length,
    rows: X.rows,
    bits: packed,
    generators: { rows: bits.length, cols: X.cols, data },
    complete,
  };
}

/** @internal Refuses a gate set that would not fit, with the number. */
export function refuseBytes(where: string, count: number, X: Matrix): void {
  const bytes = gateSetBytes(count, X.rows, X.cols);
  if (bytes <= MAX_BYTES) return;
  throw new ConvexError(
    "gates/count",
    `${where}: expected a gate set of at most ${MAX_BYTES} bytes, got ${count} gates over ${X.rows} rows and ${X.cols} ` +
      `features, ${bytes.toPrecision(4)} bytes. Ask for fewer gates: arrangements: { kind: "sample", count: ... }.`,
  );
}
