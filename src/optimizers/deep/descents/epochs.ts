/** Epochs of a descent, as callbacks hear of them: of lower values only. */

import type { Clock } from "../../../convex/solvers/clock.js";
import type { Progress } from "../../report/progress.js";
import type { WholeJudge } from "../judge.js";

export class Epochs {
  /** How many there were. */
  count = 0;
  private heard = Number.POSITIVE_INFINITY;

  constructor(
    private readonly progress: Progress,
    private readonly judge: Pick<WholeJudge, "judge">,
    private readonly clock: Pick<Clock, "seconds">,
    private readonly most: number,
    private readonly stop: AbortController,
  ) {}

  /** Tells of a value with the gap that is proven, unless as many epochs as there is `room` for were told of; answers whether to end. */
  async tell(value: number, relativeGap: number, room = this.most): Promise<boolean> {
    if (value < this.heard && this.count < room) {
      this.heard = value;
      const logs = { loss: value, ...(await this.judge.judge()), relativeGap, seconds: this.clock.seconds };
      this.count += 1;
      if (await this.progress.round(this.count - 1, logs)) this.stop.abort();
    }
    return this.stop.signal.aborted || this.isFull;
  }

  get isFull(): boolean {
    return this.count >= this.most;
  }

  /** Remembers where it is; the answer takes back what came after. */
  mark(): () => void {
    const { count, heard } = this;
    return () => {
      this.count = count;
      this.heard = heard;
      this.progress.takeBack(count);
    };
  }
}

/** Stops when a signal does, or when it is asked to; `release` when that is over. */
export function stopWith(signal: AbortSignal | null): { readonly stop: AbortController; release(): void } {
  const stop = new AbortController();
  const abort = () => stop.abort();
  signal?.addEventListener("abort", abort);
  if (signal?.aborted) abort();
  return { stop, release: () => signal?.removeEventListener("abort", abort) };
}
