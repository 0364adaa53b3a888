/** What to do with a time that is limited: how much of it the end takes, and which of two kinds of rounds brings more of the rest. */

import type { ConvexProgram } from "../types.js";
import { passOver } from "./effort.js";

/** Of judgements: so many are kept from descents, for the last one and what follows a growth. */
export const RESERVE = 2.2;
/** Passes of each gate over the rows in a judgement, at so many multiplications a second (5,000 x 50, 200 gates: 0.12 s). */
const JUDGE_PASSES = 8;
const RATE = 4.5e9;
/** A solve is foretold to take so many judgements for each row (measured at n = 250 and 1,000, d = 50), and to take this share off the objective. */
const SOLVE_COST = 1 / 3;
const SOLVE_GAIN = 1e-2;
/** Moves that bring less than this in the time of a solve are at their end. */
const LEAST_GAIN = 2e-3;

/**
 * Rounds of two kinds: neurons have moved and are judged as they are, which is `rough`, or a solve. Solves make the network better by
 * one or two percent in a time in which moves of the first seconds bring five.
 */
export class Pace {
  private rough = Number.POSITIVE_INFINITY; // shares of the objective a second, in the last round of each kind
  private exact = Number.NaN;
  private noted = Number.NaN; // seconds

  /** After a round that ended after so many seconds, with the share that it took off the objective; of the first nothing is known. */
  note(rough: boolean, gain: number, seconds: number): void {
    const rate = gain / (seconds - this.noted);
    this.noted = seconds;
    if (Number.isNaN(rate)) return;
    if (rough) this.rough = rate;
    else this.exact = rate;
  }

  /** Whether moves alone bring more a second, where a judgement of so many rows takes `cost` seconds. */
  movesPay(rows: number, cost: number): boolean {
    const seconds = secondsToSolve(rows, cost);
    const exact = Number.isNaN(this.exact) ? SOLVE_GAIN / seconds : this.exact;
    return this.rough > Math.max(exact, LEAST_GAIN / seconds);
  }
}

/** Seconds that a solve is foretold to take, where a judgement of so many rows takes `cost`. */
export function secondsToSolve(rows: number, cost: number): number {
  return SOLVE_COST * rows * cost;
}

/** Seconds that a judgement of so many gates is foretold to take. */
export function secondsToJudge({ X, loss }: Pick<ConvexProgram, "X" | "loss">, gates: number): number {
  return (JUDGE_PASSES * gates * loss.outputs * passOver(X)) / RATE;
}
