/** The spans of the faces on which blocks move, remembered from step to step. */

import type { GatedProducts } from "../kernels/types.js";
import { nullspace } from "../operators/nullspace.js";
import type { Matrix } from "../types.js";

/** Entries that remembered spans may hold: 256 MB. */
export const MAX_HELD = 2 ** 25;

/** D_i X u for an orthonormal basis u of the directions in which a block may move on its face. */
export interface FaceSpan {
  readonly face: Int32Array;
  readonly basis: Float64Array; // [count x d]
  readonly rows: Float64Array; // [count x n]
  readonly count: number;
}

/** Where a block reads the data. */
export interface Place {
  readonly gate: number;
  readonly position: number; // among pooled patches, else 0
}

/** Remembers the span of each block's face: near the solution faces stay from Newton step to Newton step. */
export class FaceSpans {
  private readonly known = new Map<number, FaceSpan>();
  private held = 0; // entries of all rows

  /** The span of block `index` over n samples. */
  at(X: Matrix, n: number, index: number, at: Place, face: Int32Array, products: GatedProducts): FaceSpan {
    const before = this.known.get(index);
    if (before !== undefined && equal(before.face, face)) return before;
    const count = X.cols - face.length;
    const basis = new Float64Array(count * X.cols);
    const rows = new Float64Array(count * n);
    if (products.faceRows !== undefined) products.faceRows(at.gate, face, basis, rows);
    else if (count > 0) {
      nullspace(X, face, basis);
      products.rows(at.gate, basis, count, rows, at.position);
    }
    const span = { face, basis, rows, count };
    this.held += count * (n + X.cols) - (before === undefined ? 0 : before.count * (n + X.cols));
    if (this.held > MAX_HELD) {
      this.known.clear();
      this.held = count * (n + X.cols);
    }
    this.known.set(index, span);
    return span;
  }
}

function equal(a: Int32Array, b: Int32Array): boolean {
  return a.length === b.length && a.every((value, k) => value === b[k]);
}
