/**
 * The columns and targets that moments are of: each less its mean, so that a spread of one is not lost in squares of a mean of a million.
 *
 * A row x of the program is T (x - m, 1): the model's columns are those of the frame and m times its last one, which is of ones, and a
 * bias column is that times its value. So A = F T' for the moments' columns F, and A v = F lifted(v), A'r = lowered(F'r).
 */

import { rowsMadeBy } from "../../linear/rowBlock.js";
import type { Matrix } from "../../types.js";
import { rowsMatrix, type ShardRows } from "../rows.js";

export interface Frame {
  readonly means: Float64Array; // of the model's columns
  readonly offsets: Float64Array; // [C]: of the targets
  /** Of the program's last column, where the network has one; else 0. */
  readonly biasColumn: number;
}

/** Columns of the frame. */
export function frameWidth({ means }: Pick<Frame, "means">): number {
  return means.length + 1;
}

/** Columns of the program. */
export function programWidth({ means, biasColumn }: Frame): number {
  return means.length + (biasColumn > 0 ? 1 : 0);
}

/** Of rows [n x inputs] and targets [n x C]: the sums of each column. */
export function totals({ count, x, y }: ShardRows, inputs: number, C: number): Float64Array {
  const out = new Float64Array(inputs + C);
  for (let j = 0; j < count; j++) {
    for (let p = 0; p < inputs; p++) out[p] += x[j * inputs + p];
    for (let c = 0; c < C; c++) out[inputs + c] += y[j * C + c];
  }
  return out;
}

/** Rows in the frame, made when they are asked for. */
export function framed(rows: ShardRows, means: Float64Array): Matrix {
  const inputs = means.length;
  const ones = rowsMatrix(rows, inputs, 1);
  const { cols } = ones;
  const block = (from: number, count: number) => {
    const out = ones.block?.(from, count) ?? new Float64Array(0);
    for (let k = 0; k < count; k++) for (let p = 0; p < inputs; p++) out[k * cols + p] -= means[p];
    return out;
  };
  return rowsMadeBy(rows.count, cols, block);
}

/** Vectors of the program, one after another, as vectors of the frame. */
export function lifted(frame: Frame, v: Float64Array): Float64Array {
  const { means, biasColumn } = frame;
  const [d, D] = [programWidth(frame), frameWidth(frame)];
  const out = new Float64Array((v.length / d) * D);
  for (let from = 0, to = 0; from < v.length; from += d, to += D) {
    let level = d === D ? biasColumn * v[from + d - 1] : 0;
    for (let p = 0; p < means.length; p++) {
      out[to + p] = v[from + p];
      level += means[p] * v[from + p];
    }
    out[to + D - 1] = level;
  }
  return out;
}

/** Its adjoint. */
export function lowered(frame: Frame, u: Float64Array): Float64Array {
  const { means, biasColumn } = frame;
  const [d, D] = [programWidth(frame), frameWidth(frame)];
  const out = new Float64Array((u.length / D) * d);
  for (let from = 0, to = 0; from < u.length; from += D, to += d) {
    const level = u[from + D - 1];
    for (let p = 0; p < means.length; p++) out[to + p] = u[from + p] + means[p] * level;
    if (d === D) out[to + d - 1] = biasColumn * level;
  }
  return out;
}
