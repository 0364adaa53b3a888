/** How long anything can be waited for: timers count milliseconds in 31 bits, some 23 days. */
export const MOST_SECONDS = 2e6;
/** For a worker that reads its rows, or answers a call, unless an option says otherwise. */
export const PATIENCE = 600;
