/**
 * Dual activations: E[s(u) s(v)] and E[s'(u) s'(v)] over Gaussian u, v whose covariances are the entries of a Gram matrix.
 *
 * For ReLU in closed form (the arc-cosine kernels; Cho and Saul 2009). For smooth activations by Hermite series: with
 * s(sqrt(q) z) = sum_k c_k(q) he_k(z) the expectation at correlation r is sum_k c_k(q_u) c_k(q_v) r^k (Mehler), and a Gram matrix in
 * gives a positive semidefinite matrix out, where rows have one length exactly.
 */

import { arctan, exp, log1p, tanh } from "../linear/elementary.js";
import { atOnce, type Pieces } from "../linear/pieces.js";
import { dotAt } from "../linear/vectors.js";

export type TangentActivation = "relu" | "tanh" | "sigmoid" | "softplus" | "swish";

/** The two matrices [n x n]. */
export interface Dual {
  readonly values: Float64Array;
  readonly slopes: Float64Array;
}

interface Smooth {
  value(z: number): number;
  slope(z: number): number;
}

const logistic = (z: number) => 1 / (1 + exp(-z));
const smooth: Readonly<Record<Exclude<TangentActivation, "relu">, Smooth>> = {
  tanh: { value: tanh, slope: (z) => 1 - tanh(z) ** 2 },
  sigmoid: { value: logistic, slope: (z) => logistic(z) * logistic(-z) },
  softplus: { value: (z) => Math.max(0, z) + log1p(exp(-Math.abs(z))), slope: logistic },
  swish: { value: (z) => z * logistic(z), slope: (z) => logistic(z) * (1 + z * logistic(-z)) },
};

export const tangentActivations: readonly TangentActivation[] = [
  "relu",
  ...(Object.keys(smooth) as Exclude<TangentActivation, "relu">[]),
];

/** Nodes of the trapezoid rule against the normal density: its error falls exponentially for these functions, analytic near the axis. */
const REACH = 13;
const NODES_EACH_UNIT = 24;
const TERMS = 120;

/** Of the covariances S [n x n] = (q_u, r). `angles` [n x n] where they are known better than S has them. */
export function dualOf(
  activation: TangentActivation,
  S: Float64Array,
  n: number,
  angles: Float64Array | null,
): Pieces<Dual> {
  return activation === "relu" ? reluDual(S, n, angles) : smoothDual(smooth[activation], S, n);
}

/** E[s(z)^2], z standard normal: what keeps the size of a layer's outputs from one layer to the next. */
export function meanSquare(activation: TangentActivation): number {
  return atOnce(dualOf(activation, Float64Array.of(1), 1, null)).values[0];
}

/** The angle between rows of X [n x d], exact for equal and opposite rows (Kahan): 2 arctan(|u - v| / |u + v|), u and v of unit length. */
export function* anglesOf(X: Float64Array, n: number, d: number): Pieces<Float64Array> {
  const units = X.slice();
  for (let k = 0; k < n; k++) {
    const size = Math.sqrt(dotAt(X, k * d, X, k * d, d));
    for (let p = 0; p < d && size > 0; p++) units[k * d + p] /= size;
  }
  const angles = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    yield;
    for (let j = 0; j < i; j++) {
      let [apart, together] = [0, 0];
      for (let p = 0; p < d; p++) {
        apart += (units[i * d + p] - units[j * d + p]) ** 2;
        together += (units[i * d + p] + units[j * d + p]) ** 2;
      }
      angles[i * n + j] = angles[j * n + i] = 2 * arctan(Math.sqrt(apart / together));
    }
  }
  return angles;
}

/** With t the angle: |u| |v| (sin t + (pi - t) cos t) / (2 pi), and (pi - t) / (2 pi). */
function* reluDual(S: Float64Array, n: number, angles: Float64Array | null): Pieces<Dual> {
  const values = new Float64Array(n * n);
  const slopes = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    yield;
    for (let j = 0; j <= i; j++) {
      const size = Math.sqrt(S[i * n + i] * S[j * n + j]);
      const cosine = size > 0 ? Math.min(1, Math.max(-1, S[i * n + j] / size)) : 0;
      const sine = Math.sqrt((1 - cosine) * (1 + cosine));
      const angle = angles?.[i * n + j] ?? 2 * arctan(Math.sqrt((1 - cosine) / (1 + cosine)));
      const share = size > 0 ? (Math.PI - angle) / (2 * Math.PI) : 0;
      values[i * n + j] = values[j * n + i] = size * (sine / (2 * Math.PI) + share * cosine);
      slopes[i * n + j] = slopes[j * n + i] = share;
    }
  }
  return { values, slopes };
}

/** Coefficients c_k of s and of s' [TERMS], then the lengths of what is left of the even ones and of the odd ones. */
interface Series {
  readonly value: Float64Array; // [TERMS + 2]
  readonly slope: Float64Array; // [TERMS + 2]
}

function* smoothDual(activation: Smooth, S: Float64Array, n: number): Pieces<Dual> {
  const known = new Map<number, Series>();
  const series: Series[] = [];
  for (let k = 0; k < n; k++) {
    const q = S[k * n + k];
    const found = known.get(q) ?? seriesOf(activation, q);
    known.set(q, found);
    series.push(found);
    yield;
  }
  const values = new Float64Array(n * n);
  const slopes = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    yield;
    for (let j = 0; j <= i; j++) {
      const size = Math.sqrt(S[i * n + i] * S[j * n + j]);
      const r = i === j ? 1 : size > 0 ? Math.min(1, Math.max(-1, S[i * n + j] / size)) : 0;
      values[i * n + j] = values[j * n + i] = summed(series[i].value, series[j].value, r);
      slopes[i * n + j] = slopes[j * n + i] = summed(series[i].slope, series[j].slope, r);
    }
  }
  return { values, slopes };
}

/**
 * What is left counts as terms of the orders TERMS and TERMS + 1. So the sum is exact at r = 1 and -1, positive semidefinite all the
 * same, and equal rows, or opposite ones of an odd function, are as singular as they are.
 */
function summed(a: Float64Array, b: Float64Array, r: number): number {
  let sum = 0;
  for (let k = TERMS + 1; k >= 0; k--) sum = sum * r + a[k] * b[k];
  return sum;
}

/** Coefficients of s(sqrt(q) z) and s'(sqrt(q) z) in Hermite polynomials he_k of unit length: he_k+1 = (z he_k - sqrt(k) he_k-1) / sqrt(k + 1). */
function seriesOf({ value, slope }: Smooth, q: number): Series {
  const out = { value: new Float64Array(TERMS + 2), slope: new Float64Array(TERMS + 2) };
  const squares = { value: [0, 0], slope: [0, 0] }; // of the even and the odd part
  const scale = Math.sqrt(q);
  const step = 1 / NODES_EACH_UNIT;
  for (let node = -REACH * NODES_EACH_UNIT; node <= REACH * NODES_EACH_UNIT; node++) {
    const z = node * step;
    const weight = (step * exp((-z * z) / 2)) / Math.sqrt(2 * Math.PI);
    const [s, ds] = [value(scale * z), slope(scale * z)];
    const [mirrored, dMirrored] = [value(-scale * z), slope(-scale * z)];
    for (const [k, sign] of [1, -1].entries()) {
      squares.value[k] += (weight * (s + sign * mirrored) ** 2) / 4;
      squares.slope[k] += (weight * (ds + sign * dMirrored) ** 2) / 4;
    }
    let [before, he] = [0, 1];
    for (let k = 0; k < TERMS; k++) {
      out.value[k] += weight * s * he;
      out.slope[k] += weight * ds * he;
      [before, he] = [he, (z * he - Math.sqrt(k) * before) / Math.sqrt(k + 1)];
    }
  }
  for (const kind of ["value", "slope"] as const) {
    for (let k = 0; k < TERMS; k++) squares[kind][k % 2] -= out[kind][k] ** 2;
    squares[kind].forEach((left, k) => {
      out[kind][TERMS + k] = Math.sqrt(Math.max(0, left));
    });
  }
  return out;
}
