import { vi } from "vitest";

/**
 * Runs `work` on a clock that moves by a millisecond whenever it is read, so that what there is time for depends on no machine;
 * answers with what it made and the milliseconds that went by.
 */
export async function onCountingClock<T>(work: () => Promise<T>): Promise<{ made: T; time: number }> {
  let time = 0;
  const clock = vi.spyOn(performance, "now").mockImplementation(() => ++time);
  try {
    const made = await work();
    return { made, time };
  } finally {
    clock.mockRestore();
  }
}
