/** The loss of rows that are elsewhere: what is true of it whatever they are. */

import { bindLoss } from "../losses/index.js";
import type { Loss, LossName } from "../types.js";

/** Of `rows` rows and so many outputs; its values, and all that goes through rows, are asked of the shards. */
export function lossElsewhere(name: LossName, rows: number, outputs: number): Loss {
  const data = new Float64Array(outputs);
  data[0] = 1;
  const one = bindLoss(name, { rows: 1, cols: outputs, data });
  const loss: Loss = {
    name,
    rows,
    outputs,
    separable: one.separable,
    curvature: one.curvature / rows, // of a mean
    value: elsewhere,
    gradient: elsewhere,
    hessianDiagonal: elsewhere,
    conjugate: elsewhere,
    prox: elsewhere,
    balance: elsewhere,
    output: elsewhere,
  };
  return loss;
}

function elsewhere(): never {
  throw new Error("The rows of this loss are with the shards: ask them.");
}
