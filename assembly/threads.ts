/**
 * Threads that share the memory: a job is a number of tasks, which the caller's thread and its helpers take one by one.
 *
 * A helper that is late finds the job closed and is not waited for, so that a busy machine costs no more than one thread does.
 */

import { perform } from "./jobs";
import { enroll, SHARED } from "./thread";

/** 32-bit words that threads share; JavaScript reads LIVE and JOINED and writes STOP. */
const SEQUENCE = SHARED; // of jobs; helpers sleep on it
const OPEN = SHARED + 4; // 1 while tasks may be taken
const ACTIVE = SHARED + 8; // helpers between coming and leaving; the caller sleeps on it
const NEXT = SHARED + 12; // task
const TASKS = SHARED + 16;
const LIMIT = SHARED + 20; // threads that may work on this job
const JOINED = SHARED + 24; // bit t: thread t has, since JavaScript cleared it
const LIVE = SHARED + 28; // helpers that listen
const STOP = SHARED + 32; // 1: helpers end

/** Looks at a word before a thread sleeps on it: some 10 microseconds, about what waking up costs. */
const SPINS: i32 = 2000;
/** Nanoseconds after which a helper without work ends. */
const IDLE: i64 = 10_000_000_000;
const TIMED_OUT: i32 = 2;

/**
 * Runs tasks 0, 1, ... of the job on at most `threads` threads; answers what share of the tasks the
 * caller did. Below or at 1 helpers may still be at work, for whom `finish` waits; 2: there were none.
 */
export function runTasks(tasks: i32, threads: i32): f64 {
  if (threads == 1 || tasks == 1 || atomic.load<i32>(LIVE) == 0) {
    for (let task = 0; task < tasks; task++) perform(task);
    return 2;
  }
  atomic.store<i32>(NEXT, 0);
  atomic.store<i32>(TASKS, tasks);
  atomic.store<i32>(LIMIT, threads);
  atomic.store<i32>(OPEN, 1);
  atomic.add<i32>(SEQUENCE, 1);
  atomic.notify(SEQUENCE, -1);
  const taken = takeTasks();
  atomic.store<i32>(OPEN, 0);
  return <f64>taken / tasks;
}

/** Waits for the helpers of the last job. */
export function finish(): void {
  let spins = 0;
  for (;;) {
    const active = atomic.load<i32>(ACTIVE);
    if (active == 0) return;
    if (spins < SPINS) spins++;
    else atomic.wait<i32>(ACTIVE, active, -1);
  }
}

/** Answers how many there were. */
function takeTasks(): i32 {
  const tasks = atomic.load<i32>(TASKS);
  let taken = 0;
  let task: i32;
  while ((task = atomic.add<i32>(NEXT, 1)) < tasks) {
    perform(task);
    taken++;
  }
  return taken;
}

/** A helper's whole life: listens for jobs until it is told to end or had nothing to do for long. */
export function serve(thread: i32, workAt: usize): void {
  enroll(thread, workAt);
  let seen = atomic.load<i32>(SEQUENCE);
  atomic.add<i32>(LIVE, 1);
  while (atomic.load<i32>(STOP) == 0) {
    let spins = 0;
    while (atomic.load<i32>(SEQUENCE) == seen && spins < SPINS) spins++;
    if (spins == SPINS && atomic.wait<i32>(SEQUENCE, seen, IDLE) == TIMED_OUT) break;
    seen = atomic.load<i32>(SEQUENCE);
    atomic.add<i32>(ACTIVE, 1); // before OPEN is read: a caller that has closed the job sees it
    if (atomic.load<i32>(OPEN) == 1 && thread < atomic.load<i32>(LIMIT)) {
      if (takeTasks() > 0) atomic.or<i32>(JOINED, 1 << thread);
    }
    if (atomic.sub<i32>(ACTIVE, 1) == 1) atomic.notify(ACTIVE, -1);
  }
  atomic.sub<i32>(LIVE, 1);
}
