/**
 * Polynomial units under a smooth loss: descent in directions and output weights together, and prices of all units between.
 *
 * With p = r u, r = |p| and |alpha| = r^2 a unit gives +-(a (x p)^2 + b r x p + c r^2) and is charged beta |p|^2: smooth wherever
 * the loss is, without constraints. It is the low-rank form of the semidefinite program of Bartan and Pilanci (2021), and where a
 * descent ends the prices say whether it is the optimum, or which units are missing. A few rounds are enough, where inserting
 * units that stay as they are takes tens.
 */

import { bestScale, relativeGap } from "../../certificate/index.js";
import type { Kernels } from "../../kernels/types.js";
import { descend } from "../../linear/lbfgs.js";
import { biasAlone, dualPointAt } from "../../operators/dualPoint.js";
import { Clock } from "../../solvers/clock.js";
import { advice, type SolveBudget } from "../../solvers/solution.js";
import type { Gap, Status } from "../../types.js";
import type { Polynomial } from "../hiddenUnits.js";
import { PolynomialOracle } from "../polynomialOracle.js";
import type { PlacedData, UnitNetwork, UnitSolution } from "../problem.js";
import { holdingPlaces } from "./heldPlaces.js";
import { MovingUnits } from "./movingUnits.js";
import { compacted, DEAD, networkOf, pointOf, pruned, type UnitPoint, withUnits } from "./unitPoint.js";

/** Steps of a descent a round. */
const STEPS = 100;
/** Units that are inserted a round at most, for each feed. */
const TOGETHER = 4;
/** Rounds in a row that together take less than this share off the gap end it: rounding is reached. */
const STALL_ROUNDS = 20;
const STALL_SHARE = 0.05;
/** What fewer units in the end may add to the objective, of the gap that is asked for. */
const SPENT = 1e-3;
/** Of the tolerance: how far above beta a unit is worth inserting. */
const WORTH_SHARE = 0.1;

interface Best {
  readonly point: UnitPoint;
  readonly primal: number;
  readonly N: Float64Array;
  readonly largest: number; // worth of a unit at N
}

/** Where a descent begins; with what is known of a dual point, which may prove that there is nothing left to do. */
export interface Start extends UnitNetwork {
  readonly N?: Float64Array; // [n x C]
  /** True where it has no more units than its matrices have eigenvalues. */
  readonly few?: boolean;
}

export async function descendUnits(
  problem: PlacedData,
  activation: Polynomial,
  beta: number,
  kernels: Kernels,
  budget: SolveBudget,
  start: Start | null = null,
): Promise<UnitSolution> {
  const held = holdingPlaces(kernels, problem.places);
  try {
    return await descendHeld(problem, activation, beta, held.kernels, budget, start);
  } finally {
    held.dispose();
  }
}

async function descendHeld(
  problem: PlacedData,
  activation: Polynomial,
  beta: number,
  kernels: Kernels,
  budget: SolveBudget,
  start: Start | null,
): Promise<UnitSolution> {
  const { places, loss } = problem;
  const { d } = places;
  const feeds = places.list.length * loss.outputs;
  const clock = new Clock(budget.seconds, budget.stopped ?? (() => false));
  const oracle = new PolynomialOracle(places, loss.outputs, activation);
  let point = pointOf(start ?? { units: [], bias: biasAlone(problem) });
  let best: Best | null = null;
  let bound = Number.NEGATIVE_INFINITY;
  let steps = 0;
  const gaps: number[] = [];
  for (let round = 1; ; round++) {
    const network = new MovingUnits(problem, activation, beta, kernels, point);
    const { value: primal, Z } = network.outputs();
    const known = round === 1 ? start?.N : undefined;
    const N = known ?? dualPointAt(problem, Z);
    await oracle.look(N, () => clock.pause());
    const dual = bestScale(problem, N, beta / oracle.ceiling(N)).value; // at scale 0 where time did not suffice
    bound = Math.max(dual, bound);
    const largest = oracle.above(N, Number.NEGATIVE_INFINITY)[0]?.value ?? best?.largest ?? Number.POSITIVE_INFINITY;
    const held: Best =
      best === null || !(primal > best.primal) ? { point, primal, N, largest: Math.max(0, largest) } : best;
    best = held;
    bound = Math.min(bound, held.primal); // above it only by rounding
    const gap: Gap = { primal: held.primal, dual: bound, relative: relativeGap(held.primal, bound, problem) };
    gaps.push(gap.relative);
    const paused = await clock.pause();
    const status = statusOf(gap, gaps, budget, paused, clock, steps);
    if (status !== null) {
      const few =
        round === 1 && start?.few === true ? held : fewer(held, problem, activation, beta, kernels, budget.tolerance);
      return {
        ...networkOf(few.point, d, feeds),
        status,
        advice: advice[status],
        gap: { primal: few.primal, dual: bound, relative: relativeGap(few.primal, bound, problem) },
        exact: true,
        bestRatio: held.largest / beta,
        dualPoint: held.N,
        rounds: round,
        iterations: steps,
        seconds: clock.seconds,
      };
    }
    const missing = fewOfEach(oracle.above(N, beta * (1 + WORTH_SHARE * budget.tolerance)), TOGETHER);
    const wider = withUnits(point, missing, beta, problem, activation, N);
    const posed = new MovingUnits(problem, activation, beta, kernels, wider);
    const descent = await descend(posed.objective, posed.start, Math.min(STEPS, budget.maxIterations - steps), () =>
      clock.pause(),
    );
    steps += descent.steps;
    point = compacted(pruned(posed.pointAt(descent.x), d), d);
  }
}

/** The first `most` of each feed. */
export function fewOfEach<T extends { readonly feed: number }>(units: readonly T[], most: number): T[] {
  const taken = new Map<number, number>();
  return units.filter(({ feed }) => {
    const before = taken.get(feed) ?? 0;
    taken.set(feed, before + 1);
    return before < most;
  });
}

function statusOf(
  { primal, relative }: Gap,
  gaps: readonly number[],
  { tolerance, maxIterations }: SolveBudget,
  paused: boolean,
  clock: Clock,
  steps: number,
): Status | null {
  if (!Number.isFinite(primal)) return "nonFinite";
  if (relative <= tolerance) return "solved";
  if (paused) return clock.stopped() ? "cancelled" : "timeLimit";
  if (steps >= maxIterations) return "iterationLimit";
  const before = gaps[gaps.length - 1 - STALL_ROUNDS];
  return before !== undefined && relative > (1 - STALL_SHARE) * before ? "stalled" : null;
}

/** The same network with as few units as its matrices have eigenvalues, unless that costs more than it may. */
function fewer(
  { point, primal }: Best,
  problem: PlacedData,
  activation: Polynomial,
  beta: number,
  kernels: Kernels,
  tolerance: number,
): { readonly point: UnitPoint; readonly primal: number } {
  const few = compacted(point, problem.places.d, DEAD);
  const { value } = new MovingUnits(problem, activation, beta, kernels, few).outputs();
  return value <= primal + SPENT * tolerance * Math.abs(primal) ? { point: few, primal: value } : { point, primal };
}
