/**
 * Products with gates over patches that are each read out apart: A_i^k = D_i^k X_k [n x d], X_k patch k of every sample, for any
 * engine. Each patch is a dense problem of its own, so the products run patch by patch.
 */

import { isActive } from "../../linear/bits.js";
import { rowBlock } from "../../linear/rowBlock.js";
import type { GatedProducts } from "../types.js";
import { PatchProducts } from "./shared.js";

/** Memory for patches in the order of positions, and for their Gram matrices; what does not fit is made again. */
const SLICE_BYTES = 2 ** 28;
const GRAM_BYTES = 2 ** 28;
/** Masked targets that are held together. */
const ROOM = 2 ** 24;

export class PatchwiseProducts extends PatchProducts implements GatedProducts {
  private readonly slices = new Map<number, Float64Array>(); // by position: X_k [n x d]
  private readonly grams = new Map<number, Float64Array>(); // by position: lower triangle of X_k X_k' [n x n]

  forward(
    gate: Int32Array,
    output: Int32Array,
    sign: Float64Array,
    vectors: Float64Array,
    outputs: number,
    out: Float64Array,
  ): void {
    const { n, d, kernels } = this;
    const { patches, scale } = this.pooling;
    out.fill(0, 0, n * outputs);
    const columns: number[][] = Array.from({ length: patches }, () => []);
    output.forEach((entry, k) => {
      columns[Math.floor(entry / outputs)].push(k);
    });
    columns.forEach((mine, position) => {
      if (mine.length === 0) return;
      const V = new Float64Array(mine.length * d);
      mine.forEach((k, to) => {
        V.set(vectors.subarray(k * d, (k + 1) * d), to * d);
      });
      const T = new Float64Array(mine.length * n);
      kernels.multiplyTransposed(V, this.slice(position), T, mine.length, d, n);
      mine.forEach((k, from) => {
        const c = output[k] % outputs;
        const weight = scale * sign[k];
        for (let j = 0; j < n; j++) {
          if (this.open(gate[k], j, position)) out[j * outputs + c] += weight * T[from * n + j];
        }
      });
    });
  }

  adjoint(R: Float64Array, outputs: number, list: Int32Array | null, out: Float64Array): void {
    const { d } = this;
    const size = this.pooling.positions * outputs * d;
    this.eachAdjoint(R, outputs, list, (G, position, from, count) => {
      for (let i = 0; i < count; i++) {
        const part = G.subarray(i * outputs * d, (i + 1) * outputs * d);
        out.set(part, (from + i) * size + position * outputs * d);
      }
    });
  }

  adjointNorms(R: Float64Array, outputs: number, out: Float64Array): void {
    const { d } = this;
    const { positions } = this.pooling;
    this.eachAdjoint(R, outputs, null, (G, position, from, count) => {
      for (let k = 0; k < count * outputs; k++) {
        let square = 0;
        for (let p = k * d; p < (k + 1) * d; p++) square += G[p] * G[p];
        const c = k % outputs;
        out[((from + (k - c) / outputs) * positions + position) * outputs + c] = Math.sqrt(square);
      }
    });
  }

  rows(gate: number, U: Float64Array, k: number, out: Float64Array, position = 0): void {
    const { n, d, kernels } = this;
    const { scale } = this.pooling;
    kernels.multiplyTransposed(U, this.slice(position), out, k, d, n);
    for (let j = 0; j < n; j++) {
      const weight = this.open(gate, j, position) ? scale : 0;
      for (let r = 0; r < k; r++) out[r * n + j] *= weight;
    }
  }

  /** Entry by entry, sum_k (X_k X_k') o (sum_i weight_i d_ik d_ik'): patch by patch as without patches. */
  addMaskedGram(H: Float64Array, gate: Int32Array, weight: Float64Array): void {
    const { n, kernels } = this;
    const { positions, scale } = this.pooling;
    const masks = new Float64Array(gate.length * n);
    const S = new Float64Array(n * n);
    for (let position = 0; position < positions; position++) {
      for (let k = 0; k < gate.length; k++) {
        const value = scale * Math.sqrt(weight[k]);
        for (let j = 0; j < n; j++) masks[k * n + j] = this.open(gate[k], j, position) ? value : 0;
      }
      S.fill(0);
      kernels.addOuter(S, masks, n, gate.length, 1);
      const K = this.gramOf(position);
      for (let i = 0; i < n; i++) for (let at = i * n; at <= i * n + i; at++) H[at] += S[at] * K[at];
    }
  }

  override dispose(): void {
    super.dispose();
    this.slices.clear();
    this.grams.clear();
  }

  /** Hands X_k' D_i^k R_c [(count x C) x d] of every position k and gates [from, from + count) of the list to `use`. */
  private eachAdjoint(
    R: Float64Array,
    outputs: number,
    list: Int32Array | null,
    use: (G: Float64Array, position: number, from: number, count: number) => void,
  ): void {
    const { n, d, kernels } = this;
    const { positions, scale } = this.pooling;
    const gates = list?.length ?? this.gates.count;
    const together = Math.min(gates, Math.max(1, Math.floor(ROOM / (outputs * n))));
    const M = new Float64Array(together * outputs * n);
    const G = new Float64Array(together * outputs * d);
    for (let from = 0; from < gates; from += together) {
      const count = Math.min(together, gates - from);
      for (let position = 0; position < positions; position++) {
        for (let i = 0; i < count; i++) {
          const gate = list === null ? from + i : list[from + i];
          for (let j = 0; j < n; j++) {
            const value = this.open(gate, j, position) ? scale : 0;
            for (let c = 0; c < outputs; c++) M[(i * outputs + c) * n + j] = value * R[j * outputs + c];
          }
        }
        kernels.multiply(M, this.slice(position), G, count * outputs, n, d);
        use(G, position, from, count);
      }
    }
  }

  private open(gate: number, sample: number, position: number): boolean {
    return isActive(this.gates, gate, sample * this.pooling.patches + position);
  }

  /** X_k [n x d]. */
  private slice(position: number): Float64Array {
    const { n, d } = this;
    const kept = this.slices.get(position);
    if (kept !== undefined) return kept;
    const made = new Float64Array(n * d);
    for (let j = 0; j < n; j++) made.set(rowBlock(this.X, j * this.pooling.patches + position, 1), j * d);
    if (8 * (this.slices.size + 1) * made.length <= SLICE_BYTES) this.slices.set(position, made);
    return made;
  }

  private gramOf(position: number): Float64Array {
    const { n, d, kernels } = this;
    const kept = this.grams.get(position);
    if (kept !== undefined) return kept;
    const made = new Float64Array(n * n);
    const X = this.slice(position);
    kernels.multiplyTransposed(X, X, made, n, d, n);
    if (8 * (this.grams.size + 1) * made.length <= GRAM_BYTES) this.grams.set(position, made);
    return made;
  }
}
