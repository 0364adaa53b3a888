/** Steps of `splitting` as the host makes them: outputs, bias and the prox of the loss in float64, blocks and slacks by the engine. */

import type { ConeResiduals, OuterNumbers, OuterState } from "../../kernels/types.js";
import { columnSums } from "../../linear/vectors.js";
import type { Loss } from "../../types.js";
import type { SplittingSystem } from "./system.js";

/** What a step writes beside the state. */
export interface StepRoom {
  readonly y: Float64Array; // [n x C]: z + c
  readonly slope: Float64Array; // [n x C]
  readonly spread: Float64Array | null;
}

export function stepRoom({ rows, outputs, separable }: Loss): StepRoom {
  const [y, slope] = [0, 1].map(() => new Float64Array(rows * outputs));
  return { y, slope, spread: separable ? null : slope.slice() };
}

/** One step; what it left and moved, where it is measured. */
export async function stepOnHost(
  system: SplittingSystem,
  loss: Loss,
  { z, c, e, te }: OuterState,
  { relaxation, threshold, tau, biasShare }: OuterNumbers,
  { y, slope, spread }: StepRoom,
  measured: boolean,
  pause: () => Promise<boolean>,
): Promise<ConeResiduals | null> {
  const { iterate, outputWeight: r, biasScale } = system;
  const C = e.length;
  const U = z.map((value, k) => r * (value - c[k]));
  const pulls = columnSums(U, C).map((sum, o) => 2 * e[o] - te[o] + biasScale * sum);
  const { W, left } = await system.solve(U, pulls, pause);
  const blocks = await iterate.advance(W, relaxation, threshold, measured);
  let [missed, moved] = [0, 0]; // of outputs and bias, as those of blocks are
  if (biasScale > 0) {
    const sums = columnSums(W, C);
    for (let o = 0; o < C; o++) {
      const x = pulls[o] - biasScale * sums[o];
      te[o] += relaxation * (x - e[o]);
      const next = biasShare * te[o];
      missed += (x - next) ** 2 / biasScale;
      moved += (next - e[o]) ** 2 / biasScale;
      e[o] = next;
    }
  }
  const outputs = W.map((value, k) => value / r + left[k]); // A x
  for (let k = 0; k < y.length; k++) y[k] = relaxation * outputs[k] + (1 - relaxation) * z[k] + c[k];
  const before = z.slice();
  loss.prox(y, tau, z, slope, spread);
  for (let k = 0; k < y.length; k++) {
    c[k] = y[k] - z[k];
    missed += r * (outputs[k] - z[k]) ** 2;
    moved += r * (z[k] - before[k]) ** 2;
  }
  return blocks === null ? null : { missed: missed + blocks.missed, moved: moved + blocks.moved };
}
