/** What joins the places of a convolution before the read-out: read by `readConvolution`, which refuses maxima. */

import type { LayerKind } from "./layer.js";

export const pooling: LayerKind = {
  classes: [
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "AveragePooling1D",
    "AveragePooling2D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "MaxPooling1D",
    "MaxPooling2D",
  ],
  part: () => ({ role: "places" }),
};
