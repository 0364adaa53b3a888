/** The dual objective along the scales of a dual point, and the best of them. */

import type { DualProgram } from "./relativeGap.js";

/** Looks at a scale at most, and how near to the best it is, of the limit: what is lost of the value is the square of that. */
const LOOKS = 60;
const NEAR = 1e-7;

/**
 * The largest dual objective of s N, 0 <= s <= limit, N [n x C]: concave in s. A bound where limit N is feasible, and N balanced
 * where the output bias is free. By parabolas through three scales, and golden sections where these do not help (Brent 1973, chapter 5).
 */
export function bestScale(
  program: DualProgram,
  N: Float64Array,
  limit: number,
  cost: (scale: number) => number = () => 0, // convex, 0 at 0
): { value: number; scale: number } {
  const scaled = new Float64Array(N.length);
  const top = Number.isFinite(limit) ? limit : 2;
  const valueAt = (s: number) => dualObjective(program, N, s, scaled) - cost(s);
  let best = { value: valueAt(0), scale: 0 };
  if (top === 0) return best;
  const look = (s: number) => {
    const value = valueAt(s);
    if (value > best.value) best = { value, scale: s };
    return { s, value };
  };
  // Of a network's own dual point the limit is mostly below 1, and the best there.
  if (look(top).value > look((1 - NEAR) * top).value) return best;
  let [low, high] = [0, top];
  let x = look(Math.min(1, top / 2)); // the best so far, then the one before, and the one before that
  for (let k = 0; k < LOOKS && x.value === Number.NEGATIVE_INFINITY; k++) {
    high = x.s; // there is no dual objective from here on
    x = look(high / 2);
  }
  let [w, v] = [x, x];
  const least = NEAR * top;
  let [move, before] = [0, 0];
  for (let k = 0; k < LOOKS; k++) {
    const middle = (low + high) / 2;
    if (Math.abs(x.s - middle) <= 2 * least - (high - low) / 2) break;
    const step = parabola(x, w, v);
    // A parabola's step is to fall within, and to be less than half of the one before the last.
    const helps = Math.abs(step) < Math.abs(before) / 2 && x.s + step > low && x.s + step < high;
    before = helps ? move : (x.s >= middle ? low : high) - x.s;
    move = helps ? step : GOLDEN * before;
    // Beside an end, the top is there: a small step the other way brings the other end as near.
    if (helps && Math.min(x.s + step - low, high - x.s - step) < 2 * least) move = x.s < middle ? least : -least;
    const u = look(x.s + (Math.abs(move) >= least ? move : move > 0 ? least : -least));
    if (u.value >= x.value) {
      if (u.s >= x.s) low = x.s;
      else high = x.s;
      [v, w, x] = [w, x, u];
    } else {
      if (u.s < x.s) low = u.s;
      else high = u.s;
      if (u.value >= w.value || w === x) [v, w] = [w, u];
      else if (u.value >= v.value || v === x || v === w) v = u;
    }
  }
  return best;
}

const GOLDEN = (3 - Math.sqrt(5)) / 2;

/** From x to the top of the parabola through three points; NaN where there is none. */
function parabola(...[x, w, v]: { readonly s: number; readonly value: number }[]): number {
  const [r, q] = [(x.s - w.s) * (x.value - v.value), (x.s - v.s) * (x.value - w.value)];
  return -((x.s - v.s) * q - (x.s - w.s) * r) / (2 * (q - r));
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
