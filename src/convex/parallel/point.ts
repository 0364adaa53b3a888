/** A parallel network with its objective, by its ReLUs and the definition, in float64. */

import { type Branch, branchOutputs, chargeOf } from "./branch.js";
import type { MasterProblem } from "./master.js";

export interface Point {
  readonly branches: readonly Branch[];
  readonly bias: Float64Array; // [1]
  readonly primal: number;
  readonly outputs: Float64Array; // [n]
}

export function pointOf(problem: MasterProblem, branches: readonly Branch[], bias: Float64Array): Point {
  const { X, loss, outputBias, beta, charge } = problem;
  const outputs = new Float64Array(loss.rows).fill(bias[0]);
  let primal = outputBias === null ? 0 : outputBias.ridge * bias[0] ** 2;
  for (const branch of branches) {
    branchOutputs(X, branch).forEach((value, k) => {
      outputs[k] += value;
    });
    primal += beta * chargeOf(charge, branch.Z, X.cols);
  }
  return { branches, bias, outputs, primal: primal + loss.value(outputs) };
}
