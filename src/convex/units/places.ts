/**
 * What polynomial units see of a sample: its row, or the patches of an image under each place of a read-out, whose outputs are averaged there.
 *
 * A unit feeds one output from one place; the two together are its feed, a C + c for place a and output c. That loses nothing: under an
 * l1 charge on every output weight a filter that feeds several is as dear as copies of it that feed one each. The mean over patches x of
 * a (x'u)^2 + b x'u + c is linear in u u' and u, so that where windows are wide their mean x x' and mean x stand for all patches.
 */

import type { Kernels } from "../kernels/types.js";
import type { Pieces } from "../linear/pieces.js";
import { dotAt } from "../linear/vectors.js";
import { madeInPieces } from "../operators/patches.js";
import type { Matrix, Pooling } from "../types.js";
import { outputsOfUnit, type Polynomial } from "./hiddenUnits.js";

/** One place: patches, row k window + t being patch t of sample k, or moments of each sample as `packedMoments` has them. */
export type Place =
  | { readonly kind: "rows"; readonly X: Matrix; readonly window: number }
  | { readonly kind: "moments"; readonly Phi: Matrix };

export interface Places {
  readonly d: number; // entries of a unit
  readonly list: readonly Place[];
}

/** u'Qu + q'u + total c: what sum_k N_k h_k(u) is; of Q [d x d] the lower half. */
export interface QuadraticForm {
  readonly Q: Float64Array;
  readonly q: Float64Array; // [d]
  readonly total: number; // sum_k N_k
}

/** Windows of at least so many patches for each entry of a unit are kept as moments, which take d / 2 numbers an entry. */
const MOMENTS_FROM = 1 / 8;

/** Numbers, or products, between two looks at the clock. */
const PIECE = 2 ** 22;

/** One place, which sees the samples as they are. */
export function onePlace(X: Matrix): Places {
  return { d: X.cols, list: [{ kind: "rows", X, window: 1 }] };
}

/** The places of pooled patches X [n patches x d], in the form that descents are fastest on; null where it is told to end. */
export function* placesOf(X: Matrix, pooling: Pooling, kernels: Kernels): Pieces<Places | null> {
  const { cols: d } = X;
  const window = pooling.patches / pooling.positions;
  if (window === 1 || window < MOMENTS_FROM * d) return yield* placesOfRows(X, pooling);
  const moments = yield* packedMoments(X, pooling, kernels);
  return moments === null ? null : { d, list: moments.map((Phi) => ({ kind: "moments", Phi })) };
}

/** The same as patches. */
export function* placesOfRows(X: Matrix, { patches, positions }: Pooling): Pieces<Places | null> {
  const { cols: d } = X;
  if ((yield* madeInPieces(X, "all")) === null) return null;
  const window = patches / positions;
  const places = Array.from({ length: positions }, (_, a) => a);
  if (positions === 1) return { d, list: [{ kind: "rows", X, window }] };
  const n = X.rows / patches;
  const list: Place[] = [];
  for (const a of places) {
    const data = new Float64Array(n * window * d);
    for (let k = 0; k < n; k++) {
      if (k % Math.ceil(PIECE / (window * d)) === 0 && (yield)) return null;
      for (let t = 0; t < window; t++) {
        const from = (k * patches + t * positions + a) * d;
        data.set(X.data.subarray(from, from + d), (k * window + t) * d);
      }
    }
    list.push({ kind: "rows", X: { rows: n * window, cols: d, data }, window });
  }
  return { d, list };
}

/** Numbers of packed moments, of u'Mu and m'u: d (d + 1) / 2 + d. */
export function packedSize(d: number): number {
  return (d * (d + 3)) / 2;
}

/** Of each place [n x packedSize]: mean x x' by its lower half, entries off the diagonal twice, and then mean x. */
function* packedMoments(X: Matrix, { patches, positions }: Pooling, kernels: Kernels): Pieces<Matrix[] | null> {
  if ((yield* madeInPieces(X, "kept")) === null) return null;
  const { cols: d } = X;
  const n = X.rows / patches;
  const F = packedSize(d);
  const window = patches / positions;
  const all = Array.from({ length: positions }, () => new Float64Array(n * F));
  const [rows, turned, square] = [window * d, window * d, d * d].map((size) => new Float64Array(size));
  for (let k = 0; k < n; k++) {
    if (k % Math.ceil(PIECE / (patches * d * d)) === 0 && (yield)) return null;
    const given = X.block?.(k * patches, patches) ?? X.data.subarray(k * patches * d, (k + 1) * patches * d);
    all.forEach((Phi, a) => {
      for (let t = 0; t < window; t++) {
        for (let i = 0; i < d; i++) {
          rows[t * d + i] = given[(t * positions + a) * d + i];
          turned[i * window + t] = rows[t * d + i] / window;
        }
      }
      kernels.multiply(turned, rows, square, d, window, d);
      let to = k * F;
      for (let i = 0; i < d; i++) {
        for (let j = 0; j < i; j++) Phi[to++] = 2 * square[i * d + j];
        Phi[to++] = square[i * d + i];
      }
      for (let i = 0; i < d; i++, to++) for (let t = 0; t < window; t++) Phi[to] += turned[i * window + t];
    });
  }
  return all.map((data) => ({ rows: n, cols: F, data }));
}

/** Outputs [n] of a unit at a place. */
export function outputsAtPlace(activation: Polynomial, place: Place, u: Float64Array): Float64Array {
  if (place.kind === "rows") return averaged(outputsOfUnit(activation, place.X, u), place.window);
  const { a, b, c } = activation;
  const { rows: n, cols: F, data } = place.Phi;
  const theta = new Float64Array(F);
  let to = 0;
  for (let i = 0; i < u.length; i++) for (let j = 0; j <= i; j++, to++) theta[to] = a * u[i] * u[j];
  for (let i = 0; i < u.length; i++, to++) theta[to] = b * u[i];
  return Float64Array.from({ length: n }, (_, k) => c + dotAt(data, k * F, theta, 0, F));
}

/** sum_k N_k h_k of units at a place. */
export function formAtPlace({ a, b }: Polynomial, place: Place, N: Float64Array, d: number): QuadraticForm {
  const Q = new Float64Array(d * d);
  const q = new Float64Array(d);
  const total = N.reduce((sum, value) => sum + value, 0);
  if (place.kind === "rows") {
    const { X, window } = place;
    for (let k = 0; k < X.rows; k++) {
      const weight = N[Math.floor(k / window)] / window;
      if (weight === 0) continue;
      for (let i = 0; i < d; i++) {
        const value = weight * X.data[k * d + i];
        q[i] += b * value;
        for (let j = 0; j <= i; j++) Q[i * d + j] += a * value * X.data[k * d + j];
      }
    }
    return { Q, q, total };
  }
  const { cols: F, data } = place.Phi;
  const packed = new Float64Array(F);
  for (let k = 0; k < N.length; k++) {
    if (N[k] !== 0) for (let p = 0; p < F; p++) packed[p] += N[k] * data[k * F + p];
  }
  unpack(packed, a, b, Q, q);
  return { Q, q, total };
}

/** a times the lower half of the matrix, and b times the vector, that moments make. */
export function unpack(packed: Float64Array, a: number, b: number, Q: Float64Array, q: Float64Array): void {
  const d = q.length;
  let from = 0;
  for (let i = 0; i < d; i++) {
    for (let j = 0; j < i; j++, from++) Q[i * d + j] = (a / 2) * packed[from];
    Q[i * d + i] = a * packed[from++];
  }
  for (let i = 0; i < d; i++, from++) q[i] = b * packed[from];
}

/** Means [n] over windows. */
function averaged(values: Float64Array, window: number): Float64Array {
  if (window === 1) return values;
  const means = new Float64Array(values.length / window);
  for (let k = 0; k < values.length; k++) means[Math.floor(k / window)] += values[k] / window;
  return means;
}
