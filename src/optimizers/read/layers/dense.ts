/** Dense layers: a hidden layer or the read-out. Read: units, biases, l2 regularizers. Written: kernel and bias. */

import type { LayerKind } from "./layer.js";

export const dense: LayerKind = {
  classes: ["Dense"],
  part: ({ layer }) => ({
    role: "kernel",
    kind: "dense",
    activation: (layer.getConfig().activation as string) ?? "linear",
  }),
};
