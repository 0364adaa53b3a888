/** The objective of one layer with the loss's envelope in the loss's place, near a point: its value, gradient and Hessian. */

import type { ConvexProgram } from "../../types.js";
import type { ScaledLayer } from "./scaledLayer.js";

/** Of the curvature 1 / tau: what keeps Newton's systems regular where few rows have any. */
const PROXIMAL = 1e-5;

/** The envelope at a point, its gradient, and what its Hessian needs. */
export interface State {
  readonly point: Float64Array;
  readonly value: number;
  readonly gradient: Float64Array;
  readonly next: Float64Array; // N [n x C]
  readonly slope: Float64Array;
  readonly spread: Float64Array | null;
}

export class Envelope {
  constructor(
    private readonly program: ConvexProgram,
    private readonly layer: ScaledLayer,
    private readonly N: Float64Array, // [n x C], the multiplier
    private readonly tau: number,
    private readonly anchor: Float64Array, // the point that it stays near
  ) {}

  /** The objective with the loss's envelope at a point, its gradient, and what its Hessian needs. */
  at(point: Float64Array): State {
    const { tau, N, anchor, layer } = this;
    const { n, C } = layer;
    const { loss } = this.program;
    const A = layer.predict(point);
    const Q = new Float64Array(n * C);
    for (let k = 0; k < Q.length; k++) Q[k] = A[k] + tau * N[k];
    const Z = new Float64Array(n * C);
    const slope = new Float64Array(n * C);
    const spread = loss.separable ? null : new Float64Array(n * C);
    loss.prox(Q, tau, Z, slope, spread);
    const next = new Float64Array(n * C);
    let value = loss.value(Z);
    for (let k = 0; k < Q.length; k++) {
      const gap = Z[k] - A[k];
      next[k] = (Q[k] - Z[k]) / tau;
      value += (gap * gap) / (2 * tau) - N[k] * gap;
    }
    const gradient = layer.back(next);
    value += this.charge(point, gradient);
    const near = PROXIMAL / tau;
    for (let p = 0; p < point.length; p++) {
      const moved = point[p] - anchor[p];
      value += 0.5 * near * moved * moved;
      gradient[p] += near * moved;
    }
    return { point, value, gradient, next, slope, spread };
  }

  /** Adds the gradient of the charges, and answers their value. */
  private charge(point: Float64Array, gradient: Float64Array): number {
    const { C, d, scale } = this.layer;
    const { beta, outputBias } = this.program;
    let value = 0;
    for (let p = 0; p < C * d; p++) {
      const weight = beta / scale[p % d] ** 2;
      value += 0.5 * weight * point[p] * point[p];
      gradient[p] += weight * point[p];
    }
    for (let c = C * d; c < point.length; c++) {
      const weight = outputBias?.ridge ?? 0;
      value += weight * point[c] * point[c];
      gradient[c] += 2 * weight * point[c];
    }
    return value;
  }

  /** The Hessian times a direction: the loss's part (I - J) / tau, the charges, and the proximal term. */
  hessian({ slope, spread }: State, direction: Float64Array): Float64Array {
    const { tau, layer } = this;
    const { n, C } = layer;
    const R = layer.predict(direction);
    for (let k = 0; k < n; k++) {
      let along = 0;
      if (spread !== null) for (let c = k * C; c < (k + 1) * C; c++) along += spread[c] * R[c];
      for (let c = k * C; c < (k + 1) * C; c++) {
        R[c] = ((1 - slope[c]) * R[c] - (spread === null ? 0 : spread[c] * along)) / tau;
      }
    }
    const out = layer.back(R);
    this.charge(direction, out);
    for (let p = 0; p < out.length; p++) out[p] += (PROXIMAL / tau) * direction[p];
    return out;
  }

  /** One over the diagonal of the Hessian. */
  inverseDiagonal({ slope, spread }: State): Float64Array {
    const { tau } = this;
    const { n, C, d, scale, mean } = this.layer;
    const { X, beta, outputBias } = this.program;
    const diagonal = new Float64Array(C * (d + 1));
    for (let k = 0; k < n; k++) {
      for (let c = 0; c < C; c++) {
        const at = k * C + c;
        const h = Math.max(0, 1 - slope[at] - (spread === null ? 0 : spread[at] ** 2)) / tau;
        if (h === 0) continue;
        for (let p = 0; p < d; p++) diagonal[c * d + p] += h * ((X.data[k * d + p] - mean[p]) / scale[p]) ** 2;
        diagonal[C * d + c] += h;
      }
    }
    return diagonal.map((value, p) => {
      if (p < C * d) return 1 / (value + beta / scale[p % d] ** 2 + PROXIMAL / tau);
      return outputBias === null ? 0 : 1 / (value + 2 * outputBias.ridge + PROXIMAL / tau);
    });
  }
}
