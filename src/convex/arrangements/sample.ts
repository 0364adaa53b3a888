/** Gates drawn at random: Gaussian directions, duplicates removed. */

import { ConvexError } from "../../errors.js";
import type { ReadPatterns } from "../linear/bits.js";
import { atOnce, type Pieces } from "../linear/pieces.js";
import { gaussianSource } from "../linear/random.js";
import type { GateSet, Matrix } from "../types.js";
import { checkRows } from "./checkRows.js";
import { arrangementBound, refuseBytes } from "./count.js";
import { GateCollector } from "./gateCollector.js";

/** Draws spent for each gate asked for before settling for fewer: small data have fewer patterns than asked. */
const DRAWS_PER_GATE = 20;

/** Draws whose patterns are read off in one pass over the rows. */
const TOGETHER = 128;

export interface SampleOptions {
  readonly count: number; // gates wanted
  readonly seed?: number; // integer, default 0; its low 32 bits count
  /** What a draw becomes before its pattern is read off: itself, or numbers that a layer can hold. */
  readonly written?: (g: Float64Array) => Float64Array;
  /** What reads off patterns, to the last bit as it is done here; an engine may be faster. */
  readonly read?: ReadPatterns;
}

/**
 * Draws g ~ N(0, I) until `count` distinct nonzero patterns 1[X g >= 0] are found, or 20 `count` draws are spent (small data
 * have fewer patterns than one may ask for; the set then holds those that were found).
 *
 * The same seed gives the same gates on every engine, and a larger count extends the gates of a smaller one. A sample never
 * calls itself complete, since draws cannot prove that no cell was missed: `enumerateGates` can.
 *
 * @throws ConvexError "gates/count" for a count that is no positive integer or would not fit in memory.
 */
export function sampleGates(X: Matrix, options: SampleOptions): GateSet {
  return atOnce(sampling(X, options));
}

/** The same in pieces; when it has to end before its time it answers with the gates so far. */
export function* sampling(X: Matrix, options: SampleOptions): Pieces<GateSet> {
  const { count, seed = 0, written = (g) => g, read } = options;
  checkRows("sampleGates", X);
  checkCount(count, seed);
  refuseBytes("sampleGates", count, X);
  const draw = gaussianSource(seed);
  const gates = new GateCollector(X, X.block === undefined ? undefined : count, read);
  // Once every pattern that there can be is found (all but the empty one), draws find no other.
  const all = arrangementBound(X.rows, Math.min(X.rows, X.cols)) - 1;
  for (let spent = 0; spent < DRAWS_PER_GATE * count && gates.count < Math.min(count, all); ) {
    // Never more than are missing, so that the gates are those of drawing one by one.
    const drawn = Math.min(TOGETHER, count - gates.count, DRAWS_PER_GATE * count - spent);
    gates.addAll(
      Array.from({ length: drawn }, () => written(Float64Array.from({ length: X.cols }, draw))),
      true,
    );
    spent += drawn;
    if ((yield) && gates.count > 0) break;
  }
  return gates.gateSet(false);
}

function checkCount(count: number, seed: number): void {
  if (!Number.isInteger(count) || count < 1) {
    throw new ConvexError(
      "gates/count",
      `sampleGates: expected count to be an integer of at least 1, got ${count}. Say how many gates to draw.`,
    );
  }
  if (!Number.isSafeInteger(seed)) {
    throw new ConvexError(
      "options/value",
      `sampleGates: expected seed to be an integer, got ${seed}. Change it or leave it out.`,
    );
  }
}
