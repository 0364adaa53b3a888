/** Gated branches solved for, and the branches that a point of the program is. */

import { relativeGap } from "../../certificate/index.js";
import { rankOneTerms } from "../../formulations/gated.js";
import type { Kernels } from "../../kernels/types.js";
import { inTurns, unlessOver } from "../../linear/pieces.js";
import { dot, norm } from "../../linear/vectors.js";
import { biasAlone } from "../../operators/dualPoint.js";
import { Clock } from "../../solvers/clock.js";
import { advice } from "../../solvers/solution.js";
import { type SolveBudget, solve } from "../../solvers/solve.js";
import type { SparseBlocks } from "../../types.js";
import type { GatedBranch, GatedBranchProblem, GatedBranchSolution } from "./problem.js";
import { type BranchProgram, posing } from "./program.js";

/** A branch of less than this share of the longest one's length is rounding. */
const NOTHING = 1e-12;
/** Of the time: what finding the gates of all rows may take. As long again is left for the judge, who looks at them once more. */
const POSING_SHARE = 0.4;

/** Null, or what the problem would have to be. */
export function refusesGated({
  charge,
  beta,
  loss,
  gates,
}: Pick<GatedBranchProblem, "charge" | "beta" | "loss" | "gates">): string | null {
  if (!(beta > 0)) return `expected a charge on the branches, beta above 0, got ${beta}`;
  if (charge === "frobenius" && gates.hidden.length > 1) {
    return `expected, where a branch is charged as a whole, three layers, got ${gates.hidden.length + 2}`;
  }
  if (charge === "frobenius" && !Number.isFinite(loss.curvature)) {
    return `expected, where a branch is charged as a whole, a loss without kinks, got ${loss.name}`;
  }
  return null;
}

export async function solveGatedBranches(
  problem: GatedBranchProblem,
  kernels: Kernels,
  budget: SolveBudget,
): Promise<GatedBranchSolution> {
  const clock = new Clock(budget.seconds, budget.stopped ?? (() => false));
  const looking = clock.part(POSING_SHARE);
  const posed = await inTurns(unlessOver(posing(problem)), () => looking.pause());
  if (posed === null) return withoutBranches(problem, clock);
  const seconds = Math.max(0, clock.left - looking.seconds);
  const solution = await solve(posed.program, kernels, { ...budget, seconds });
  const { blocks, gap, status, iterations, solver, contradicted } = solution;
  return {
    ...{ status, advice: solution.advice, gap, seconds: clock.seconds, solver, rounds: iterations, exact: false },
    ...{ masks: posed.owners.length, contradicted: contradicted === true },
    ...{ branches: branchesOf(problem, posed, blocks), bias: blocks.bias },
  };
}

/** Where time did not suffice for the gates of all rows: the bias alone, and the bound that the least of the loss is. */
function withoutBranches({ loss, outputBias }: GatedBranchProblem, clock: Clock): GatedBranchSolution {
  const status = clock.stopped() ? "cancelled" : "timeLimit";
  const bias = biasAlone({ loss, outputBias });
  const Z = Float64Array.from({ length: loss.rows * loss.outputs }, (_, k) => bias[k % loss.outputs]);
  const primal = loss.value(Z) + (outputBias?.ridge ?? 0) * dot(bias, bias);
  const dual = -loss.conjugate(Z.fill(0));
  const gap = { primal, dual, relative: relativeGap(primal, dual, { loss, outputBias }) };
  return {
    ...{ status, advice: advice[status], gap, seconds: clock.seconds, solver: "none", rounds: 0, exact: false },
    ...{ masks: 0, contradicted: false, branches: [], bias },
  };
}

/** The branches of a point; those of one output that have the same gates and tail are one. */
export function branchesOf(
  { gates, charge, loss, X }: Pick<GatedBranchProblem, "gates" | "charge" | "loss" | "X">,
  { owners }: Pick<BranchProgram, "owners">,
  { index, vectors }: SparseBlocks,
): GatedBranch[] {
  const [m] = gates.hidden;
  const { outputs: C } = loss;
  const d = X.cols;
  const ofNeurons = charge === "sum";
  const size = ofNeurons ? C : m * C; // vectors of a block
  const width = ofNeurons ? d : m * d;
  const found: GatedBranch[] = [];
  for (let k = 0; k < index.length; ) {
    const gate = Math.floor(index[k] / size);
    const matrix = new Float64Array(C * width); // [C x width]
    for (; k < index.length && Math.floor(index[k] / size) === gate; k++) {
      const [j, c] = [Math.floor((index[k] % size) / C), index[k] % C];
      matrix.set(vectors.subarray(k * d, (k + 1) * d), c * width + j * d);
    }
    const unit = ofNeurons ? owners[gate] % m : 0;
    const owner = ofNeurons ? (owners[gate] - unit) / m : owners[gate];
    const last = found.at(-1);
    if (C === 1 && last?.owner === owner) {
      last.Z.set(matrix, unit * d);
      continue;
    }
    const terms = C === 1 ? [{ direction: matrix, output: Float64Array.of(1) }] : rankOneTerms(matrix, C, width);
    for (const { direction, output } of terms) {
      const length = norm(output);
      const Z = new Float64Array(m * d);
      Z.set(
        direction.map((value) => length * value),
        unit * d,
      );
      found.push({ owner, Z, output: output.map((value) => value / length) });
    }
  }
  const longest = found.reduce((most, { Z }) => Math.max(most, norm(Z)), 0);
  return found.filter(({ Z }) => norm(Z) > NOTHING * longest);
}
