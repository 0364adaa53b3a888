/**
 * The system of `splitting`: (r A'A + M) x = R with M = I + w X'X for every vector, without cones M = I, by way of n rows (Woodbury's formula):
 *
 *   x = M^-1 (R - A'W),   Q W = A M^-1 R,   Q = I / r + A M^-1 A' + g^2 1 1',
 *
 * the last for the output bias, a column of A of ones whose part of M is 1 / g^2. A M^-1 A' = 2 (X M^-1 X') o sum_i D_i D_i' (without
 * cones once that), the same for every output and whatever the scale of the weights, so that it is factored once. Beyond FACTORED_ROWS
 * rows conjugate gradients with products on the engine solve for what W moves by; what they leave is asked for once more by the next system.
 */

import { hostCones } from "../../kernels/hostCones.js";
import type { CholeskyFactor, ConeIterate, ConeSystem } from "../../kernels/types.js";
import { eachActive } from "../../linear/bits.js";
import { conjugateGradients } from "../../linear/conjugateGradients.js";
import { inTurns } from "../../linear/pieces.js";
import { addColumnSums, dotAt, LEAST } from "../../linear/vectors.js";
import type { GateSet } from "../../types.js";
import type { Setting } from "../solver.js";
import { denseSystem, inverseOf, sharedMatrix } from "./matrices.js";

/** Rows up to which Q has a factor, half a second that nothing can interrupt, and up to which a device has its inverse, which the host makes. */
const FACTORED_ROWS = 2000;
const INVERTED_ROWS = 1500;
/** r of the outputs times the largest eigenvalue of X'X, against 1 of the blocks. */
const OUTPUT_WEIGHT = 5;
/** Of conjugate gradients: relative residual, and steps after which the next system may as well take over. */
const RESIDUAL = 0.02;
const MOST_STEPS = 12;

/** Blocks on the engine, and the solution of the system. */
export class SplittingSystem {
  private readonly left: Float64Array; // of the last system
  private readonly W: Float64Array;
  private readonly image: Float64Array; // Q W

  private constructor(
    readonly iterate: ConeIterate,
    readonly outputWeight: number, // r
    readonly biasScale: number, // g^2
    private readonly outputs: number,
    private readonly ofBias: Float64Array, // Q^-1 1 [n], where the engine solves the rest at the end of `gather`; else empty
    private readonly factor: CholeskyFactor | null,
    private readonly diagonal: Float64Array, // of Q
  ) {
    const size = diagonal.length * outputs;
    [this.left, this.W, this.image] = [0, 1, 2].map(() => new Float64Array(size));
  }

  /** Null where rounding made M or Q indefinite, or where a pause said that time is up. */
  static async of(setting: Setting, factoredRows = FACTORED_ROWS): Promise<SplittingSystem | null> {
    const { program, products, kernels, pause } = setting;
    const { X, gates, loss, outputBias, cones } = program;
    const { rows: n, cols: d } = X;
    const shared = await inTurns(sharedMatrix(X, kernels, cones), pause);
    if (shared === null) return null;
    const { largest, Y, sides } = shared;
    const outputWeight = OUTPUT_WEIGHT / largest;

    const diagonal = openCounts(gates);
    for (let k = 0; k < n; k++) diagonal[k] *= sides * dotAt(X.data, k * d, Y.data, k * d, d);
    const mean = diagonal.reduce((sum, value) => sum + value, 0) / n;
    const biasScale = outputBias === null ? 0 : Math.max(mean, LEAST);
    for (let k = 0; k < n; k++) diagonal[k] += 1 / outputWeight + biasScale;
    let factor: CholeskyFactor | null = null;
    if (n <= factoredRows) {
      const Q = await inTurns(denseSystem(setting, Y, 1 / outputWeight, biasScale), pause);
      factor = Q === null ? null : kernels.cholesky(Q, n);
      if (factor === null) return null;
    }
    const invert = kernels.iterateCones !== undefined && n <= INVERTED_ROWS ? factor : null;
    const inverse = invert === null ? null : await inTurns(inverseOf(invert, n), pause);
    if (invert !== null && inverse === null) {
      invert.dispose();
      return null;
    }
    const solution = inverse === null ? null : Float32Array.from(inverse);
    const ofBias = new Float64Array(invert === null ? 0 : n).fill(1);
    invert?.solve(ofBias, 1);
    const outer =
      solution === null || loss.terms === undefined ? null : { terms: loss.terms, outputWeight, biasScale, ofBias };
    const { weight, inverse: inner } = shared;
    const system: ConeSystem = { sides, weight, inverse: inner, Y, solution, outer };
    try {
      const iterate =
        kernels.iterateCones === undefined
          ? hostCones(kernels, products, X, gates, loss.outputs, system)
          : await kernels.iterateCones(X, gates, loss.outputs, system);
      return new SplittingSystem(iterate, outputWeight, biasScale, loss.outputs, ofBias, factor, diagonal);
    } catch (error) {
      factor?.dispose();
      throw error;
    }
  }

  /** W of U and of what the bias pulls, g^2 times its own right side [C]; `left` := Q W less the right side, negated. */
  async solve(U: Float64Array, biasPull: Float64Array, pause: () => Promise<boolean>): Promise<SystemSolution> {
    const { iterate, W, left, image, factor, outputs: C } = this;
    const right = new Float64Array(W.length);
    await iterate.gather(U, right);
    const solved = this.ofBias.length > 0;
    if (this.biasScale > 0) {
      for (let k = 0; k < right.length; k++)
        right[k] += biasPull[k % C] * (solved ? this.ofBias[Math.floor(k / C)] : 1);
    }
    if (solved) return { W: right, left };
    if (factor !== null) {
      factor.solve(right, C);
      return { W: right, left };
    }
    for (let k = 0; k < W.length; k++) left[k] = right[k] - image[k];
    await this.reduce(pause);
    for (let k = 0; k < W.length; k++) image[k] = right[k] - left[k];
    return { W, left };
  }

  /** The weight with which a move of the outputs counts as it does in a loss of this curvature. */
  weightFor(curvature: number): number {
    return (OUTPUT_WEIGHT * curvature) / this.outputWeight;
  }

  dispose(): void {
    this.factor?.dispose();
    this.iterate.dispose();
  }

  /** W += what takes `left` down to a share of itself, with the diagonal as preconditioner. */
  private async reduce(pause: () => Promise<boolean>): Promise<void> {
    const { W, left, diagonal, outputs: C } = this;
    const move = left.slice();
    const system = {
      multiply: (V: Float64Array, out: Float64Array) => this.multiply(V, out),
      precondition: (V: Float64Array) => {
        for (let k = 0; k < V.length; k++) V[k] /= diagonal[Math.floor(k / C)];
      },
    };
    await conjugateGradients(move, RESIDUAL, pause, system, left, MOST_STEPS);
    for (let k = 0; k < W.length; k++) W[k] += move[k];
  }

  /** out := Q V. */
  private async multiply(V: Float64Array, out: Float64Array): Promise<void> {
    await this.iterate.curvature(V, out);
    for (let k = 0; k < V.length; k++) out[k] += V[k] / this.outputWeight;
    if (this.biasScale > 0) addColumnSums(this.biasScale, V, out, this.outputs);
  }
}

export interface SystemSolution {
  readonly W: Float64Array; // [n x C]
  /** The right side less Q W: 0 where there is a factor. */
  readonly left: Float64Array;
}

/** How many gates are open on each row, [n]. */
function openCounts(gates: GateSet): Float64Array {
  const counts = new Float64Array(gates.rows);
  for (let i = 0; i < gates.count; i++) {
    eachActive(gates, i, (row) => {
      counts[row] += 1;
    });
  }
  return counts;
}
