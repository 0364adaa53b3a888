/** Columns of a dual point of softmax cross entropy that sum to zero, without leaving the domain. */

import { log } from "../linear/elementary.js";
import { smallSolve } from "../linear/smallSolve.js";
import { columnSums, largestOf } from "../linear/vectors.js";
import { excess, softmax } from "./softmax.js";

const NEWTON_STEPS = 200;
const BACKTRACKS = 60;
/** Newton stops at columns that sum to this share of n times the largest entry: what is left is near rounding. */
const BALANCED = 1e-13;
/** Probabilities below this share of the largest |N / a| are lifted to it: from exactly zero no shift brings them back. */
const FLOOR = 1e-14;
/** Logits that one step may move: the sums are steep only near the border of the simplex. */
const LONGEST_SHIFT = 4;

/**
 * Replaces the p_k = Y_k + N_k / a_k by the nearest distributions in sum_k a_k KL(., p_k) with sum_k a_k (p_k - Y_k) = 0.
 *
 * These are p_kc exp(shift_c), normalised a row, so every row stays on the simplex; the C shifts are found by Newton on the
 * convex function whose gradient the column sums are. It has a minimum since p_k = mean of Y is a solution inside, once the
 * classes that no sample has are left out: nothing may be given to them. Rounding that is left goes to one inner row.
 *
 * @param a weights of the rows, [n]
 */
export function balanceRows(N: Float64Array, Y: Float64Array, a: Float64Array, C: number): void {
  if (!isBalanced(N, Y, a, C)) shiftRows(N, Y, a, C);
  giveRest(N, Y, a, C);
}

/** True inside the domain with columns that sum to zero as far as Newton would bring them. */
function isBalanced(N: Float64Array, Y: Float64Array, a: Float64Array, C: number): boolean {
  const sums = columnSums(N, C);
  let largest = 0;
  for (let k = 0; k < a.length; k++) {
    let sum = 0;
    for (let c = 0; c < C; c++) {
      const entry = N[k * C + c];
      if (a[k] * Y[k * C + c] + entry < 0 || (a[k] === 0 && entry !== 0)) return false;
      largest = Math.max(largest, Math.abs(entry));
      sum += entry;
    }
    if (Math.abs(sum) > C * Number.EPSILON * a[k]) return false;
  }
  return largestOf(sums) <= BALANCED * a.length * largest;
}

function shiftRows(N: Float64Array, Y: Float64Array, a: Float64Array, C: number): void {
  const logs = logShares(N, Y, a, C);
  const p = new Float64Array(C);
  const others = new Float64Array(C);
  const row = new Float64Array(C);
  const sums = new Float64Array(C);
  const H = new Float64Array(C * C);
  let largest = 0;

  /** Writes N of a shift, its column sums and their Hessian; returns the largest sum. */
  function write(shift: Float64Array): number {
    sums.fill(0);
    H.fill(0);
    largest = 0;
    for (let k = 0; k < a.length; k++) {
      if (a[k] === 0) {
        N.fill(0, k * C, (k + 1) * C);
        continue;
      }
      for (let c = 0; c < C; c++) row[c] = logs[k * C + c] + shift[c];
      softmax(row, 0, C, p, others);
      for (let c = 0; c < C; c++) {
        const entry = a[k] * excess(p[c], others[c], Y[k * C + c]);
        N[k * C + c] = entry;
        sums[c] += entry;
        largest = Math.max(largest, Math.abs(entry));
        for (let e = 0; e < C; e++) H[c * C + e] -= a[k] * p[c] * p[e];
        H[c * C + c] += a[k] * p[c] * (p[c] + others[c]);
      }
    }
    return largestOf(sums);
  }

  let shift = new Float64Array(C);
  let imbalance = write(shift);
  for (let step = 0; step < NEWTON_STEPS && imbalance > BALANCED * a.length * largest; step++) {
    const direction = newtonDirection(H, sums, C);
    const start = imbalance;
    let trial = shift;
    // The convex function falls along the step as long as its slope keeps its sign; near the end the sums themselves tell.
    for (let back = 0, alpha = 1 / Math.max(1, largestOf(direction) / LONGEST_SHIFT); back < BACKTRACKS; back++) {
      trial = shift.map((entry, c) => entry - alpha * direction[c]);
      imbalance = write(trial);
      let slope = 0;
      for (let c = 0; c < C; c++) slope += sums[c] * direction[c];
      if (slope >= 0 || imbalance <= start / 2) break;
      alpha /= 2;
    }
    shift = trial;
  }
}

/** log(Y + N / a), lifted off zero; -Infinity for classes that no sample has. */
function logShares(N: Float64Array, Y: Float64Array, a: Float64Array, C: number): Float64Array {
  const present = new Uint8Array(C);
  let widest = 0;
  for (let k = 0; k < a.length; k++) {
    if (a[k] === 0) continue;
    for (let c = 0; c < C; c++) {
      if (Y[k * C + c] > 0) present[c] = 1;
      widest = Math.max(widest, Math.abs(N[k * C + c]) / a[k]);
    }
  }
  const floor = Math.max(Number.MIN_VALUE, FLOOR * Math.min(1, widest));
  return N.map((entry, k) => {
    const weight = a[Math.floor(k / C)];
    if (weight === 0 || present[k % C] === 0) return Number.NEGATIVE_INFINITY;
    return log(Math.max(floor, Y[k] + entry / weight));
  });
}

/** (H + 1 1' trace / C)^-1 sums: H is singular along 1, to which the sums are orthogonal. H is spoilt. */
function newtonDirection(H: Float64Array, sums: Float64Array, C: number): Float64Array {
  const direction = sums.slice();
  const absent = Uint8Array.from(sums, (_, c) => (H[c * C + c] === 0 ? 1 : 0));
  let trace = 0;
  for (let c = 0; c < C; c++) trace += H[c * C + c];
  const lift = Math.max(trace, Number.MIN_VALUE / Number.EPSILON ** 2) / C;
  for (let k = 0; k < H.length; k++) H[k] += lift;
  for (let c = 0; c < C; c++) H[c * C + c] += absent[c] === 1 ? lift : Number.EPSILON * lift;
  smallSolve(H, direction, C);
  for (let c = 0; c < C; c++) if (absent[c] === 1) direction[c] = 0;
  return direction;
}

/** Takes what the columns still sum to from the row that has the most room in its tightest class. */
function giveRest(N: Float64Array, Y: Float64Array, a: Float64Array, C: number): void {
  const rest = columnSums(N, C);
  if (largestOf(rest) === 0) return;
  let roomiest = 0;
  let most = Number.NEGATIVE_INFINITY;
  for (let k = 0; k < a.length; k++) {
    let room = Number.POSITIVE_INFINITY;
    for (let c = 0; c < C; c++) if (rest[c] !== 0) room = Math.min(room, a[k] * Y[k * C + c] + N[k * C + c]);
    if (room > most) {
      most = room;
      roomiest = k;
    }
  }
  for (let c = 0; c < C; c++) N[roomiest * C + c] -= rest[c];
}
