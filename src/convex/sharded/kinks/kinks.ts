/**
 * Losses with kinks by the augmented Lagrangian method (Rockafellar 1976): steps on the loss rounded off about multipliers N of the rows,
 * which stay with the shards, and now and then new multipliers, the gradient of what was rounded off. Those are subgradients of the loss
 * itself: every bound is one of the program with its kinks.
 */

import type { Loss } from "../../types.js";

/** Of the loss of the best constant outputs: half the width of the band about a kink that is rounded off, at the beginning, and to find N there. */
const FIRST_WIDTH = 0.3;
const SHARP_WIDTH = 1e-3;
/** And of the objective, for networks that descend. */
const NARROW_WIDTH = 0.1;
/** Where rows are at their kinks is little beside what steps leave: new multipliers wait until it is at least this share of the gap. */
const MOSTLY = 0.3;
/** Steps, or rounds of a first-order method, after which they wait no more. */
const MOST_STEPS = 8;
/** A narrower band makes more of new multipliers, and steps harder: so it is where these were few and those took too little off, and wider
 * where steps were many. */
const FEW_STEPS = 2;
const MANY_STEPS = 5;
const FALL = 0.5;
const NARROWER = 0.6;
const WIDER = 2;

export function hasKinks({ separable, curvature }: Pick<Loss, "separable" | "curvature">): boolean {
  return separable && !Number.isFinite(curvature);
}

/** Where the multipliers stand. */
export interface KinkState {
  readonly tau: number;
  readonly gap: number; // what kinks left of the gap when there were new ones
  readonly steps: number; // since then
  readonly next: number | null; // tau of the next ones, where it is time for them
}

/** Widths in units of the loss's own, for tau: rows are weighed by 1 / (n C). */
function tauOf(width: number, level: number, { rows, outputs }: Loss): number {
  return width * (level > 0 ? level : 1) * rows * outputs;
}

/** For multipliers at constant outputs whose loss is `level`. */
export function sharpTau(level: number, loss: Loss): number {
  return tauOf(SHARP_WIDTH, level, loss);
}

/** For descents of networks whose objective is `level`. */
export function narrowTau(level: number, loss: Loss): number {
  return tauOf(NARROW_WIDTH, level, loss);
}

export function kinksAtFirst(level: number, loss: Loss): KinkState {
  return { tau: tauOf(FIRST_WIDTH, level, loss), gap: Number.POSITIVE_INFINITY, steps: 0, next: null };
}

/** After a step to where kinks leave `left` of the gap `whole`. */
export function kinksAfter(state: KinkState, left: number, whole: number): KinkState {
  const steps = state.steps + 1;
  const due = left >= MOSTLY * whole;
  if (!due && steps < MOST_STEPS) return { ...state, steps, next: null };
  const hard = !due || steps >= MANY_STEPS;
  const slow = steps <= FEW_STEPS && left > FALL * state.gap;
  return { tau: state.tau, gap: left, steps: 0, next: state.tau * (hard ? WIDER : slow ? NARROWER : 1) };
}

export function kinksMoved(state: KinkState): KinkState {
  return state.next === null ? state : { ...state, tau: state.next, next: null };
}
