/**
 * A network as a point of a smooth problem: neurons with their patterns held, those rows on which a ReLU rests kept there.
 *
 * Around an optimum of the convex program the active neurons keep their patterns, and a row that a cone pushes a neuron against
 * stays on its boundary, x_k'w_j = 0. So w_j = B_j' s_j with an orthonormal basis B_j of what these rows do not see, and
 *
 *   F = L(sum_j A_j(B_j' s_j) a_j' + 1 c') + g1 |W|^2 + g2 |A|^2 + ridge |c|^2
 *
 * is smooth in theta = (s_j, a_j, c): the convex program's own objective in the weights that layers hold. For one layer the
 * read-out is fixed.
 */

import type { Kernels } from "../kernels/types.js";
import { dotAt } from "../linear/vectors.js";
import { type Decay, ONE_PATCH, slopeOf } from "../network.js";
import { nullspace } from "../operators/nullspace.js";
import type { Matrix, Pooling } from "../types.js";

/** One neuron, whose pattern on the rows is held. */
export interface Unit {
  w: Float64Array; // [d]
  a: Float64Array; // [A C]
  readonly open: Uint8Array; // [rows of X]; 0 on the rows of the face
  /** Independent rows on whose boundary it rests; none behind a gate. */
  face: Int32Array;
  basis: Float64Array; // [r x d]
  /** The entries of `a` that may move; none where the read-out is fixed. */
  readonly feeds: Int32Array;
  /** Gates in whose cones it is held, each a row's side; null: it may take any. */
  readonly gates: readonly ((row: number) => boolean)[] | null;
  /** Of a gated unit, [d]; null: ReLU. */
  readonly gate: Float64Array | null;
}

export interface Shape {
  readonly outputs: number; // C
  readonly outputBias: boolean;
  readonly decay: Decay;
  readonly pooling: Pooling | null;
}

/** Where everything is, and where it may go. */
export interface Point {
  readonly shape: Shape;
  readonly units: readonly Unit[];
  readonly bias: Float64Array; // [C]
}

/** The first coordinate of each unit, then that of the bias, then how many there are. */
export function placesOf({ units, shape }: Point): Int32Array {
  const places = new Int32Array(units.length + 2);
  units.forEach(({ basis, w, feeds }, j) => {
    places[j + 1] = places[j] + basis.length / w.length + feeds.length;
  });
  places[units.length + 1] = places[units.length] + (shape.outputBias ? shape.outputs : 0);
  return places;
}

/** Puts a unit on a face: its basis, and its weights less what the rows of the face see of them. */
export function restOn(unit: Unit, face: Int32Array, X: Matrix): void {
  const d = X.cols;
  unit.face = face;
  unit.basis = new Float64Array(Math.max(0, d - face.length) * d);
  nullspace(X, face, unit.basis);
  for (const row of face) unit.open[row] = 0;
  if (face.length === 0) return;
  const w = new Float64Array(d);
  for (let i = 0; i < unit.basis.length; i += d) {
    const share = dotAt(unit.basis, i, unit.w, 0, d);
    for (let p = 0; p < d; p++) w[p] += share * unit.basis[i + p];
  }
  unit.w = w;
}

/** The patterns that the units have on other rows. */
export function opensOn({ units }: Point, X: Matrix): Uint8Array[] {
  return units.map(({ w, gate }) => {
    const direction = gate ?? w;
    const open = new Uint8Array(X.rows);
    for (let k = 0; k < X.rows; k++) {
      const value = dotAt(X.data, k * X.cols, direction, 0, X.cols);
      open[k] = (gate === null ? value > 0 : value >= 0) ? 1 : 0;
    }
    return open;
  });
}

/** dZ / dtheta, as its transpose [p x n C]. */
export function slopes(
  point: Point,
  X: Matrix,
  kernels: Kernels,
  opens: readonly Uint8Array[] = point.units.map(({ open }) => open),
): Float64Array {
  const { units, shape } = point;
  const { outputs: C, pooling } = shape;
  const { patches: K } = pooling ?? ONE_PATCH;
  const n = X.rows / K;
  const places = placesOf(point);
  const J = new Float64Array(places[units.length + 1] * n * C);
  units.forEach((unit, j) => {
    const { basis, w, a, feeds } = unit;
    const d = w.length;
    const r = basis.length / d;
    const scales = scalesOf(unit, opens[j], shape);
    const seen = new Float64Array(X.rows * Math.max(1, r));
    if (r > 0) kernels.multiplyTransposed(X.data, basis, seen, X.rows, d, r);
    const own = new Float64Array(X.rows);
    kernels.multiplyTransposed(X.data, w, own, X.rows, d, 1);
    eachPatch(X.rows, shape, (row, sample, position) => {
      const scale = scales[row];
      if (scale === 0) return;
      for (let c = 0; c < C; c++) {
        const weight = scale * a[position * C + c];
        if (weight === 0) continue;
        const to = sample * C + c;
        for (let i = 0; i < r; i++) J[(places[j] + i) * n * C + to] += weight * seen[row * r + i];
      }
      for (let f = 0; f < feeds.length; f++) {
        if (Math.floor(feeds[f] / C) !== position) continue;
        J[(places[j] + r + f) * n * C + sample * C + (feeds[f] % C)] += scale * own[row];
      }
    });
  });
  if (shape.outputBias) {
    for (let c = 0; c < C; c++) {
      const at = (places[units.length] + c) * n * C;
      for (let k = 0; k < n; k++) J[at + k * C + c] = 1;
    }
  }
  return J;
}

/** Z [n x C]: what the network says of rows. */
export function outputsAt(
  point: Point,
  X: Matrix,
  opens: readonly Uint8Array[] = point.units.map(({ open }) => open),
): Float64Array {
  const { shape, bias, units } = point;
  const { outputs: C, pooling } = shape;
  const Z = new Float64Array((X.rows / (pooling ?? ONE_PATCH).patches) * C);
  for (let k = 0; k < Z.length; k++) Z[k] = bias[k % C];
  units.forEach((unit, j) => {
    const scales = scalesOf(unit, opens[j], shape);
    eachPatch(X.rows, shape, (row, sample, position) => {
      if (scales[row] === 0) return;
      const value = scales[row] * dotAt(X.data, row * X.cols, unit.w, 0, X.cols);
      for (let c = 0; c < C; c++) Z[sample * C + c] += value * unit.a[position * C + c];
    });
  });
  return Z;
}

/** G [d x A C] = A_j' xi: what a unit's outputs would gain by each entry of its weights. */
export function pulled(unit: Unit, X: Matrix, xi: Float64Array, shape: Shape): Float64Array {
  const { outputs: C } = shape;
  const d = X.cols;
  const wide = unit.a.length;
  const G = new Float64Array(d * wide);
  const scales = scalesOf(unit, unit.open, shape);
  eachPatch(X.rows, shape, (row, sample, position) => {
    if (scales[row] === 0) return;
    for (let c = 0; c < C; c++) {
      const weight = scales[row] * xi[sample * C + c];
      if (weight === 0) continue;
      for (let p = 0, to = position * C + c; p < d; p++, to += wide) G[to] += weight * X.data[row * d + p];
    }
  });
  return G;
}

/** What each row of X counts for a unit: the pooling's scale where it is open, the slope's share where not. */
function scalesOf({ gate }: Unit, open: Uint8Array, { pooling }: Shape): Float64Array {
  const { scale } = pooling ?? ONE_PATCH;
  const closed = gate === null ? scale * slopeOf(pooling) : 0;
  return Float64Array.from(open, (bit) => (bit === 1 ? scale : closed));
}

export function eachPatch(
  rows: number,
  { pooling }: Shape,
  visit: (row: number, sample: number, position: number) => void,
): void {
  const { patches: K, positions } = pooling ?? ONE_PATCH;
  for (let row = 0; row < rows; row++) visit(row, Math.floor(row / K), (row % K) % positions);
}
