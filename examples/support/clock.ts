/** What comparisons measure time by: the wall clock, or on a busy machine the time that processors gave to this process. */

let processor = false;

/** From now on seconds are those of all processors together: fits on several threads pay for each. Node only. */
export function countProcessorTime(): void {
  processor = true;
}

/** Seconds since some moment. */
export function secondsNow(): number {
  if (!processor) return performance.now() / 1000;
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}
