/** Which beta predicts best, by what each was worth on the rows held out of every fold. */

import { log, power } from "../../convex/linear/elementary.js";
import { average, spread } from "../../convex/linear/vectors.js";

/** Powers of ten by which the grid may go on beyond its end. */
const EXTENSIONS = 4;
/** Share of a metric that the last beta must have gained over all others. */
const GAIN = 0.01;

/** What every beta was worth on rows that it had not seen. */
export interface FoldChoice {
  /** Those that every fold has come to: all of the grid, unless the time was up before. */
  readonly betas: readonly number[];
  /** values[f][k]: the metric of beta k on fold f. */
  readonly values: readonly (readonly number[])[];
  readonly mean: readonly number[];
  readonly standardError: readonly number[];
  /** The place of the best mean among the betas. */
  readonly best: number;
  /** The place of the largest beta whose mean is within one standard error of the best (Breiman et al. 1984, section 3.4.3). */
  readonly oneStandardError: number;
}

type Mode = "min" | "max";

function betterIn(mode: Mode): (a: number, b: number) => boolean {
  return (a, b) => (mode === "min" ? a < b : a > b);
}

/**
 * Values[f][k] of the betas of a grid, by `judge`; where nobody set the grid's `open` end it goes on, in place, while the error still
 * falls there.
 */
export async function judgedOn(
  grid: number[],
  open: boolean,
  mode: Mode,
  over: () => boolean,
  judge: (betas: readonly number[]) => Promise<number[][]>,
): Promise<number[][]> {
  const values = await judge(grid);
  const whole = () => !over() && values.every((fold) => fold.length === grid.length);
  for (let turn = 0; open && turn < EXTENSIONS && whole() && endsBest(values, betterIn(mode)); turn++) {
    const next = beyond(grid);
    const more = await judge(next);
    grid.push(...next);
    values.forEach((fold, f) => {
      fold.push(...more[f]);
    });
  }
  return values;
}

/** The choice among the betas that every fold has come to: where time was up, nothing is known of the others. */
export function choiceOf(grid: readonly number[], all: readonly (readonly number[])[], mode: Mode): FoldChoice {
  const better = betterIn(mode);
  const reached = all.reduce((least, fold) => Math.min(least, fold.length), grid.length);
  const betas = grid.slice(0, reached);
  const values = all.map((fold) => fold.slice(0, reached));
  const mean = betas.map((_, k) => average(values.map((fold) => fold[k])));
  const standardError = betas.map((_, k) => spread(values.map((fold) => fold[k])) / Math.sqrt(values.length));
  const best = mean.reduce((place, value, k) => (better(value, mean[place]) ? k : place), 0);
  const limit = mean[best] + (mode === "min" ? 1 : -1) * standardError[best];
  const oneStandardError = mean.findIndex((value) => !better(limit, value));
  return { betas, values, mean, standardError, best, oneStandardError };
}

/** Whether the mean is best at the last beta, by more than is worth a smaller one. */
function endsBest(values: readonly (readonly number[])[], better: (a: number, b: number) => boolean): boolean {
  const mean = values[0].map((_, k) => average(values.map((fold) => fold[k])));
  const last = mean.pop() as number;
  return (
    mean.length > 0 && mean.every((value) => better(last, value) && Math.abs(last - value) > GAIN * Math.abs(value))
  );
}

/** Betas for one more power of ten (or one more step, where that is longer), in the ratio of the last two. */
function beyond(betas: readonly number[]): number[] {
  const last = betas[betas.length - 1];
  const ratio = last / betas[betas.length - 2];
  const steps = Math.max(1, Math.round(log(0.1) / log(ratio)));
  return Array.from({ length: steps }, (_, k) => last * power(ratio, k + 1));
}
