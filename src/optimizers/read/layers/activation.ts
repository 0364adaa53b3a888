/** Activations that are layers of their own. Nothing is written. */

import type { LayerKind } from "./layer.js";

const LAYERS: readonly LayerKind[] = [
  {
    classes: ["Activation"],
    part: ({ layer }) => ({ role: "activation", activation: layer.getConfig().activation as string }),
  },
  {
    classes: ["ReLU"],
    part({ layer }) {
      const { maxValue } = layer.getConfig() as { maxValue?: number | null };
      return { role: "activation", activation: maxValue == null ? "relu" : `relu with maxValue ${maxValue}` };
    },
  },
  {
    classes: ["LeakyReLU"],
    part({ layer }) {
      const { alpha } = layer as unknown as { alpha: number };
      return { role: "activation", activation: "leakyRelu", negativeSlope: alpha };
    },
  },
  {
    classes: ["Softmax"],
    part({ layer, outputShape }) {
      const { axis } = layer as unknown as { axis: number };
      const last = outputShape.length - 1;
      return { role: "activation", activation: axis === -1 || axis === last ? "softmax" : `softmax over axis ${axis}` };
    },
  },
  {
    classes: ["ELU", "PReLU", "ThresholdedReLU"],
    part: ({ layer }) => ({ role: "activation", activation: layer.getClassName() }),
  },
];

export const activations: readonly LayerKind[] = LAYERS;
