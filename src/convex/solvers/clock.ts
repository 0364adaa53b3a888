/** Time spent, time left, and turns for the host. */

/** What ends a round, once time is up, may take this share of the limit more; then it is cut short as well. */
const GRACE = 0.02;
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

  /** Seconds that are left. */
  get left(): number {
    return Math.max(0, this.limit - this.seconds);
  }

  /** True when even what ends a round should be cut short; asked inside pieces that do not let the host breathe. */
  get late(): boolean {
    return this.seconds >= (1 + GRACE) * this.limit || this.stopped();
  }

  /** A clock that begins now, for a share of what is left, and so many seconds less. */
  part(share: number, less = 0): Clock {
    return new Clock(Math.max(0, share * this.left - less), this.stopped);
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
