/** A start for programs whose rows are far from the origin: the solution of nearly the same program in coordinates where they are not. */

import { gatesFrom } from "../../convex/arrangements/index.js";
import { type GrownSolution, type GrowthOptions, solveGrowing } from "../../convex/growth/index.js";
import type { Kernels } from "../../convex/kernels/index.js";
import { gaussianSource } from "../../convex/linear/random.js";
import { mapRows } from "../../convex/linear/rowBlock.js";
import { columnsOf } from "../../convex/operators/blocks.js";
import { meanDirectionOf, Nearer } from "../../convex/operators/meanDirection.js";
import { liftNeurons } from "../../convex/recovery/index.js";
import { type Solution, type SolveBudget, solve } from "../../convex/solvers/solve.js";
import type { Workbench } from "../../convex/solvers/workbench.js";
import type { ConvexProgram, Matrix, SparseBlocks } from "../../convex/types.js";

/** Spreads that rows are from the origin, beyond which searches for gates find few, and beyond which no solve is exact. */
const FAR = 20;
const BEYOND = 2000;
/** Beyond so many, squares leave float64: one round judges the start, and its bound is loose. */
const HOPELESS = 1e7;
/** Spreads to which the first column is brought: near enough for a search, then far enough that the penalty is the same to 1e-5. */
const NEAR = 4;
const LESS_NEAR = 200;

/** A program with gates and a point of it; `last` where its own solve would only lose digits. */
export interface NearStart {
  readonly program: ConvexProgram;
  readonly blocks: SparseBlocks;
  readonly grown: GrownSolution | null;
  readonly beyond: boolean;
  readonly hopeless: boolean;
}

/** The start of a program with cones, or null where its rows are as they should be. */
export async function nearStart(
  program: ConvexProgram,
  kernels: Kernels,
  budget: SolveBudget,
  growth: GrowthOptions | null,
): Promise<NearStart | null> {
  const { X, cones, pooling, loss } = program;
  if (!cones || pooling != null || !Number.isFinite(loss.curvature)) return null;
  const direction = meanDirectionOf(X);
  if (!(direction.ratio > FAR)) return null;
  const beyond = direction.ratio > BEYOND;
  const hopeless = direction.ratio > HOPELESS;
  const far = new Nearer(X, direction, Math.min(LESS_NEAR, direction.ratio));
  if (growth === null) {
    if (!beyond) return null;
    const gates = { ...program.gates, generators: mapRows(program.gates.generators, (g) => far.into(g)) };
    const { blocks } = await solve({ ...program, X: far.X, gates }, kernels, quiet(budget));
    const d = X.cols;
    const vectors = mapRows({ rows: blocks.index.length, cols: d, data: blocks.vectors }, (v) => far.out(v)).data;
    return { program, blocks: { ...blocks, vectors }, grown: null, beyond, hopeless };
  }
  const near = new Nearer(X, direction, NEAR);
  const first = await grownIn(
    { ...program, ...drawn(near.X, program.gates.count, growth.seed) },
    kernels,
    budget,
    growth,
  );
  const middle = carried(first, near, { ...program, X: far.X }, (u) => far.into(u));
  const left = { ...budget, seconds: budget.seconds - first.seconds };
  const second = await grownIn(middle.program, kernels, left, growth, middle.blocks);
  return { ...carried(second, far, program), grown: second, beyond, hopeless };
}

function grownIn(
  program: ConvexProgram,
  kernels: Kernels,
  budget: SolveBudget,
  growth: GrowthOptions,
  from?: SparseBlocks,
): Promise<GrownSolution> {
  return solveGrowing(program, kernels, quiet(budget), growth, from);
}

/** Without rounds that anybody sees, since their points are of other columns, and without proofs. */
function quiet({ cones: _cones, onRound: _onRound, ...rest }: SolveBudget): SolveBudget {
  return rest;
}

/** Rows with gates drawn in their own coordinates. */
function drawn(X: Matrix, count: number, seed: number): Pick<ConvexProgram, "X" | "gates"> {
  const draw = gaussianSource(seed);
  const generators = { rows: count, cols: X.cols, data: Float64Array.from({ length: count * X.cols }, draw) };
  return { X, gates: gatesFrom(X, generators) };
}

/** The neurons of a solution over other rows of the same networks. */
function carried(
  { program: from, blocks }: GrownSolution,
  nearer: Nearer,
  to: ConvexProgram,
  into: (vector: Float64Array) => Float64Array = (vector) => vector,
): { program: ConvexProgram; blocks: SparseBlocks } {
  const d = from.X.cols;
  const { output, sign } = columnsOf(from, blocks.index);
  const neurons = Array.from(blocks.index, (_, k) => {
    const outputs = new Float64Array(from.loss.outputs);
    outputs[output[k]] = sign[k];
    return { weights: into(nearer.out(blocks.vectors.slice(k * d, (k + 1) * d))), outputs };
  });
  return liftNeurons(to, neurons, blocks.bias);
}

/** One round from a start whose program float64 cannot solve: its point, with a bound that may be loose. */
export async function judgedStart(
  { program, blocks }: NearStart,
  kernels: Kernels,
  budget: SolveBudget,
  bench?: Workbench,
): Promise<Solution> {
  const { cones: _cones, ...rest } = budget;
  const solution = await solve(program, kernels, { ...rest, maxIterations: 1 }, blocks, bench);
  return solution.status === "iterationLimit" ? { ...solution, status: "stalled", advice: FAR_AWAY } : solution;
}

const FAR_AWAY =
  "The rows of x are so far from the origin, against their distance from one another, that float64 proves little of the layers' own " +
  "weights: subtract a constant from the large columns, or leave out regularizers and beta, so that standardised columns are charged.";
