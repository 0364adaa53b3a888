import { log } from "../linear/elementary.js";
import type { Loss, Matrix } from "../types.js";
import { bindSoftmaxLoss } from "./categoricalCrossentropy.js";

/** Where tfjs clips the targets before the logarithm. */
const EPSILON = 1e-7;

/**
 * L(Z) = sum_k a_k sum_c Y log(Y / softmax(Z)): the softmax cross entropy less the entropy of the targets, which Z does not see.
 * As in tfjs a target below 1e-7 counts as that inside the logarithm.
 */
export function bindDivergence(target: Matrix, weights: Float64Array | null): Loss {
  const cross = bindSoftmaxLoss(target, weights);
  const { rows: n, cols: C, data } = target;
  const least = new Float64Array(n);
  for (let k = 0; k < n; k++) {
    let row = 0;
    for (let c = 0; c < C; c++) row += data[k * C + c] * log(Math.min(1, Math.max(EPSILON, data[k * C + c])));
    least[k] = ((weights === null ? 1 : weights[k]) * row) / n;
  }
  return above(cross, least);
}

/** The cross entropy plus what each row has more than that. */
function above(cross: Loss, least: Float64Array): Loss {
  const { part, valueAndGradient } = cross;
  const sum = least.reduce((total, value) => total + value, 0);
  return {
    ...cross,
    name: "kullbackLeiblerDivergence",
    value: (Z) => cross.value(Z) + sum,
    ...(valueAndGradient && {
      valueAndGradient: (Z: Float64Array, out: Float64Array) => valueAndGradient(Z, out) + sum,
    }),
    conjugate: (N) => cross.conjugate(N) - sum,
    ...(part && {
      part: (rows: Int32Array) =>
        above(
          part(rows),
          Float64Array.from(rows, (row) => least[row]),
        ),
    }),
  };
}
