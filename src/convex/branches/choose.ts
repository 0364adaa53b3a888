/** The best I branches under a mean budget, for I = 1, 2, ..: sums of branches, those kept that may still become the best. */

import type { Pieces } from "../linear/pieces.js";
import { farthestStep, type Staircase, tangentAt } from "./staircase.js";

/** inf P of I branches. */
export interface BestBranches {
  readonly loss: number; // of the mean
  readonly steps: readonly number[]; // [I] of the staircase
  /** Whether it is proven the least: always, but where too many sums were alike, of which some were let go. */
  readonly exact: boolean;
}

/** A sum of some branches. */
interface Sum {
  readonly cost: number;
  readonly loss: number;
  readonly above: number; // of the tangent, in all: what it costs that these branches are no mixture
  readonly step: number;
  readonly before: Sum | null;
}

/** Sums that are kept of a number of branches. */
const MOST_SUMS = 3000;
/** So many times as many may be made before the worse ones are let go. */
const TOGETHER = 8;
/** Of a budget and of losses. */
const ROUNDING = 1e-12;

/**
 * Every mean of I branches within the budget is above the tangent of the envelope by its branches' distances to it and by what the
 * budget that is left would buy. The theorem says that the best one is within 2 Delta in all, so that sums beyond are let go, and those
 * that another one beats at both loss and cost.
 */
export function* bestBranches(stairs: Staircase, budget: number, most: number): Pieces<BestBranches[]> {
  const { costs, losses } = stairs;
  const { value, price } = tangentAt(stairs, budget);
  const room = 2 * farthestStep(stairs).delta + ROUNDING;
  const above = losses.map((loss, s) => Math.max(0, loss - value + price * (costs[s] - budget)));
  const steps = Array.from(costs.keys()).filter((s) => above[s] <= room);
  const best: BestBranches[] = [];
  let sums: Sum[] = [{ cost: 0, loss: 0, above: 0, step: -1, before: null }];
  let exact = true;
  for (let I = 1; I <= most; I++) {
    const next: Sum[] = [];
    const affordable = most * budget - (most - I) * costs[0];
    for (const before of sums) {
      for (const step of steps) {
        const sum = before.above + above[step];
        const cost = before.cost + costs[step];
        if (sum > room || cost > affordable * (1 + ROUNDING)) continue;
        next.push({ cost, loss: before.loss + losses[step], above: sum, step, before });
      }
      if (next.length > TOGETHER * MOST_SUMS) {
        const kept = thinned(next);
        next.length = 0;
        for (const one of kept.sums) next.push(one);
        exact &&= kept.all;
      }
      yield;
    }
    const kept = thinned(next);
    exact &&= kept.all;
    sums = kept.sums;
    best.push(bestOf(sums, stairs, I, budget, exact));
    yield;
  }
  return best;
}

/** Without those that are beaten, and at most `MOST_SUMS`: of neighbours in cost those least above the tangent. */
function thinned(sums: Sum[]): { readonly sums: Sum[]; readonly all: boolean } {
  const order = sums.sort((a, b) => a.cost - b.cost || a.loss - b.loss);
  const kept: Sum[] = [];
  let least = Number.POSITIVE_INFINITY;
  for (const sum of order) {
    if (sum.loss >= least) continue;
    least = sum.loss;
    kept.push(sum);
  }
  if (kept.length <= MOST_SUMS) return { sums: kept, all: true };
  const group = Math.ceil((2 * kept.length) / MOST_SUMS);
  const some: Sum[] = [];
  for (let from = 0; from < kept.length; from += group) {
    const own = kept.slice(from, from + group);
    some.push(own[0]); // the cheapest, so that what is within the budget stays
    const nearest = own.reduce((a, b) => (b.above < a.above ? b : a));
    if (nearest !== own[0]) some.push(nearest);
  }
  return { sums: some, all: false };
}

/** The best of the sums within the budget and of what rounds the best mixture: as many branches at its dearer corner as can be paid. */
function bestOf(sums: readonly Sum[], stairs: Staircase, I: number, budget: number, exact: boolean): BestBranches {
  let steps = rounded(stairs, I, budget);
  let loss = steps.reduce((sum, step) => sum + stairs.losses[step], 0);
  let best: Sum | null = null;
  for (const sum of sums) {
    if (sum.cost > I * budget * (1 + ROUNDING) || sum.loss > loss) continue;
    [best, loss] = [sum, sum.loss];
  }
  if (best !== null) steps = [];
  for (let sum = best; sum !== null && sum.before !== null; sum = sum.before) steps.push(sum.step);
  return { loss: loss / I, steps, exact };
}

function rounded({ costs, corners }: Staircase, I: number, budget: number): number[] {
  const next = corners.findIndex((s) => costs[s] > budget);
  if (next < 0) return new Array<number>(I).fill(corners[corners.length - 1]);
  const [a, b] = [corners[next - 1], corners[next]];
  const dear = Math.floor((I * (budget - costs[a])) / (costs[b] - costs[a]));
  return Array.from({ length: I }, (_, k) => (k < dear ? b : a));
}
