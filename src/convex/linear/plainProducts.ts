/** Rows times a few columns by plain sums in the order of the features: what the judge of networks is made of. */

import type { Matrix } from "../types.js";

/** Above this share of zeros they are left out, which no sum notices. */
const SPARSE = 0.5;

/** The columns of W [d x m], in both orders. */
export class PlainProducts {
  readonly count: number; // m
  private readonly d: number;
  private readonly W: Float64Array; // [d x m]
  private readonly columns: Float64Array; // [m x d]

  constructor({ rows: d, cols: m, data }: Matrix) {
    this.d = d;
    this.count = m;
    this.W = data;
    this.columns = new Float64Array(m * d);
    for (let p = 0; p < d; p++) for (let j = 0; j < m; j++) this.columns[j * d + p] = data[p * m + j];
  }

  /** out [count x m] := rows [count x d] W. */
  of(rows: Float64Array, count: number, out: Float64Array): void {
    let zeros = 0;
    for (let k = 0; k < count * this.d; k++) if (rows[k] === 0) zeros += 1;
    if (zeros > SPARSE * count * this.d) this.sparse(rows, count, out);
    else this.dense(rows, count, out);
  }

  private sparse(rows: Float64Array, count: number, out: Float64Array): void {
    const { d, count: m, W } = this;
    out.fill(0, 0, count * m);
    for (let k = 0; k < count; k++) {
      for (let p = 0; p < d; p++) {
        const x = rows[k * d + p];
        if (x === 0) continue;
        for (let j = 0, from = p * m, to = k * m; j < m; j++, from++, to++) out[to] += x * W[from];
      }
    }
  }

  /** Four rows at a time, so that their sums need not wait for each other. */
  private dense(rows: Float64Array, count: number, out: Float64Array): void {
    const { d, count: m, columns } = this;
    for (let k = 0; k < count; k += 4) {
      const a = k * d;
      const b = Math.min(k + 1, count - 1) * d;
      const c = Math.min(k + 2, count - 1) * d;
      const e = Math.min(k + 3, count - 1) * d;
      const room = Math.min(4, count - k);
      for (let j = 0; j < m; j++) {
        let first = 0;
        let second = 0;
        let third = 0;
        let fourth = 0;
        for (let p = 0, from = j * d; p < d; p++, from++) {
          const w = columns[from];
          first += rows[a + p] * w;
          second += rows[b + p] * w;
          third += rows[c + p] * w;
          fourth += rows[e + p] * w;
        }
        out[k * m + j] = first;
        if (room > 1) out[(k + 1) * m + j] = second;
        if (room > 2) out[(k + 2) * m + j] = third;
        if (room > 3) out[(k + 3) * m + j] = fourth;
      }
    }
  }
}
