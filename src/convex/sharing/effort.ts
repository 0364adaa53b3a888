/**
 * A sense of proportion for neurons that come to share outputs: what their search has spent, and what that has brought.
 *
 * It counts by sizes and not by a clock, so that the same seed gives the same weights on a busy machine, in units that were nanoseconds
 * of one thread where they were measured (n = 300 to 10,000, d = 20 to 785, C = 1 to 10).
 */

import type { ConvexProgram } from "../types.js";

/** What nobody minds: a few seconds, where most of the time is not theirs. */
const PATIENCE = 4e9;
/** What one descent, and one search, may take on large data. */
const DESCENT_MOST = 1e10;
const SEARCH_MOST = 5e8;
/** Steps, and starts, that each has all the same. */
const LEAST_STEPS = 20;
const LEAST_STARTS = 32;
/**
 * Where time is short, so few neurons descend from a random start that a share of it is enough for so many steps; some are worth having
 * where they come less far, but never fewer than the fewest. Steps in float64 take so many times as long.
 */
const FIRST_SHARE = 0.5;
const FIRST_STEPS = 120;
const ENOUGH_NEURONS = 60;
const ENOUGH_STEPS = 25;
const FEWEST_NEURONS = 15;
const EXACTLY = 3;
/** The second half of what was spent is to have brought this share of the objective. */
export const SLOW = 1e-3;
/** Of what the descents and searches have spent: what the bounds of all rounds, and the last one, may take. */
const ROUNDS_SHARE = 0.25;
const LAST_SHARE = 0.35;
/** A row and a neuron in a step of a descent in float32, forward and back, and in all steps of a search; beside that for each column. */
const DESCENT_ROW = 1.5;
const DESCENT_COLUMN = 0.15;
const SEARCH_ROW = 600;
const SEARCH_COLUMN = 16;
/** A sample and a neuron in a step of the outputs alone, whose activations are held in float64; beside that for each output. */
const HELD_ROW = 15;
const HELD_OUTPUT = 0.4;
/** What a step of a descent takes beside that, for each variable: the metric. */
const METRIC = 40;
/** A projection onto a cone: for each entry of the data, and what is its own. */
const PROJECTION_ENTRY = 8;
const PROJECTION = 5e4;
/** Projections that a bound may take whatever the search did, as long as they are cheap. */
const LEAST_PROJECTIONS = 200;
const CHEAP = 1e8;

export class SharingEffort {
  private readonly rows: number;
  private readonly cols: number;
  private readonly outputs: number;
  private readonly samples: number;
  private readonly marks: { readonly spent: number; readonly value: number }[] = [];
  private searched = 0;
  private bounded = 0;

  constructor(
    { X, loss }: Pick<ConvexProgram, "X" | "loss">,
    /** False: it counts, and never says that it is enough. */
    private readonly patient: boolean,
  ) {
    this.rows = X.rows;
    this.cols = X.cols;
    this.outputs = loss.outputs;
    this.samples = loss.rows;
  }

  /** A descent of all neurons, or of their outputs alone. */
  descent(steps: number, neurons: number, outputsAlone = false): void {
    this.searched += steps * this.step(neurons, outputsAlone);
  }

  search(starts: number): void {
    this.searched += starts * this.start;
  }

  /** At most so many steps of a descent, and starts of a search: fewer on large data. */
  steps(most: number, neurons: number, outputsAlone = false): number {
    if (!this.patient) return most;
    return Math.min(most, Math.max(LEAST_STEPS, Math.floor(DESCENT_MOST / this.step(neurons, outputsAlone))));
  }

  starts(most: number): number {
    return this.patient ? Math.min(most, Math.max(LEAST_STARTS, Math.floor(SEARCH_MOST / this.start))) : most;
  }

  /** How many neurons, at most so many, a descent that has these seconds begins with; `rough`: in float32. */
  neuronsIn(seconds: number, most: number, rough: boolean): number {
    const steps = (1e9 * FIRST_SHARE * seconds) / (this.step(1, false) * (rough ? 1 : EXACTLY)); // of one neuron
    const [far, enough] = [FIRST_STEPS, ENOUGH_STEPS].map((each) => Math.floor(steps / each));
    return Math.min(most, Math.max(FEWEST_NEURONS, Math.min(ENOUGH_NEURONS, enough), far));
  }

  /** Steps that a descent of so many neurons is foretold to make in these seconds, in float32. */
  stepsIn(seconds: number, neurons: number): number {
    return (1e9 * seconds) / this.step(neurons, false);
  }

  private step(neurons: number, outputsAlone: boolean): number {
    const { rows, cols, samples, outputs } = this;
    const each = outputsAlone
      ? samples * (HELD_ROW + HELD_OUTPUT * outputs) + METRIC * outputs
      : rows * (DESCENT_ROW + DESCENT_COLUMN * cols) + samples * DESCENT_COLUMN * outputs + METRIC * (cols + outputs);
    return Math.max(1, neurons) * each;
  }

  private get start(): number {
    return this.rows * (SEARCH_ROW + SEARCH_COLUMN * this.cols);
  }

  /** Projections that the bound of a round may take, at most so many; they are counted as spent. */
  forRound(most: number): number {
    return this.projections(most, ROUNDS_SHARE * this.searched - this.bounded);
  }

  /** Projections of the last bound. */
  forLast(most: number): number {
    return this.projections(most, LAST_SHARE * (PATIENCE + this.searched));
  }

  private projections(most: number, room: number): number {
    if (!this.patient) return most;
    const cost = PROJECTION + PROJECTION_ENTRY * this.rows * this.cols;
    const least = Math.min(LEAST_PROJECTIONS, CHEAP / cost);
    const count = Math.min(most, Math.floor(Math.max(least, room / cost)));
    this.bounded += count * cost;
    return count;
  }

  /** What a descent, or a round, has come to; the lowest that there was counts. */
  mark(value: number): void {
    const lowest = this.marks[this.marks.length - 1]?.value ?? Number.POSITIVE_INFINITY;
    this.marks.push({ spent: this.searched, value: Math.min(lowest, value) });
  }

  /** True where a descent is no small matter. */
  get dear(): boolean {
    return this.patient && this.searched >= PATIENCE;
  }

  /** True when the second half of what was spent has brought next to nothing. */
  get slowed(): boolean {
    const last = this.marks[this.marks.length - 1];
    if (!this.patient || last === undefined || last.spent < PATIENCE) return false;
    const half = this.marks.filter(({ spent }) => spent <= last.spent / 2).pop();
    return half !== undefined && half.value - last.value < SLOW * Math.abs(last.value);
  }
}
