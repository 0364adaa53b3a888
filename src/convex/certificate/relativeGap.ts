/** A gap in relation to the objective, and the sizes below which neither is more than rounding. */

import { columnSums, LEAST } from "../linear/vectors.js";
import { hasConstant } from "../losses/beside/index.js";
import type { ConvexProgram, Loss } from "../types.js";

/** What the dual objective of a program is made of. */
export type DualProgram = Pick<ConvexProgram, "loss" | "outputBias">;

/**
 * (primal - dual) / max(|primal|, floor), the floor a billionth of what the best constant outputs lose: an objective far below that is
 * a perfect fit, whose last digits are rounding of a loss near zero.
 */
export function relativeGap(primal: number, dual: number, program: DualProgram): number {
  return (primal - dual) / Math.max(Math.abs(primal), floorOf(program), LEAST);
}

/** A bound above an objective by rounding is that objective; one that is further above stays, for everybody to see. */
export function withoutRounding(primal: number, dual: number, program: DualProgram): number {
  const room = SURE * Math.max(Math.abs(primal), floorOf(program), LEAST);
  return dual > primal && dual - primal <= room ? primal : dual;
}

/** Of the size of an objective: what sums in float64 explain. */
const SURE = 1e-8;
/** Of the loss of constant outputs: objectives below are as good as zero. */
const FLOOR = 1e-9;
const floors = new WeakMap<Loss, { readonly zero: number; readonly constant: number }>();

/** The size below which no gap is relative to the objective any more. */
export function floorOf({ loss: given, outputBias }: DualProgram): number {
  const loss = given.beside?.loss ?? given;
  let known = floors.get(loss);
  if (known === undefined) {
    const zero = loss.value(new Float64Array(loss.rows * loss.outputs));
    known = { zero, constant: Math.min(zero, loss.value(newtonConstant(loss))) };
    floors.set(loss, known);
  }
  const { zero, constant } = known;
  const biased = outputBias !== null || (given.beside !== undefined && hasConstant(given.beside));
  return FLOOR * Math.abs(biased ? constant : zero);
}

/** What `floorOf` is of a loss whose rows are elsewhere: its value where all outputs are zero, and after a Newton step to constants. */
export function rememberFloor(loss: Loss, zero: number, stepped: number): void {
  floors.set(loss, { zero, constant: Math.min(zero, stepped) });
}

/** One Newton step from zero to the best constant outputs [n x C]: exact for squares, which alone lose far more at zero. */
function newtonConstant(loss: Loss): Float64Array {
  const size = loss.rows * loss.outputs;
  const Z = new Float64Array(size);
  const slopes = new Float64Array(size);
  const curvatures = new Float64Array(size);
  loss.gradient(Z, slopes);
  loss.hessianDiagonal(Z, curvatures);
  const [slope, curvature] = [columnSums(slopes, loss.outputs), columnSums(curvatures, loss.outputs)];
  for (let k = 0; k < size; k++) {
    const c = k % loss.outputs;
    Z[k] = curvature[c] > 0 ? -slope[c] / curvature[c] : 0;
  }
  return Z;
}
