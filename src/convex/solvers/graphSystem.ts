/**
 * The systems of `admm`: M = A A' + g^2 1 1' + s I over the gates of a working set, A A' = sum_i D_i K D_i [n x n].
 *
 * Up to DENSE_ROWS rows M has a Cholesky factor. Beyond, conjugate gradients solve each system to a rough residual, from
 * s I and a partial Cholesky factor as preconditioner; what they leave is asked for once more by the next system.
 */

import { unpackPattern } from "../arrangements/bits.js";
import type { CholeskyFactor } from "../kernels/types.js";
import { addColumnSums, LEAST } from "../vectors.js";
import { conjugateGradients } from "./conjugateGradients.js";
import { DENSE_ROWS, woodbury } from "./newtonSystem.js";
import { LEAST_RANK, largestRank, MAX_ENTRIES, partialCholesky, sketchCost } from "./partialCholesky.js";
import type { Setting } from "./solver.js";

/** Relative residual of the conjugate gradients. */
const RESIDUAL = 0.1;
/** Steps after which the next system may as well take over. */
const MOST_STEPS = 6;
/** The first partial factor costs at most as much as some products. */
const SKETCH_PRODUCTS = 10;
/** Steps at or below which more columns would save nothing. */
const FEW_STEPS = 3;

export class GraphSystem {
  private readonly n: number;
  private readonly C: number;
  private readonly d: number;
  private factor: CholeskyFactor | null = null; // of M, or of what is near it
  private gates: Int32Array = new Int32Array(0);
  private shift = 0; // s
  private biasScale = 0; // g^2
  private rank = 0; // of the partial factor; 0: not chosen yet
  private steps = FEW_STEPS; // of the last conjugate gradients
  private spent = 0; // multiplications that they took since the partial factor was made

  constructor(private readonly setting: Setting) {
    const { loss, X } = setting.program;
    this.n = loss.rows;
    this.C = loss.outputs;
    this.d = X.cols;
  }

  /** True when `prepare` is asked for before the next solve. */
  get stale(): boolean {
    return this.factor === null;
  }

  /** The mean diagonal of A A' over these gates. */
  meanDiagonal(gates: Int32Array): number {
    const { n, d, setting } = this;
    const { X, gates: all } = setting.program;
    const mask = new Float64Array(n);
    const counts = new Float64Array(n);
    for (const gate of gates) {
      unpackPattern(all, gate, 1, mask);
      for (let k = 0; k < n; k++) counts[k] += mask[k];
    }
    let trace = 0;
    for (let k = 0; k < n; k++) {
      let square = 0;
      for (let p = k * d; p < (k + 1) * d; p++) square += X.data[p] ** 2;
      trace += counts[k] * square;
    }
    return Math.max(trace / n, LEAST);
  }

  /** Factors M, or what is near it. False when rounding made it indefinite. */
  prepare(gates: Int32Array, shift: number, biasScale: number): boolean {
    this.drop();
    this.gates = gates;
    this.shift = shift;
    this.biasScale = biasScale;
    this.factor = this.n <= DENSE_ROWS ? this.dense() : this.sketch();
    return this.factor !== null;
  }

  /** Forgets the factor: the gates or the shift will be others. */
  drop(): void {
    if (this.factor !== null && this.steps <= 1) this.rank = Math.max(LEAST_RANK, this.rank / 2);
    this.factor?.dispose();
    this.factor = null;
  }

  /**
   * b := M^-1 b, b [n x C], or near it: then `left` gets what is left of b. Stale afterwards when a larger partial factor would
   * have been cheaper.
   */
  async solve(b: Float64Array, left: Float64Array): Promise<void> {
    const { factor, n, C } = this;
    if (factor === null) return;
    if (n <= DENSE_ROWS) {
      factor.solve(b, C);
      return;
    }
    const multiply = this.product();
    const precondition = (x: Float64Array) => factor.solve(x, C);
    let steps = 0;
    const enough = async () => (await this.setting.pause()) || ++steps >= MOST_STEPS;
    this.steps = await conjugateGradients(b, RESIDUAL, enough, { multiply, precondition }, left);
    this.spent += this.steps * this.productCost();
    if (this.steps > FEW_STEPS && this.mayHold(2 * this.rank) && this.spent > this.sketchCost(2 * this.rank)) {
      this.rank *= 2;
      this.drop();
    }
  }

  private product(): (x: Float64Array, out: Float64Array) => void {
    const { C, d, gates, shift, biasScale, setting } = this;
    const { products } = setting;
    const count = gates.length * C;
    const gate = Int32Array.from({ length: count }, (_, k) => gates[Math.floor(k / C)]);
    const output = Int32Array.from({ length: count }, (_, k) => k % C);
    const sign = new Float64Array(count).fill(1);
    const between = new Float64Array(count * d);
    return (x, out) => {
      products.adjoint(x, C, gates, between);
      products.forward(gate, output, sign, between, C, out);
      for (let k = 0; k < x.length; k++) out[k] += shift * x[k];
      if (biasScale > 0) addColumnSums(biasScale, x, out, C);
    };
  }

  private dense(): CholeskyFactor | null {
    const { n, gates, shift, biasScale, setting } = this;
    const M = new Float64Array(n * n);
    setting.products.addMaskedGram(M, gates, new Float64Array(gates.length).fill(1));
    for (let k = 0; k < n; k++) {
      if (biasScale > 0) for (let j = 0; j <= k; j++) M[k * n + j] += biasScale;
      M[k * n + k] += shift;
    }
    return setting.kernels.cholesky(M, n);
  }

  private sketch(): CholeskyFactor | null {
    const { n, gates: all, shift, biasScale, setting } = this;
    if (this.rank === 0) {
      const goal = SKETCH_PRODUCTS * this.productCost();
      this.rank = largestRank((rank) => this.mayHold(rank) && this.sketchCost(rank) <= goal);
    }
    this.spent = 0;
    const { X, gates } = setting.program;
    // A share of the gates, each for several, where the masks of all would be many.
    const step = Math.ceil((all.length * n) / MAX_ENTRIES);
    const list = all.filter((_, k) => k % step === 0);
    const weights = new Float64Array(list.length).fill(all.length / list.length);
    const T = new Float64Array(n).fill(shift);
    const rows = new Float64Array(biasScale > 0 ? n : 0).fill(Math.sqrt(biasScale));
    const curvature = {
      X,
      gates,
      list,
      weights,
      rows,
      rowCount: rows.length / n,
    };
    const { rows: F, rowCount } = partialCholesky(curvature, T, this.rank, setting.kernels);
    return woodbury(T, F, rowCount, n, setting.kernels);
  }

  private mayHold(rank: number): boolean {
    return rank * this.n <= Math.min(MAX_ENTRIES, this.n ** 2);
  }

  /** Multiplications of a product with A A', and of a partial factor. */
  private productCost(): number {
    return 2 * this.n * this.d * this.gates.length * this.C;
  }

  private sketchCost(rank: number): number {
    return sketchCost(rank, this.n, this.d, this.gates.length);
  }
}
