/** Medians of repeated runs, by the wall clock. */

export interface Timing {
  readonly median: number; // seconds
  readonly least: number;
  readonly most: number;
}

export function timingOf(runs: readonly number[]): Timing {
  const sorted = [...runs].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  return { median, least: sorted[0], most: sorted[sorted.length - 1] };
}

/** Seconds of a run that takes a while, once. */
export async function elapsed<T>(run: () => Promise<T> | T): Promise<{ value: T; seconds: number }> {
  const start = performance.now();
  const value = await run();
  return { value, seconds: (performance.now() - start) / 1000 };
}

/** A short run: repeated until `budget` seconds are spent, at least `repeats` times, after one run that warms up. */
export function timeOf(run: () => void, repeats: number, budget = 0.2): Timing {
  run();
  const runs: number[] = [];
  for (let spent = 0; runs.length < repeats || (spent < budget && runs.length < 50 * repeats); ) {
    const start = performance.now();
    run();
    const seconds = (performance.now() - start) / 1000;
    runs.push(seconds);
    spent += seconds;
  }
  return timingOf(runs);
}
