/**
 * Systems of `admm` by the columns of A [n x m], where these are fewer than its rows: with B = [A, g 1] (Woodbury)
 *
 *   M^-1 b = (b - B q) / s,   (B'B + s I) q = B'b,   M = B B' + s I,
 *
 * where q = B' M^-1 b is what the solver asks for next. B'B is made once for a set of gates. Pooled patches have few columns:
 * each gate and position has as many as a filter has entries.
 */

import type { CholeskyFactor } from "../../kernels/types.js";
import { columnSums } from "../../linear/vectors.js";
import { blockOutputs, everyVector } from "../../operators/blocks.js";
import type { Setting } from "../solver.js";

/** Numbers of a tile of A'. */
const TILE = 2 ** 23;

export class ColumnSystem {
  private readonly C: number;
  private readonly d: number;
  private readonly A: number; // positions
  private readonly strips: number; // of A', d rows each: one for each gate and position
  private readonly size: number; // m + 1
  private readonly gram: Float64Array; // [size x size], lower: B'B
  private readonly all: ReturnType<typeof everyVector>;

  private constructor(
    private readonly setting: Setting,
    readonly gates: Int32Array,
    private readonly bias: number, // g
  ) {
    const { loss, X } = setting.program;
    this.C = loss.outputs;
    this.d = X.cols;
    this.A = blockOutputs(setting.program) / this.C;
    this.strips = gates.length * this.A;
    this.size = this.strips * this.d + 1;
    this.gram = new Float64Array(this.size ** 2);
    this.all = everyVector(gates, this.A * this.C);
  }

  /** Makes B'B, one tile against another; null when time is up. */
  static async of(setting: Setting, gates: Int32Array, bias: number, tile = TILE): Promise<ColumnSystem | null> {
    const system = new ColumnSystem(setting, gates, bias);
    const { d, size, gram, strips } = system;
    const { rows: n } = setting.program.loss;
    const most = Math.max(1, Math.floor(tile / (d * n)));
    for (let from = 0; from < strips; from += most) {
      const left = system.tile(from, most);
      for (let other = 0; other <= from; other += most) {
        const right = other === from ? left : system.tile(other, most);
        const rows = left.length / n;
        const cols = right.length / n;
        const product = new Float64Array(rows * cols);
        setting.kernels.multiplyTransposed(left, right, product, rows, n, cols);
        for (let k = 0; k < rows; k++) {
          gram.set(product.subarray(k * cols, (k + 1) * cols), (from * d + k) * size + other * d);
        }
        if (await setting.pause()) return null;
      }
    }
    return system;
  }

  /** A factor of B'B + s I; null when rounding made it indefinite. */
  factor(shift: number): CholeskyFactor | null {
    const { gram, size, setting } = this;
    const diagonal = Float64Array.from({ length: size }, (_, k) => gram[k * (size + 1)]);
    for (let k = 0; k < size; k++) gram[k * (size + 1)] += shift;
    const factor = setting.kernels.cholesky(gram, size);
    for (let k = 0; k < size; k++) gram[k * (size + 1)] = diagonal[k];
    return factor;
  }

  /** b := M^-1 b, b [n x C], and moves [strips x C x d] := A' M^-1 b, given the factor. */
  solve(factor: CholeskyFactor, shift: number, b: Float64Array, moves: Float64Array): void {
    const { C, d, size, gates, bias, all } = this;
    const { products } = this.setting;
    products.adjoint(b, C, gates, moves);
    const q = new Float64Array(size * C);
    // Entry p of vector (strip, c) stands in row (strip, p) and column c.
    const place = (at: number) => (Math.floor(at / (C * d)) * d + (at % d)) * C + (Math.floor(at / d) % C);
    for (let at = 0; at < moves.length; at++) q[place(at)] = moves[at];
    const sums = columnSums(b, C).map((sum) => bias * sum);
    q.set(sums, (size - 1) * C);
    factor.solve(q, C);
    for (let at = 0; at < moves.length; at++) moves[at] = q[place(at)];
    const seen = new Float64Array(b.length);
    products.forward(all.gate, all.output, all.sign, moves, C, seen);
    const constant = q.slice((size - 1) * C);
    for (let k = 0; k < b.length; k++) b[k] = (b[k] - seen[k] - bias * constant[k % C]) / shift;
  }

  /** Up to `most` strips from one on, [d each x n], behind the last of all g 1'. */
  private tile(from: number, most: number): Float64Array {
    const { d, A, strips, gates, bias, size, setting } = this;
    const { rows: n } = setting.program.loss;
    const end = from + most < strips ? (from + most) * d : size;
    const tile = new Float64Array((end - from * d) * n).fill(bias);
    const identity = new Float64Array(d * d);
    for (let p = 0; p < d; p++) identity[p * (d + 1)] = 1;
    for (let strip = from; strip < Math.min(from + most, strips); strip++) {
      const out = tile.subarray((strip - from) * d * n, (strip - from + 1) * d * n);
      setting.products.rows(gates[Math.floor(strip / A)], identity, d, out, strip % A);
    }
    return tile;
  }
}
