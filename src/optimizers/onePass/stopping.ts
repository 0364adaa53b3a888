/** A pass that the clock or a signal ends: nothing is known before its end, so that it ends in an error. */

import { counted } from "../../arguments.js";
import type { Cluster } from "../../convex/sharded/index.js";
import type { Clock } from "../../convex/solvers/clock.js";
import { ConvexError } from "../../errors.js";

/** Milliseconds between two looks at the clock while shards work. */
const LOOK_MS = 50;

/**
 * The sums of a cluster, until time is up or someone asked to stop: also in the course of a call, whose answer is then none of ours.
 *
 * @throws ConvexError "cluster/stopped".
 */
export function stopping(where: string, cluster: Cluster, clock: Clock, timeLimit: number): Pick<Cluster, "sum"> {
  let calls = 0;
  const check = () => {
    if (clock.stopped() || clock.over) throw stopped(where, calls, clock, timeLimit);
  };
  return {
    async sum(message, restore) {
      check();
      let timer: ReturnType<typeof setInterval> | undefined;
      const ended = new Promise<never>((_, reject) => {
        timer = setInterval(() => {
          try {
            check();
          } catch (error) {
            reject(error);
          }
        }, LOOK_MS);
      });
      const answer = cluster.sum(message, restore);
      answer.catch(() => {}); // of workers that are closed
      const sum = await Promise.race([answer, ended]).finally(() => clearInterval(timer));
      calls += 1;
      check();
      return sum;
    },
  };
}

function stopped(where: string, calls: number, clock: Clock, timeLimit: number): ConvexError {
  const told = `${counted(calls, "call")} of the pass over the rows answered. Nothing is known before its end, and the weights are as they were.`;
  return new ConvexError(
    "cluster/stopped",
    clock.stopped()
      ? `${where}: expected the pass over the rows to come to its end, got the signal to stop after ${clock.seconds.toFixed(1)} s: ${told}`
      : `${where}: expected the pass over the rows within the timeLimit of ${timeLimit} s, reading them included, got no end of it in ` +
          `${clock.seconds.toFixed(1)} s: ${told} Raise timeLimit, or use fewer gates or more shards.`,
  );
}
