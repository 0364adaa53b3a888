/** Any smooth loss in orthonormal coordinates of its outputs, the output bias being left at its best. */

import type { Kernels } from "../../../kernels/types.js";
import { dot, dotAt } from "../../../linear/vectors.js";
import { minimiseOverBias } from "../../../operators/outputBias.js";
import type { Loss, OutputBias } from "../../../types.js";
import { type InteriorLoss, type InteriorProblem, isWellInside, type Pause } from "../cones.js";
import { atBestBias, independentInverse, times } from "./algebra.js";
import { type Coordinates, coordinatesOf } from "./coordinates.js";
import { leastLoss } from "./leastLoss.js";
import type { EntryProgram } from "./program.js";

/** What stands for curvature in directions that have none, of the most that there is: tried in turn. */
const RIDGES = [0, 1e-12, 1e-9];

/** Null where the loss has no gradient as small as the charge asks for, and when time is up. */
export async function curvedProgram(
  problem: InteriorProblem,
  kernels: Kernels,
  pause: Pause,
): Promise<EntryProgram | null> {
  const { forms, loss, outputBias } = problem;
  const centred = outputBias !== null && outputBias.ridge === 0;
  const coordinates = await coordinatesOf(forms, centred, kernels, pause);
  if (coordinates === null) return null;
  const { size, grams, means } = coordinates;
  const turned = new TurnedLoss(loss, outputBias, coordinates, kernels);
  const slopeAt = (t: Float64Array) => {
    const slope = new Float64Array(size);
    turned.gradient(t, slope);
    return slope;
  };
  const steps = {
    value: (t: Float64Array) => turned.value(t),
    newton: async (t: Float64Array) => {
      const inverse = turned.inverseHessian(t);
      return inverse && times(inverse, slopeAt(t));
    },
    gradient: (t: Float64Array) => slopeAt(t).map((entry) => entry / loss.curvature),
    // Of classes that forms can part the loss has no least value; far enough out its gradient is as small as is asked for.
    enough: (t: Float64Array) => isWellInside(problem, grams.matrix(slopeAt(t)), kernels),
  };
  const best = await leastLoss(size, steps, pause);
  if (best === null) return null;
  const outputsAt = (theta: Float64Array) => {
    const { Z, bias } = turned.outputsAt(grams.turned(theta));
    return { Z, bias: bias - dot(means, theta) };
  };
  return { loss: turned, grams, ...{ best, outputsAt }, rowsAt: (t) => turned.outputsAt(t).Z };
}

class TurnedLoss implements InteriorLoss {
  readonly rows: number;
  readonly curvature = 1;
  private readonly room: Float64Array; // [n x p]
  private readonly N: Float64Array; // [n]

  constructor(
    private readonly loss: Loss,
    private readonly outputBias: OutputBias | null,
    private readonly coordinates: Coordinates,
    private readonly kernels: Kernels,
  ) {
    this.rows = coordinates.size;
    this.room = new Float64Array(coordinates.Q.length);
    this.N = new Float64Array(loss.rows);
  }

  /** Outputs [n], and their bias. */
  outputsAt(t: Float64Array): { readonly Z: Float64Array; readonly bias: number } {
    const { loss, outputBias, rows: p } = this;
    const { Q } = this.coordinates;
    const Z = Float64Array.from({ length: loss.rows }, (_, k) => dotAt(Q, k * p, t, 0, p));
    const bias = outputBias === null ? 0 : minimiseOverBias(loss, Z, outputBias)[0];
    for (let k = 0; k < Z.length; k++) Z[k] += bias;
    return { Z, bias };
  }

  value(t: Float64Array): number {
    const { Z, bias } = this.outputsAt(t);
    return this.loss.value(Z) + (this.outputBias?.ridge ?? 0) * bias * bias;
  }

  gradient(t: Float64Array, out: Float64Array): void {
    const { N, rows: p } = this;
    const { Q } = this.coordinates;
    this.loss.gradient(this.outputsAt(t).Z, N);
    out.fill(0);
    for (let k = 0; k < N.length; k++) for (let f = k * p, i = 0; i < p; f++, i++) out[i] += N[k] * Q[f];
  }

  /** Ones: the Hessian is what `inverseHessian` inverts. */
  hessianDiagonal(_: Float64Array, out: Float64Array): void {
    out.fill(1);
  }

  inverseHessian(t: Float64Array): Float64Array | null {
    const { loss, outputBias, room, kernels, rows: p } = this;
    const { Q } = this.coordinates;
    const weights = new Float64Array(loss.rows);
    loss.hessianDiagonal(this.outputsAt(t).Z, weights);
    const sums = new Float64Array(p);
    let total = 2 * (outputBias?.ridge ?? 0);
    for (let k = 0; k < weights.length; k++) {
      const root = Math.sqrt(Math.max(0, weights[k]));
      total += weights[k];
      for (let f = k * p, i = 0; i < p; f++, i++) {
        room[f] = root * Q[f];
        sums[i] += weights[k] * Q[f];
      }
    }
    const G = new Float64Array(p * p);
    kernels.addOuter(G, room, p, weights.length, 1);
    atBestBias(G, sums, outputBias === null || total === 0 ? Number.POSITIVE_INFINITY : total);
    let most = 0;
    for (let i = 0; i < p; i++) most = Math.max(most, G[i * p + i]);
    for (const share of RIDGES) {
      for (let i = 0; i < p; i++) G[i * p + i] += share * most;
      const inverse = independentInverse(G, p, kernels);
      if (inverse !== null) return inverse;
    }
    return null;
  }
}
