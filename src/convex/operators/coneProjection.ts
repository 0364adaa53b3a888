/**
 * Projection onto the cones K_i = {u : (2 D_i - I) X u >= 0} of a gate set, warm-started from gate to gate and call to call.
 *
 * Proj_K(z) = z + X_F' lambda_F, where F are the rows that hold the projection and lambda carries the sign of its row
 * (the dual non-negative least squares of Lawson and Hanson 1974, ch. 23, kept in the d-dimensional space).
 */

import { isActive } from "../arrangements/bits.js";
import type { GatedProducts } from "../kernels/types.js";
import type { ConvexProgram, GateSet, Matrix } from "../types.js";
import { dotAt } from "../vectors.js";
import { Face, type KeptFace } from "./face.js";

/** A row counts as violated beyond this share of |x_j| |z|: rounding of one scalar product. */
const VIOLATED = 1e-12;
/** Rows that may enter a face together, if violated at least this share of the worst: fewer passes over the rows. */
const ENTERING = 8;
const COMPANION = 0.3;
/** Doubles of factors that are kept with the faces: 64 MB. */
const MAX_KEPT = 2 ** 23;

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
  private readonly faces = new Map<number, KeptFace>();
  private kept = 0; // doubles of their factors
  private readonly directions = new Map<number, Float64Array>(); // X_F' lambda of the last projection of a slot
  private readonly now: Face;
  private readonly blocked: Uint8Array;
  private readonly violation: Float64Array;
  private readonly candidates: Int32Array; // rows that may enter
  private readonly signs: Int8Array;
  // The rows of the slot's cone: all, or those of its position among pooled patches.
  private first = 0;
  private stride = 1;

  constructor(
    private readonly X: Matrix,
    private readonly gates: GateSet,
    gram: Float64Array | null = null, // X X' [n x n] where it is at hand; else products are made anew
    private readonly apart: { readonly positions: number; readonly outputs: number } | null = null,
    private readonly engine: Pick<GatedProducts, "times"> | null = null, // multiplies X z faster
  ) {
    const n = X.rows;
    this.now = new Face(X, gram);
    this.blocked = new Uint8Array(n);
    this.violation = new Float64Array(n);
    this.candidates = new Int32Array(n);
    this.signs = new Int8Array(n);
  }

  /**
   * Projects z [d] onto the cone of a gate, in place. `slot` names the memory of its face (one per block).
   * Ends early once the norm is known to be at most `threshold`: z is then spoilt. A negative threshold asks for the projection.
   */
  project(gate: number, slot: number, z: Float64Array, threshold: number): ConeProjection {
    const d = this.X.cols;
    const scale = Math.sqrt(dotAt(z, 0, z, 0, d));
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
    this.now.apply(z);
    let norm = Math.sqrt(dotAt(z, 0, z, 0, d));
    const limit = 3 * (Math.min(this.X.rows, d) + 10);
    for (let pivot = 0; norm > threshold && pivot < limit; pivot++) {
      if (!this.enter(z, scale, pivot < limit / 2 ? ENTERING : 1)) break;
      this.solveAndPrune();
      this.now.apply(z);
      norm = Math.sqrt(dotAt(z, 0, z, 0, d));
    }
    this.remember(slot, z, z0);
    return { norm, below: norm <= threshold };
  }

  /** The rows that the last projection of this slot rests on. */
  face(slot: number): Int32Array {
    return this.faces.get(slot)?.rows ?? new Int32Array(0);
  }

  /** Forgets the faces of all slots. */
  reset(): void {
    this.faces.clear();
    this.kept = 0;
  }

  private readSigns(gate: number): void {
    for (let j = this.first; j < this.X.rows; j += this.stride) this.signs[j] = isActive(this.gates, gate, j) ? 1 : -1;
  }

  private start(slot: number, z0: Float64Array): void {
    const { now, signs } = this;
    now.begin(z0, this.faces.get(slot));
    // No multipliers yet, so there is no step to shorten: drop the rows that push the wrong way until none does.
    while (now.size > 0) {
      now.solve();
      let wrong = false;
      for (let k = 0; k < now.size; k++) {
        now.lambda[k] = now.target[k];
        wrong ||= signs[now.rows[k]] * now.target[k] <= 0;
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
    const along = dotAt(u, 0, z, 0, z.length);
    const square = dotAt(u, 0, u, 0, z.length);
    if (along >= 0 || square === 0) return scale;
    return Math.sqrt(Math.max(0, scale * scale - (along * along) / square));
  }

  private remember(slot: number, z: Float64Array, z0: Float64Array): void {
    this.kept -= this.faces.get(slot)?.factor?.length ?? 0;
    const face = this.now.keep(MAX_KEPT - this.kept);
    this.kept += face.factor?.length ?? 0;
    this.faces.set(slot, face);
    const direction = this.directions.get(slot) ?? new Float64Array(z.length);
    for (let p = 0; p < z.length; p++) direction[p] = z[p] - z0[p];
    this.directions.set(slot, direction);
    this.blocked.fill(0);
  }

  /** Lets the rows with the most negative s_j x_j z / |x_j| enter, `most` at a time; false when none is violated. */
  private enter(z: Float64Array, scale: number, most: number): boolean {
    const n = this.X.rows;
    const { violation, blocked, signs } = this;
    const { member, norms } = this.now;
    const slack = VIOLATED * scale;
    this.multiply(z, violation);
    let worst = 0;
    for (let j = this.first; j < n; j += this.stride) {
      const free = member[j] === 0 && blocked[j] === 0 && norms[j] > 0;
      const value = free ? (-signs[j] * violation[j]) / norms[j] : 0;
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
      if (this.now.append(row)) entered += 1;
      else this.blocked[row] = 1;
    }
    return entered > 0;
  }

  /** out_j = x_j z for the rows of the slot's cone. */
  private multiply(z: Float64Array, out: Float64Array): void {
    const { rows: n, cols: d, data } = this.X;
    if (this.engine?.times !== undefined) this.engine.times(z, out);
    else for (let j = this.first; j < n; j += this.stride) out[j] = dotAt(data, j * d, z, 0, d);
  }

  /** Least squares on the face; rows whose multiplier has the wrong sign leave, as in Lawson-Hanson. */
  private solveAndPrune(): void {
    const { signs, now } = this;
    const { rows, lambda, target } = now;
    for (;;) {
      now.solve();
      let step = 1;
      let shortest = -1;
      for (let k = 0; k < now.size; k++) {
        const s = signs[rows[k]];
        const next = s * target[k];
        if (next >= 0) continue;
        const before = s * lambda[k];
        const reach = before > 0 ? before / (before - next) : 0;
        if (shortest < 0 || reach < step) {
          step = reach;
          shortest = k;
        }
      }
      for (let k = 0; k < now.size; k++) lambda[k] += step * (target[k] - lambda[k]);
      if (shortest < 0) return;
      lambda[shortest] = 0; // exactly, so that it leaves whatever the rounding of the step
      this.removeBlocking();
    }
  }

  /** Drops the rows whose multiplier is zero and wants to turn negative. */
  private removeBlocking(): void {
    const { signs, now } = this;
    const { rows, lambda, target } = now;
    let largest = 0;
    for (let k = 0; k < now.size; k++) largest = Math.max(largest, Math.abs(lambda[k]));
    const blocking: number[] = [];
    for (let k = 0; k < now.size; k++) {
      const s = signs[rows[k]];
      if (s * target[k] <= 0 && s * lambda[k] <= 1e-15 * largest) blocking.push(k);
    }
    this.blocked.fill(0); // what depended on the rows of the old set may not depend on those of the new one
    if (blocking.length > 0) now.remove(blocking);
  }
}
