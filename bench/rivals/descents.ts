/** Plain descents of a network's objective, which anybody can write in an afternoon: what the trainer is to be better than. */

import { descend, type Objective } from "../../src/convex/linear/lbfgs.js";

export const descenders = ["L-BFGS", "Adam"] as const;
export type Descender = (typeof descenders)[number];

/** The lowest objective that one run from `start` meets in so many seconds. */
export async function lowestBy(
  name: Descender,
  objective: Objective,
  start: Float64Array,
  seconds: number,
): Promise<number> {
  const began = performance.now();
  const spent = () => (performance.now() - began) / 1000 / seconds;
  if (name === "Adam") return adam(objective, start, spent);
  return (await descend(objective, start, 1e6, async () => spent() >= 1)).value;
}

/** Kingma and Ba (2015), with a rate that falls linearly with the share of the time that is spent. */
function adam(f: Objective, start: Float64Array, spent: () => number): number {
  const [rate, b1, b2, tiny] = [0.01, 0.9, 0.999, 1e-8];
  const x = Float64Array.from(start);
  const gradient = new Float64Array(x.length);
  const first = new Float64Array(x.length);
  const second = new Float64Array(x.length);
  let lowest = Number.POSITIVE_INFINITY;
  for (let t = 1; spent() < 1; t++) {
    lowest = Math.min(lowest, f(x, gradient));
    const step = rate * (1 - spent());
    for (let p = 0; p < x.length; p++) {
      first[p] += (1 - b1) * (gradient[p] - first[p]);
      second[p] += (1 - b2) * (gradient[p] ** 2 - second[p]);
      x[p] -= (step * first[p]) / (1 - b1 ** t) / (Math.sqrt(second[p] / (1 - b2 ** t)) + tiny);
    }
  }
  return lowest;
}
