/**
 * min 1/2 |x - x0|^2 subject to B x >= b, by the dual active set method of Goldfarb and Idnani (1983).
 *
 * Begins at x0 and takes in the most violated constraint until none is left; exact up to rounding after finitely many steps.
 */

import { dot, orthogonalise } from "../linear/vectors.js";
import type { Matrix } from "../types.js";

/** A constraint is violated beyond this share of its row's length times the size of the numbers involved. */
const VIOLATED = 1e-11;
/** What is left of a row outside the span of the active ones below this share of it is rounding. */
const DEPENDENT = 1e-9;
/** Steps for every constraint there is; the method needs few more than the active ones. */
const STEPS_PER_ROW = 20;

/** The nearest point, or null where rounding keeps the method from an end (or no point satisfies the constraints). */
export function leastDistance(x0: Float64Array, B: Matrix, b: Float64Array): Float64Array | null {
  const k = x0.length;
  const x = x0.slice();
  const rowNorms = Float64Array.from({ length: B.rows }, (_, j) => Math.sqrt(dot(rowOf(B, j), rowOf(B, j))));
  const active = new ActiveRows(B);
  for (let step = 0; step < STEPS_PER_ROW * (B.rows + 1); step++) {
    const row = mostViolated(x, B, b, rowNorms, active);
    if (row < 0) return x;
    let multiplier = 0;
    for (;;) {
      const normal = rowOf(B, row);
      const { outside, coefficients } = active.split(normal);
      const room = dot(outside, outside);
      const free = room > (DEPENDENT * rowNorms[row]) ** 2;
      const whole = free ? (b[row] - dot(normal, x)) / room : Number.POSITIVE_INFINITY;
      const { reach, leaving } = active.reach(coefficients);
      const length = Math.min(whole, reach);
      if (length === Number.POSITIVE_INFINITY) return null;
      if (free) for (let p = 0; p < k; p++) x[p] += length * outside[p];
      active.move(coefficients, length);
      multiplier += length;
      if (length === whole) {
        active.add(row, multiplier);
        break;
      }
      active.drop(leaving);
    }
  }
  return null;
}

/** Rows that hold with equality, their multipliers, and an orthonormal basis Q of them with B_F = R Q. */
class ActiveRows {
  readonly rows: number[] = [];
  private multipliers: number[] = [];
  private basis: Float64Array[] = [];
  private factors: Float64Array[] = []; // row i of B_F = sum_{j <= i} factors[i][j] basis[j]

  constructor(private readonly B: Matrix) {}

  /** The part of a vector outside the span, and the coefficients r of the part inside, B_F' r. */
  split(vector: Float64Array): { outside: Float64Array; coefficients: Float64Array } {
    const outside = vector.slice();
    const inside = orthogonalise(outside, this.basis);
    const F = this.rows.length;
    const coefficients = new Float64Array(F); // R' r = inside
    for (let i = F - 1; i >= 0; i--) {
      let value = inside[i];
      for (let j = i + 1; j < F; j++) value -= this.factors[j][i] * coefficients[j];
      coefficients[i] = value / this.factors[i][i];
    }
    return { outside, coefficients };
  }

  /** How far the multipliers may move against the coefficients until one of them is zero, and which. */
  reach(coefficients: Float64Array): { reach: number; leaving: number } {
    let reach = Number.POSITIVE_INFINITY;
    let leaving = -1;
    this.multipliers.forEach((multiplier, i) => {
      if (coefficients[i] > 0 && multiplier / coefficients[i] < reach) {
        reach = multiplier / coefficients[i];
        leaving = i;
      }
    });
    return { reach, leaving };
  }

  move(coefficients: Float64Array, length: number): void {
    this.multipliers = this.multipliers.map((multiplier, i) => Math.max(0, multiplier - length * coefficients[i]));
  }

  add(row: number, multiplier: number): void {
    const unit = rowOf(this.B, row).slice();
    const inside = orthogonalise(unit, this.basis);
    const length = Math.sqrt(dot(unit, unit));
    this.basis.push(unit.map((value) => value / length));
    this.factors.push(Float64Array.of(...inside, length));
    this.rows.push(row);
    this.multipliers.push(multiplier);
  }

  /** Takes the i-th row out and builds the basis of the later ones anew. */
  drop(i: number): void {
    const rows = this.rows.splice(i);
    const multipliers = this.multipliers.splice(i);
    this.basis.length = i;
    this.factors.length = i;
    for (let k = 1; k < rows.length; k++) this.add(rows[k], multipliers[k]);
  }
}

/** The row with the largest violation relative to its length; -1 when all hold up to rounding. */
function mostViolated(x: Float64Array, B: Matrix, b: Float64Array, rowNorms: Float64Array, active: ActiveRows): number {
  const size = Math.sqrt(dot(x, x));
  let worst = -1;
  let largest = 0;
  for (let j = 0; j < B.rows; j++) {
    if (rowNorms[j] === 0 || active.rows.includes(j)) continue;
    const violation = b[j] - dot(rowOf(B, j), x);
    if (violation <= VIOLATED * (rowNorms[j] * size + Math.abs(b[j]))) continue;
    if (violation > largest * rowNorms[j]) {
      largest = violation / rowNorms[j];
      worst = j;
    }
  }
  return worst;
}

function rowOf({ cols, data }: Matrix, row: number): Float64Array {
  return data.subarray(row * cols, (row + 1) * cols);
}
