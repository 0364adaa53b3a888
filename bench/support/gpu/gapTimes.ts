/** Seconds to a few gaps of one program on one engine; works in Node and in a page. */

import { smallestTrivialBeta } from "../../../src/convex/certificate/index.js";
import { chooseEngine, type EngineChoice } from "../../../src/convex/kernels/index.js";
import { solve, withProducts } from "../../../src/convex/solvers/solve.js";
import { useBackend } from "../deviceRates.js";
import { type GapProblem, problemOf } from "./problems.js";

export interface GapCase {
  readonly engine: EngineChoice;
  readonly backend: string; // of tfjs
}

export interface GapTimes extends GapCase, GapProblem {
  readonly reason: string;
  readonly solver: string;
  readonly status: string; // "running" until it has ended
  readonly endedOnHost: boolean;
  readonly prepared: number; // seconds, before the solver's clock begins
  readonly seconds: readonly (number | null)[]; // to each gap; null where the time was too short
  readonly beta: number;
  readonly objective: number; // at the end, as the bound and the gap
  readonly bound: number;
  readonly gap: number;
}

/** Of the smallest beta at which the zero network is optimal. */
const BETA_SHARE = 0.05;

/** Tells of each gap that is reached, so that a run that is ended from outside was not for nothing. */
export async function gapTimes(
  how: GapCase,
  size: GapProblem,
  gaps: readonly number[],
  seconds: number,
  tell: (times: GapTimes) => void,
): Promise<GapTimes> {
  const began = performance.now();
  await useBackend(how.backend);
  const { kernels, reason } = await chooseEngine(how.engine);
  const program = problemOf(size, kernels);
  const beta = BETA_SHARE * withProducts(program, kernels, (products) => smallestTrivialBeta(program, products));
  const prepared = (performance.now() - began) / 1000;
  const reached: (number | null)[] = gaps.map(() => null);
  const common = { ...how, ...size, reason, prepared, beta };
  const onRound = ({
    seconds: at,
    gap,
  }: {
    seconds: number;
    gap: { primal: number; dual: number; relative: number };
  }) => {
    const before = reached.filter((value) => value !== null).length;
    gaps.forEach((wanted, k) => {
      if (gap.relative <= wanted) reached[k] ??= at;
    });
    const found = { objective: gap.primal, bound: gap.dual, gap: gap.relative, seconds: [...reached] };
    if (reached.filter((value) => value !== null).length > before) {
      tell({ ...common, ...found, solver: "", status: "running", endedOnHost: false });
    }
    return false;
  };
  const left = Math.max(0, seconds - prepared);
  const budget = { tolerance: Math.min(...gaps), maxIterations: 1e6, seconds: left, onRound };
  const { gap, solver, status, endedOnHost = false } = await solve({ ...program, beta }, kernels, budget);
  const found = { objective: gap.primal, bound: gap.dual, gap: gap.relative, seconds: reached };
  return { ...common, ...found, solver, status, endedOnHost };
}
