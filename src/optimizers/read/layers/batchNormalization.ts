/** Batch normalisation between a hidden layer and its activation. Written: gamma, beta and the moving statistics. */

import type { Matrix } from "../../../convex/types.js";
import type { LayerKind } from "./layer.js";

/** How rows became white, and what the layer adds to a variance. */
export interface Whitening {
  readonly mean: Float64Array; // [d]
  readonly map: Matrix; // [d x r]: z = (x - mean) map is white
  readonly back: Matrix; // [r x d]: (x - mean) w = z back w on these rows
  readonly epsilon: number;
}

export const batchNormalization: LayerKind = {
  classes: ["BatchNormalization"],
  part: () => ({ role: "normalization" }),
};
