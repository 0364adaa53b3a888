/** A cluster one of whose workers is ended, or stopped, in the middle of a fit. */

import { readFileSync } from "node:fs";
import type { Cluster } from "../../src/index.js";

/** As `inner`; before call `at` with this `op`, or of all calls, the worker of the shard gets a signal. */
export function killing(
  inner: Cluster,
  at: number,
  shard = 0,
  op: string | null = "advance",
  signal: "SIGKILL" | "SIGSTOP" = "SIGKILL",
): Cluster {
  let calls = 0;
  return {
    name: inner.name,
    open: (specs) => inner.open(specs),
    sum(message, restore) {
      if ((op === null || message.call.op === op) && ++calls === at) process.kill(inner.pids[shard], signal);
      return inner.sum(message, restore);
    },
    get restarts() {
      return inner.restarts;
    },
    get pids() {
      return inner.pids;
    },
    close: () => inner.close(),
  };
}

/** Whether a process is there, and no zombie. */
export function lives(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}
