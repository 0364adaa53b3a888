/**
 * Projection onto the cones K_i = {u : (2 D_i - I) X u >= 0} of a gate set, warm-started from gate to gate and call to call.
 *
 * Proj_K(z) = z + X_F' lambda_F, where F are the rows that hold the projection and lambda carries the sign of its row
 * (the dual non-negative least squares of Lawson and Hanson 1974, ch. 23, kept in the d-dimensional space).
 */

import { isActive } from "../arrangements/bits.js";
import type { GatedProducts } from "../kernels/types.js";
import type { ConvexProgram, GateSet, Matrix } from "../types.js";

/** A row enters the face only if its part outside the span of the face is larger than this share of it. */
const INDEPENDENT = 1e-12;
/** A row counts as violated beyond this share of |x_j| |z|: rounding of one scalar product. */
const VIOLATED = 1e-12;
/** Rows that may enter a face together, if violated at least this share of the worst: fewer passes over the rows. */
const ENTERING = 8;
const COMPANION = 0.3;
/** When more than this share of the rows from the first blocking one on leaves, a new factor is cheaper than rotations. */
const REBUILT = 0.1;

export interface ConeProjection {
  /** Euclidean norm of the projection, or of an upper bound of it that is already below the threshold asked for. */
  readonly norm: number;
  /** True when the search ended early because the norm is below the threshold. */
  readonly below: boolean;
}

/** Largest n for which the projector asks for the n x n Gram matrix. */
const GRAM_ROWS = 3000;

/** A projector for a program's cones. */
export function coneProjector(
  program: Pick<ConvexProgram, "X" | "gates" | "loss" | "pooling">,
  products: GatedProducts,
): ConeProjector {
  const { X, gates, loss, pooling } = program;
  const apart = pooling == null || pooling.positions === 1 ? null : { ...pooling, outputs: loss.outputs };
  const gram = X.rows <= GRAM_ROWS ? products.gram() : null;
  return new ConeProjector(X, gates, gram, apart, products.times === undefined ? null : products);
}

/** Projects onto K_i for every gate i; remembers the face of each slot, so that the next projection starts there. */
export class ConeProjector {
  private readonly rowNorms: Float64Array;
  private readonly faces = new Map<number, Int32Array>();
  private readonly directions = new Map<number, Float64Array>(); // X_F' lambda of the last projection of a slot
  private readonly capacity: number;
  // Work space of one projection: the passive rows, their multipliers and the factor of their Gram matrix.
  private readonly passive: Int32Array;
  private readonly member: Uint8Array;
  private readonly blocked: Uint8Array;
  private readonly violation: Float64Array;
  private readonly candidates: Int32Array; // rows that may enter
  private readonly factor: Float64Array;
  private readonly lambda: Float64Array;
  private readonly target: Float64Array;
  private readonly signs: Int8Array;
  private size = 0;
  // The rows of the slot's cone: all, or those of its position among pooled patches.
  private first = 0;
  private stride = 1;

  constructor(
    private readonly X: Matrix,
    private readonly gates: GateSet,
    private readonly gram: Float64Array | null = null, // X X' [n x n] where it is at hand; else products are made anew
    private readonly apart: { readonly positions: number; readonly outputs: number } | null = null,
    private readonly engine: Pick<GatedProducts, "times"> | null = null, // multiplies X z faster
  ) {
    const { rows: n, cols: d, data } = X;
    this.capacity = Math.min(n, d);
    this.rowNorms = new Float64Array(n);
    for (let j = 0; j < n; j++) this.rowNorms[j] = Math.sqrt(dot(data, j * d, data, j * d, d));
    this.passive = new Int32Array(this.capacity);
    this.member = new Uint8Array(n);
    this.blocked = new Uint8Array(n);
    this.violation = new Float64Array(n);
    this.candidates = new Int32Array(n);
    this.factor = new Float64Array(this.capacity * this.capacity);
    this.lambda = new Float64Array(this.capacity);
    this.target = new Float64Array(this.capacity);
    this.signs = new Int8Array(n);
  }

  /**
   * Projects z [d] onto the cone of a gate, in place. `slot` names the memory of its face (one per block).
   * Ends early once the norm is known to be at most `threshold`: z is then spoilt. A negative threshold asks for the projection.
   */
  project(gate: number, slot: number, z: Float64Array, threshold: number): ConeProjection {
    const d = this.X.cols;
    const scale = Math.sqrt(dot(z, 0, z, 0, d));
    if (scale <= threshold) return { norm: scale, below: true };
    const bound = this.boundFromMemory(slot, z, scale);
    if (bound <= threshold) return { norm: bound, below: true };
    if (this.apart !== null) {
      this.stride = this.apart.positions;
      this.first = Math.floor(slot / this.apart.outputs) % this.apart.positions;
    }
    const z0 = Float64Array.from(z);
    this.readSigns(gate);
    this.start(slot, z0);
    this.apply(z0, z);
    let norm = Math.sqrt(dot(z, 0, z, 0, d));
    const limit = 3 * (this.capacity + 10);
    for (let pivot = 0; norm > threshold && pivot < limit; pivot++) {
      if (!this.enter(z, scale, pivot < limit / 2 ? ENTERING : 1)) break;
      this.solveAndPrune(z0);
      this.apply(z0, z);
      norm = Math.sqrt(dot(z, 0, z, 0, d));
    }
    this.remember(slot, z, z0);
    return { norm, below: norm <= threshold };
  }

  /** The rows that the last projection of this slot rests on. */
  face(slot: number): Int32Array {
    return this.faces.get(slot) ?? new Int32Array(0);
  }

  /** Forgets the faces of all slots. */
  reset(): void {
    this.faces.clear();
  }

  private readSigns(gate: number): void {
    for (let j = this.first; j < this.X.rows; j += this.stride) this.signs[j] = isActive(this.gates, gate, j) ? 1 : -1;
  }

  private start(slot: number, z0: Float64Array): void {
    this.size = 0;
    const remembered = this.faces.get(slot);
    if (remembered === undefined) return;
    for (const row of remembered) this.append(row);
    // No multipliers yet, so there is no step to shorten: drop the rows that push the wrong way until none does.
    while (this.size > 0) {
      for (let k = 0; k < this.size; k++)
        this.target[k] = -dot(this.X.data, this.passive[k] * z0.length, z0, 0, z0.length);
      this.solveFactor(this.size);
      let wrong = false;
      for (let k = 0; k < this.size; k++) {
        this.lambda[k] = this.target[k];
        wrong ||= this.signs[this.passive[k]] * this.target[k] <= 0;
      }
      if (!wrong) return;
      this.removeBlocking();
    }
  }

  /**
   * min over a >= 0 of |z + a u|, u = X_F' lambda of the slot's last projection: an upper bound of the projection's norm for
   * the price of two scalar products, since a lambda is a multiplier for every a >= 0.
   */
  private boundFromMemory(slot: number, z: Float64Array, scale: number): number {
    const u = this.directions.get(slot);
    if (u === undefined) return scale;
    const along = dot(u, 0, z, 0, z.length);
    const square = dot(u, 0, u, 0, z.length);
    if (along >= 0 || square === 0) return scale;
    return Math.sqrt(Math.max(0, scale * scale - (along * along) / square));
  }

  private remember(slot: number, z: Float64Array, z0: Float64Array): void {
    this.faces.set(slot, this.passive.slice(0, this.size));
    const direction = this.directions.get(slot) ?? new Float64Array(z.length);
    for (let p = 0; p < z.length; p++) direction[p] = z[p] - z0[p];
    this.directions.set(slot, direction);
    for (let k = 0; k < this.size; k++) this.member[this.passive[k]] = 0;
    this.blocked.fill(0);
  }

  /** Lets the rows with the most negative s_j x_j z / |x_j| enter, `most` at a time; false when none is violated. */
  private enter(z: Float64Array, scale: number, most: number): boolean {
    const n = this.X.rows;
    const { violation, member, blocked, rowNorms, signs } = this;
    const slack = VIOLATED * scale;
    this.multiply(z, violation);
    let worst = 0;
    for (let j = this.first; j < n; j += this.stride) {
      const free = member[j] === 0 && blocked[j] === 0 && rowNorms[j] > 0;
      const value = free ? (-signs[j] * violation[j]) / rowNorms[j] : 0;
      violation[j] = value;
      if (value > worst) worst = value;
    }
    if (!(worst > slack)) return false;
    return this.enterAbove(Math.max(slack, COMPANION * worst), most) || this.enterAbove(slack, 1);
  }

  /** Lets rows violated by more than `limit` enter, the worst first; one that depends on the face is blocked instead. */
  private enterAbove(limit: number, most: number): boolean {
    const { violation, candidates } = this;
    let count = 0;
    for (let j = this.first; j < this.X.rows; j += this.stride) {
      if (violation[j] > limit) candidates[count++] = j;
    }
    let entered = 0;
    while (entered < most && count > 0) {
      let worst = 0;
      for (let k = 1; k < count; k++) if (violation[candidates[k]] > violation[candidates[worst]]) worst = k;
      const row = candidates[worst];
      candidates[worst] = candidates[--count];
      if (this.append(row)) entered += 1;
      else this.blocked[row] = 1;
    }
    return entered > 0;
  }

  /** out_j = x_j z for the rows of the slot's cone. */
  private multiply(z: Float64Array, out: Float64Array): void {
    const { rows: n, cols: d, data } = this.X;
    if (this.engine?.times !== undefined) this.engine.times(z, out);
    else for (let j = this.first; j < n; j += this.stride) out[j] = dot(data, j * d, z, 0, d);
  }

  /** Adds a row to the passive set with a new row of the factor; false when it depends on the rows in the set. */
  private append(row: number): boolean {
    if (this.size === this.capacity) return false;
    const { cols: d, data } = this.X;
    const at = this.size * this.capacity;
    let rest = this.rowNorms[row] ** 2;
    for (let k = 0; k < this.size; k++) {
      const other = this.passive[k];
      let value = this.gram === null ? dot(data, row * d, data, other * d, d) : this.gram[row * this.X.rows + other];
      const above = k * this.capacity;
      value -= dot(this.factor, at, this.factor, above, k);
      value /= this.factor[above + k];
      this.factor[at + k] = value;
      rest -= value * value;
    }
    if (!(rest > INDEPENDENT * this.rowNorms[row] ** 2)) return false;
    this.factor[at + this.size] = Math.sqrt(rest);
    this.passive[this.size] = row;
    this.lambda[this.size] = 0;
    this.member[row] = 1;
    this.size++;
    return true;
  }

  /** Least squares on the passive set; rows whose multiplier has the wrong sign leave, as in Lawson-Hanson. */
  private solveAndPrune(z0: Float64Array): void {
    const { cols: d, data } = this.X;
    for (;;) {
      const F = this.size;
      for (let k = 0; k < F; k++) this.target[k] = -dot(data, this.passive[k] * d, z0, 0, d);
      this.solveFactor(F);
      let step = 1;
      let shortest = -1;
      for (let k = 0; k < F; k++) {
        const s = this.signs[this.passive[k]];
        const next = s * this.target[k];
        if (next >= 0) continue;
        const now = s * this.lambda[k];
        const reach = now > 0 ? now / (now - next) : 0;
        if (shortest < 0 || reach < step) {
          step = reach;
          shortest = k;
        }
      }
      for (let k = 0; k < F; k++) this.lambda[k] += step * (this.target[k] - this.lambda[k]);
      if (shortest < 0) return;
      this.lambda[shortest] = 0; // exactly, so that it leaves whatever the rounding of the step
      this.removeBlocking();
    }
  }

  /** target := (X_F X_F')^-1 target. */
  private solveFactor(F: number): void {
    const { factor, target, capacity } = this;
    for (let k = 0; k < F; k++) {
      target[k] = (target[k] - dot(factor, k * capacity, target, 0, k)) / factor[k * capacity + k];
    }
    for (let k = F - 1; k >= 0; k--) {
      target[k] /= factor[k * capacity + k];
      for (let i = 0; i < k; i++) target[i] -= target[k] * factor[k * capacity + i];
    }
  }

  /** Drops the rows whose multiplier is zero and wants to turn negative, one by one from the factor, or many by a new one. */
  private removeBlocking(): void {
    let largest = 0;
    for (let k = 0; k < this.size; k++) largest = Math.max(largest, Math.abs(this.lambda[k]));
    const blocking: number[] = [];
    for (let k = 0; k < this.size; k++) {
      const s = this.signs[this.passive[k]];
      if (s * this.target[k] <= 0 && s * this.lambda[k] <= 1e-15 * largest) blocking.push(k);
    }
    this.blocked.fill(0); // what depended on the rows of the old set may not depend on those of the new one
    if (blocking.length === 0) return;
    if (blocking.length > REBUILT * (this.size - blocking[0])) this.rebuildWithout(blocking);
    else for (let k = blocking.length - 1; k >= 0; k--) this.remove(blocking[k]);
  }

  /** Drops places of the passive set and makes the factor anew from the first of them on. */
  private rebuildWithout(places: readonly number[]): void {
    const gone = new Set(places);
    const kept: { readonly row: number; readonly multiplier: number }[] = [];
    for (let k = places[0]; k < this.size; k++) {
      this.member[this.passive[k]] = 0;
      if (!gone.has(k)) kept.push({ row: this.passive[k], multiplier: this.lambda[k] });
    }
    this.size = places[0];
    for (const { row, multiplier } of kept) if (this.append(row)) this.lambda[this.size - 1] = multiplier;
  }

  /** Drops one place; rotations make the factor triangular again (Golub and Van Loan 2013, section 6.5.3). */
  private remove(place: number): void {
    const { factor, capacity, passive, lambda } = this;
    this.member[passive[place]] = 0;
    this.size -= 1;
    for (let k = place; k < this.size; k++) {
      passive[k] = passive[k + 1];
      lambda[k] = lambda[k + 1];
      factor.copyWithin(k * capacity, (k + 1) * capacity, (k + 1) * capacity + k + 2);
    }
    for (let k = place; k < this.size; k++) {
      const at = k * capacity + k;
      const length = Math.hypot(factor[at], factor[at + 1]);
      const c = factor[at] / length;
      const s = factor[at + 1] / length;
      for (let i = k * capacity + k; i < this.size * capacity; i += capacity) {
        const left = factor[i];
        const right = factor[i + 1];
        factor[i] = c * left + s * right;
        factor[i + 1] = c * right - s * left;
      }
    }
  }

  /** z := z0 + X_F' lambda. */
  private apply(z0: Float64Array, z: Float64Array): void {
    const { cols: d, data } = this.X;
    z.set(z0);
    for (let k = 0; k < this.size; k++) {
      const from = this.passive[k] * d;
      const value = this.lambda[k];
      for (let p = 0; p < d; p++) z[p] += value * data[from + p];
    }
  }
}

function dot(A: Float64Array, a: number, B: Float64Array, b: number, length: number): number {
  let sum = 0;
  for (let p = 0; p < length; p++) sum += A[a + p] * B[b + p];
  return sum;
}
