/** How many arrangements there can be, and how much memory a gate set takes. */

import { wordsPerGate } from "./bits.js";

/**
 * 2 sum_{k < r} C(n - 1, k): the number of sign patterns of n vectors of rank r in general position, and an upper bound of it
 * otherwise (Cover 1965, theorem 1). Infinity when it passes the largest number.
 */
export function arrangementBound(rows: number, rank: number): number {
  let sum = 0;
  let binomial = 1; // C(n - 1, k)
  for (let k = 0; k < Math.min(rank, rows); k++) {
    sum += binomial;
    binomial = (binomial * (rows - 1 - k)) / (k + 1);
  }
  return 2 * sum;
}

/** Bytes of the masks and generators of a gate set: P ceil(n / 32) words and P d doubles. */
export function gateSetBytes(count: number, rows: number, features: number): number {
  return count * (4 * wordsPerGate(rows) + 8 * features);
}
