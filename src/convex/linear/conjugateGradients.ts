/** Preconditioned conjugate gradients, for matrices whose products may be made elsewhere. */

import { dot } from "./vectors.js";

const MOST_STEPS = 200;

/** A symmetric positive definite matrix known by what it does to a vector, and an approximation of its inverse. */
export interface LinearSystem {
  /** out := H x; a promise from a device that has to answer first. */
  multiply(x: Float64Array, out: Float64Array): void | Promise<void>;
  /** x := M^-1 x, M near H. */
  precondition(x: Float64Array): void;
  /** Hears that the solution moved by alpha times what was multiplied last. */
  moved?(alpha: number): void;
}

/**
 * Solves H x = b, x in place of b, until |H x - b| <= residual |b| (Hestenes and Stiefel 1952); answers with the products made. `left` gets what is
 * left of b.
 *
 * Ended early, by `pause` or by rounding, x is what was reached: from the start on a direction of descent of x'H x / 2 - b'x.
 */
export async function conjugateGradients(
  b: Float64Array,
  residual: number,
  pause: () => Promise<boolean>,
  { multiply, precondition, moved }: LinearSystem,
  left?: Float64Array,
  most = MOST_STEPS,
): Promise<number> {
  const size = b.length;
  const x = new Float64Array(size);
  const r = Float64Array.from(b);
  const z = Float64Array.from(b);
  precondition(z);
  const p = Float64Array.from(z);
  const Hp = new Float64Array(size);
  let rho = dot(r, z);
  const goal = residual * Math.sqrt(dot(b, b));
  let step = 0;
  while (step < most) {
    const answer = multiply(p, Hp);
    if (answer !== undefined) await answer;
    step += 1;
    const alpha = rho / dot(p, Hp);
    if (!Number.isFinite(alpha)) break;
    moved?.(alpha);
    for (let k = 0; k < size; k++) {
      x[k] += alpha * p[k];
      r[k] -= alpha * Hp[k];
    }
    if (Math.sqrt(dot(r, r)) <= goal || (await pause())) break;
    z.set(r);
    precondition(z);
    const next = dot(r, z);
    for (let k = 0; k < size; k++) p[k] = z[k] + (next / rho) * p[k];
    rho = next;
  }
  b.set(x);
  left?.set(r);
  return step;
}
