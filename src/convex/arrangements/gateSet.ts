/** Where gates come from: a sample, the enumeration of all, generators of one's own, or a gate set that is ready. */

import { counted, isRecord, shown } from "../../arguments.js";
import { ConvexError } from "../../errors.js";
import { packPatterns, patternsAtOnce, type ReadPatterns, wordsPerGate } from "../linear/bits.js";
import { atOnce, type Pieces } from "../linear/pieces.js";
import type { GateSet, Matrix } from "../types.js";
import { checkGenerators, checkRows } from "./checkRows.js";
import { enumerating, holdsEveryPattern } from "./enumerate.js";
import { GateCollector } from "./gateCollector.js";
import { PatternSet } from "./patternSet.js";
import { sampling } from "./sample.js";

/** What a user may say about gates. */
export type Arrangements =
  | { readonly kind: "sample"; readonly count: number; readonly seed?: number }
  | { readonly kind: "enumerate" }
  | Growth
  | GateSet;

/**
 * Gates that are searched for while solving (ReLU only): begins with `count` sampled ones, searches from `starts` a round.
 *
 * Method "moving-neurons", the default, adds all gates that are worth it and lets neurons descend between two solves.
 * "frank-wolfe" is the fully corrective conditional gradient (Bengio et al. 2006; Bach 2017; d'Aspremont and Pilanci 2020): it
 * begins with the zero network, adds the dearest gate of each round and solves again, and does nothing else, so that there are
 * never more neurons than calls of its oracle. With `batch` the oracle searches on that many rows, drawn afresh each round.
 */
export interface Growth {
  readonly kind: "grow";
  readonly method?: GrowthMethod;
  readonly count?: number; // default 100 to 400, by rows and columns; 1 for "frank-wolfe", which begins with none of them switched on
  readonly starts?: number; // default 400, fewer on large data
  readonly batch?: number; // default all rows
  readonly seed?: number;
}

export type GrowthMethod = "moving-neurons" | "frank-wolfe";

/** Gates to begin with when they are to grow, and random starts of the search a round; most and least of them. */
const MOST = 400;
const FEWEST_GATES = 100;
const FEWEST_STARTS = 16;
/** Multiplications that a step of all starts may cost: about a second. */
const STEP_WORK = 2 ** 30;

/** Random starts of a search over rows X [n x d] (with patches n K) where nobody says how many. */
export function defaultStarts(X: Pick<Matrix, "rows" | "cols">): number {
  const affordable = Math.floor(STEP_WORK / (2 * X.rows * X.cols));
  return Math.max(FEWEST_STARTS, Math.min(MOST, affordable));
}

/** Gates that a growth begins with: its first descent ends lower from more, as far as a step of 2^26 multiplications has room. */
export function defaultFirstGates({ rows, cols }: Pick<Matrix, "rows" | "cols">): number {
  return Math.max(FEWEST_GATES, Math.min(MOST, Math.floor(0.4 * rows), Math.floor(STEP_WORK / (16 * rows * cols))));
}

/**
 * The gates of given generators [P x d]; duplicates are removed, the first of each stays.
 *
 * The set does not call itself complete: nothing here proves that no arrangement is missing.
 */
export function gatesFrom(X: Matrix, generators: Matrix, read?: ReadPatterns): GateSet {
  return atOnce(gathering(X, generators, read));
}

/** The same in pieces, all of them whatever the time. */
export function* gathering(X: Matrix, generators: Matrix, read?: ReadPatterns): Pieces<GateSet> {
  checkRows("gatesFrom", X);
  checkGenerators("gatesFrom", generators, X);
  const seen = new PatternSet(generators.rows);
  const rows = Array.from({ length: generators.rows }, (_, i) =>
    generators.data.subarray(i * X.cols, (i + 1) * X.cols),
  ).filter((row) => seen.add(new Uint32Array(row.slice().buffer)));
  const gates = new GateCollector(X, X.block === undefined ? undefined : rows.length, read);
  const together = patternsAtOnce(X);
  for (let from = 0; from < rows.length; from += together) {
    gates.addAll(rows.slice(from, from + together));
    yield;
  }
  return gates.gateSet(false);
}

/**
 * The gate set that a user's wish means for the data X [n x d], in pieces; `seed` is taken where the wish names none. Generators are
 * `written` as they are drawn or found, and patterns of drawn ones `read` off. With `boundary` all gates are those that gated
 * networks can have. With too little time there are fewer.
 */
export function* resolvingGates(
  X: Matrix,
  arrangements: Arrangements,
  seed: number,
  written: Written = (g) => g,
  read: ReadPatterns = packPatterns,
  boundary = false,
): Pieces<GateSet> {
  if (!("kind" in arrangements)) return yield* checkingGateSet(arrangements, X, boundary, read);
  const gates = yield* madeGates(X, arrangements, seed, written, read, boundary);
  if (gates.count === 0) {
    throw new ConvexError(
      "gates/empty",
      `arrangements: expected at least one gate that is active on a row, got none among ${counted(X.rows, "row")}. ` +
        `Ask for more gates, or check that x is not all zero.`,
    );
  }
  return gates;
}

type Written = (g: Float64Array) => Float64Array;

function* madeGates(
  X: Matrix,
  wish: Exclude<Arrangements, GateSet>,
  seed: number,
  written: Written,
  read: ReadPatterns,
  boundary: boolean,
): Pieces<GateSet> {
  switch (wish.kind) {
    case "enumerate":
      return yield* enumerating(X, { boundary, written });
    case "sample":
      return yield* sampling(X, { count: wish.count, seed: wish.seed ?? seed, written, read });
    case "grow":
      return yield* sampling(X, {
        count: wish.count ?? (wish.method === "frank-wolfe" ? 1 : defaultFirstGates(X)),
        seed: wish.seed ?? seed,
        read,
      });
    default: {
      const { kind } = wish satisfies never as { kind: unknown };
      throw new ConvexError(
        "options/value",
        `arrangements.kind: expected "sample", "enumerate" or "grow", got ${JSON.stringify(kind)}. Check the spelling.`,
      );
    }
  }
}

/**
 * Holds a ready gate set against the data: sizes, and that every generator makes its mask. A set that calls itself complete was
 * so for the rows that it was made for, and for its kind of network: that none of the arrangements of these rows is missing is
 * counted anew, and where one is the set is taken as incomplete.
 */
function* checkingGateSet(gates: GateSet, X: Matrix, boundary: boolean, read: ReadPatterns): Pieces<GateSet> {
  const words = wordsPerGate(X.rows);
  const { count, rows, bits, generators } = gates;
  if (!Number.isInteger(count) || count < 1) {
    throw new ConvexError(
      "gates/empty",
      `arrangements: expected a gate set with at least one gate, got count ${shown(count)}. Make it with sampleGates.`,
    );
  }
  if (!isRecord(generators)) {
    throw new ConvexError(
      "gates/mismatch",
      `arrangements: expected generators as a matrix, got ${shown(generators)}. Make the set with sampleGates, enumerateGates or gatesFrom.`,
    );
  }
  if (rows !== X.rows || generators.cols !== X.cols) {
    throw new ConvexError(
      "gates/mismatch",
      `arrangements: expected a gate set for ${counted(X.rows, "row")} and ${counted(X.cols, "feature")} (a hidden bias counts as one), ` +
        `got one for ${counted(rows, "row")} and ${counted(generators.cols, "feature")}. Make it from the same data.`,
    );
  }
  if (!(bits instanceof Uint32Array) || bits.length !== count * words || generators.rows !== count) {
    throw new ConvexError(
      "gates/mismatch",
      `arrangements: expected ${counted(count * words, "word")} in a Uint32Array and ${counted(count, "generator")}, got ${bits?.length} and ` +
        `${generators.rows}. Make the set with sampleGates, enumerateGates or gatesFrom.`,
    );
  }
  checkGenerators("arrangements", generators, X);
  yield* checkingMasks(gates, X, read);
  return gates.complete && !holdsEveryPattern(gates, X, boundary) ? { ...gates, complete: false } : gates;
}

function* checkingMasks({ count, bits, generators }: GateSet, X: Matrix, read: ReadPatterns): Pieces<void> {
  const words = wordsPerGate(X.rows);
  const together = patternsAtOnce(X);
  for (let from = 0; from < count; from += together) {
    const some = Array.from({ length: Math.min(together, count - from) }, (_, k) => from + k);
    const patterns = some.map(() => new Uint32Array(words));
    read(
      X,
      some.map((i) => generators.data.subarray(i * X.cols, (i + 1) * X.cols)),
      patterns,
    );
    const wrong = some.find((i, k) => !patterns[k].every((word, w) => word === bits[i * words + w]));
    if (wrong !== undefined) {
      throw new ConvexError(
        "gates/mismatch",
        `arrangements: expected the mask of gate ${wrong} to be 1[x g >= 0] of its generator, but it differs. ` +
          `Make the set with sampleGates, enumerateGates or gatesFrom on the same data.`,
      );
    }
    yield;
  }
}
