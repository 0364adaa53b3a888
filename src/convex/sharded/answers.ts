/** What a shard says about outputs of its rows, or about blocks: sums over the rows, of nothing that it keeps. */

import { nonzeroVectors } from "../kernels/nonzero.js";
import type { GatedProducts } from "../kernels/types.js";
import { columnSums } from "../linear/vectors.js";
import type { GateSet, Loss, Matrix } from "../types.js";

/** What is there once the gates are known. */
export interface Bound {
  readonly X: Matrix; // [n x d]; its numbers are with the engine
  readonly products: GatedProducts;
  readonly truth: Loss; // its part of the mean over all rows
  readonly loss: Loss; // the same, or what the last anchor makes of it
  readonly gates: GateSet;
}

type Products = Pick<GatedProducts, "forward" | "adjoint">;

/** A'A v for one output, v [P x d]: of which power steps take the norm. */
export function powerOf(products: Products, rows: number, d: number, v: Float64Array): Float64Array {
  const Z = new Float64Array(rows);
  multiply(products, v, d, 1, Z);
  const out = new Float64Array(v.length);
  products.adjoint(Z, 1, null, out);
  return out;
}

/** The loss at Z + 1 offset', the sums of its gradient and of their sizes [C] each, and of its Hessian: [C], or [C x C] where outputs see each other. */
export function biasAt({ loss }: Bound, at: Float64Array, offset: Float64Array): Float64Array {
  const C = loss.outputs;
  const Z = shifted(at, offset);
  const N = new Float64Array(Z.length);
  loss.gradient(Z, N);
  const head = Float64Array.of(loss.value(Z), ...columnSums(N, C), ...columnSums(N.map(Math.abs), C));
  if (loss.hessianTimes === undefined) {
    loss.hessianDiagonal(Z, N);
    return Float64Array.of(...head, ...columnSums(N, C));
  }
  const rows: number[] = [];
  for (let c = 0; c < C; c++) {
    const unit = new Float64Array(Z.length);
    for (let k = c; k < unit.length; k += C) unit[k] = 1;
    loss.hessianTimes(Z, unit, N);
    rows.push(...columnSums(N, C));
  }
  return Float64Array.of(...head, ...rows);
}

/** The loss at Z + 1 offset', the sums of its gradient N [C], and A'N. */
export function judgeAt(bound: Bound, at: Float64Array, offset: Float64Array): Float64Array {
  const Z = shifted(at, offset);
  const N = new Float64Array(Z.length);
  bound.loss.gradient(Z, N);
  const out = slopeOf(bound, N, 1);
  out[0] = bound.loss.value(Z);
  return out;
}

/** L*(s (N - 1 rest')) for some scales s, N the gradient at Z + 1 offset'; payload: offset [C], rest [C], scales. */
export function conjugatesAt({ loss }: Bound, at: Float64Array, payload: Float64Array): Float64Array {
  const C = loss.outputs;
  const N = new Float64Array(at.length);
  loss.gradient(shifted(at, payload.subarray(0, C)), N);
  for (let k = 0; k < N.length; k++) N[k] -= payload[C + (k % C)];
  const scaled = new Float64Array(N.length);
  return payload.slice(2 * C).map((scale) => {
    for (let k = 0; k < N.length; k++) scaled[k] = scale * N[k];
    return loss.conjugate(scaled);
  });
}

/** The loss after some strides along blocks and biases [P x C x d + C]. */
export function lossesAlong(
  bound: Bound,
  at: Float64Array,
  strides: readonly number[],
  payload: Float64Array,
): Float64Array {
  const size = payload.length - bound.loss.outputs;
  const move = outputsOf(bound, payload.subarray(0, size), payload.subarray(size));
  const trial = new Float64Array(at.length);
  return Float64Array.from(strides, (stride) => {
    for (let k = 0; k < at.length; k++) trial[k] = at[k] + stride * move[k];
    return bound.loss.value(trial);
  });
}

export function outputsOf({ products, loss, X }: Bound, vectors: Float64Array, bias: Float64Array): Float64Array {
  const C = loss.outputs;
  const Z = new Float64Array(loss.rows * C);
  multiply(products, vectors, X.cols, C, Z);
  for (let k = 0; k < Z.length; k++) Z[k] += bias[k % C];
  return Z;
}

/** Room for `first` numbers, then the sums of the columns of R [C], and A'R [P x C x d]. */
export function slopeOf({ products, loss, X, gates }: Bound, R: Float64Array, first: number): Float64Array {
  const C = loss.outputs;
  const out = new Float64Array(first + C + gates.count * C * X.cols);
  out.set(columnSums(R, C), first);
  products.adjoint(R, C, null, out.subarray(first + C));
  return out;
}
/** The loss itself at Z + 1 offset'. */
export function truthAt({ truth }: Bound, at: Float64Array, offset: Float64Array): Float64Array {
  return Float64Array.of(truth.value(shifted(at, offset)));
}

/** Z [n x C] := A v, v [P x C x d]; only vectors that are not zero are multiplied. */
function multiply(products: Products, v: Float64Array, d: number, C: number, Z: Float64Array): void {
  const { index, vectors } = nonzeroVectors(v, v.length / d, d);
  const gate = index.map((k) => Math.floor(k / C));
  const output = index.map((k) => k % C);
  products.forward(gate, output, new Float64Array(index.length).fill(1), vectors, C, Z);
}

/** Z + 1 offset'. */
export function shifted(Z: Float64Array, offset: Float64Array): Float64Array {
  const C = offset.length;
  return Z.map((z, k) => z + offset[k % C]);
}
