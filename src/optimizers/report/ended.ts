/** How a fit ended: the rules by which what a solve says of itself becomes what is true of the network that was returned. */

import { counted } from "../../arguments.js";
import { LEAST } from "../../convex/linear/vectors.js";
import { isStandardized } from "../../convex/operators/coordinates.js";
import { advice as adviceOf, CONTRADICTION } from "../../convex/solvers/solution.js";
import type { Certificate, Gap, Status } from "../../convex/types.js";
import type { Problem } from "../records.js";
import type { Fitting } from "../solve/withinWidth.js";

export interface Ended {
  readonly status: Status;
  readonly advice: string;
}

/** What the rules look at. */
export interface Facts {
  readonly problem: Pick<Problem, "spec" | "program" | "loss" | "constraint" | "growth" | "reduction">;
  readonly gap: Gap; // of the solution
  readonly certificate: Certificate; // of the network
  readonly fitting: Fitting;
  readonly tolerance: number;
}

interface Rule {
  readonly about: string;
  readonly of: readonly Status[]; // as it was until then
  readonly when: (facts: Facts) => boolean;
  readonly becomes: Status | null; // null: stays
  readonly advice: (facts: Facts, before: Ended) => string;
}

const WIDTH: readonly Rule[] = [
  {
    about: "a narrow layer",
    of: ["solved"],
    when: (facts) => isNarrowed(facts) && !(aboveBound(facts) <= facts.tolerance),
    becomes: "widthLimit",
    advice: widthAdvice,
  },
  {
    about: "a narrow layer, which is what stopped it",
    of: ["stalled", "iterationLimit", "slowed"],
    when: isNarrowed,
    becomes: "widthLimit",
    advice: widthAdvice,
  },
  {
    about: "a narrow layer beside what stopped it",
    of: ["timeLimit", "cancelled", "nonFinite"],
    when: isNarrowed,
    becomes: null,
    advice: (facts, { advice }) => `${advice} ${widthAdvice(facts)}`,
  },
];

/** In this order, each on what those before have made of it. */
const RULES: readonly Rule[] = [
  {
    about: "a gap that rounding kept open in the program, and that its bound for the network closes",
    of: ["stalled"],
    when: ({ certificate: { relativeGap }, tolerance }) => relativeGap >= 0 && relativeGap <= tolerance,
    becomes: "solved",
    advice: () => adviceOf.solved,
  },
  {
    about: "solved in the span, and not for x as it is",
    of: ["solved"],
    when: ({ problem, certificate, tolerance }) => spanOf(problem) !== null && !(certificate.relativeGap <= tolerance),
    becomes: "stalled",
    advice: ({ problem }) =>
      `The program in ${counted(spanOf(problem) ?? 0, "dimension")} is solved, but what they leave out keeps the bound for x as it is ` +
      `above the tolerance: raise \`rank\`, or leave it out.`,
  },
  {
    // It may lie below the bound of those that meet the constraint: then that is not solved, however small the gap.
    about: "a constraint that is missed by rounding",
    of: ["solved"],
    when: ({ problem, gap: { primal, dual }, tolerance }) =>
      problem.constraint !== null && dual - primal > tolerance * Math.abs(primal),
    becomes: "stalled",
    advice: () =>
      "The network misses its constraint by rounding, and is smaller by more than the tolerance than one that meets it can be: " +
      "take the means off the columns of x and bring them to sizes near one, or loosen `tolerance`.",
  },
  {
    // No gap is still closing there: what may be left is the search for gates.
    about: "growing gates that were cut off below the tolerance",
    of: ["iterationLimit", "timeLimit"],
    when: ({ problem: { growth, program }, certificate, tolerance }) =>
      growth !== null && !program.gates.complete && certificate.relativeGap <= tolerance,
    becomes: null,
    advice: (_, { status }) =>
      `The gap is below the tolerance for these gates, and the search for better ones was cut off: raise \`` +
      `${status === "timeLimit" ? "timeLimit" : "maxIterations"}\`.`,
  },
  {
    // Solved is the network as it stands in the layers.
    about: "weights that rounding to float32 has spoilt",
    of: ["solved"],
    when: ({ problem, certificate: { network, dual }, tolerance }) =>
      problem.constraint === null && network - dual > 2 * tolerance * Math.abs(network) + leastIn32(problem),
    becomes: "stalled",
    advice: () =>
      "The program is solved, but its network loses more than the tolerance when its weights are rounded to float32: bring the columns " +
      "of x, and the targets, to sizes near one.",
  },
  ...WIDTH,
];

/** How a fit ended that ended so by its solver's account. */
export function endOf(ended: Ended, facts: Facts): Ended {
  return judged(ended, facts, RULES);
}

/** The same of one beta of a path, whose network is written later, or not at all. */
export function endWithin(ended: Ended, facts: Facts): Ended {
  return judged(ended, facts, WIDTH);
}

function judged({ status, advice }: Ended, facts: Facts, rules: readonly Rule[]): Ended {
  return rules.reduce<Ended>(
    (before, rule) =>
      rule.of.includes(before.status) && rule.when(facts)
        ? { status: rule.becomes ?? before.status, advice: rule.advice(facts, before) }
        : before,
    { status, advice },
  );
}

/** Dimensions that the program was solved in, where there are fewer than of x. */
function spanOf({ reduction }: Facts["problem"]): number | null {
  return reduction === null || isStandardized(reduction.space) ? null : reduction.space.basis.cols;
}

/** Differences below this share of the zero network's loss are none in float32. */
const RESOLUTION = 2 ** -23;

function leastIn32({ loss }: Facts["problem"]): number {
  return RESOLUTION * loss.value(new Float64Array(loss.rows * loss.outputs));
}

/** Whether the network of the solution was wider than its layer. */
function isNarrowed({ fitting }: Facts): boolean {
  return fitting.value !== null;
}

/** The narrowed network against the bound over all widths, in relation to it. */
function aboveBound({ fitting, certificate }: Facts): number {
  const value = fitting.value ?? 0;
  return (value - certificate.dual) / Math.max(Math.abs(value), LEAST);
}

function widthAdvice(facts: Facts): string {
  const { units, convolution } = facts.problem.spec;
  const { needed } = facts.fitting;
  const percent = (100 * aboveBound(facts)).toPrecision(2);
  return (
    `The layer's width is the limit: the solution of the convex program has ${needed} neurons, and this is the best network of ` +
    `${units} that a descent found; a wider one can be lower by ${percent} % at most. ` +
    `Build the layer with ${needed} ${convolution === null ? "units" : "filters"}, or set width: "resize".`
  );
}

/** True where a bound is above the objective by more than rounding: one of them is wrong. */
export function contradicts({ relativeGap }: Certificate): boolean {
  return relativeGap < 0;
}

/** How such a fit ends, as a solve that finds it by itself does. */
export const CONTRADICTED = { status: "stalled", advice: CONTRADICTION, contradicted: true } as const;
