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

/** Short runs in turns, so that what else the machine does is the same for all: as `timeOf`, of each. */
export function timesOf(runs: readonly (() => void)[], repeats: number, budget = 0.2): Timing[] {
  for (const run of runs) run();
  const times = runs.map((): number[] => []);
  const spent = () => Math.max(...times.map((seconds) => seconds.reduce((sum, value) => sum + value, 0)));
  for (let round = 0; round < repeats || (round < 50 * repeats && spent() < budget); round++) {
    runs.forEach((run, k) => {
      const start = performance.now();
      run();
      times[k].push((performance.now() - start) / 1000);
    });
  }
  return times.map(timingOf);
}

/** A short run: repeated until `budget` seconds are spent, at least `repeats` times, after one run that warms up. */
export function timeOf(run: () => void, repeats: number, budget = 0.2): Timing {
  return timesOf([run], repeats, budget)[0];
}

/** Processor time of all threads of this process so far, in seconds. */
export function processorSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/** Lets every clock of this process run on its processor time from now on: on a busy machine a time limit then is what it says. */
export function clockByProcessor(): void {
  performance.now = () => 1000 * processorSeconds();
}

/** Work whose clock, performance.now, is the time that processors gave to this process: a limit is then kept whatever else they do. */
export async function onProcessorClock<T>(work: () => Promise<T>): Promise<T> {
  Object.defineProperty(performance, "now", { configurable: true, value: () => 1000 * processorSeconds() });
  try {
    return await work();
  } finally {
    Reflect.deleteProperty(performance, "now"); // that of the prototype is there again
  }
}
