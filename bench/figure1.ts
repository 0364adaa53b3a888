/**
 * The synthetic classification problem of the scnn paper's Figure 1 (Mishkin, Sahiner and Pilanci 2022): n = 250, d = 50,
 * covariance of condition number 10, labels by a planted network of 100 units, 500 sampled gates, squared loss, beta / n = 1e-3.
 *
 * In their scaling the objective is 1 / (2 n) |f - y|^2 + (beta / n) sum |v_i|, half of tfjs's mean squared error program.
 */

import { sampleGates } from "../src/convex/arrangements/index.js";
import { gaussianSource } from "../src/convex/arrangements/random.js";
import type { Kernels } from "../src/convex/kernels/index.js";
import { bindLoss } from "../src/convex/losses/index.js";
import { penalties } from "../src/convex/penalties/index.js";
import { solveGrowing } from "../src/convex/solvers/grow.js";
import { type Round, solve } from "../src/convex/solvers/solve.js";
import type { ConvexProgram, Matrix } from "../src/convex/types.js";

const ROWS = 250;
const FEATURES = 50;
const CONDITION = 10;
const PLANTED = 100;
const BETA_OVER_N = 1e-3;

/** Data by the recipe of the paper's generator, from our own seeded source: the same distribution, not the same draws. */
export function figureOne(seed: number): { X: Matrix; Y: Matrix } {
  const draw = gaussianSource(seed);
  const d = FEATURES;
  const uniform = () => phi(draw());
  const W = Float64Array.from({ length: PLANTED * d }, uniform);
  const a = Float64Array.from({ length: PLANTED }, uniform);
  const Q = orthogonal(d, draw);
  const scales = Float64Array.from({ length: d }, (_, k) =>
    Math.sqrt(k === 0 ? CONDITION : k === 1 ? 1 : 1 + (CONDITION - 1) * uniform()),
  );
  const X = new Float64Array(ROWS * d);
  const y = new Float64Array(ROWS);
  for (let k = 0; k < ROWS; k++) {
    for (let e = 0; e < d; e++) {
      const size = scales[e] * draw();
      for (let p = 0; p < d; p++) X[k * d + p] += size * Q[e * d + p];
    }
    let output = 0;
    for (let j = 0; j < PLANTED; j++) {
      let pre = 0;
      for (let p = 0; p < d; p++) pre += W[j * d + p] * X[k * d + p];
      output += a[j] * Math.max(0, pre);
    }
    y[k] = output > 0 ? 1 : -1;
  }
  return { X: { rows: ROWS, cols: d, data: X }, Y: { rows: ROWS, cols: 1, data: y } };
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

/** A random orthogonal matrix [d x d]: Gram-Schmidt, twice, on Gaussian rows. */
function orthogonal(d: number, draw: () => number): Float64Array {
  const Q = Float64Array.from({ length: d * d }, draw);
  for (let i = 0; i < d; i++) {
    for (let pass = 0; pass < 2; pass++) {
      for (let j = 0; j < i; j++) {
        let product = 0;
        for (let p = 0; p < d; p++) product += Q[i * d + p] * Q[j * d + p];
        for (let p = 0; p < d; p++) Q[i * d + p] -= product * Q[j * d + p];
      }
    }
    const length = Math.hypot(...Q.subarray(i * d, (i + 1) * d));
    for (let p = 0; p < d; p++) Q[i * d + p] /= length;
  }
  return Q;
}

/** The normal distribution function, which turns Gaussian draws into uniform ones (Abramowitz and Stegun 1964, 26.2.17). */
function phi(x: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(x));
  const tail =
    Math.exp((-x * x) / 2) *
    t *
    (0.127414796 + t * (-0.142248368 + t * (0.7107068705 + t * (-0.7265760135 + t * 0.5307027145))));
  return x >= 0 ? 1 - tail : tail;
}
