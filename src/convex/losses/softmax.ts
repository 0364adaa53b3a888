/** Softmax of one row, with what is left of each probability: the accuracy of p - y for a confident row lies there. */

import { exp, log1p } from "../linear/elementary.js";

/**
 * Writes p = softmax(z_at .. z_at+C-1) and `others` = 1 - p, each accurate relative to itself; returns log(sum exp) minus
 * the largest entry, accurate even where one entry rules.
 */
export function softmax(z: Float64Array, at: number, C: number, p: Float64Array, others: Float64Array): number {
  let top = 0;
  for (let c = 1; c < C; c++) if (z[at + c] > z[at + top]) top = c;
  let rest = 0; // sum of the exponentials but the largest, which is 1
  for (let c = 0; c < C; c++) {
    p[c] = c === top ? 1 : exp(z[at + c] - z[at + top]);
    if (c !== top) rest += p[c];
  }
  for (let c = 0; c < C; c++) {
    others[c] = c === top ? rest / (1 + rest) : (1 + rest - p[c]) / (1 + rest);
    p[c] /= 1 + rest;
  }
  return log1p(rest);
}

/** p - y without cancelling where p is close to a target of 0 or 1. */
export function excess(p: number, others: number, y: number): number {
  return (1 - y) * p - y * others;
}
