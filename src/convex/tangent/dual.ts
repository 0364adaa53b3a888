/**
 * Dual activations: E[s(u) s(v)] and E[s'(u) s'(v)] over Gaussian u, v whose covariances are the entries of a Gram matrix.
 *
 * For ReLU in closed form (the arc-cosine kernels; Cho and Saul 2009), for smooth activations as a mixture of such: `mixture.ts`.
 */

import { arctan } from "../linear/elementary.js";
import { atOnce, type Pieces } from "../linear/pieces.js";
import { dotAt } from "../linear/vectors.js";
import { type Expectations, expectations, type SmoothActivation } from "./mixture.js";

export type TangentActivation = "relu" | SmoothActivation;

/** The two matrices [n x n]. */
export interface Dual {
  readonly values: Float64Array;
  readonly slopes: Float64Array;
}

export const tangentActivations: readonly TangentActivation[] = [
  "relu",
  ...(Object.keys(expectations) as SmoothActivation[]),
];

/** Of the covariances S [n x n] = (q_u, r). `angles` [n x n] where they are known better than S has them. */
export function dualOf(
  activation: TangentActivation,
  S: Float64Array,
  n: number,
  angles: Float64Array | null,
): Pieces<Dual> {
  return activation === "relu" ? reluDual(S, n, angles) : smoothDual(expectations[activation], S, n);
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

function* smoothDual(expectation: Expectations, S: Float64Array, n: number): Pieces<Dual> {
  const values = new Float64Array(n * n);
  const slopes = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    yield;
    for (let j = 0; j <= i; j++) {
      const [A, B] = [S[i * n + i], S[j * n + j]];
      const size = Math.sqrt(A * B);
      const r = i === j ? 1 : size > 0 ? Math.min(1, Math.max(-1, S[i * n + j] / size)) : 0;
      const [value, slope] = expectation(A, B, r);
      values[i * n + j] = values[j * n + i] = value;
      slopes[i * n + j] = slopes[j * n + i] = slope;
    }
  }
  return { values, slopes };
}
