/**
 * The outputs of neurons whose directions are held: min over sizes s_j, outputs a_j and the bias of
 * loss(sum_j s_j phi_j a_j' + 1 c') + beta / 2 sum_j (s_j^2 + |a_j|^2) + ridge |c|^2, phi_j [n] the activations of unit direction j.
 *
 * This is the group lasso with beta sum_j |s_j a_j|, which has no other local minima (Haeffele and Vidal 2015), and no kinks: the
 * descent gets as near to its optimum as it is asked to.
 */

import type { Kernels } from "../kernels/types.js";
import type { Objective } from "../linear/lbfgs.js";
import { dot, transpose } from "../linear/vectors.js";
import { lossAndGradient } from "../operators/lossAndGradient.js";
import { biasGradient } from "../operators/outputBias.js";
import type { ConvexProgram } from "../types.js";

/** What a descent over packed (sizes [m], outputs [C x m], bias [C]) wants. */
export function outputsObjective(
  { loss, beta, outputBias }: ConvexProgram,
  kernels: Kernels,
  activations: Float64Array, // [m x n]
): Objective {
  const { rows: n, outputs: C } = loss;
  const m = activations.length / n;
  const Z = new Float64Array(n * C);
  const N = new Float64Array(n * C);
  const across = new Float64Array(C * n); // Z', then N'
  const outputs = new Float64Array(C * m); // s_j a_j
  const pulls = new Float64Array(C * m);
  return (x, gradient) => {
    const bias = x.subarray(m * (1 + C));
    for (let k = 0; k < C * m; k++) outputs[k] = x[k % m] * x[m + k];
    kernels.multiply(outputs, activations, across, C, m, n);
    for (let s = 0; s < n; s++) for (let c = 0; c < C; c++) Z[s * C + c] = across[c * n + s] + bias[c];
    const value = lossAndGradient(loss, Z, N) + 0.5 * beta * dot(x.subarray(0, m * (1 + C)), x);
    transpose(N, n, C, across);
    kernels.multiplyTransposed(across, activations, pulls, C, n, m);
    for (let k = 0; k < m * (1 + C); k++) gradient[k] = beta * x[k];
    for (let k = 0; k < C * m; k++) {
      gradient[k % m] += pulls[k] * x[m + k];
      gradient[m + k] += pulls[k] * x[k % m];
    }
    return value + biasGradient(outputBias, bias, N, gradient.subarray(m * (1 + C)));
  };
}
