/** Work in pieces: a generator that yields between them, so that one body serves callers that wait and callers that can't. */

/** What yields between pieces is answered with true when it should come to an end with what it has. */
export type Pieces<T> = Generator<void, T, boolean | undefined>;

/** All of it at once. */
export function atOnce<T>(work: Pieces<T>): T {
  for (;;) {
    const { done, value } = work.next(false);
    if (done) return value;
  }
}

/** With a pause between pieces; `pause` answers true when time is up or someone asked to stop. */
export async function inTurns<T>(work: Pieces<T>, pause: () => Promise<boolean>): Promise<T> {
  try {
    for (let over = false; ; over = await pause()) {
      const { done, value } = work.next(over);
      if (done) return value;
    }
  } finally {
    leave(work);
  }
}

/** Another's work as part of one's own, left where it is when one is told to end, and for good: null then. */
export function* unlessOver<T>(work: Pieces<T>): Pieces<T | null> {
  try {
    for (;;) {
      const { done, value } = work.next(false);
      if (done) return value;
      if (yield) return null;
    }
  } finally {
    leave(work);
  }
}

/** Runs what is in `finally` of work that is at a yield: memory of an engine, which nobody else releases. */
function leave<T>(work: Pieces<T>): void {
  work.return(undefined as T);
}
