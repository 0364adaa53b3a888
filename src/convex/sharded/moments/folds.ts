/** Folds of rows that are in no one place. */

import { hashOf } from "../gates/hash.js";

/** The fold of a row, by a hash of its number among all rows: the same whatever shard has it. */
export function foldOf(row: number, folds: number, seed: number): number {
  return folds === 1 ? 0 : hashOf(row, hashOf(seed, 0x27d4eb2f)) % folds;
}
