/** The objective of polynomial units under a smooth loss, as a function of their vectors and the output bias, and its gradient. */

import type { Kernels } from "../kernels/types.js";
import type { Objective } from "../linear/lbfgs.js";
import { norm } from "../linear/vectors.js";
import type { Matrix } from "../types.js";
import type { Polynomial } from "./hiddenUnits.js";
import type { PlacedData } from "./problem.js";
import type { UnitPoint } from "./unitPoint.js";

/** The units of one place. */
interface Standing {
  readonly X: Matrix; // [n window x d]
  readonly units: readonly number[];
  readonly P: Float64Array; // [units x d], their vectors, and then their gradients
  readonly T: Float64Array; // [units x n window], P X', and then what it is multiplied by
}

/** The objective of units at a point, as a function of the vectors and the bias. */
export class MovingUnits {
  readonly start: Float64Array; // [m d + C]
  private readonly standing: readonly Standing[];
  private readonly Z: Float64Array;
  private readonly N: Float64Array;

  constructor(
    private readonly problem: PlacedData,
    private readonly activation: Polynomial,
    private readonly beta: number,
    private readonly kernels: Kernels,
    private readonly point: UnitPoint,
  ) {
    const { places, loss } = problem;
    this.start = new Float64Array(point.P.length + loss.outputs);
    this.start.set(point.P);
    this.start.set(point.bias, point.P.length);
    this.standing = places.rows.flatMap((X, a): Standing[] => {
      const units = point.feeds.flatMap((feed, j) => (Math.floor(feed / loss.outputs) === a ? [j] : []));
      if (units.length === 0) return [];
      const [P, T] = [X.cols, X.rows].map((size) => new Float64Array(units.length * size));
      return [{ X, units, P, T }];
    });
    this.Z = new Float64Array(loss.rows * loss.outputs);
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
    const { loss, outputBias } = this.problem;
    const { Z, N } = this;
    const C = loss.outputs;
    const { value, lengths } = this.forward(theta);
    loss.gradient(Z, N);
    for (const standing of this.standing) this.back(standing, theta, lengths, gradient);
    const after = this.point.P.length;
    for (let o = 0; o < C; o++) {
      let sum = 0;
      if (outputBias !== null) {
        for (let k = o; k < N.length; k += C) sum += N[k];
        sum += 2 * outputBias.ridge * theta[after + o];
      }
      gradient[after + o] = sum;
    }
    return value;
  };

  /** The gradient by the vectors of one place; T is overwritten. */
  private back({ X, units, P, T }: Standing, theta: Float64Array, lengths: Float64Array, gradient: Float64Array): void {
    const { places, loss } = this.problem;
    const { window } = places;
    const { rows, cols: d, data } = X;
    const { signs, feeds } = this.point;
    const { a, b, c } = this.activation;
    const { N } = this;
    const C = loss.outputs;
    const along = new Float64Array(units.length); // what p itself is multiplied by
    units.forEach((j, i) => {
      const r = lengths[j];
      const output = feeds[j] % C;
      let turned = 0;
      let total = 0;
      let to = i * rows;
      for (let k = 0; k < loss.rows; k++) {
        const nu = N[k * C + output] / window;
        for (let t = 0; t < window; t++, to++) {
          turned += nu * T[to];
          total += nu;
          T[to] = signs[j] * nu * (2 * a * T[to] + b * r);
        }
      }
      along[i] = 2 * this.beta + signs[j] * (2 * c * total + (r > 0 ? (b * turned) / r : 0));
    });
    this.kernels.multiply(T, data, P, units.length, rows, d);
    units.forEach((j, i) => {
      for (let p = 0; p < d; p++) gradient[j * d + p] = P[i * d + p] + along[i] * theta[j * d + p];
    });
  }

  /** T = P X' at every place, Z, and the objective at theta. */
  private forward(theta: Float64Array): { value: number; lengths: Float64Array } {
    const { places, loss, outputBias } = this.problem;
    const { window } = places;
    const { signs, feeds } = this.point;
    const { a, b, c } = this.activation;
    const { Z } = this;
    const C = loss.outputs;
    const after = this.point.P.length;
    const lengths = new Float64Array(signs.length);
    for (let k = 0; k < Z.length; k++) Z[k] = theta[after + (k % C)];
    let value = 0;
    for (const { X, units, P, T } of this.standing) {
      const { rows, cols: d, data } = X;
      units.forEach((j, i) => {
        P.set(theta.subarray(j * d, (j + 1) * d), i * d);
      });
      this.kernels.multiplyTransposed(P, data, T, units.length, d, rows);
      units.forEach((j, i) => {
        const r = norm(theta.subarray(j * d, (j + 1) * d));
        lengths[j] = r;
        value += this.beta * r * r;
        const output = feeds[j] % C;
        let from = i * rows;
        for (let k = 0; k < loss.rows; k++) {
          let sum = 0;
          for (let t = 0; t < window; t++, from++) sum += (a * T[from] + b * r) * T[from];
          Z[k * C + output] += signs[j] * (sum / window + c * r * r);
        }
      });
    }
    if (outputBias !== null) for (let o = 0; o < C; o++) value += outputBias.ridge * theta[after + o] ** 2;
    return { value: value + loss.value(Z), lengths };
  }
}
