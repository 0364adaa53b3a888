/** An activation as options name it: a word, or the three numbers of a polynomial. */

import { refuse } from "../arguments.js";
import type { Polynomial } from "../convex/units/index.js";

/** One of the words, or a t^2 + b t + c without what a layer has besides. */
export function activationOf<T extends string>(where: string, given: unknown, words: readonly T[]): T | Polynomial {
  if (words.includes(given as T)) return given as T;
  const expected = `${words.map((word) => `"${word}"`).join(" or ")} or { a, b, c } with finite numbers`;
  if (typeof given !== "object" || given === null) return refuse(where, expected, given);
  const { a, b, c } = given as Readonly<Record<string, unknown>>;
  if (!isFiniteNumber(a) || !isFiniteNumber(b) || !isFiniteNumber(c)) return refuse(where, expected, given);
  if (a === 0 && b === 0) return refuse(where, "a polynomial that is no constant", "a: 0, b: 0");
  return { a, b, c };
}

function isFiniteNumber(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}
