/**
 * The search for the face of a cone that holds the projection of a point: dual non-negative least squares by an active set
 * (Lawson and Hanson 1974, ch. 23), in the d-dimensional space. assembly/cone.ts is the same in WebAssembly.
 */

import type { ConePoints, FaceSearch, GatedProducts } from "../kernels/types.js";
import { isActive } from "../linear/bits.js";
import { dotAt } from "../linear/vectors.js";
import type { GateSet, Matrix } from "../types.js";
import { Face, type KeptFace } from "./face.js";

/** A row counts as violated beyond this share of |x_j| |z|: rounding of one scalar product. */
const VIOLATED = 1e-12;
/** Rows that may enter a face together, if violated at least this share of the worst: fewer passes over the rows. */
const ENTERING = 8;
const COMPANION = 0.3;
/** A multiplier of at most this share of the largest is zero. */
const ZERO = 1e-15;

/** Doubles of factors that are kept with the faces: 64 MB. */
const MAX_KEPT = 2 ** 23;

/** The reference: for every engine, with rows of all places or those of one position among pooled patches. */
export class HostFaceSearch implements FaceSearch {
  private readonly now: Face;
  private readonly faces = new Map<number, KeptFace>();
  private kept = 0; // doubles of their factors
  private readonly blocked: Uint8Array;
  private readonly violation: Float64Array;
  private readonly candidates: Int32Array; // rows that may enter
  private readonly signs: Int8Array;
  // The rows of the cone: all, or those of a position.
  private first = 0;

  constructor(
    private readonly X: Matrix,
    private readonly gates: GateSet,
    gram: Float64Array | null, // X X' [n x n] where it is at hand; else products are made anew
    private readonly stride: number, // positions of pooled patches, or 1
    private readonly engine: Pick<GatedProducts, "times"> | null, // multiplies X z faster
    private readonly room = MAX_KEPT, // doubles of factors
  ) {
    const n = X.rows;
    this.now = new Face(X, gram);
    this.blocked = new Uint8Array(n);
    this.violation = new Float64Array(n);
    this.candidates = new Int32Array(n);
    this.signs = new Int8Array(n);
  }

  project({ count, gates, slots, positions, Z, norms }: ConePoints, threshold: number): void {
    const d = this.X.cols;
    for (let k = 0; k < count; k++) {
      const before = this.faces.get(slots[k]);
      this.kept -= before?.factor?.length ?? 0;
      norms[k] = this.projectOne(gates[k], positions[k], Z.subarray(k * d, (k + 1) * d), threshold, before);
      const face = this.now.keep(this.room - this.kept);
      this.kept += face.factor?.length ?? 0;
      this.faces.set(slots[k], face);
    }
  }

  face(slot: number): Int32Array {
    return this.faces.get(slot)?.rows ?? new Int32Array(0);
  }

  forget(): void {
    this.faces.clear();
    this.kept = 0;
  }

  private projectOne(
    gate: number,
    position: number,
    z: Float64Array,
    threshold: number,
    kept: KeptFace | undefined,
  ): number {
    const d = this.X.cols;
    this.first = position;
    const scale = Math.sqrt(dotAt(z, 0, z, 0, d));
    this.readSigns(gate);
    this.start(kept, z.slice());
    this.now.apply(z);
    let norm = Math.sqrt(dotAt(z, 0, z, 0, d));
    const limit = 3 * (Math.min(this.X.rows, d) + 10);
    for (let pivot = 0; norm > threshold && pivot < limit; pivot++) {
      if (!this.enter(z, scale, pivot < limit / 2 ? ENTERING : 1)) break;
      this.solveAndPrune();
      this.now.apply(z);
      norm = Math.sqrt(dotAt(z, 0, z, 0, d));
    }
    this.blocked.fill(0);
    return norm;
  }

  private readSigns(gate: number): void {
    for (let j = this.first; j < this.X.rows; j += this.stride) this.signs[j] = isActive(this.gates, gate, j) ? 1 : -1;
  }

  private start(kept: KeptFace | undefined, z0: Float64Array): void {
    const { now, signs } = this;
    now.begin(z0, kept);
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
    // A face of so many rows is the whole space: what is violated there is rounding, and every row depends on it.
    if (this.now.size === this.X.cols) return false;
    let count = 0;
    for (let j = this.first; j < this.X.rows; j += this.stride) {
      if (violation[j] > limit) candidates[count++] = j;
    }
    let entered = 0;
    while (entered < most && count > 0 && this.now.size < this.X.cols) {
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
      if (s * target[k] <= 0 && s * lambda[k] <= ZERO * largest) blocking.push(k);
    }
    this.blocked.fill(0); // what depended on the rows of the old set may not depend on those of the new one
    if (blocking.length > 0) now.remove(blocking);
  }
}
