/** A number of its own for every row, the same whatever shard has it. */

/** Bits of the hash of a row: 2^27 of them add up in a float64 without rounding, in any order. */
const HASH_BITS = 26;

/** The finaliser of MurmurHash3 (Appleby), of the number of a row. */
export function hashOf(row: number, seed: number): number {
  let h = (row ^ seed) | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  h ^= h >>> 16;
  return h >>> (32 - HASH_BITS);
}
