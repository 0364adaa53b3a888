/** The Newton system of the dual, in parts, and the one part that couples outputs. */

import type { Setting } from "../solver.js";

/** The curvature of one output: rank-one rows, and gates whose whole D_i K D_i enters with a weight. */
export interface OutputCurvature {
  readonly rows: Float64Array; // [m x n], scaled: H gets the sum of their outer products
  readonly rowCount: number; // m
  readonly gates: Int32Array;
  readonly weights: Float64Array;
}

/** What a system is solved with; `pause` lets the host breathe and says whether to hurry. */
export type Machinery = Pick<Setting, "program" | "kernels" | "products" | "pause">;

export interface NewtonSystem {
  readonly n: number;
  readonly outputs: number;
  readonly diagonal: Float64Array; // [n x C]: T
  readonly spread: Float64Array | null; // [n x C]: sample k adds spread_k spread_k' across the outputs
  readonly curvature: readonly OutputCurvature[]; // [C]
}

/** out += sum over samples of spread_k spread_k' x_k. */
export function addSpread(spread: Float64Array, x: Float64Array, out: Float64Array, n: number, outputs: number): void {
  for (let k = 0; k < n; k++) {
    let product = 0;
    for (let c = 0; c < outputs; c++) product += spread[k * outputs + c] * x[k * outputs + c];
    for (let c = 0; c < outputs; c++) out[k * outputs + c] += product * spread[k * outputs + c];
  }
}
