/**
 * max over |u| = 1 of u'Qu + q'u, exactly: the trust region problem on the sphere (More and Sorensen 1983; Hager 2001).
 *
 * With Q = sum lambda_i v_i v_i' and g = V q / 2 a maximiser is u = sum g_i / (mu - lambda_i) v_i for the mu >= lambda_max at which
 * its length is 1. In the hard case, where the length stays below 1 down to lambda_max, the rest goes along the last v. For any
 * mu >= lambda_max no u is worth more than mu + sum g_i^2 / (mu - lambda_i), the Lagrangian dual, with equality at the right mu.
 */

import type { SymmetricEigen } from "../linear/eigen/index.js";
import { norm } from "../linear/vectors.js";

/** Newton steps and bisections on the secular equation. */
const STEPS = 100;
/** What an eigendecomposition may be off by, in units of d times the size of Q and q. */
const ROUNDING = 4 * Number.EPSILON;

export interface SphereMaximum {
  readonly value: number; // at u
  readonly ceiling: number; // no unit vector is worth more, the rounding of the eigendecomposition included
  readonly u: Float64Array; // [d]
}

/** The maximum of sign (u'Qu + q'u), from the eigenvalues of Q and q [d]. */
export function maximiseOnSphere(
  { values, vectors }: SymmetricEigen,
  q: Float64Array,
  sign: 1 | -1 = 1,
): SphereMaximum {
  const d = values.length;
  const g = new Float64Array(d);
  for (let i = 0; i < d; i++) {
    let sum = 0;
    for (let p = 0; p < d; p++) sum += vectors.data[i * d + p] * q[p];
    g[i] = (sign * sum) / 2;
  }
  const top = sign > 0 ? values[d - 1] : -values[0];
  const below = values.map((value) => Math.max(0, top - sign * value)); // lambda_max - lambda_i
  const shift = secularShift(g, below);
  const along = new Float64Array(d); // u in the eigenvectors
  let bound = top + shift;
  let square = 0;
  for (let i = 0; i < d; i++) {
    if (g[i] === 0) continue;
    along[i] = g[i] / (shift + below[i]);
    bound += g[i] * along[i];
    square += along[i] ** 2;
  }
  const last = sign > 0 ? d - 1 : 0;
  if (square < 1) along[last] += (along[last] < 0 ? -1 : 1) * fill(along[last], square);
  else for (let i = 0; i < d; i++) along[i] /= Math.sqrt(square);
  const u = new Float64Array(d);
  let value = 0;
  for (let i = 0; i < d; i++) {
    value += sign * values[i] * along[i] ** 2 + 2 * g[i] * along[i];
    for (let p = 0; p < d; p++) u[p] += along[i] * vectors.data[i * d + p];
  }
  const largest = Math.max(Math.abs(values[0]), Math.abs(values[d - 1])) + norm(g);
  return { value, ceiling: Math.max(bound, value) + ROUNDING * d * largest, u };
}

/** What |entry| has to grow by for the square of the length to be 1. */
function fill(entry: number, square: number): number {
  const others = square - entry ** 2;
  return Math.sqrt(Math.max(0, 1 - others)) - Math.abs(entry);
}

/** The shift >= 0 at which sum (g_i / (shift + below_i))^2 = 1, or 0 in the hard case. */
function secularShift(g: Float64Array, below: Float64Array): number {
  let low = 0; // where one entry alone has length 1 the whole has no less
  let high = 0; // at shift = |g| the length is at most 1
  for (let i = 0; i < g.length; i++) {
    low = Math.max(low, Math.abs(g[i]) - below[i]);
    high += g[i] ** 2;
  }
  high = Math.sqrt(high);
  if (high === 0) return 0;
  let shift = low > 0 ? low : high * Number.EPSILON ** 2;
  if (low === 0 && lengthAt(g, below, shift).length < 1) return 0;
  for (let step = 0; step < STEPS; step++) {
    const { length, slope } = lengthAt(g, below, shift);
    if (length > 1) low = shift;
    else high = shift;
    // Newton on 1 / length - 1, which is concave and almost linear in the shift.
    let next = shift + ((length - 1) * length) / -slope;
    if (!(next > low && next < high)) next = (low + high) / 2;
    if (Math.abs(next - shift) <= Number.EPSILON * shift || next === low || next === high) return next;
    shift = next;
  }
  return shift;
}

function lengthAt(g: Float64Array, below: Float64Array, shift: number): { length: number; slope: number } {
  let square = 0;
  let cubes = 0;
  for (let i = 0; i < g.length; i++) {
    if (g[i] === 0) continue;
    const entry = g[i] / (shift + below[i]);
    square += entry ** 2;
    cubes += entry ** 2 / (shift + below[i]);
  }
  const length = Math.sqrt(square);
  return { length, slope: -cubes / length };
}
