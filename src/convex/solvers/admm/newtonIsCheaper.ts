/** When alternating directions should leave what is left of a gap to Newton steps: by reckoning, in multiplications. */

import { log } from "../../linear/elementary.js";

/**
 * From this gap on Newton steps may take over, where more rounds than these and dearer ones are reckoned to be left; with cones late, since
 * what their line searches cost in projections is not reckoned (Figure 1 recipe, d = 20, 50 gates: n = 1,000 from 0.12 on not there after 20 s, where
 * alternating directions alone take 5).
 */
const NEAR_GAP = 0.05;
const CONES_GAP = 0.02;
const LEAST_ROUNDS = 5;
/** Whatever the gap is, where so many rounds have not taken a tenth off it. */
const STUCK = 8;
/** Newton steps to the end, and multiplications of one by products, for each row and coefficient that is not zero. */
const NEWTON_STEPS = 10;
/** With cones, in n r min(n, r), r the directions of all faces: a few a vector; projections are dearer still. */
const CONES_STEPS = 24;
const FACE = 3;
const NEWTON_PRODUCTS = 160;
/** A multiplication of a triangular solve, which waits for memory, in those of products with gates. */
const SOLVE_COST = 4;
/** Products with all gates of an iteration: one back, and one forward with the blocks that are not zero. */
const PRODUCTS = 1.5;

/** What has been done, and the sizes. */
export interface Work {
  readonly n: number;
  readonly C: number;
  readonly d: number;
  readonly gates: number;
  readonly side: number; // rows of the matrix that is factored
  readonly active: number; // vectors that are not zero
  readonly gaps: readonly number[]; // relative, after each round
  readonly iterations: number; // of a round
  readonly cones: boolean;
}

/** Whether the rounds that are left at the pace of the last two cost more than Newton steps to the end. */
export function newtonIsCheaper(
  { n, C, d, gates, side, active, gaps, iterations, cones }: Work,
  tolerance: number,
): boolean {
  const last = gaps[gaps.length - 1];
  if (last > 0.9 * gaps[gaps.length - 1 - STUCK]) return true;
  const before = gaps[gaps.length - 3];
  if (before === undefined || last > (cones ? CONES_GAP : NEAR_GAP)) return false;
  const rounds = (2 * log(last / tolerance)) / log(before / last);
  const round = iterations * C * (SOLVE_COST * side ** 2 + PRODUCTS * n * d * gates);
  const rank = FACE * active;
  const newton = cones
    ? CONES_STEPS * n * rank * Math.min(n, rank)
    : NEWTON_STEPS * Math.min((C * n * n * n) / 6, NEWTON_PRODUCTS * n * d * active);
  return rounds > Math.max(LEAST_ROUNDS, newton / round);
}
