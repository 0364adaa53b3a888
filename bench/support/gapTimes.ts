/** Seconds to a few gaps of one program on one engine; works in Node and in a page. */

import * as tf from "@tensorflow/tfjs";
import { sampleGates } from "../../src/convex/arrangements/index.js";
import { smallestTrivialBeta } from "../../src/convex/certificate/index.js";
import { chooseEngine, type EngineChoice } from "../../src/convex/kernels/index.js";
import { gaussianSource } from "../../src/convex/linear/random.js";
import { bindLoss } from "../../src/convex/losses/index.js";
import { perOutput } from "../../src/convex/penalties/perOutput.js";
import { solve, withProducts } from "../../src/convex/solvers/solve.js";
import type { ConvexProgram, Matrix } from "../../src/convex/types.js";

export interface GapProblem {
  readonly rows: number;
  readonly features: number;
  readonly gates: number;
  readonly outputs: number; // more than one: classes, one-hot, with softmax
  readonly cones: boolean;
}

export interface GapCase {
  readonly engine: EngineChoice;
  readonly backend: string; // of tfjs
}

export interface GapTimes extends GapCase, GapProblem {
  readonly reason: string;
  readonly solver: string;
  readonly endedOnHost: boolean;
  readonly seconds: readonly (number | null)[]; // to each gap; null where the time was too short
  readonly gap: number; // at the end
}

/** Of the smallest beta at which the zero network is optimal. */
const BETA_SHARE = 0.05;

export async function gapTimes(
  how: GapCase,
  size: GapProblem,
  gaps: readonly number[],
  seconds: number,
): Promise<GapTimes> {
  if (!(await tf.setBackend(how.backend))) throw new Error(`bench: tfjs has no backend "${how.backend}" here.`);
  const { kernels, reason } = await chooseEngine(how.engine);
  const program = problemOf(size);
  const beta = BETA_SHARE * withProducts(program, kernels, (products) => smallestTrivialBeta(program, products));
  const reached: (number | null)[] = gaps.map(() => null);
  const onRound = ({ seconds: at, gap }: { seconds: number; gap: { relative: number } }) => {
    gaps.forEach((wanted, k) => {
      if (gap.relative <= wanted) reached[k] ??= at;
    });
    return false;
  };
  const budget = { tolerance: Math.min(...gaps), maxIterations: 1e6, seconds, onRound };
  const { gap, solver, endedOnHost = false } = await solve({ ...program, beta }, kernels, budget);
  return { ...how, ...size, reason, solver, endedOnHost, seconds: reached, gap: gap.relative };
}

/** Gaussian rows with a column of ones, and targets of a network of ten neurons an output. */
function problemOf({ rows: n, features: d, gates, outputs: C, cones }: GapProblem): ConvexProgram {
  const draw = gaussianSource(1);
  const X: Matrix = {
    rows: n,
    cols: d,
    data: Float64Array.from({ length: n * d }, (_, k) => (k % d === d - 1 ? 1 : draw())),
  };
  const W = Float64Array.from({ length: 10 * C * d }, () => draw() / Math.sqrt(d));
  const Y: Matrix = { rows: n, cols: C, data: new Float64Array(n * C) };
  for (let j = 0; j < n; j++) {
    for (let c = 0; c < C; c++) {
      let score = 0.1 * draw();
      for (let i = 0; i < 10; i++) {
        let h = 0;
        for (let p = 0; p < d; p++) h += X.data[j * d + p] * W[(c * 10 + i) * d + p];
        score += (i % 2 === 0 ? 1 : -1) * Math.max(0, h);
      }
      Y.data[j * C + c] = score;
    }
    if (C === 1) continue;
    const row = Y.data.subarray(j * C, (j + 1) * C);
    const best = row.indexOf(Math.max(...row));
    row.fill(0);
    row[best] = 1;
  }
  const loss = bindLoss(C === 1 ? "meanSquaredError" : "categoricalCrossentropy", Y);
  return {
    X,
    gates: sampleGates(X, { count: gates, seed: 1 }),
    loss,
    penalty: perOutput,
    beta: 1,
    outputBias: null,
    cones,
  };
}
