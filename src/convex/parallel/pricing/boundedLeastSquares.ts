/**
 * min |g + sum_i x_i a_i| subject to 0 <= x <= upper, for few rows: the active set method of Stark and Parker (1995), which ends at
 * the minimiser up to rounding. The rest g + A x at the minimum is unique even where x is not.
 */

import { dot, norm, orthogonalise } from "../../linear/vectors.js";

/** A column whose part outside the span of the free ones is below this share of it says nothing new. */
const DEPENDENT = 1e-10;
/** An entry is wrong when the objective falls along it by more than this share of the lengths involved. */
const WRONG = 1e-13;
/** Entries that may come and go for each there is. */
const STEPS_PER_ENTRY = 10;

/** Column i holds `length[i]` numbers from `at[i]` on and zeros elsewhere; they lie one behind the other in `data`. */
export interface Columns {
  readonly rows: number; // m
  readonly at: Int32Array;
  readonly length: Int32Array;
  readonly data: Float64Array;
}

export interface BoundedRest {
  readonly x: Float64Array;
  readonly rest: Float64Array; // g + A x [m]
}

/** The minimiser; begins at `start`, which is held to the bounds. */
export function boundedLeastSquares(
  columns: Columns,
  g: Float64Array,
  upper: Float64Array,
  start: Float64Array | null = null,
): BoundedRest {
  const search = new Search(columns, g, upper, start);
  if (search.free.length > 0) search.descend();
  for (let step = 0; step < STEPS_PER_ENTRY * (upper.length + 1); step++) {
    const entry = search.mostWrong();
    if (entry < 0) break;
    search.free.push(entry);
    if (!search.descend()) search.barred.add(entry);
    else search.barred.clear();
  }
  return { x: search.x, rest: search.rest() };
}

class Search {
  readonly x: Float64Array;
  readonly free: number[] = [];
  /** Entries that rounding alone lets in: they went back at once. */
  readonly barred = new Set<number>();
  private readonly from: Int32Array;
  private readonly sizes: Float64Array;

  constructor(
    private readonly columns: Columns,
    private readonly g: Float64Array,
    private readonly upper: Float64Array,
    start: Float64Array | null,
  ) {
    const count = upper.length;
    this.from = new Int32Array(count);
    for (let i = 1; i < count; i++) this.from[i] = this.from[i - 1] + columns.length[i - 1];
    this.sizes = Float64Array.from({ length: count }, (_, i) => norm(this.part(i)));
    this.x = new Float64Array(count);
    if (start === null) return;
    for (let i = 0; i < count; i++) {
      this.x[i] = Math.min(upper[i], Math.max(0, start[i]));
      if (this.x[i] > 0 && this.x[i] < upper[i]) this.free.push(i);
    }
  }

  rest(): Float64Array {
    const rest = this.g.slice();
    for (let i = 0; i < this.x.length; i++) if (this.x[i] !== 0) this.add(i, this.x[i], rest);
    return rest;
  }

  /** The entry along which the objective falls most, for the length of its column; -1 where none does. */
  mostWrong(): number {
    const rest = this.rest();
    const least = WRONG * Math.max(norm(rest), norm(this.g));
    let worst = -1;
    let steepest = 0;
    for (let i = 0; i < this.x.length; i++) {
      if (this.sizes[i] === 0 || this.upper[i] === 0 || this.barred.has(i) || this.free.includes(i)) continue;
      const slope = this.along(i, rest) / this.sizes[i];
      const falls = this.x[i] === 0 ? -slope : this.x[i] === this.upper[i] ? slope : Math.abs(slope);
      if (falls > least && falls > steepest) {
        steepest = falls;
        worst = i;
      }
    }
    return worst;
  }

  /** To the minimiser over the free entries, those that meet a bound on the way left there; false where nothing moved. */
  descend(): boolean {
    let moved = false;
    while (this.free.length > 0) {
      const goal = this.minimiser();
      let reach = 1;
      this.free.forEach((i, k) => {
        const step = goal[k] - this.x[i];
        const room = step < 0 ? -this.x[i] : this.upper[i] - this.x[i];
        if (step !== 0 && Math.abs(step) > Math.abs(room)) reach = Math.min(reach, room / step);
      });
      this.free.forEach((i, k) => {
        const next = this.x[i] + reach * (goal[k] - this.x[i]);
        if (next !== this.x[i]) moved = moved || reach > 0;
        this.x[i] = Math.min(this.upper[i], Math.max(0, next));
      });
      if (reach === 1) return moved;
      // Whoever limited the step is at its bound, rounded or not.
      this.free.forEach((i, k) => {
        const step = goal[k] - this.x[i];
        const room = step < 0 ? this.x[i] : this.upper[i] - this.x[i];
        if (step !== 0 && room <= 1e-14 * Math.abs(step)) this.x[i] = step < 0 ? 0 : this.upper[i];
      });
      const inside = this.free.filter((i) => this.x[i] > 0 && this.x[i] < this.upper[i]);
      if (inside.length === this.free.length) return moved;
      this.free.splice(0, this.free.length, ...inside);
    }
    return moved;
  }

  /** The minimiser over the free entries, the others held, by orthogonalising twice; dependent columns are no longer free. */
  private minimiser(): Float64Array {
    const held = this.g.slice();
    const isFree = new Set(this.free);
    for (let i = 0; i < this.x.length; i++) if (this.x[i] !== 0 && !isFree.has(i)) this.add(i, this.x[i], held);
    const basis: Float64Array[] = [];
    const factors: Float64Array[] = [];
    const kept: number[] = [];
    for (const i of this.free) {
      const unit = new Float64Array(this.columns.rows);
      this.add(i, 1, unit);
      const inside = orthogonalise(unit, basis);
      const length = norm(unit);
      if (!(length > DEPENDENT * this.sizes[i])) {
        if (this.x[i] !== 0) this.add(i, this.x[i], held);
        continue;
      }
      for (let p = 0; p < unit.length; p++) unit[p] /= length;
      basis.push(unit);
      factors.push(Float64Array.of(...inside, length));
      kept.push(i);
    }
    this.free.splice(0, this.free.length, ...kept);
    const goal = Float64Array.from(basis, (unit) => -dot(unit, held));
    for (let i = kept.length - 1; i >= 0; i--) {
      for (let j = i + 1; j < kept.length; j++) goal[i] -= factors[j][i] * goal[j];
      goal[i] /= factors[i][i];
    }
    return goal;
  }

  private part(i: number): Float64Array {
    return this.columns.data.subarray(this.from[i], this.from[i] + this.columns.length[i]);
  }

  private along(i: number, vector: Float64Array): number {
    const { at, length, data } = this.columns;
    let sum = 0;
    for (let p = 0; p < length[i]; p++) sum += data[this.from[i] + p] * vector[at[i] + p];
    return sum;
  }

  private add(i: number, factor: number, out: Float64Array): void {
    const { at, length, data } = this.columns;
    for (let p = 0; p < length[i]; p++) out[at[i] + p] += factor * data[this.from[i] + p];
  }
}
