/** A deep network as a solution: its objective by the definition, and the gap to a bound. */

import { relativeGap } from "../../certificate/index.js";
import { advice } from "../../solvers/solution.js";
import type { Matrix } from "../../types.js";
import type { LayerWeights } from "../formulation.js";
import { type DeepProblem, type DeepSolution, decayOfLayers, times } from "./problem.js";

/** What a formulation found. */
export interface FoundLayers extends Pick<DeepSolution, "kernels" | "bias" | "rank" | "assumption" | "among"> {
  readonly dual: number;
  /** What the layers cost, where it is no weight decay. */
  readonly charge?: number;
  /** What is said where the gap stays open. */
  readonly open?: string;
}

/** Where the bound exceeds the objective by no more than this share, sums in float64 explain it. */
const ROUNDING = 1e-12;

export function deepSolution(
  problem: DeepProblem,
  { dual, charge, open = advice.stalled, ...found }: FoundLayers,
  between: "linear" | "relu",
  tolerance: number,
  began: number,
): DeepSolution {
  const { X, loss, charges } = problem;
  const Z = deepOutputs(X, found.kernels, found.bias, between);
  const primal = loss.value(Z) + (charge ?? decayOfLayers(found.kernels, charges));
  const bound = dual > primal && dual <= primal * (1 + ROUNDING) ? primal : dual;
  const relative = relativeGap(primal, bound, problem);
  const closed = relative <= tolerance;
  const finite = Number.isFinite(primal);
  return {
    ...found,
    status: !finite ? "nonFinite" : closed ? "solved" : "stalled",
    advice: !finite ? advice.nonFinite : closed ? advice.solved : open,
    gap: { primal, dual: bound, relative },
    exact: true,
    rounds: 1,
    seconds: (performance.now() - began) / 1000,
  };
}

/** The outputs [n x C] of layers with nothing or ReLU between them. */
export function deepOutputs(
  X: Matrix,
  kernels: readonly Matrix[],
  bias: Float64Array,
  between: "linear" | "relu",
): Float64Array {
  let seen = X;
  kernels.forEach((kernel, l) => {
    const { rows, cols, data } = times(seen, kernel);
    const active = between === "relu" && l < kernels.length - 1;
    seen = { rows, cols, data: active ? data.map((t) => Math.max(0, t)) : data };
  });
  return seen.data.map((value, k) => value + bias[k % bias.length]);
}

/** The layers as tfjs holds them: the last one has the bias. */
export function layersOfDeep({ outputBias }: DeepProblem, { kernels, bias }: DeepSolution): LayerWeights[] {
  const last = kernels.length - 1;
  return kernels.map((kernel, l) => ({ kernel, bias: l === last && outputBias !== null ? bias : null }));
}
