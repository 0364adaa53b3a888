/** What a layer with a kernel says of itself: its width, its activation and its l2 regularizers. */

import type * as tf from "@tensorflow/tfjs";
import { refuseModel as refuse, refuseProgram } from "./layer.js";

/** What getConfig says of a layer with a kernel, read with suspicion. */
export interface KernelConfig {
  readonly units: number;
  readonly useBias: boolean;
  readonly activation: string;
  readonly kernelL2: number;
  readonly biasL2: number;
}

export function readKernel(layer: tf.layers.Layer): KernelConfig {
  const config = layer.getConfig();
  for (const part of ["kernelConstraint", "biasConstraint", "activityRegularizer"]) {
    if (config[part] === undefined || config[part] === null) continue;
    refuseProgram(
      "model/regularizer",
      `no ${part}`,
      `${part} in layer "${layer.name}"`,
      "Remove it: only l2 regularizers are convex here.",
    );
  }
  return {
    units: (config.units ?? config.filters) as number,
    useBias: config.useBias as boolean,
    activation: (config.activation as string | undefined) ?? "linear",
    kernelL2: readL2(config.kernelRegularizer, layer, "kernelRegularizer"),
    biasL2: readL2(config.biasRegularizer, layer, "biasRegularizer"),
  };
}

/** The factor g of an l2 regularizer g sum(w^2); 0 without one. */
export function readL2(serialized: unknown, layer: tf.layers.Layer, part: string): number {
  if (serialized === undefined || serialized === null) return 0;
  const { className, config } = serialized as { className?: string; config?: { l1?: number; l2?: number } };
  const l1 = config?.l1 ?? 0;
  const l2 = config?.l2 ?? 0;
  if (className === "L1L2" && l1 === 0 && l2 >= 0 && Number.isFinite(l2)) return l2;
  return (l2 >= 0 && Number.isFinite(l1 + l2) ? refuseProgram : refuse)(
    "model/regularizer",
    "l2 regularizers only",
    `${part} of layer "${layer.name}": ${className === "L1L2" ? `l1 ${l1}, l2 ${l2}` : className}`,
    "Use tf.regularizers.l2({ l2: ... }).",
  );
}
