/** Batch normalisation between a hidden layer and its activation. Written: gamma, beta and the moving statistics. */

import type { LayerKind } from "./layer.js";

export const batchNormalization: LayerKind = {
  classes: ["BatchNormalization"],
  part: () => ({ role: "normalization" }),
};
