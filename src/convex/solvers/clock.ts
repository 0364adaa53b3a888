/** Time spent, time left, and turns for the host. */

/** The host gets a turn at least this often (two frames of 60 a second). */
const BREATH_SECONDS = 0.03;

export class Clock {
  private readonly began = now();
  private breath = this.began;

  constructor(
    private readonly limit: number, // seconds
    readonly stopped: () => boolean,
  ) {}

  get seconds(): number {
    return now() - this.began;
  }

  get over(): boolean {
    return this.seconds >= this.limit;
  }

  /** Lets the host breathe; true when time is up or someone asked to stop. */
  async pause(): Promise<boolean> {
    if (now() - this.breath > BREATH_SECONDS) {
      await new Promise((resolve) => setTimeout(resolve, 0));
      this.breath = now();
    }
    return this.over || this.stopped();
  }
}

function now(): number {
  return performance.now() / 1000;
}
