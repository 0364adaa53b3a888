import { exp, log, log1p, tanh } from "../linear/elementary.js";
import type { ScalarLoss } from "./scalar.js";

/** Newton steps of the prox, which from a point on the right side end within two units of rounding in far fewer. */
const STEPS = 60;

/**
 * l(z) = log cosh(z - y): like a parabola near the target, like |z - y| - log 2 far from it.
 *
 * Its derivative is tanh, so its conjugate is u y + ((1 + u) log(1 + u) + (1 - u) log(1 - u)) / 2 on [-1, 1].
 */
export const logcosh: ScalarLoss = {
  name: "logcosh",
  curvature: 1,
  value(z, y) {
    const e = Math.abs(z - y);
    return e + log1p(exp(-2 * e)) - Math.LN2;
  },
  derivative: (z, y) => tanh(z - y),
  secondDerivative: (z, y) => sech2(z - y),
  conjugate: (u, y) => u * y + 0.5 * (timesLog(1 + u) + timesLog(1 - u)),
  lowest: () => -1,
  highest: () => 1,
  prox: (q, t, y) => y + shrunk(q - y, t),
  proxSlope: (_q, z, t, y) => 1 / (1 + t * sech2(z - y)),
};

/** The root e of e + t tanh(e) = q, which lies between q - t and q (for q > 0): Newton inside that bracket. */
function shrunk(q: number, t: number): number {
  const side = Math.sign(q);
  const goal = Math.abs(q);
  let low = Math.max(0, goal - t);
  let high = goal;
  let e = goal / (1 + t);
  if (e < low) e = low;
  for (let step = 0; step < STEPS; step++) {
    const rest = e + t * tanh(e) - goal;
    if (rest === 0) break;
    if (rest > 0) high = e;
    else low = e;
    let next = e - rest / (1 + t * sech2(e));
    if (!(next > low && next < high)) next = (low + high) / 2;
    if (next === e || next === low || next === high) break;
    e = next;
  }
  return side * e;
}

/** 1 / cosh^2, without a cosine that overflows. */
function sech2(e: number): number {
  const small = exp(-2 * Math.abs(e));
  return (4 * small) / (1 + small) ** 2;
}

function timesLog(v: number): number {
  return v > 0 ? v * log(v) : 0;
}
