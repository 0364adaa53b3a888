/** Convolutions of one or two axes: a hidden layer whose units are filters. Read and written as those of dense layers. */

import type { LayerKind } from "./layer.js";

/** Layers that may be first, and how many axes their images have. */
export const CONVOLUTIONS: Readonly<Record<string, number>> = { Conv1D: 1, Conv2D: 2, GatedConv2D: 2 };

export const convolution: LayerKind = {
  classes: ["Conv1D", "Conv2D"],
  part: ({ layer }) => ({
    role: "kernel",
    kind: "convolution",
    activation: (layer.getConfig().activation as string) ?? "linear",
  }),
};
