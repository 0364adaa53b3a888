/** Gates drawn at random: Gaussian directions, duplicates removed. */

import { integer, refuse, refuseUnknown } from "../../arguments.js";
import { patternsAtOnce, type ReadPatterns } from "../linear/bits.js";
import { atOnce, type Pieces } from "../linear/pieces.js";
import { gaussianSource } from "../linear/random.js";
import type { GateSet, Matrix } from "../types.js";
import { checkRows } from "./checkRows.js";
import { arrangementBound, refuseBytes } from "./count.js";
import { GateCollector } from "./gateCollector.js";

/** Draws spent for each gate asked for before settling for fewer: small data have fewer patterns than asked. */
const DRAWS_PER_GATE = 20;

/** Where fewer patterns than asked for can exist, so many are drawn for at least: narrow ones are met seldom. */
const SOUGHT_AT_LEAST = 1e4;

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
 * have fewer patterns than one may ask for; the set then holds those that were found, and no more are drawn for than can exist).
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
  checkRows("sampleGates", X);
  refuseUnknown("sampleGates", options, ["count", "seed", "written", "read"]);
  const { seed = 0, written = (g) => g, read } = options;
  checkCount(options.count, seed);
  const most = arrangementBound(X.rows, Math.min(X.rows, X.cols));
  const count = Math.min(options.count, most);
  refuseBytes("sampleGates", count, X);
  const draws = DRAWS_PER_GATE * Math.min(options.count, Math.max(most, SOUGHT_AT_LEAST));
  const draw = gaussianSource(seed);
  const gates = new GateCollector(X, X.block === undefined ? undefined : count, read);
  const together = patternsAtOnce(X);
  for (let spent = 0; spent < draws && gates.count < count; ) {
    // Never more than are missing, so that the gates are those of drawing one by one.
    const drawn = Math.min(together, options.count - gates.count, draws - spent);
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
  if (!Number.isSafeInteger(count) || count < 1) {
    refuse("sampleGates: count", "an integer of at least 1", count, "Say how many gates to draw.", "gates/count");
  }
  integer("sampleGates: seed", seed);
}
