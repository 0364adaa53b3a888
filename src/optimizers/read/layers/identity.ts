/** Layers that change nothing when the model predicts: dropout and noise, and shapes that stay as they are. */

import type { LayerKind, Step } from "./layer.js";

const dropout: LayerKind = {
  classes: ["Dropout", "SpatialDropout1D", "AlphaDropout", "GaussianDropout", "GaussianNoise"],
  part: ({ layer }) => ({
    role: "ignored",
    note:
      `Layer "${layer.name}" (${layer.getClassName()}) acts in training only and takes no part in the objective: weight decay ` +
      `takes its place.`,
  }),
};

/** Flatten joins places where there are some, and does nothing to rows. */
const flatten: LayerKind = {
  classes: ["Flatten"],
  part: (step) => (keepsShape(step) ? { role: "ignored", note: null } : { role: "places" }),
};

const reshape: LayerKind = {
  classes: ["Reshape"],
  part: (step) => (keepsShape(step) ? { role: "ignored", note: null } : { role: "places" }),
};

export const identities: readonly LayerKind[] = [dropout, flatten, reshape];

function keepsShape({ inputShape, outputShape }: Step): boolean {
  return JSON.stringify(inputShape) === JSON.stringify(outputShape);
}
