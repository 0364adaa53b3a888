/** Which gates are distinct on rows that no one has together: by sums over rows that patterns hardly share. */

import { wordsPerGate } from "../../linear/bits.js";
import type { GateSet } from "../../types.js";
import { hashOf } from "./hash.js";

/** Of each gate: rows that are on, and two hashes of them. */
export const SUMS = 3;
/**
 * [g x 3]: for each gate the number of rows that are on, and the sums of two hashes of their numbers among all rows, `offset` on.
 * Patterns that differ have other sums, but for one pair in 2^52; that pair would count as one gate.
 */
export function patternSums({ count, rows, bits }: GateSet, offset: number): Float64Array {
  const words = wordsPerGate(rows);
  const out = new Float64Array(count * SUMS);
  for (let j = 0; j < rows; j++) {
    const [first, second] = [hashOf(offset + j, 0x9e3779b9), hashOf(offset + j, 0x85ebca6b)];
    for (let i = 0, word = j >>> 5, at = 0; i < count; i++, word += words, at += SUMS) {
      if (((bits[word] >>> (j & 31)) & 1) === 0) continue;
      out[at] += 1;
      out[at + 1] += first;
      out[at + 2] += second;
    }
  }
  return out;
}

/** Keeps generators whose patterns are new. */
export class DistinctGates {
  private readonly seen = new Set<string>();
  readonly generators: Float64Array[] = [];

  /** `sums` [g x 3] over all shards; with `dropEmpty` a gate that no row passes is left out. */
  add(generators: readonly Float64Array[], sums: Float64Array, dropEmpty: boolean): void {
    generators.forEach((generator, i) => {
      const mine = sums.subarray(i * SUMS, (i + 1) * SUMS);
      const key = mine.join();
      if ((dropEmpty && mine[0] === 0) || this.seen.has(key)) return;
      this.seen.add(key);
      this.generators.push(generator);
    });
  }
}
