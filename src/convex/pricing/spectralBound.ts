/**
 * An upper bound of f(u) = sum_i w_i (x_i' u)_+ over unit vectors in any number of dimensions, from singular values.
 *
 * Rows with w_i < 0 only take away. For those with w_i > 0 and any scaling delta_i > 0, by Cauchy and Schwarz,
 *
 *   sum w_i (x_i' u)_+  <=  |w / delta| sigma_max(diag(delta) X_+) =: R,
 *
 * and since (z)_+ = (z + |z|) / 2, also f(u) <= (|X' w| + R) / 2. With delta_i = 1 / |x_i| the first is exact where the rows are
 * orthogonal, the spike-free data of whitened features (Ergen and Pilanci 2021; d'Aspremont and Pilanci 2020); with
 * delta_i = sqrt(w_i) it is of use where there are many more rows than features.
 */

import { LEAST, norm } from "../linear/vectors.js";
import { rowSpaceOf } from "../operators/axes/index.js";
import type { WeightedRows } from "./coneBound.js";

/** The least of the bounds for three scalings. */
export function spectralBound({ rows, weights, width: d }: WeightedRows): number {
  const pull = new Float64Array(d); // X' w
  const positive: number[] = [];
  weights.forEach((w, i) => {
    for (let p = 0; p < d; p++) pull[p] += w * rows[i * d + p];
    if (w > 0) positive.push(i);
  });
  if (positive.length === 0) return 0;
  const lengthOf = (i: number) => norm(rows.subarray(i * d, (i + 1) * d));
  const scalings: ((i: number) => number)[] = [
    (i) => 1 / Math.max(lengthOf(i), LEAST),
    () => 1,
    (i) => Math.sqrt(weights[i]),
  ];
  let least = Number.POSITIVE_INFINITY;
  for (const scaling of scalings) {
    const data = new Float64Array(positive.length * d);
    let square = 0;
    positive.forEach((i, k) => {
      const delta = scaling(i);
      square += (weights[i] / delta) ** 2;
      for (let p = 0; p < d; p++) data[k * d + p] = delta * rows[i * d + p];
    });
    const { largest } = rowSpaceOf({ rows: positive.length, cols: d, data }, 1);
    least = Math.min(least, Math.sqrt(square) * largest);
  }
  return Math.min(least, (norm(pull) + least) / 2);
}
