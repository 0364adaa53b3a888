/** The objective of polynomial units under a smooth loss, as a function of their vectors and the output bias, and its gradient. */

import type { Kernels } from "../kernels/types.js";
import type { Objective } from "../linear/lbfgs.js";
import { norm } from "../linear/vectors.js";
import type { Polynomial } from "./hiddenUnits.js";
import type { UnitData } from "./problem.js";
import type { UnitPoint } from "./unitPoint.js";

/** The objective of units at a point, as a function of the vectors and the bias. */
export class MovingUnits {
  readonly start: Float64Array; // [m d + C]
  private readonly T: Float64Array; // [m x n]
  private readonly Z: Float64Array;
  private readonly N: Float64Array;

  constructor(
    private readonly problem: UnitData,
    private readonly activation: Polynomial,
    private readonly beta: number,
    private readonly kernels: Kernels,
    private readonly point: UnitPoint,
  ) {
    const { X, loss } = problem;
    this.start = new Float64Array(point.P.length + loss.outputs);
    this.start.set(point.P);
    this.start.set(point.bias, point.P.length);
    this.T = new Float64Array(point.signs.length * X.rows);
    this.Z = new Float64Array(X.rows * loss.outputs);
    this.N = new Float64Array(this.Z.length);
  }

  outputs(): { value: number; Z: Float64Array } {
    const { value } = this.forward(this.start);
    return { value, Z: this.Z };
  }

  pointAt(theta: Float64Array): UnitPoint {
    const size = this.point.P.length;
    return { ...this.point, P: theta.slice(0, size), bias: theta.slice(size) };
  }

  readonly objective: Objective = (theta, gradient) => {
    const { X, loss, outputBias } = this.problem;
    const { rows: n, cols: d, data } = X;
    const { signs, outputs } = this.point;
    const { a, b, c } = this.activation;
    const { T, Z, N } = this;
    const C = loss.outputs;
    const m = signs.length;
    const { value, lengths } = this.forward(theta);
    loss.gradient(Z, N);
    const along = new Float64Array(m); // what p itself is multiplied by
    for (let j = 0; j < m; j++) {
      const r = lengths[j];
      let turned = 0;
      let total = 0;
      for (let k = 0; k < n; k++) {
        const nu = N[k * C + outputs[j]];
        const t = T[j * n + k];
        turned += nu * t;
        total += nu;
        T[j * n + k] = signs[j] * nu * (2 * a * t + b * r);
      }
      along[j] = 2 * this.beta + signs[j] * (2 * c * total + (r > 0 ? (b * turned) / r : 0));
    }
    if (m > 0) this.kernels.multiply(T, data, gradient.subarray(0, m * d), m, n, d);
    for (let j = 0; j < m * d; j++) gradient[j] += along[Math.floor(j / d)] * theta[j];
    for (let o = 0; o < C; o++) {
      let sum = 0;
      if (outputBias !== null) {
        for (let k = o; k < n * C; k += C) sum += N[k];
        sum += 2 * outputBias.ridge * theta[m * d + o];
      }
      gradient[m * d + o] = sum;
    }
    return value;
  };

  /** T = P X', Z, and the objective at theta. */
  private forward(theta: Float64Array): { value: number; lengths: Float64Array } {
    const { X, loss, outputBias } = this.problem;
    const { rows: n, cols: d, data } = X;
    const { signs, outputs } = this.point;
    const { a, b, c } = this.activation;
    const { T, Z } = this;
    const C = loss.outputs;
    const m = signs.length;
    const lengths = new Float64Array(m);
    if (m > 0) this.kernels.multiplyTransposed(theta.subarray(0, m * d), data, T, m, d, n);
    for (let k = 0; k < n * C; k++) Z[k] = theta[m * d + (k % C)];
    let value = 0;
    for (let j = 0; j < m; j++) {
      const r = norm(theta.subarray(j * d, (j + 1) * d));
      lengths[j] = r;
      value += this.beta * r * r;
      for (let k = 0; k < n; k++) {
        const t = T[j * n + k];
        Z[k * C + outputs[j]] += signs[j] * (a * t * t + b * r * t + c * r * r);
      }
    }
    if (outputBias !== null) for (let o = 0; o < C; o++) value += outputBias.ridge * theta[m * d + o] ** 2;
    return { value: value + loss.value(Z), lengths };
  }
}
