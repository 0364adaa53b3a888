/**
 * Convex neural networks (Bengio, Le Roux, Vincent, Delalleau and Marcotte 2006): units are inserted one after another, each the
 * one that the residual prices highest, and all output weights are solved again; it ends when none is worth more than beta.
 *
 *   min over a, c   L(sum_j a_j h(X w_j) + 1 c') + beta sum_j |a_j|_1
 *
 * over all units w_j. A dual point N is feasible when |N_c' h(X w)| <= beta for every unit, and the largest of these values, or
 * an upper bound of it, scales any N until it is. With the hinge loss every solve is a linear program.
 */

import { bestScale, relativeGap } from "../certificate.js";
import type { Kernels } from "../kernels/types.js";
import { gaussianSource } from "../linear/random.js";
import { norm } from "../linear/vectors.js";
import { dualPointAtZero } from "../operators/dualPoint.js";
import { penalties } from "../penalties/index.js";
import { Clock } from "../solvers/clock.js";
import { advice, type SolveBudget } from "../solvers/solution.js";
import { solve } from "../solvers/solve.js";
import type { ConvexProgram, Gap, Loss, Matrix, OutputBias, SparseBlocks, Status } from "../types.js";
import { outputsOfUnit, type UnitActivation, unitGates, unitKernels } from "./hiddenUnits.js";
import { SignPatterns } from "./signUnits.js";
import { searchUnits } from "./unitSearch.js";

/** What is to be solved; the last column of X [n x d] is the constant that carries the bias of the units. */
export interface UnitProblem {
  readonly X: Matrix;
  readonly loss: Loss;
  readonly outputBias: OutputBias | null;
  readonly activation: UnitActivation;
  /** |w| of tanh units at most, so that they do not become sign units. */
  readonly radius: number;
}

export interface UnitOptions {
  readonly starts: number; // of the search a round
  readonly together: number; // units that are inserted a round at most
  readonly seed: number;
}

/** One unit with its output weights. */
export interface SolvedUnit {
  readonly weights: Float64Array; // [d]
  readonly outputs: Float64Array; // [C]
}

export interface UnitSolution {
  readonly units: readonly SolvedUnit[]; // those whose output weights are not all zero
  readonly bias: Float64Array; // [C]
  readonly status: Status;
  readonly advice: string;
  readonly gap: Gap; // over all units where `exact`, else over the units in hand
  /** True when the bound is over all sign units, which bounds tanh units too. */
  readonly exact: boolean;
  /** The largest worth of a unit at the dual point that was found, in units of beta. */
  readonly bestRatio: number;
  readonly rounds: number;
  readonly seconds: number;
}

/** Of the tolerance: what a solve over the units in hand may take. */
const SOLVE_SHARE = 0.5;
/** Rounds in a row in which a search that is not exact finds nothing, that end it. */
const QUIET_ROUNDS = 2;
/** Output weights below this share of the largest are zero. */
const DEAD = 1e-9;

/** The smallest beta at which no unit helps that the oracle knows. */
export async function trivialUnitBeta(
  problem: UnitProblem,
  kernels: Kernels,
  options: UnitOptions,
  pause: () => Promise<boolean>,
): Promise<number> {
  return (await new UnitOracle(problem, kernels, options, pause).dearest(dualPointAtZero(problem))).largest;
}

export async function solveIncrementally(
  problem: UnitProblem,
  beta: number,
  kernels: Kernels,
  budget: SolveBudget,
  options: UnitOptions,
): Promise<UnitSolution> {
  const { X, loss, outputBias, activation } = problem;
  const C = loss.outputs;
  const clock = new Clock(budget.seconds, budget.stopped ?? (() => false));
  const oracle = new UnitOracle(problem, kernels, options, () => clock.pause());
  const share = SOLVE_SHARE * budget.tolerance;
  const weights: Float64Array[] = [];
  const H: Float64Array[] = [];
  const insert = (units: readonly Float64Array[]) => {
    for (const w of units) {
      weights.push(w);
      H.push(outputsOfUnit(activation, X, w));
    }
  };
  insert((await oracle.dearest(dualPointAtZero(problem))).units.slice(0, 1));
  let blocks: SparseBlocks | undefined;
  let iterations = 0;
  let quiet = 0;
  for (let round = 1; ; round++) {
    const given = unitGates(H.length, X.rows);
    const penalty = penalties.perOutput;
    const program: ConvexProgram = { ...given, loss, penalty, beta, outputBias, cones: false };
    const left = {
      ...budget,
      tolerance: share,
      maxIterations: budget.maxIterations - iterations,
      seconds: budget.seconds - clock.seconds,
    };
    const solution = await solve(program, unitKernels(kernels, H, given.X), left, blocks);
    iterations += solution.iterations;
    blocks = solution.blocks;
    const { largest, units } = await oracle.dearest(solution.dualPoint, weights);
    const better = largest > beta * (1 + share) ? units : [];
    quiet = better.length > 0 ? 0 : quiet + 1;
    const exact = solution.gap.relative <= share;
    const solved = solution.status === "solved" || (solution.status === "stalled" && exact);
    const done = solved && (oracle.exact && activation === "sign" ? better.length === 0 : quiet >= QUIET_ROUNDS);
    const over = (await clock.pause()) || iterations >= budget.maxIterations;
    if (done || over || !solved) {
      const cut = clock.stopped() ? "cancelled" : clock.over ? "timeLimit" : "iterationLimit";
      const status: Status = done ? "solved" : solved ? cut : solution.status;
      const ceiling = oracle.ceiling(solution.dualPoint);
      const everywhere = ceiling === null ? null : boundOver(program, solution.dualPoint, solution.gap, ceiling);
      // Sign units bound tanh units from above, often far: what is said of the units in hand is then more.
      const told = everywhere !== null && (activation === "sign" || everywhere.relative <= budget.tolerance);
      return {
        units: living(weights, blocks, C),
        bias: blocks.bias,
        status,
        advice: advice[status],
        gap: told ? everywhere : solution.gap,
        exact: told,
        bestRatio: largest / beta,
        rounds: round,
        seconds: clock.seconds,
      };
    }
    insert(better);
  }
}

/** The gap over all units that are worth at most `ceiling` at N. */
function boundOver(program: ConvexProgram, N: Float64Array, gap: Gap, ceiling: number): Gap {
  const { value: dual } = bestScale(program, N, program.beta / ceiling);
  return { primal: gap.primal, dual, relative: relativeGap(gap.primal, dual, program) };
}

function living(weights: readonly Float64Array[], { index, vectors }: SparseBlocks, C: number): SolvedUnit[] {
  const outputs = weights.map(() => new Float64Array(C));
  index.forEach((entry, k) => {
    outputs[Math.floor(entry / C)][entry % C] = vectors[k];
  });
  const smallest = DEAD * outputs.reduce((most, a) => Math.max(most, norm(a)), 0);
  return weights.flatMap((w, j) => (norm(outputs[j]) > smallest ? [{ weights: w, outputs: outputs[j] }] : []));
}

/** Finds the dearest units at a dual point: by asking all sign patterns where they can be enumerated, else by ascent. */
class UnitOracle {
  private readonly patterns: SignPatterns | null;
  private readonly draw: () => number;

  constructor(
    private readonly problem: UnitProblem,
    private readonly kernels: Kernels,
    private readonly options: UnitOptions,
    private readonly pause: () => Promise<boolean>,
  ) {
    this.patterns = SignPatterns.of(problem.X);
    this.draw = gaussianSource(options.seed);
  }

  /** True when all sign patterns are known. */
  get exact(): boolean {
    return this.patterns !== null;
  }

  /** The largest worth of any unit, or an upper bound of it; null where none is known. */
  ceiling(N: Float64Array): number | null {
    if (this.patterns === null) return null;
    let largest = 0;
    // tanh(z) is an average of signs of z - t, so that no tanh unit is worth more than the dearest sign unit.
    for (const column of columnsOf(N, this.problem.loss.outputs)) {
      largest = Math.max(largest, this.patterns.dearest(column, 1)[0]?.value ?? 0);
    }
    return largest;
  }

  /** The dearest units at N [n x C], the dearest first, and what the first is worth. */
  async dearest(
    N: Float64Array,
    known: readonly Float64Array[] = [],
  ): Promise<{ largest: number; units: Float64Array[] }> {
    const { together } = this.options;
    const found: DearUnit[] = [];
    for (const column of columnsOf(N, this.problem.loss.outputs)) found.push(...(await this.forColumn(column, known)));
    found.sort((a, b) => b.value - a.value);
    return { largest: found[0]?.value ?? 0, units: found.slice(0, together).map(({ weights }) => weights()) };
  }

  private async forColumn(N: Float64Array, known: readonly Float64Array[]): Promise<DearUnit[]> {
    const { patterns, kernels } = this;
    const { X, activation, radius } = this.problem;
    if (patterns !== null && activation === "sign") {
      return patterns
        .dearest(N, this.options.together)
        .map(({ value, gate }) => ({ value, weights: () => patterns.weightsOf(gate) }));
    }
    const found = known.length === 0 ? [] : searchUnits(kernels, X, N, known, activation, radius);
    for (let left = this.options.starts; left > 0; left -= TOGETHER) {
      const random = Array.from({ length: Math.min(TOGETHER, left) }, () => {
        const w = Float64Array.from({ length: X.cols }, this.draw);
        const length = norm(w);
        return w.map((value) => (radius * value) / (2 * length));
      });
      found.push(...searchUnits(kernels, X, N, random, activation, radius));
      if (await this.pause()) break;
    }
    return found.map(({ value, weights }) => ({ value, weights: () => weights }));
  }
}

/** Starts of a search between two looks at the clock. */
const TOGETHER = 60;

interface DearUnit {
  readonly value: number;
  readonly weights: () => Float64Array;
}

function columnsOf(N: Float64Array, C: number): Float64Array[] {
  return Array.from({ length: C }, (_, c) => Float64Array.from({ length: N.length / C }, (_, k) => N[k * C + c]));
}
