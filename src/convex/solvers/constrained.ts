/**
 * Networks without a trade-off: the least penalty among those that meet every target exactly (minimum-norm interpolation, what
 * beta -> 0 comes to) or with a margin of one (the max-margin program).
 *
 *   min sum_i |v_i|   subject to   Z = Y   or   Y o Z >= 1   (and the cones)
 *
 * Both are solved through an exact penalty: with the weight M above every multiplier, M |Z - Y|_1 or M sum (1 - Y o Z)_+ has
 * the same solutions. Its dual point is dual feasible without a limit on the multipliers too, so that its bound holds for the
 * constrained program whatever M is: -L*(N) = -<N, Y>.
 */

import { smallestTrivialBeta } from "../certificate/index.js";
import type { Kernels } from "../kernels/types.js";
import { rowBlock } from "../linear/rowBlock.js";
import { LEAST, largestOf } from "../linear/vectors.js";
import { penaltyOf, predict } from "../operators/blocks.js";
import type { ConvexProgram, Gap, SparseBlocks } from "../types.js";
import { advice, type Round, type Solution, type SolveBudget } from "./solution.js";
import { solve } from "./solve.js";
import { Workbench } from "./workbench.js";

export type Constraint = "interpolate" | "max-margin";

/** First weight M, in units of the smallest at which the zero network is not optimal, its growth, and how often it may grow. */
const FIRST = 10;
const GROWTH = 10;
const STAGES = 8;
/** Gap of a first solve, which tells whether M is large enough: then what is missed costs next to nothing. */
const COARSE = 1e-3;
/** Gap of the last solve: what is missed to the constraints vanishes with it. */
const SHARP = 1e-9;
/** Constraints hold when they are missed by at most this share of the largest target. */
const MET = 1e-6;

export interface Constrained extends Solution {
  /** The program in penalty form with its last weight M; beta is 1. */
  readonly program: ConvexProgram;
  /** The largest |z - y|, or the largest 1 - y z that is above zero. */
  readonly violation: number;
}

/**
 * Solves the constrained program; `penalised(M)` is its penalty form with beta = 1. The gap is between sum |v_i| and its bound.
 *
 * Where the constraints are not met the primal is Infinity, and the bound grows with M without end if no network with these
 * gates meets them: status "stalled".
 */
export async function solveConstrained(
  constraint: Constraint,
  targets: Float64Array, // [n x C]
  penalised: (weight: number) => ConvexProgram,
  kernels: Kernels,
  budget: SolveBudget,
  from?: SparseBlocks,
  given?: Workbench,
): Promise<Constrained> {
  const unit = penalised(1);
  const bench = given ?? new Workbench(unit, kernels);
  try {
    // Zero where the zero network, with its bias, is optimal for every weight: any will do.
    const smallest = smallestTrivialBeta(unit, bench.products);
    const first = smallest > 0 ? FIRST / smallest : 1;
    return await stages(constraint, targets, penalised, first, new Spent(budget, kernels, bench), from);
  } finally {
    if (given === undefined) bench.dispose();
  }
}

/** Solves with growing weights until what is missed vanishes. */
async function stages(
  constraint: Constraint,
  targets: Float64Array,
  penalised: (weight: number) => ConvexProgram,
  first: number,
  spent: Spent,
  from: SparseBlocks | undefined,
): Promise<Constrained> {
  let start = from;
  for (let stage = 0, weight = first; ; stage++, weight *= GROWTH) {
    const program = penalised(weight);
    let solution = await spent.solve(program, COARSE, start);
    const missed = solution.gap.primal - penaltyOf(program, solution.blocks);
    const enough = missed <= 2 * COARSE * solution.gap.primal || stage + 1 === STAGES;
    if (enough && !spent.ended) solution = await spent.solve(program, SHARP, solution.blocks);
    start = solution.blocks;
    if (!enough && !spent.ended) continue;
    const Z = new Float64Array(targets.length);
    predict(program, spent.bench.products, solution.blocks, Z);
    const { blocks, violation } = met(constraint, targets, Z, solution.blocks);
    const feasible = violation <= MET * largestOf(targets);
    const primal = feasible ? penaltyOf(program, blocks) : Number.POSITIVE_INFINITY;
    const relative = feasible ? relativeGapOf(primal, spent.dual) : Number.POSITIVE_INFINITY;
    const gap: Gap = { primal, dual: spent.dual, relative };
    const holds = relative <= spent.budget.tolerance;
    if (!holds && !spent.ended && stage + 1 < STAGES) continue;
    const status = holds ? "solved" : spent.ended ? solution.status : "stalled";
    const said = status === "stalled" ? unmet(constraint, program, targets) : advice[status];
    const { iterations, seconds } = spent;
    return { ...solution, program, blocks, gap, violation, status, advice: said, iterations, seconds };
  }
}

/** Solves that share one budget, with rounds counted and timed across them. */
class Spent {
  iterations = 0;
  /** The best bound of all of them: each is one for the constrained program. */
  dual = 0;
  /** True when the budget is used up or someone asked to stop. */
  ended = false;
  private readonly began = performance.now();

  constructor(
    readonly budget: SolveBudget,
    private readonly kernels: Kernels,
    readonly bench: Workbench,
  ) {}

  get seconds(): number {
    return (performance.now() - this.began) / 1000;
  }

  async solve(program: ConvexProgram, tolerance: number, start?: SparseBlocks): Promise<Solution> {
    const { budget, kernels, iterations, seconds } = this;
    const left = {
      ...budget,
      tolerance,
      maxIterations: Math.max(1, budget.maxIterations - iterations),
      seconds: budget.seconds - seconds,
      onRound: async (round: Round) => {
        const stop =
          (await budget.onRound?.({ ...round, index: iterations + round.index, seconds: seconds + round.seconds })) ===
          true;
        this.ended ||= stop;
        return stop;
      },
    };
    const solution = await solve(program, kernels, left, start, this.bench);
    this.iterations += solution.iterations;
    this.dual = Math.max(this.dual, solution.gap.dual);
    this.ended ||= solution.status !== "solved" && solution.status !== "stalled";
    return solution;
  }
}

/** Of objectives without a loss, which have no floor. */
function relativeGapOf(primal: number, dual: number): number {
  return (primal - dual) / Math.max(Math.abs(primal), LEAST);
}

/** How far the constraints are missed; a margin that is positive everywhere is scaled to one, at which none is missed. */
function met(
  constraint: Constraint,
  Y: Float64Array,
  Z: Float64Array,
  blocks: SparseBlocks,
): { blocks: SparseBlocks; violation: number } {
  if (constraint === "interpolate") {
    return { blocks, violation: Z.reduce((most, z, k) => Math.max(most, Math.abs(z - Y[k])), 0) };
  }
  const margin = Z.reduce((least, z, k) => Math.min(least, Y[k] * z), Number.POSITIVE_INFINITY);
  if (!(margin > 0)) return { blocks, violation: 1 - margin };
  const scale = (values: Float64Array) => values.map((value) => value / margin);
  return { blocks: { ...blocks, vectors: scale(blocks.vectors), bias: scale(blocks.bias) }, violation: 0 };
}

function unmet(constraint: Constraint, program: ConvexProgram, targets: Float64Array): string {
  const twins = contradiction(program, targets);
  if (twins !== null) {
    return (
      `Rows ${twins[0]} and ${twins[1]} are equal and have different targets: no network fits both. Leave one out, or set ` +
      `\`regularization\` to a number above zero.`
    );
  }
  const goal = constraint === "interpolate" ? "fit every target" : "separate the classes";
  return `No network with these gates seems to ${goal}: take more gates, or a regularization above zero.`;
}

/** Two samples that are equal and have different targets. */
function contradiction({ X, loss }: ConvexProgram, targets: Float64Array): readonly [number, number] | null {
  const { rows: n, outputs: C } = loss;
  const patches = X.rows / n;
  const seen = new Map<string, number>();
  for (let k = 0; k < n; k++) {
    const key = rowBlock(X, k * patches, patches).join();
    const twin = seen.get(key);
    if (twin === undefined) seen.set(key, k);
    else for (let c = 0; c < C; c++) if (targets[twin * C + c] !== targets[k * C + c]) return [twin, k];
  }
  return null;
}
