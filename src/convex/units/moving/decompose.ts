/**
 * Fewer units with the same outputs and the same charge: the neural decomposition of Bartan and Pilanci (2021, section 4).
 *
 * Units of one output and sign enter by Z = sum_j w_j w_j' alone, w_j = (p_j, |p_j|), and so does their charge, the last entry of Z.
 * With J = diag(I, -1) tr(J Z) = 0, and any such Z of rank r is a sum of r terms w w' with w'J w = 0, which are units again: of
 * eigenvectors with w'J w of opposite signs one is turned into the other until it is zero. So d + 1 units of a sign are enough.
 */

import { eigenSymmetric } from "../../linear/eigen/index.js";
import { dot } from "../../linear/vectors.js";

/** w'J w that counts as zero, relative to the trace of Z. */
const ZERO = 1e-14;

/** As many vectors p [k x d] as Z has eigenvalues above `rank` of the largest, for given ones [m x d]. */
export function decompose(P: Float64Array, d: number, rank: number): Float64Array {
  const D = d + 1;
  const m = P.length / d;
  if (m < D) return decomposeFew(P, d, rank);
  const Z = new Float64Array(D * D); // lower half
  for (let j = 0; j < m; j++) {
    const w = lifted(P.subarray(j * d, (j + 1) * d));
    for (let i = 0; i < D; i++) for (let k = 0; k <= i; k++) Z[i * D + k] += w[i] * w[k];
  }
  return decomposeMatrix(Z, d, (values) => values.filter((value) => value > rank * values[D - 1]).length);
}

/** The same by the Gram matrix of m vectors, fewer than d + 1, whose eigenvalues are those of Z that are not zero. */
function decomposeFew(P: Float64Array, d: number, rank: number): Float64Array {
  const m = P.length / d;
  const lifts = Array.from({ length: m }, (_, j) => lifted(P.subarray(j * d, (j + 1) * d)));
  const gram = new Float64Array(m * m); // lower half
  for (let i = 0; i < m; i++) for (let j = 0; j <= i; j++) gram[i * m + j] = dot(lifts[i], lifts[j]);
  const { values, vectors } = eigenSymmetric(gram, m);
  const open: Float64Array[] = [];
  let trace = 0;
  for (let k = m - 1; k >= 0 && values[k] > Math.max(0, rank * values[m - 1]); k--) {
    const axis = new Float64Array(d + 1);
    for (let j = 0; j < m; j++) for (let i = 0; i <= d; i++) axis[i] += vectors.data[k * m + j] * lifts[j][i];
    open.push(axis);
    trace += values[k];
  }
  return joined(open, d, trace);
}

/** The same of Z [d + 1 x d + 1] itself; `kept` says how many of its eigenvalues, which increase, count. */
export function decomposeMatrix(Z: Float64Array, d: number, kept: (values: Float64Array) => number): Float64Array {
  const D = d + 1;
  let trace = 0;
  for (let i = 0; i < D; i++) trace += Z[i * D + i];
  const { values, vectors } = eigenSymmetric(Z, D);
  const open: Float64Array[] = [];
  const least = D - kept(values);
  for (let k = D - 1; k >= least && values[k] > 0; k--) {
    const size = Math.sqrt(values[k]);
    open.push(vectors.data.slice(k * D, (k + 1) * D).map((value) => size * value));
  }
  return joined(open, d, trace);
}

/** Units of as many vectors w, of which the sum of w w' is kept. */
function joined(open: Float64Array[], d: number, trace: number): Float64Array {
  const done: Float64Array[] = [];
  while (open.length > 0) {
    open.sort((a, b) => form(a, a) - form(b, b));
    const low = open[0];
    const high = open[open.length - 1];
    if (open.length === 1 || form(low, low) >= -ZERO * trace || form(high, high) <= ZERO * trace) break;
    open.pop();
    open.shift();
    // (low + t high)' J (low + t high) = 0 has two real roots, since the signs differ; the other combination keeps the sum.
    const [A, B, C] = [form(high, high), form(low, high), form(low, low)];
    const t = (-B + Math.sqrt(B * B - A * C)) / A;
    const scale = 1 / Math.sqrt(1 + t * t);
    done.push(low.map((value, i) => scale * (value + t * high[i])));
    open.push(low.map((value, i) => scale * (high[i] - t * value)));
  }
  const out = new Float64Array((done.length + open.length) * d);
  [...done, ...open].forEach((w, j) => {
    const sign = w[d] < 0 ? -1 : 1;
    for (let p = 0; p < d; p++) out[j * d + p] = sign * w[p];
  });
  return out;
}

function lifted(p: Float64Array): Float64Array {
  const w = new Float64Array(p.length + 1);
  let square = 0;
  for (let i = 0; i < p.length; i++) {
    w[i] = p[i];
    square += p[i] ** 2;
  }
  w[p.length] = Math.sqrt(square);
  return w;
}

/** v'J w. */
function form(v: Float64Array, w: Float64Array): number {
  const last = v.length - 1;
  let sum = -v[last] * w[last];
  for (let i = 0; i < last; i++) sum += v[i] * w[i];
  return sum;
}
