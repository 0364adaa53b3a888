/** What a thread knows of itself, and where threads meet. */

/** Start of the memory that threads share beside the data. */
export const SHARED: usize = 1024;

/** Number of this thread, 0 the caller's, and its own work space. */
export let self: i32 = 0;
export let work: usize = 0;

export function enroll(thread: i32, workAt: usize): void {
  self = thread;
  work = workAt;
}
