/** Gates as a GatedDense layer can hold them: generators in float32, and the masks that these make. */

import { gatesFrom } from "../../convex/arrangements/index.js";
import type { GateSet, Matrix } from "../../convex/types.js";

/**
 * The same gates with generators rounded as they will be written, so that program and layer agree on every mask; a row that
 * lies on the boundary of a gate may change sides by it. Rounding twice is rounding once.
 */
export function writtenGates(X: Matrix, gates: GateSet, asWritten: (gate: Float64Array) => Float64Array): GateSet {
  const { rows, cols, data } = gates.generators;
  const rounded = new Float64Array(data.length);
  for (let i = 0; i < rows; i++) {
    rounded.set(asWritten(data.slice(i * cols, (i + 1) * cols)), i * cols);
  }
  const written = gatesFrom(X, { rows, cols, data: rounded });
  const same = written.count === gates.count && written.bits.every((word, k) => word === gates.bits[k]);
  return { ...written, complete: same && gates.complete };
}
