/** What fits without each one row would say of it, by one Newton step from the fit with all. */

import { refuseAs } from "../../arguments.js";
import type { Kernels } from "../../convex/kernels/types.js";
import { smallSolve } from "../../convex/linear/smallSolve.js";
import { dot } from "../../convex/linear/vectors.js";
import { bindLoss } from "../../convex/losses/index.js";
import { ONE_PATCH, slopeOf } from "../../convex/network.js";
import {
  alongRows,
  Inverse,
  lossCurved,
  type Point,
  placesOf,
  type Stationary,
} from "../../convex/sensitivity/index.js";
import type { Loss, Matrix } from "../../convex/types.js";

export interface LeaveOneOut {
  /** Row k is what the fit without row k says of it, before the last activation. */
  readonly outputs: Matrix; // [n x C]
  /** The mean loss of these, with the sample weights of the fit. */
  readonly loss: number;
  /** How much of its own output a row makes, 0 to 1; of several outputs, their sum. */
  readonly leverages: Float64Array; // [n]
  /** Their sum: the degrees of freedom of the fit. */
  readonly degreesOfFreedom: number;
}

/**
 * With Q_k = J_k H^-1 J_k' and r the gradient of the decay, z_k + (I - Q_k L''_k)^-1 (Q_k L'_k + J_k H^-1 r / n): the row is taken out of
 * the gradient and of the Newton matrix, and the decay counts for n - 1 rows in place of n. A neuron that only this row switches
 * on is nothing without it: it is taken out as well, which changes no other row.
 */
export function leaveOneOut(
  { at }: Stationary,
  point: Point,
  loss: Loss,
  inverse: Inverse,
  kernels: Kernels,
): LeaveOneOut {
  const { J, Z, xi, size: p } = at;
  const { rows: n, outputs: C } = loss;
  const solved = J.slice();
  (withoutCharge(point, at, n, kernels) ?? inverse).solveAll(solved, Z.length);
  const charge = alongRows(J, xi).map((value) => -value / n); // r / n
  const outputs = Z.slice();
  const leverages = new Float64Array(n);
  const curved = curvatures(loss, Z);
  const alone = unitsOfOneRow(point, n);
  for (let k = 0; k < n; k++) {
    const S = curved.subarray(k * C * C, (k + 1) * C * C);
    const own = { S, xi: xi.subarray(k * C, (k + 1) * C), charge };
    const step = { J: columnsAt(J, k, C, p), solved: columnsAt(solved, k, C, p) };
    leverages[k] = traceOf(crossed(step.J, step.solved, C), S, C);
    const gone = alone[k];
    const moved = gone.length === 0 ? moveOf(step, own) : moveWithout(gone, point, at, step.J, own, kernels);
    for (let c = 0; c < C; c++) outputs[k * C + c] += moved[c];
  }
  const { targets, weights } = loss.bound ?? { targets: { rows: n, cols: C, data: Z }, weights: null };
  return {
    outputs: { rows: n, cols: C, data: outputs },
    loss: bindLoss(loss.name, targets, weights).value(outputs),
    leverages,
    degreesOfFreedom: leverages.reduce((sum, value) => sum + value, 0),
  };
}

/** A row's derivatives J_k' [p x C], and H^-1 J_k'. */
interface Step {
  readonly J: Float64Array;
  readonly solved: Float64Array;
}

interface Row {
  readonly S: Float64Array; // [C x C]: L'' of its outputs
  readonly xi: Float64Array; // [C]
  readonly charge: Float64Array; // [p]: r / n
}

/** How the row's outputs move when it goes. */
function moveOf({ J, solved }: Step, { S, xi, charge }: Row): Float64Array {
  const C = xi.length;
  const Q = crossed(J, solved, C);
  const to = new Float64Array(C);
  for (let c = 0; c < C; c++) {
    for (let i = 0; i < charge.length; i++) to[c] += charge[i] * solved[i * C + c];
    to[c] += dot(Q.subarray(c * C, (c + 1) * C), xi);
  }
  const A = new Float64Array(C * C); // I - Q S
  for (let c = 0; c < C; c++) {
    for (let e = 0; e < C; e++) {
      A[c * C + e] = c === e ? 1 : 0;
      for (let f = 0; f < C; f++) A[c * C + e] -= Q[c * C + f] * S[f * C + e];
    }
  }
  smallSolve(A, to, C);
  return to;
}

/** The same where some units go with the row: what they gave it, and how the others move. */
function moveWithout(
  gone: readonly number[],
  point: Point,
  { H, size: p }: Stationary["at"],
  J: Float64Array,
  { S, xi, charge }: Row,
  kernels: Kernels,
): Float64Array {
  const C = xi.length;
  const places = placesOf(point);
  const stays = new Uint8Array(p).fill(1);
  const given = new Float64Array(C);
  for (const j of gone) {
    stays.fill(0, places[j], places[j + 1]);
    const { feeds, a } = point.units[j];
    const from = places[j + 1] - feeds.length;
    // Outputs are linear in the unit's read-out.
    feeds.forEach((feed, f) => {
      for (let c = 0; c < C; c++) given[c] += a[feed] * J[(from + f) * C + c];
    });
  }
  const stay = Array.from(stays.keys()).filter((i) => stays[i] === 1);
  const q = stay.length;
  const rest = new Float64Array(q * q);
  const own = new Float64Array(q * C);
  stay.forEach((i, row) => {
    stay.forEach((j, column) => {
      rest[row * q + column] = H[i * p + j];
    });
    own.set(J.subarray(i * C, (i + 1) * C), row * C);
  });
  const solved = own.slice();
  const inverse = Inverse.of({ H: rest, size: q }, kernels);
  if (inverse === null) {
    refuseAs(
      "leaveOneOut",
      "a minimum",
      "a point from which the objective falls once a row's own neurons are gone",
      "Fit with a smaller tolerance (1e-8).",
    );
  }
  inverse.solveAll(solved, C);
  const moved = moveOf({ J: own, solved }, { S, xi, charge: Float64Array.from(stay, (i) => charge[i]) });
  return moved.map((value, c) => value - given[c]);
}

/** For each row the units that no other row switches on. */
function unitsOfOneRow({ units, shape }: Point, n: number): number[][] {
  const { patches } = shape.pooling ?? ONE_PATCH;
  const lists = Array.from({ length: n }, (): number[] => []);
  units.forEach(({ open, gate, feeds }, j) => {
    if (feeds.length === 0 || (gate === null && slopeOf(shape.pooling) !== 0)) return;
    const first = Math.floor(open.indexOf(1) / patches);
    const last = Math.floor(open.lastIndexOf(1) / patches);
    if (first >= 0 && first === last) lists[first].push(j);
  });
  return lists;
}

/** Of one layer the decay is a square, so that the Newton matrix of n - 1 rows is known exactly. */
function withoutCharge(
  { units, shape, bias }: Point,
  { H, size: p }: Stationary["at"],
  n: number,
  kernels: Kernels,
): Inverse | null {
  if (units.some(({ feeds }) => feeds.length > 0)) return null;
  const less = H.slice();
  const places = placesOf({ units, shape, bias });
  for (let i = 0; i < p; i++) {
    const { hidden, outputBias } = shape.decay;
    less[i * p + i] -= (2 * (i < places[units.length] ? hidden : outputBias)) / n;
  }
  return Inverse.of({ H: less, size: p }, kernels);
}

/** L''(Z) of each row [n x C x C]. */
function curvatures(loss: Loss, Z: Float64Array): Float64Array {
  const C = loss.outputs;
  const units = new Float64Array(C * Z.length);
  for (let c = 0; c < C; c++) for (let k = c; k < Z.length; k += C) units[c * Z.length + k] = 1;
  const curved = lossCurved(loss, Z, units, C);
  const out = new Float64Array(Z.length * C);
  for (let k = 0; k < loss.rows; k++) {
    for (let c = 0; c < C; c++) {
      for (let e = 0; e < C; e++) out[(k * C + c) * C + e] = curved[e * Z.length + k * C + c];
    }
  }
  return out;
}

/** Columns k C .. k C + C - 1 of M [p x n C]. */
function columnsAt(M: Float64Array, k: number, C: number, p: number): Float64Array {
  const width = p === 0 ? 0 : M.length / p;
  const out = new Float64Array(p * C);
  for (let i = 0; i < p; i++) for (let c = 0; c < C; c++) out[i * C + c] = M[i * width + k * C + c];
  return out;
}

/** A' B [C x C] of A and B [p x C]. */
function crossed(A: Float64Array, B: Float64Array, C: number): Float64Array {
  const out = new Float64Array(C * C);
  for (let i = 0; i < A.length; i += C) {
    for (let c = 0; c < C; c++) for (let e = 0; e < C; e++) out[c * C + e] += A[i + c] * B[i + e];
  }
  return out;
}

function traceOf(A: Float64Array, B: Float64Array, C: number): number {
  let sum = 0;
  for (let c = 0; c < C; c++) for (let e = 0; e < C; e++) sum += A[c * C + e] * B[e * C + c];
  return sum;
}
