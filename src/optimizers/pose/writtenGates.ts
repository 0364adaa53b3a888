/** Gates as a GatedDense layer can hold them: generators in float32, and the masks that these make. */

import { gathering, type ReadPatterns } from "../../convex/arrangements/index.js";
import type { Pieces } from "../../convex/linear/pieces.js";
import { eachBlock, mapRows } from "../../convex/linear/rowBlock.js";
import { norm } from "../../convex/linear/vectors.js";
import type { GateSet, Matrix } from "../../convex/types.js";

/**
 * The same gates with generators rounded as they will be written, so that program and layer agree on every mask; a row that
 * lies on the boundary of a gate may change sides by it. Rounding twice is rounding once.
 */
export function* writtenGates(
  X: Matrix,
  gates: GateSet,
  asWritten: (gate: Float64Array) => Float64Array,
  read: ReadPatterns,
): Pieces<GateSet> {
  const written = yield* gathering(X, mapRows(gates.generators, asWritten), read);
  const same = written.count === gates.count && written.bits.every((word, k) => word === gates.bits[k]);
  return { ...written, complete: same && gates.complete };
}

/** Rows that are read at a time. */
const BLOCK = 1024;
/** Products of a row and a gate, over their lengths and the columns, that float32 may take for zero; with room for rounding twice. */
const UNSURE = 4 * 2 ** -24;

/**
 * The gate as written, its bias moved where a row lies so near the boundary that float32 arithmetic, or another rounding of the gate,
 * may put it on the other side: to the middle between the nearest rows of both sides, so that the pattern is the same. A gate without
 * a bias, and one between two rows so near, stays as it is; but where rows have been turned (`turned`), so that their own rounding may
 * have torn apart what lies on one boundary, all rows so near are on.
 */
export function clearOfRows(
  X: Matrix,
  gate: Float64Array,
  biasColumn: number,
  turned: boolean,
  asWritten: (gate: Float64Array) => Float64Array,
): Float64Array {
  const first = asWritten(gate);
  if (biasColumn === 0) return first;
  const { products, unsure } = productsWith(X, first);
  const exact = sidesOf(products, 0);
  if (Math.min(exact.open, -exact.shut) > unsure) return first;
  const sides = turned ? sidesOf(products, -unsure) : exact;
  const { above, below } = gapOf(sides, norm(first));
  if (!(above - below > 2 * unsure)) return first;
  const moved = first.slice();
  moved[moved.length - 1] -= (above + below) / 2 / biasColumn;
  const second = asWritten(moved);
  // All products move by the same number: as many rows on are the same rows.
  return sidesOf(productsWith(X, second).products, 0).on === sides.on ? second : first;
}

/** The products of the rows with a gate [n], and the size below which one may be none. */
function productsWith(X: Matrix, gate: Float64Array): { products: Float64Array; unsure: number } {
  const d = X.cols;
  const products = new Float64Array(X.rows);
  let longest = 0;
  eachBlock(X, BLOCK, (rows, from, count) => {
    for (let k = 0; k < count; k++) {
      let product = 0;
      let square = 0;
      for (let p = 0, at = k * d; p < d; p++, at++) {
        product += rows[at] * gate[p];
        square += rows[at] * rows[at];
      }
      products[from + k] = product;
      longest = Math.max(longest, square);
    }
  });
  return { products, unsure: UNSURE * d * norm(gate) * Math.sqrt(longest) };
}

/** The products of at least `boundary` and those below. */
interface Sides {
  readonly on: number; // rows of at least that
  readonly open: number; // the least of them
  readonly shut: number; // the largest of the others
  readonly least: number;
  readonly most: number;
}

function sidesOf(products: Float64Array, boundary: number): Sides {
  let [on, open, shut] = [0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  let [least, most] = [0, 0];
  for (const product of products) {
    if (product >= boundary) {
      on += 1;
      open = Math.min(open, product);
    } else shut = Math.max(shut, product);
    least = Math.min(least, product);
    most = Math.max(most, product);
  }
  return { on, open, shut, least, most };
}

/** The products between which the boundary may lie; where all rows are on one side as far away as the farthest, or as the gate is long. */
function gapOf({ open, shut, least, most }: Sides, length: number): { readonly above: number; readonly below: number } {
  const far = Math.max(most, -least, length);
  return {
    above: open === Number.POSITIVE_INFINITY ? far : open,
    below: shut === Number.NEGATIVE_INFINITY ? -far : shut,
  };
}
