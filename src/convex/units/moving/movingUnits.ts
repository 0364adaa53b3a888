/** The objective of polynomial units under a smooth loss, as a function of their vectors and the output bias, and its gradient. */

import type { Kernels } from "../../kernels/types.js";
import type { Objective } from "../../linear/lbfgs.js";
import { norm } from "../../linear/vectors.js";
import type { Polynomial } from "../hiddenUnits.js";
import type { PlacedData } from "../problem.js";
import { type Standing, standingAt } from "./standing.js";
import type { UnitPoint } from "./unitPoint.js";

/** The objective of units at a point, as a function of the vectors and the bias. */
export class MovingUnits {
  readonly start: Float64Array; // [m d + C]
  private readonly standing: readonly Standing[];
  private readonly lengths: Float64Array; // [m]
  private readonly Z: Float64Array;
  private readonly N: Float64Array;

  constructor(
    private readonly problem: PlacedData,
    activation: Polynomial,
    private readonly beta: number,
    kernels: Kernels,
    private readonly point: UnitPoint,
  ) {
    const { places, loss } = problem;
    const C = loss.outputs;
    const { signs, feeds } = point;
    this.start = new Float64Array(point.P.length + C);
    this.start.set(point.P);
    this.start.set(point.bias, point.P.length);
    const outputs = feeds.map((feed) => feed % C);
    this.standing = places.list.flatMap((place, a): Standing[] => {
      const units = feeds.flatMap((feed, j) => (Math.floor(feed / C) === a ? [j] : []));
      return units.length > 0 ? [standingAt(place, { activation, units, signs, outputs, C }, kernels)] : [];
    });
    this.lengths = new Float64Array(signs.length);
    this.Z = new Float64Array(loss.rows * C);
    this.N = new Float64Array(this.Z.length);
  }

  outputs(): { value: number; Z: Float64Array } {
    return { value: this.forward(this.start), Z: this.Z };
  }

  pointAt(theta: Float64Array): UnitPoint {
    const size = this.point.P.length;
    return { ...this.point, P: theta.slice(0, size), bias: theta.slice(size) };
  }

  readonly objective: Objective = (theta, gradient) => {
    const { loss, outputBias } = this.problem;
    const { Z, N, lengths } = this;
    const C = loss.outputs;
    const value = this.forward(theta);
    loss.gradient(Z, N);
    for (const standing of this.standing) standing.back(theta, lengths, N, gradient);
    const after = this.point.P.length;
    for (let p = 0; p < after; p++) gradient[p] += 2 * this.beta * theta[p];
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

  /** Lengths, Z, and the objective at theta. */
  private forward(theta: Float64Array): number {
    const { places, loss, outputBias } = this.problem;
    const { Z, lengths } = this;
    const C = loss.outputs;
    const after = this.point.P.length;
    for (let k = 0; k < Z.length; k++) Z[k] = theta[after + (k % C)];
    let value = 0;
    for (let j = 0; j < lengths.length; j++) {
      lengths[j] = norm(theta.subarray(j * places.d, (j + 1) * places.d));
      value += this.beta * lengths[j] ** 2;
    }
    for (const standing of this.standing) standing.add(theta, lengths, Z);
    if (outputBias !== null) for (let o = 0; o < C; o++) value += outputBias.ridge * theta[after + o] ** 2;
    return value + loss.value(Z);
  }
}
