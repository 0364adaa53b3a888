/** How many arrangements there can be, how much memory a gate set takes, and when that is too much. */

import { counted, count as readCount } from "../../arguments.js";
import { ConvexError } from "../../errors.js";
import { wordsPerGate } from "../linear/bits.js";
import type { Matrix } from "../types.js";

/** Largest gate set that is made. While it grows there are up to three copies, and a browser tab has 4 GiB. */
const MAX_BYTES = 1_073_741_824;

/**
 * 2 sum_{k < r} C(n - 1, k): the number of sign patterns of n vectors of rank r in general position, and an upper bound of it
 * otherwise (Cover 1965, theorem 1). Exact up to 2^53, rounded beyond; Infinity when it passes the largest number.
 */
export function arrangementBound(rows: number, rank: number): number {
  readCount("arrangementBound: rows", rows, Number.MAX_SAFE_INTEGER, 0);
  readCount("arrangementBound: rank", rank, Number.MAX_SAFE_INTEGER, 0);
  let sum = 0;
  let binomial = 1; // C(n - 1, k)
  for (let k = 0; k < Math.min(rank, rows) && sum < Number.POSITIVE_INFINITY; k++) {
    sum += binomial;
    binomial = (binomial * (rows - 1 - k)) / (k + 1);
  }
  return 2 * sum;
}

/** Bytes of the masks and generators of a gate set: P ceil(n / 32) words and P d doubles. */
export function gateSetBytes(count: number, rows: number, features: number): number {
  for (const [name, value] of Object.entries({ count, rows, features }))
    readCount(`gateSetBytes: ${name}`, value, Number.MAX_SAFE_INTEGER, 0);
  return bytesOf(count, rows, features);
}

/** The same for numbers of our own, also beyond 2^53. */
function bytesOf(count: number, rows: number, features: number): number {
  return count * (4 * wordsPerGate(rows) + 8 * features);
}

/** @internal Refuses a gate set that would not fit, with the number. */
export function refuseBytes(where: string, count: number, X: Matrix): void {
  const bytes = bytesOf(count, X.rows, X.cols);
  if (bytes <= MAX_BYTES) return;
  throw new ConvexError(
    "gates/count",
    `${where}: expected a gate set of at most ${MAX_BYTES} bytes, got ${counted(count, "gate")} over ${counted(X.rows, "row")} and ` +
      `${counted(X.cols, "feature")}, ${bytes.toPrecision(4)} bytes. Ask for fewer gates: arrangements: { kind: "sample", count: ... }.`,
  );
}
