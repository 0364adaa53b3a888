/**
 * The synthetic classification problem of the scnn paper's Figure 1 (Mishkin, Sahiner and Pilanci 2022): n = 250, d = 50,
 * covariance of condition number 10, labels by a planted network of 100 units, 500 sampled gates, squared loss, beta / n = 1e-3.
 *
 * In their scaling the objective is 1 / (2 n) |f - y|^2 + (beta / n) sum |v_i|, half of tfjs's mean squared error program.
 */

import { sampleGates } from "../../src/convex/arrangements/index.js";
import { solveGrowing } from "../../src/convex/growth/grow.js";
import type { Kernels } from "../../src/convex/kernels/index.js";
import { bindLoss } from "../../src/convex/losses/index.js";
import { penalties } from "../../src/convex/penalties/index.js";
import { type Round, solve } from "../../src/convex/solvers/solve.js";
import type { ConvexProgram, Matrix } from "../../src/convex/types.js";
import { planted } from "./synthetic.js";

const ROWS = 250;
const FEATURES = 50;
const BETA_OVER_N = 1e-3;

/** The data of the figure. */
export function figureOne(seed: number): { X: Matrix; Y: Matrix } {
  return planted(ROWS, FEATURES, seed);
}

export interface FigureRow {
  readonly formulation: "gated" | "relu";
  readonly engine: string;
  readonly solver: string;
  readonly tolerance: number;
  readonly seconds: number; // median
  readonly spread: readonly [number, number];
  readonly objectiveOverN: number;
  readonly relativeGap: number;
  readonly activeBlocks: number;
}

/** Median time to the gap over several runs of one program. */
export async function measureFigureOne(
  kernels: Kernels,
  formulation: "gated" | "relu",
  tolerance: number,
  gateCount = 500,
  repeats = 5,
): Promise<FigureRow> {
  const { X, Y } = figureOne(951);
  const program: ConvexProgram = {
    X,
    gates: sampleGates(X, { count: gateCount, seed: 650 }),
    loss: bindLoss("meanSquaredError", Y),
    penalty: penalties.perOutput,
    beta: 2 * BETA_OVER_N,
    outputBias: null,
    cones: formulation === "relu",
  };
  const budget = { tolerance, maxIterations: 200, seconds: 300 };
  const runs = [];
  for (let k = 0; k < repeats + 1; k++) runs.push(await solve(program, kernels, budget));
  const seconds = runs
    .slice(1)
    .map((run) => run.seconds)
    .sort((a, b) => a - b); // the first run warms the engine up
  const { gap, blocks, solver } = runs[1];
  return {
    formulation,
    engine: kernels.name,
    solver,
    tolerance,
    seconds: seconds[seconds.length >> 1],
    spread: [seconds[0], seconds[seconds.length - 1]],
    objectiveOverN: gap.primal / 2,
    relativeGap: gap.relative,
    activeBlocks: blocks.index.length,
  };
}

/** The objective over time when the gates grow, at a few moments, and the search's last ratio. */
export interface GrowthRow {
  readonly seconds: number;
  readonly objectiveOverN: number;
  readonly gates: number;
}

export async function measureGrowth(
  kernels: Kernels,
  seconds: number,
  moments: readonly number[],
): Promise<{ rows: GrowthRow[]; bestRatio: number; starts: number; status: string }> {
  const { X, Y } = figureOne(951);
  const program: ConvexProgram = {
    X,
    gates: sampleGates(X, { count: 100, seed: 650 }),
    loss: bindLoss("meanSquaredError", Y),
    penalty: penalties.perOutput,
    beta: 2 * BETA_OVER_N,
    outputBias: null,
    cones: true,
  };
  const trail: GrowthRow[] = [];
  const budget = {
    tolerance: 1e-4,
    maxIterations: 10_000,
    seconds,
    onRound: (round: Round) => {
      trail.push({ seconds: round.seconds, objectiveOverN: round.gap.primal / 2, gates: round.program.gates.count });
      return false;
    },
  };
  const { evidence, status } = await solveGrowing(program, kernels, budget, { starts: 400, seed: 1 });
  const rows = moments.flatMap((moment) => trail.filter((row) => row.seconds <= moment).slice(-1));
  return { rows: [...rows, ...trail.slice(-1)], bestRatio: evidence.bestRatio, starts: evidence.starts, status };
}
