/** The proof at the end of a growth: all gates are priced, and those that the search has missed join until none is left. */

import { type DearGate, GatePricer } from "../pricing/index.js";
import { Clock } from "../solvers/clock.js";
import { advice, type Solution, type SolveBudget } from "../solvers/solution.js";
import type { AllGatesBound, ConvexProgram, Status } from "../types.js";

/** Of the tolerance: what the gap over the gates in hand may take; the rest is for the pricing. */
export const SOLVE_SHARE = 0.5;
/** Of the tolerance: the gap over all gates that a pricing aims at; rounding is left some. */
const PRICING_SHARE = 0.99;
/** Times that all gates are priced at most, and gates that join after each. */
const PRICINGS = 60;
const JOINING = 20;
/** Directions with a larger cosine are one gate here. */
const SAME_COSINE = 0.9999;

/**
 * Prices all gates of growing programs over one X. The gates that it has found stay: where the loss has kinks or the zero
 * network is optimal, a gate may hold the dual point although no neuron has it.
 */
export class GrowthProof {
  private readonly pricer: GatePricer;
  private readonly found: DearGate[] = [];
  private pricings = 0;
  bound: AllGatesBound | null = null;

  constructor(
    program: ConvexProgram,
    private readonly cones: number,
    private readonly tolerance: number,
    private readonly clock: Clock,
  ) {
    this.pricer = new GatePricer(program);
  }

  get begun(): boolean {
    return this.pricings > 0;
  }

  /** What is to be said where all gates were bounded, and not within the tolerance: some are known that would help. */
  get open(): boolean {
    return this.bound?.finished === true && this.bound.relativeGap > this.tolerance;
  }

  /** Gates that are to be in the set. */
  get gates(): readonly DearGate[] {
    return this.found;
  }

  /** Prices all gates at the solution's dual point; true when some that are worth more than beta have joined. */
  async price({ dualPoint, gap }: Solution): Promise<boolean> {
    this.pricings += 1;
    const { cones, tolerance, clock } = this;
    const budget = { cones, tolerance: PRICING_SHARE * tolerance, pause: () => clock.pause() };
    const { bound, dear } = await this.pricer.bound(dualPoint, gap.primal, budget);
    // Every bound holds: the best stays.
    if (this.bound === null || bound.dual > this.bound.dual || bound.finished) this.bound = bound;
    if (this.pricings >= PRICINGS || (await clock.pause())) return false;
    const before = this.found.length;
    for (const gate of [...dear].sort((a, b) => b.value - a.value)) {
      if (this.found.length === before + JOINING) break;
      if (!this.found.slice(before).some((other) => same(gate, other))) this.found.push(gate);
    }
    return this.found.length > before;
  }
}

/** Solves over the gates of a program as `work` says, and bounds all gates at the solution, where the budget has cones for it. */
export async function withAllGates(
  program: ConvexProgram,
  budget: SolveBudget,
  work: () => Promise<Solution>,
): Promise<Solution & { readonly allGates: AllGatesBound | null }> {
  const { cones, tolerance, seconds, stopped } = budget;
  if (cones === undefined || program.gates.complete) return { ...(await work()), allGates: null };
  const clock = new Clock(seconds, stopped ?? (() => false));
  const pricer = new GatePricer(program);
  const solution = await work();
  const pricing = { cones, tolerance: PRICING_SHARE * tolerance, pause: () => clock.pause() };
  const { bound } = await pricer.bound(solution.dualPoint, solution.gap.primal, pricing);
  if (solution.status !== "solved") return { ...solution, allGates: bound };
  const open = bound.finished && bound.relativeGap > tolerance;
  return { ...solution, allGates: bound, ...endingWith(bound, open, FIXED) };
}

/** Status and advice of gates that are solved, beside what is known of all gates; `help` lets in those that are missing. */
export function endingWith(
  bound: AllGatesBound,
  open: boolean,
  help: string,
): { readonly status: Status; readonly advice: string } {
  if (open) {
    return {
      status: "stalled",
      advice: `The gap over the gates in hand is below the tolerance, that over all gates is not, since some that are missing would lower the objective: ${help}.`,
    };
  }
  if (bound.finished) return { status: "solved", advice: advice.solved };
  return {
    status: "solved",
    advice: `The gap over the gates in hand is below the tolerance; the bound over all gates, certificate.allGates, is not finished: raise \`pricing.cones\` or \`timeLimit\`, or leave \`pricing\` out.`,
  };
}

const FIXED = 'let them in with arrangements: { kind: "grow" }';

function same(a: DearGate, b: DearGate): boolean {
  if (a.output !== b.output || a.sign !== b.sign) return false;
  let cosine = 0;
  for (let p = 0; p < a.direction.length; p++) cosine += a.direction[p] * b.direction[p];
  return cosine > SAME_COSINE;
}
