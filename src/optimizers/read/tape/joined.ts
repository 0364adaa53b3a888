/** Places side by side. */

import { concatenation } from "../../../convex/tape/index.js";
import { product } from "./shapes.js";
import type { Place, TapeWriter } from "./tapeWriter.js";

/** Along their last axis, at each place of the others; behind one another where what comes of them has more axes. */
export function joined(writer: TapeWriter, inputs: readonly Place[], shape: readonly number[]): Place {
  const sizes = inputs.map((input) => input.shape[input.shape.length - 1]);
  const places = product(shape) / sizes.reduce((sum, size) => sum + size, 0);
  return writer.add(concatenation(sizes, places), inputs, shape, []);
}
