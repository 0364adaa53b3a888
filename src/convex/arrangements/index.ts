/** Where gates come from: a sample, the enumeration of all, generators of one's own, or a gate set that is ready. */

import { ConvexError } from "../../errors.js";
import type { GateSet, Matrix } from "../types.js";
import { PatternSet, packPattern, wordsPerGate } from "./bits.js";
import { enumerateGates } from "./enumerate.js";
import { gateSetOf, sampleGates } from "./sample.js";

export { arrangementBound, gateSetBytes } from "./count.js";
export { enumerateGates } from "./enumerate.js";
export { sampleGates } from "./sample.js";

/** What a user may say about gates. */
export type Arrangements =
  | { readonly kind: "sample"; readonly count: number; readonly seed?: number }
  | { readonly kind: "enumerate" }
  | Growth
  | GateSet;

/** Gates that are searched for while solving (ReLU only): begins with `count` sampled ones, searches from `starts` a round. */
export interface Growth {
  readonly kind: "grow";
  readonly count?: number; // default 100
  readonly starts?: number; // default 400
  readonly seed?: number;
}

/** Gates to begin with when they are to grow, and random starts of the search a round. */
export const growthDefaults = { count: 100, starts: 400 } as const;

/** The gates of given generators [P x d]; duplicates are removed, the first of each stays. */
export function gatesFrom(X: Matrix, generators: Matrix): GateSet {
  if (generators.cols !== X.cols) {
    throw new ConvexError(
      "gates/mismatch",
      `gatesFrom: expected generators of ${X.cols} entries (the features, and 1 for a hidden bias), got ${generators.cols}.`,
    );
  }
  const seen = new PatternSet();
  const bits: Uint32Array[] = [];
  const kept: Float64Array[] = [];
  const pattern = new Uint32Array(wordsPerGate(X.rows));
  for (let i = 0; i < generators.rows; i++) {
    const g = generators.data.slice(i * X.cols, (i + 1) * X.cols);
    packPattern(X, g, pattern);
    if (!seen.add(pattern)) continue;
    bits.push(pattern.slice());
    kept.push(g);
  }
  return gateSetOf(X, bits, kept, false);
}

/** The gate set that a user's wish means for the data X [n x d]. */
export function resolveGates(X: Matrix, arrangements: Arrangements, seed: number): GateSet {
  if (!("kind" in arrangements)) return checkGateSet(arrangements, X);
  const gates =
    arrangements.kind === "enumerate"
      ? enumerateGates(X)
      : sampleGates(X, { count: arrangements.count ?? growthDefaults.count, seed: arrangements.seed ?? seed });
  if (gates.count === 0) {
    throw new ConvexError(
      "gates/empty",
      `arrangements: expected at least one gate that is active on a row, got none among ${X.rows} rows. ` +
        `Ask for more gates, or check that x is not all zero.`,
    );
  }
  return gates;
}

/** Holds a ready gate set against the data: sizes, and that every generator makes its mask. */
export function checkGateSet(gates: GateSet, X: Matrix): GateSet {
  const words = wordsPerGate(X.rows);
  const { count, rows, bits, generators } = gates;
  if (!Number.isInteger(count) || count < 1) {
    throw new ConvexError(
      "gates/empty",
      `arrangements: expected a gate set with at least one gate, got count ${count}.`,
    );
  }
  if (rows !== X.rows || generators.cols !== X.cols) {
    throw new ConvexError(
      "gates/mismatch",
      `arrangements: expected a gate set for ${X.rows} rows and ${X.cols} features (a hidden bias counts as one), ` +
        `got one for ${rows} rows and ${generators.cols} features. Make it from the same data.`,
    );
  }
  if (bits.length !== count * words || generators.rows !== count || generators.data.length !== count * X.cols) {
    throw new ConvexError(
      "gates/mismatch",
      `arrangements: expected ${count * words} words and ${count} generators, got ${bits.length} and ${generators.rows}.`,
    );
  }
  const pattern = new Uint32Array(words);
  for (let i = 0; i < count; i++) {
    packPattern(X, generators.data.subarray(i * X.cols, (i + 1) * X.cols), pattern);
    if (!pattern.every((word, k) => word === bits[i * words + k])) {
      throw new ConvexError(
        "gates/mismatch",
        `arrangements: expected the mask of gate ${i} to be 1[x g >= 0] of its generator, but it differs. ` +
          `Make the set with sampleGates, enumerateGates or gatesFrom on the same data.`,
      );
    }
  }
  return gates;
}
