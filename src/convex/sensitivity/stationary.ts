/** From a point near an optimum to one that is stationary to rounding, by Newton's method with an active set of boundary rows. */

import type { Kernels } from "../kernels/types.js";
import { choleskyInPlace, choleskySolve } from "../linear/cholesky.js";
import { dotAt, largestOf, norm, orthogonalise } from "../linear/vectors.js";
import { slopeOf } from "../network.js";
import type { Loss, Matrix } from "../types.js";
import { type Curvature, curvatureAt, Inverse } from "./curvature.js";
import { eachPatch, type Point, placesOf, pulled, restOn, type Unit } from "./point.js";

/** A row this close to a neuron's boundary, relative to both lengths, is first taken to lie on it; its multiplier decides. */
const NEAR = 1e-6;
/** What a face leaves of a row that is the others', relative to its length. */
const DEPENDENT = 1e-7;
/** Of the gradient, relative to that of the loss and of the decay apart. */
const STATIONARY = 1e-11;
const MOST_STEPS = 400;

/** The rows that a neuron rests on, and how firmly: the multiplier's distance to where the row would leave, over its scale. */
export interface Held {
  readonly unit: number;
  readonly row: number;
  readonly margin: number;
}

export interface Stationary {
  readonly point: Point;
  readonly at: Curvature;
  readonly held: readonly Held[];
  /** Largest entry of the gradient, relative to its parts. */
  readonly residual: number;
  readonly settled: boolean;
}

/** Rests ReLU units on the rows that lie on their boundaries. */
export function restNear(units: readonly Unit[], X: Matrix): void {
  for (const unit of units) {
    const length = norm(unit.w);
    const near: number[] = [];
    for (let k = 0; k < X.rows && unit.gate === null; k++) {
      const size = rowLength(X, k);
      const value = dotAt(X.data, k * X.cols, unit.w, 0, X.cols);
      if (size > 0 && Math.abs(value) <= NEAR * size * length) near.push(k);
    }
    restOn(unit, independentRows(X, near), X);
    for (const row of near) unit.open[row] = 0;
  }
}

/** Moves the point's units and bias in place. */
export async function settle(
  point: Point,
  X: Matrix,
  loss: Loss,
  kernels: Kernels,
  pause: () => Promise<boolean>,
): Promise<Stationary> {
  let at = curvatureAt(point, X, loss, kernels);
  let held = heldRows(point, X, at.xi);
  let residual = residualOf(point, at);
  let best = Number.POSITIVE_INFINITY;
  let worse = 0;
  for (let step = 0; step < MOST_STEPS; step++) {
    if (residual <= STATIONARY || worse > 2) {
      const leaving = held.reduce<Held | null>((least, one) => (one.margin < (least?.margin ?? 0) ? one : least), null);
      if (leaving === null || residual > Math.sqrt(STATIONARY)) break;
      leave(point, leaving, X, at.xi);
      [best, worse] = [Number.POSITIVE_INFINITY, 0];
    } else {
      const inverse = Inverse.of(at, kernels);
      if (inverse === null) break;
      const move = inverse.solve(at.gradient.map((value) => -value));
      if (!move.every(Number.isFinite)) break;
      walk(point, move, X);
    }
    at = curvatureAt(point, X, loss, kernels);
    held = heldRows(point, X, at.xi);
    residual = residualOf(point, at);
    worse = residual < best / 2 ? 0 : worse + 1;
    best = Math.min(best, residual);
    if (await pause()) break;
  }
  const settled = residual <= STATIONARY * 1e3 && held.every(({ margin }) => margin >= 0);
  return { point, at, held, residual, settled };
}

/** The largest entry of the gradient over the largest of its parts: what rows pull at a coordinate, and the decay. */
function residualOf({ units, shape }: Point, { gradient, J, xi }: Curvature): number {
  const { hidden, output } = shape.decay;
  let scale = Number.MIN_VALUE;
  for (const { w, a } of units) scale = Math.max(scale, 2 * hidden * norm(w), 2 * output * norm(a));
  gradient.forEach((_, i) => {
    let parts = 0;
    for (let k = 0; k < xi.length; k++) parts += Math.abs(J[i * xi.length + k] * xi[k]);
    scale = Math.max(scale, parts);
  });
  return largestOf(gradient) / scale;
}

/** theta += t move, t at most 1: to where the first row comes to a neuron's boundary, on which that neuron then rests. */
function walk(point: Point, move: Float64Array, X: Matrix): void {
  const { units, bias, shape } = point;
  const places = placesOf(point);
  const directions = units.map((unit, j) => directionOf(unit, move, places[j]));
  let share = 1;
  let hit: { readonly unit: number; readonly row: number } | null = null;
  units.forEach((unit, j) => {
    if (unit.gate !== null || unit.feeds.length === 0) return;
    const resting = new Set(unit.face);
    for (let k = 0; k < X.rows; k++) {
      if (resting.has(k)) continue;
      const value = dotAt(X.data, k * X.cols, unit.w, 0, X.cols);
      const change = dotAt(X.data, k * X.cols, directions[j], 0, X.cols);
      const leaves = unit.open[k] === 1 ? value + change < 0 : value + change > 0;
      if (!leaves || Math.abs(value + change) <= NEAR ** 2 * rowLength(X, k) * norm(unit.w)) continue;
      const to = Math.max(0, -value / change);
      if (to >= share) continue;
      share = to;
      hit = { unit: j, row: k };
    }
  });
  units.forEach((unit, j) => {
    for (let p = 0; p < unit.w.length; p++) unit.w[p] += share * directions[j][p];
    const r = unit.basis.length / unit.w.length;
    unit.feeds.forEach((feed, f) => {
      unit.a[feed] += share * move[places[j] + r + f];
    });
  });
  if (shape.outputBias) for (let c = 0; c < bias.length; c++) bias[c] += share * move[places[units.length] + c];
  if (hit === null) return;
  const { unit, row } = hit as { unit: number; row: number };
  restOn(units[unit], independentRows(X, [...units[unit].face, row]), X);
  units[unit].open[row] = 0;
}

/** What a move of the coordinates makes of a unit's weights. */
export function directionOf({ basis, w }: Unit, move: Float64Array, from: number): Float64Array {
  const d = w.length;
  const out = new Float64Array(d);
  for (let i = 0; i * d < basis.length; i++) for (let p = 0; p < d; p++) out[p] += move[from + i] * basis[i * d + p];
  return out;
}

/**
 * With the rows of its face closed, a unit has A_j' L'(Z) a + 2 g1 w = -sum_k mu_k x_k. The derivative of ReLU at zero is any number
 * between 0 and 1, so mu_k has to lie between 0 and what the row would pull if it were open; a cone of a fixed gate only has its own side.
 */
function heldRows(point: Point, X: Matrix, xi: Float64Array): Held[] {
  const { units } = point;
  return units.flatMap((unit, j) => {
    if (unit.face.length === 0) return [];
    const pull = pullsOf(unit, X, xi, point);
    const mu = multipliersOf(unit, X, xi, point);
    return Array.from(unit.face, (row, f) => {
      const { low, high } = bounds(unit, row, pull, X);
      const scale = Math.max(Math.abs(high), Math.abs(low), Math.abs(mu[f]), Number.MIN_VALUE);
      const closes = unit.gates === null || unit.gates.some((side) => !side(row));
      const opens = unit.gates === null || unit.gates.some((side) => side(row));
      const margin = Math.min(
        closes ? (mu[f] - low) / scale : Number.POSITIVE_INFINITY,
        opens ? (high - mu[f]) / scale : Number.POSITIVE_INFINITY,
      );
      return { unit: j, row, margin };
    });
  });
}

/** What each row on the boundary would add to the derivative along it if it were open: (1 - slope) scale xi a. */
function pullsOf({ a }: Unit, X: Matrix, xi: Float64Array, { shape }: Point): Float64Array {
  const { outputs: C, pooling } = shape;
  const share = (pooling?.scale ?? 1) * (1 - slopeOf(pooling));
  const pull = new Float64Array(X.rows);
  eachPatch(X.rows, shape, (row, sample, position) => {
    for (let c = 0; c < C; c++) pull[row] += share * xi[sample * C + c] * a[position * C + c];
  });
  return pull;
}

/** The interval of a row's multiplier: rows on the same line count together, opposite ones on the other side. */
function bounds(unit: Unit, row: number, pull: Float64Array, X: Matrix): { low: number; high: number } {
  let [low, high] = [0, 0];
  for (const { k, along } of onTheLineOf(row, X)) {
    if (unit.open[k] === 1) continue;
    if (along > 0) high += along * pull[k];
    else low += along * pull[k];
  }
  return { low, high };
}

/** The rows that are multiples of one, itself among them. */
function onTheLineOf(row: number, X: Matrix): { readonly k: number; readonly along: number }[] {
  const d = X.cols;
  const square = dotAt(X.data, row * d, X.data, row * d, d);
  const found: { k: number; along: number }[] = [];
  for (let k = 0; k < X.rows; k++) {
    const along = dotAt(X.data, row * d, X.data, k * d, d) / square;
    if (along === 0) continue;
    let off = 0;
    for (let p = 0; p < d; p++) off = Math.max(off, Math.abs(X.data[k * d + p] - along * X.data[row * d + p]));
    if (off <= DEPENDENT * Math.abs(along) * Math.sqrt(square)) found.push({ k, along });
  }
  return found;
}

/** mu [F]: least squares of the unit's gradient over the rows of its face. */
function multipliersOf(unit: Unit, X: Matrix, xi: Float64Array, { shape }: Point): Float64Array {
  const { w, a, face } = unit;
  const d = X.cols;
  const F = face.length;
  const G = pulled(unit, X, xi, shape);
  const q = w.map((value, p) => 2 * shape.decay.hidden * value + dotAt(G, p * a.length, a, 0, a.length));
  const gram = new Float64Array(F * F);
  const mu = new Float64Array(F);
  for (let i = 0; i < F; i++) {
    for (let j = 0; j < F; j++) gram[i * F + j] = dotAt(X.data, face[i] * d, X.data, face[j] * d, d);
    mu[i] = -dotAt(X.data, face[i] * d, q, 0, d);
  }
  if (choleskyInPlace(gram, F)) choleskySolve(gram, F, mu);
  return mu;
}

/** Takes a row off a face, to the side to which its multiplier points. */
function leave({ units, shape }: Point, { unit: j, row }: Held, X: Matrix, xi: Float64Array): void {
  const unit = units[j];
  const mu = multipliersOf(unit, X, xi, { shape, units, bias: new Float64Array(shape.outputs) });
  const opens = mu[unit.face.indexOf(row)] > 0;
  restOn(
    unit,
    unit.face.filter((one) => one !== row),
    X,
  );
  for (const { k, along } of onTheLineOf(row, X)) unit.open[k] = along > 0 === opens ? 1 : 0;
}

function rowLength(X: Matrix, row: number): number {
  const d = X.cols;
  return Math.sqrt(dotAt(X.data, row * d, X.data, row * d, d));
}

/** Rows of the list that are independent of those before them, by Gram and Schmidt's method. */
function independentRows(X: Matrix, rows: readonly number[]): Int32Array {
  const d = X.cols;
  const basis: Float64Array[] = [];
  const kept: number[] = [];
  for (const row of rows) {
    if (kept.length === d - 1) break;
    const rest = X.data.slice(row * d, (row + 1) * d);
    const size = norm(rest);
    orthogonalise(rest, basis);
    const left = norm(rest);
    if (!(left > DEPENDENT * size)) continue;
    basis.push(rest.map((value) => value / left));
    kept.push(row);
  }
  return Int32Array.from(kept);
}
