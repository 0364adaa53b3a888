/** The dual objective along the scales of a dual point, and the best of them. */

import type { DualProgram } from "./relativeGap.js";

/** Golden sections on the scale of the dual point: 0.618^90 < 1e-18. */
const SECTIONS = 90;

/**
 * The largest dual objective of s N, 0 <= s <= limit, N [n x C]: concave in s. A bound where limit N is feasible, and N balanced
 * where the output bias is free.
 */
export function bestScale(
  program: DualProgram,
  N: Float64Array,
  limit: number,
  cost: (scale: number) => number = () => 0, // convex, 0 at 0
): { value: number; scale: number } {
  const scaled = new Float64Array(N.length);
  const value = (s: number) => dualObjective(program, N, s, scaled) - cost(s);
  let best = { value: value(0), scale: 0 };
  const consider = (s: number) => {
    const v = value(s);
    if (v > best.value) best = { value: v, scale: s };
    return v;
  };
  const top = Number.isFinite(limit) ? limit : 2;
  consider(Math.min(1, top));
  consider(top);
  const golden = (Math.sqrt(5) - 1) / 2;
  let low = 0;
  let high = top;
  let a = high - golden * (high - low);
  let b = low + golden * (high - low);
  let va = consider(a);
  let vb = consider(b);
  for (let k = 0; k < SECTIONS && high - low > 1e-9 * top; k++) {
    if (va < vb) {
      low = a;
      a = b;
      va = vb;
      b = low + golden * (high - low);
      vb = consider(b);
    } else {
      high = b;
      b = a;
      vb = va;
      a = high - golden * (high - low);
      va = consider(a);
    }
  }
  return best;
}

function dualObjective({ loss, outputBias }: DualProgram, N: Float64Array, s: number, scaled: Float64Array): number {
  for (let k = 0; k < N.length; k++) scaled[k] = s * N[k];
  let value = -loss.conjugate(scaled);
  if (outputBias !== null && outputBias.ridge > 0) {
    for (let c = 0; c < loss.outputs; c++) {
      let sum = 0;
      for (let k = c; k < N.length; k += loss.outputs) sum += scaled[k];
      value -= sum ** 2 / (4 * outputBias.ridge);
    }
  }
  return value;
}
