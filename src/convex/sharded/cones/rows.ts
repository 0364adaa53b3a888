/** Of the rows of a shard those that cones of its gates rest on: how far vectors are outside, and which rows say so. */

import type { Kernels } from "../../kernels/types.js";
import { isActive } from "../../linear/bits.js";
import { eachBlock } from "../../linear/rowBlock.js";
import { lengthsOfRows, norm } from "../../linear/vectors.js";
import type { GateSet, Matrix } from "../../types.js";

/** Rows that are read at a time. */
const BLOCK = 1024;
/** Of |x| |v|: what a row that holds may miss by rounding, as in `operators/faceSearch.ts`. */
const ROUNDING = 4e-12;

/** Vectors [count x d], each of a gate. */
export interface Directions {
  readonly gates: Int32Array; // [count]
  readonly vectors: Float64Array; // [count x d]
}

/** Of each vector v outside its cone: t such that v + t g is inside, and the largest -s x'v / (|x| |v|), [count x 2]. */
export function reachOf(
  X: Matrix,
  gates: GateSet,
  { gates: list, vectors }: Directions,
  kernels: Kernels,
): Float64Array {
  const out = new Float64Array(2 * list.length);
  const lengths = lengthsOfRows(vectors, X.cols);
  eachSigned(X, gates, list, [vectors, generatorsOf(gates, list)], kernels, (k, _, size, [h, margin]) => {
    if (!(h < -ROUNDING * size * lengths[k])) return;
    out[2 * k] = Math.max(out[2 * k], margin > 0 ? -h / margin : Number.POSITIVE_INFINITY);
    out[2 * k + 1] = Math.max(out[2 * k + 1], -h / (size * lengths[k]));
  });
  return out;
}

/**
 * Rows s x [wanted x d] that a vector misses by most, or, of generators, whose boundaries are nearest; the places of a vector that
 * find none are zero.
 */
export function rowsAt(
  X: Matrix,
  gates: GateSet,
  { gates: list, vectors }: Directions,
  wanted: Int32Array, // [count]
  kernels: Kernels,
): Float64Array[] {
  const d = X.cols;
  const best = Array.from(wanted, (most) => new Least(most));
  eachSigned(X, gates, list, [vectors], kernels, (k, row, size, [h]) => best[k].consider(h / size, row));
  return best.map((least, k) => {
    const out = new Float64Array(wanted[k] * d);
    least.rows.forEach((row, place) => {
      const sign = isActive(gates, list[k], row) ? 1 : -1;
      const values = X.block?.(row, 1) ?? X.data.subarray(row * d, (row + 1) * d);
      for (let p = 0; p < d; p++) out[place * d + p] = sign * values[p];
    });
    return out;
  });
}

function generatorsOf({ generators: { cols: d, data } }: GateSet, list: Int32Array): Float64Array {
  const out = new Float64Array(list.length * d);
  list.forEach((gate, k) => {
    out.set(data.subarray(gate * d, (gate + 1) * d), k * d);
  });
  return out;
}

/** Calls with a vector's number, a row that is not zero, its length, and s x'v of some vectors for it. */
function eachSigned(
  X: Matrix,
  gates: GateSet,
  list: Int32Array,
  of: readonly Float64Array[], // [count x d] each
  kernels: Kernels,
  use: (k: number, row: number, size: number, products: Float64Array) => void,
): void {
  const d = X.cols;
  const [count, kinds] = [list.length, of.length];
  const products = of.map(() => new Float64Array(BLOCK * count));
  const signed = new Float64Array(kinds);
  eachBlock(X, BLOCK, (rows, from, some) => {
    of.forEach((vectors, kind) => {
      kernels.multiplyTransposed(rows, vectors, products[kind], some, d, count);
    });
    for (let j = 0; j < some; j++) {
      const size = norm(rows.subarray(j * d, (j + 1) * d));
      if (size === 0) continue;
      for (let k = 0; k < count; k++) {
        const sign = isActive(gates, list[k], from + j) ? 1 : -1;
        for (let kind = 0; kind < kinds; kind++) signed[kind] = sign * products[kind][j * count + k];
        use(k, from + j, size, signed);
      }
    }
  });
}

/** The rows of the least keys. */
class Least {
  readonly rows: number[] = [];
  private readonly keys: number[] = [];

  constructor(private readonly most: number) {}

  consider(key: number, row: number): void {
    const { keys, rows, most } = this;
    if (most === 0 || (keys.length === most && key >= keys[most - 1])) return;
    let at = keys.length;
    while (at > 0 && keys[at - 1] > key) at -= 1;
    keys.splice(at, 0, key);
    rows.splice(at, 0, row);
    if (keys.length > most) {
      keys.pop();
      rows.pop();
    }
  }
}
