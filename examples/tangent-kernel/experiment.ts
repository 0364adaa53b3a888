/**
 * Gradient descent on a wide ReLU network with a fixed read-out (Du, Zhai, Poczos and Singh 2019), in float64, to be compared with what
 * its tangent kernel predicts.
 */

import { gaussianSource } from "../../src/convex/linear/random.js";

/** Rows of length one, no two parallel, and targets. */
export interface Rows {
  readonly n: number;
  readonly d: number;
  readonly x: Float64Array; // [n x d]
  readonly y: Float64Array; // [n]
}

/** Rows on the sphere, with random targets of size one. */
export function makeUnitRows(n: number, d: number, seed: number): Rows {
  const draw = gaussianSource(seed);
  const x = Float64Array.from({ length: n * d }, draw);
  return { n, d, x: ofLengthOne(x, n, d), y: Float64Array.from({ length: n }, draw) };
}

/** In the numbers of float32, so that tensors of them are the same rows. */
export function ofLengthOne(x: Float64Array, n: number, d: number): Float64Array {
  const out = new Float64Array(n * d);
  for (let k = 0; k < n; k++) {
    const length = Math.hypot(...x.subarray(k * d, (k + 1) * d));
    for (let p = 0; p < d; p++) out[k * d + p] = Math.fround(x[k * d + p] / length);
  }
  return out;
}

export interface Run {
  readonly errors: Float64Array; // [steps + 1]: |f(x) - y|^2
  readonly residual: Float64Array; // [n]: f(x) - y at the start
  /** The largest move of a neuron, over the length of its weights at the start. */
  readonly moved: number;
}

/** f(x) = m^-1/2 sum_r a_r (w_r'x)_+ with a_r = -1 or 1 fixed; descent on 1/2 |f(x) - y|^2 in w. */
export function runWide({ n, d, x, y }: Rows, m: number, stepSize: number, steps: number, seed: number): Run {
  const draw = gaussianSource(seed);
  const w = Float64Array.from({ length: m * d }, draw);
  const start = w.slice();
  const a = Float64Array.from({ length: m }, () => (draw() < 0 ? -1 : 1) / Math.sqrt(m));
  const open = new Uint8Array(m * n);
  const errors = new Float64Array(steps + 1);
  const residual = new Float64Array(n);
  for (let step = 0; step <= steps; step++) {
    const r = y.map((value) => -value);
    for (let j = 0; j < m; j++) {
      for (let k = 0; k < n; k++) {
        let sum = 0;
        for (let p = 0; p < d; p++) sum += w[j * d + p] * x[k * d + p];
        open[j * n + k] = sum > 0 ? 1 : 0;
        if (sum > 0) r[k] += a[j] * sum;
      }
    }
    if (step === 0) residual.set(r);
    errors[step] = r.reduce((sum, value) => sum + value * value, 0);
    for (let j = 0; j < m; j++) {
      for (let k = 0; k < n; k++) {
        if (open[j * n + k] === 0) continue;
        const pull = stepSize * a[j] * r[k];
        for (let p = 0; p < d; p++) w[j * d + p] -= pull * x[k * d + p];
      }
    }
  }
  let moved = 0;
  for (let j = 0; j < m; j++) {
    let [by, length] = [0, 0];
    for (let p = j * d; p < (j + 1) * d; p++) {
      by += (w[p] - start[p]) ** 2;
      length += start[p] ** 2;
    }
    moved = Math.max(moved, Math.sqrt(by / length));
  }
  return { errors, residual, moved };
}
