/** Learning rates and batch sizes by successive halving. */

/** What is tuned. */
export interface Choice {
  readonly rate: number;
  readonly batchSize: number;
}

/** Shares of the choices that go on to a longer trial, and how much longer it is. */
const KEPT = 0.25;
const LONGER = 4;

/**
 * The choice whose trial ends lowest, by successive halving: all have `trial` seconds, the best quarter four times as long from
 * the start. Answers also with the seconds that all trials took.
 */
export async function tune(
  choices: readonly Choice[],
  trial: number,
  attempt: (choice: Choice, seconds: number) => Promise<{ readonly seconds: number; readonly best: number }>,
): Promise<{ choice: Choice; seconds: number }> {
  let seconds = 0;
  let left = choices.map((choice) => ({ choice, best: Number.POSITIVE_INFINITY }));
  for (const factor of [1, LONGER]) {
    for (const entry of left) {
      const run = await attempt(entry.choice, factor * trial);
      seconds += run.seconds;
      entry.best = run.best;
    }
    left.sort((a, b) => a.best - b.best);
    left = left.slice(0, Math.ceil(KEPT * choices.length));
  }
  return { choice: left[0].choice, seconds };
}
