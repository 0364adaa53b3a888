/** Rows times a few columns by plain sums in the order of the features: what the judge of networks is made of. */

import type { Matrix } from "../types.js";

/** Above this share of zeros they are left out, which no sum notices. */
const SPARSE = 0.5;

/** Columns that are multiplied together. */
const TOGETHER = 4;

/** The columns of W [d x m], in both orders. */
export class PlainProducts {
  readonly count: number; // m
  private readonly d: number;
  private readonly W: Float64Array; // [d x m]
  private readonly columns: Float64Array; // [m x d], m filled up with zeros to columns that go together

  constructor({ rows: d, cols: m, data }: Matrix) {
    this.d = d;
    this.count = m;
    this.W = data;
    this.columns = new Float64Array(Math.ceil(m / TOGETHER) * TOGETHER * d);
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

  /** Two rows and four columns at a time, so that their sums need not wait for each other. */
  private dense(rows: Float64Array, count: number, out: Float64Array): void {
    const { d, count: m, columns } = this;
    for (let k = 0; k < count; k += 2) {
      const a = k * d;
      const b = Math.min(k + 1, count - 1) * d;
      for (let j = 0; j < m; j += TOGETHER) {
        let a0 = 0;
        let a1 = 0;
        let a2 = 0;
        let a3 = 0;
        let b0 = 0;
        let b1 = 0;
        let b2 = 0;
        let b3 = 0;
        for (let p = 0, from = j * d; p < d; p++, from++) {
          const x = rows[a + p];
          const y = rows[b + p];
          const w0 = columns[from];
          const w1 = columns[from + d];
          const w2 = columns[from + 2 * d];
          const w3 = columns[from + 3 * d];
          a0 += x * w0;
          a1 += x * w1;
          a2 += x * w2;
          a3 += x * w3;
          b0 += y * w0;
          b1 += y * w1;
          b2 += y * w2;
          b3 += y * w3;
        }
        write(out, k * m + j, m - j, a0, a1, a2, a3);
        if (k + 1 < count) write(out, (k + 1) * m + j, m - j, b0, b1, b2, b3);
      }
    }
  }
}

/** The first `room` of four sums. */
function write(out: Float64Array, at: number, room: number, s0: number, s1: number, s2: number, s3: number): void {
  out[at] = s0;
  if (room > 1) out[at + 1] = s1;
  if (room > 2) out[at + 2] = s2;
  if (room > 3) out[at + 3] = s3;
}
