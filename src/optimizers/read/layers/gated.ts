/** This library's gated layers: a hidden layer whose gates are weights that no training changes. */

import type { LayerKind } from "./layer.js";

export const gated: LayerKind = {
  classes: ["GatedDense", "GatedConv2D"],
  part: () => ({ role: "kernel", kind: "gated", activation: "gated" }),
};
