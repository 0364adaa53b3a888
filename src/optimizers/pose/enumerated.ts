/** All arrangements of rows, found in coordinates in which the rows are near the origin. */

import { enumerateGates, gatesFrom } from "../../convex/arrangements/index.js";
import { meanDirectionOf, Nearer } from "../../convex/operators/meanDirection.js";
import type { GateSet, Matrix } from "../../convex/types.js";

/** Spreads that the rows are from the origin, beyond which they are brought to so many. */
const FAR = 20;
const NEAR = 4;

/** The arrangements are the same in all coordinates; a set whose masks rounding would change on X itself is not called complete. */
export function enumeratedGates(X: Matrix): GateSet {
  const direction = X.block === undefined ? meanDirectionOf(X) : null;
  if (direction === null || !(direction.ratio > FAR)) return enumerateGates(X);
  const nearer = new Nearer(X, direction, NEAR);
  const gates = enumerateGates(nearer.X);
  const { rows, cols, data } = gates.generators;
  const out = new Float64Array(data.length);
  for (let i = 0; i < rows; i++) out.set(nearer.out(data.slice(i * cols, (i + 1) * cols)), i * cols);
  const own = gatesFrom(X, { rows, cols, data: out });
  const same = own.count === gates.count && own.bits.every((word, k) => word === gates.bits[k]);
  return same ? { ...own, complete: gates.complete } : own;
}
