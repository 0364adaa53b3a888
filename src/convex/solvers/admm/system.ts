/**
 * The systems of `admm`: M = A A' + g^2 1 1' + s I over the gates of a working set, A A' = sum_i D_i K D_i [n x n].
 *
 * Up to DENSE_ROWS rows M has a Cholesky factor; over patches A may have so few columns that these do instead (columnSystem.ts).
 * Beyond, conjugate gradients solve each system to a rough residual, from s I and a partial Cholesky factor as preconditioner;
 * what they leave is asked for once more by the next system. Their products may be in float32: `admm` renews what it keeps of them.
 */

import type { CholeskyFactor, GatedColumns } from "../../kernels/types.js";
import { eachActive } from "../../linear/bits.js";
import { conjugateGradients } from "../../linear/conjugateGradients.js";
import { inTurns } from "../../linear/pieces.js";
import { uniformSource } from "../../linear/random.js";
import { addColumnSums, norm } from "../../linear/vectors.js";
import { whereRoom } from "../../linear/whereRoom.js";
import { blockOutputs, everyVector, meanSquaredNorm } from "../../operators/blocks.js";
import type { ConvexProgram } from "../../types.js";
import type { Setting } from "../solver.js";
import {
  ColumnSystem,
  DENSE_ROWS,
  type Hidden,
  hiddenCurvature,
  LEAST_RANK,
  largestRank,
  partialCholesky,
  RankOneTerms,
  sketchCost,
  timesSquaredRows,
} from "../systems/index.js";
import { roughProducts, type StepProducts } from "./roughProducts.js";

/** Relative residual of the conjugate gradients. */
const RESIDUAL = 0.3;
/** Steps after which the next system may as well take over. */
const MOST_STEPS = 6;
/** The first partial factor costs at most as much as some products. */
const SKETCH_PRODUCTS = 35;
/** A larger one is made where steps are more than a few and it costs no more than so many solves with them. */
const FEW_STEPS = 3;
const SOLVES_AHEAD = 12;
/** What a factor in float32 may leave of a right side. */
const LEFT = 1e-3;
/** Entries of a partial factor (512 MB), and of the masks that it is made from. */
const MOST_ENTRIES = 2 ** 26;
const MASK_ENTRIES = 2 ** 25;

export class GraphSystem {
  private readonly n: number;
  private readonly C: number;
  private readonly d: number;
  private readonly positions: number;
  private factor: CholeskyFactor | null = null; // of M, or of what is near it
  private columns: ColumnSystem | null = null; // whose factor it is instead
  private sketch: Sketch | null = null; // the partial factor
  private gates: Int32Array = new Int32Array(0);
  private shift = 0; // s
  private biasScale = 0; // g^2
  private rank = 0; // of the partial factor; 0: not chosen yet
  private steps = FEW_STEPS; // of the last conjugate gradients
  private rough = false; // the factor is one in float32
  private failed = false; // one in float32 left too much

  constructor(
    private readonly setting: Setting,
    private readonly roughly: StepProducts | null = roughProducts(setting),
  ) {
    const { loss, X } = setting.program;
    this.n = loss.rows;
    this.C = loss.outputs;
    this.d = X.cols;
    this.positions = blockOutputs(setting.program) / this.C;
  }

  /** True when `prepare` is asked for before the next solve. */
  get stale(): boolean {
    return this.factor === null;
  }

  /** True where a solve leaves nothing that matters to the next. */
  get exact(): boolean {
    return isFactored(this.setting.program, this.gates.length);
  }

  /** True where what solves leave adds up, and is to be made anew. */
  get drifts(): boolean {
    return this.rough || !this.exact;
  }

  /** True where float32 has too few digits for this program. */
  get wantsDigits(): boolean {
    return this.failed;
  }

  /** Factors M, or what is near it. False when rounding made it indefinite, or time is up. */
  async prepare(gates: Int32Array, shift: number, biasScale: number): Promise<boolean> {
    this.drop();
    this.gates = gates;
    this.shift = shift;
    this.biasScale = biasScale;
    if (hasFewColumns(this.setting.program, gates.length)) {
      if (this.columns?.gates !== gates) {
        this.columns = null; // not two at a time
        this.columns = await ColumnSystem.of(this.setting, gates, Math.sqrt(biasScale));
      }
      this.factor = this.columns?.factor(shift) ?? null;
    } else {
      this.columns = null;
      this.factor = this.n <= DENSE_ROWS ? await this.dense() : this.sketched();
    }
    return this.factor !== null;
  }

  /** Forgets the factor: the gates or the shift will be others. */
  drop(): void {
    this.factor?.dispose();
    this.factor = null;
  }

  dispose(): void {
    this.drop();
    this.columns = null;
    this.sketch?.terms.dispose();
    this.sketch = null;
  }

  /**
   * b := M^-1 b, b [n x C], or near it: then `left` gets what is left of b; moves := A'b. Stale afterwards when a larger partial
   * factor would pay in the solves to come.
   */
  async solve(
    b: Float64Array,
    left: Float64Array,
    moves: Float64Array,
    products: StepProducts = this.setting.products,
  ): Promise<void> {
    const { factor, columns, shift, C } = this;
    if (factor === null) return;
    if (columns !== null) columns.solve(factor, shift, b, moves);
    else if (this.n > DENSE_ROWS) await this.iterate(factor, b, left, moves);
    else {
      factor.solve(b, C);
      products.adjoint(b, C, this.gates, moves);
    }
  }

  private async iterate(
    factor: CholeskyFactor,
    b: Float64Array,
    left: Float64Array,
    moves: Float64Array,
  ): Promise<void> {
    const { C } = this;
    const between = new Float64Array(moves.length);
    moves.fill(0);
    const size = norm(b) || 1; // float32 has no room for every unit of the targets
    for (let k = 0; k < b.length; k++) b[k] /= size;
    const system = {
      multiply: this.product(C, this.shift, between),
      precondition: (x: Float64Array) => factor.solve(x, C),
      moved: (alpha: number) => {
        for (let k = 0; k < moves.length; k++) moves[k] += alpha * size * between[k];
      },
    };
    let steps = 0;
    const enough = async () => (await this.setting.pause()) || ++steps >= MOST_STEPS;
    this.steps = await conjugateGradients(b, RESIDUAL, enough, system, left);
    for (const part of [b, left]) for (let k = 0; k < b.length; k++) part[k] *= size;
    const rank = 2 * this.rank;
    if (this.steps <= FEW_STEPS || !this.mayHold(rank)) return;
    if (this.sketchCost(rank) > SOLVES_AHEAD * this.steps * this.productCost()) return;
    this.rank = rank;
    this.drop();
  }

  /** out [n x C] := (A A' + g^2 1 1' + shift I) x, and between := A'x. */
  private product(C: number, shift: number, between: Float64Array): (x: Float64Array, out: Float64Array) => void {
    const { positions, gates, biasScale, setting } = this;
    const products = this.roughly ?? setting.products;
    const { gate, output, sign } = everyVector(gates, positions * C);
    return (x, out) => {
      products.adjoint(x, C, gates, between);
      products.forward(gate, output, sign, between, C, out);
      for (let k = 0; k < x.length; k++) out[k] += shift * x[k];
      if (biasScale > 0) addColumnSums(biasScale, x, out, C);
    };
  }

  private async dense(): Promise<CholeskyFactor | null> {
    const { n, gates, shift, biasScale, setting } = this;
    const { products, kernels, pause } = setting;
    this.rough = this.roughly !== null && !this.failed;
    const made = products.gatedFactor?.(gates, shift, biasScale, this.rough);
    if (made !== undefined) {
      const factor = await inTurns(made, pause);
      if (!this.rough || (factor !== null && this.solves(factor))) return factor;
      factor?.dispose();
      if (await pause()) return null;
      this.failed = true;
      return this.dense();
    }
    this.rough = false;
    const M = new Float64Array(n * n);
    products.addMaskedGram(M, gates, new Float64Array(gates.length).fill(1));
    for (let k = 0; k < n; k++) {
      if (biasScale > 0) for (let j = 0; j <= k; j++) M[k * n + j] += biasScale;
      M[k * n + k] += shift;
    }
    return kernels.cholesky(M, n);
  }

  /** Whether a factor in float32 leaves next to nothing of a right side; its error is that of all columns, which random signs show. */
  private solves(factor: CholeskyFactor): boolean {
    const { n, gates, positions, d } = this;
    const uniform = uniformSource(n);
    const b = Float64Array.from({ length: n }, () => (uniform() < 0.5 ? -1 : 1));
    const x = b.slice();
    factor.solve(x, 1);
    const image = new Float64Array(n);
    this.product(1, this.shift, new Float64Array(gates.length * positions * d))(x, image);
    const left = image.reduce((sum, value, k) => sum + (value - b[k]) ** 2, 0);
    return left <= LEFT ** 2 * n;
  }

  private sketched(): CholeskyFactor | null {
    const { shift, gates, sketch } = this;
    const fits = sketch !== null && sketch.gates === gates && sketch.rank === this.rank && shift >= sketch.least;
    if (!fits) {
      if (sketch !== null && sketch.gates !== gates && this.steps <= 1) this.rank = Math.max(LEAST_RANK, this.rank / 2);
      sketch?.terms.dispose();
      this.sketch = null; // not two at a time
      this.sketch = this.makeSketch();
    }
    return this.sketch?.terms.factor(shift) ?? null;
  }

  private makeSketch(): Sketch {
    const { n, shift, gates, setting } = this;
    if (this.rank === 0) {
      const goal = SKETCH_PRODUCTS * this.productCost();
      this.rank = largestRank((rank) => this.mayHold(rank) && this.sketchCost(rank) <= goal);
    }
    const { rank } = this;
    const pooled = setting.program.pooling != null;
    const counted = pooled ? null : this.counted();
    try {
      const hidden = counted ?? (pooled ? this.pooled() : this.masked());
      const T = new Float64Array(n).fill(shift);
      const { rows, rowCount } = partialCholesky(hidden, T, rank, setting.kernels, setting.late);
      const terms = new RankOneTerms(rows, rowCount, n, setting.kernels, this.roughly !== null);
      return { gates, rank, terms, least: rowCount < rank ? shift : 0 };
    } finally {
      counted?.dispose();
    }
  }

  /** A A' + g^2 1 1' where an engine counts the gates that two rows share. */
  private counted(): (Hidden & Pick<GatedColumns, "dispose">) | null {
    const { n, gates: list, biasScale, setting } = this;
    const { X, gates } = setting.program;
    const held = whereRoom(() => setting.products.gatedColumns?.(list, biasScale));
    if (held === null) return null;
    const diagonal = new Float64Array(n);
    for (const gate of list) {
      eachActive(gates, gate, (row) => {
        diagonal[row] += 1;
      });
    }
    timesSquaredRows(diagonal, X);
    return { ...held, diagonal: diagonal.map((value) => value + biasScale) };
  }

  /** The same by its masks. */
  private masked(): Hidden {
    const { n, gates: all, biasScale, setting } = this;
    const { X, gates } = setting.program;
    // A share of the gates, each for several, where the masks of all would be many.
    const step = Math.ceil((all.length * n) / MASK_ENTRIES);
    const list = all.filter((_, k) => k % step === 0);
    const weights = new Float64Array(list.length).fill(all.length / list.length);
    const rows = new Float64Array(biasScale > 0 ? n : 0).fill(Math.sqrt(biasScale));
    return hiddenCurvature({ X, gates, list, weights, rows, rowCount: rows.length / n }, n, setting);
  }

  /** The same over patches, by its products; no row is larger than the mean by much. */
  private pooled(): Hidden {
    const { n, gates, setting } = this;
    return {
      diagonal: new Float64Array(n).fill(gates.length * meanSquaredNorm(setting.program)),
      columns: (pivots, out) => {
        const b = pivots.length;
        const units = new Float64Array(n * b);
        pivots.forEach((j, s) => {
          units[j * b + s] = 1;
        });
        const columns = new Float64Array(n * b);
        this.product(b, 0, new Float64Array(gates.length * this.positions * b * this.d))(units, columns);
        for (let k = 0; k < n * b; k++) out[(k % b) * n + Math.floor(k / b)] = columns[k];
      },
    };
  }

  private mayHold(rank: number): boolean {
    return rank * this.n <= Math.min(MOST_ENTRIES, this.n ** 2);
  }

  /** Multiplications of a product with A A', and of a partial factor. */
  private productCost(): number {
    return 2 * this.n * this.d * this.gates.length * this.positions * this.C;
  }

  private sketchCost(rank: number): number {
    if (this.setting.program.pooling != null) return (rank / this.C) * this.productCost();
    return sketchCost(rank, this.n, this.d, this.gates.length);
  }
}

/** A partial Cholesky factor of A A' + g^2 1 1'. */
interface Sketch {
  readonly gates: Int32Array;
  readonly rank: number; // that was asked for
  readonly terms: RankOneTerms;
  readonly least: number; // shift below which it would have had more terms
}

/** Whether systems over so many gates are solved by a factor to the last digits. */
export function isFactored(program: ConvexProgram, gates: number): boolean {
  return program.loss.rows <= DENSE_ROWS || hasFewColumns(program, gates);
}

/** Whether A, over patches, has fewer columns than rows, and few enough for a factor. */
export function hasFewColumns({ X, loss, pooling }: ConvexProgram, gates: number): boolean {
  return pooling != null && gates * pooling.positions * X.cols < Math.min(loss.rows, DENSE_ROWS);
}
