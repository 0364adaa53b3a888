/** How long anything can be waited for: timers count milliseconds in 31 bits, some 23 days. */
export const MOST_SECONDS = 2e6;
