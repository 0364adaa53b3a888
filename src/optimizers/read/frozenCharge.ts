/** What the regularizers of layers outside the head add to the objective: a constant, since these layers stay as they are. */

import * as tf from "@tensorflow/tfjs";
import { anatomyOf, type Cut } from "./anatomy.js";

/** The graph of a model, as its own calculateLosses goes through it. */
interface Graph {
  readonly containerNodes: ReadonlySet<string>;
}

/** The sum, in the float32 of tfjs; 0 where no such layer has a regularizer. */
export async function frozenCharge(
  model: tf.LayersModel,
  use: "write" | "read" = "write",
  cut: Cut = "hidden",
): Promise<number> {
  const head = new Set(anatomyOf(model, use, cut).layers);
  const sum = tf.tidy(() => chargesOf(model, head).reduce((all, term) => tf.add(all, term), tf.scalar(0)));
  try {
    return (await sum.data())[0];
  } finally {
    sum.dispose();
  }
}

/** The terms of calculateLosses without those of some layers: a layer that is used twice is charged twice. */
function chargesOf(model: tf.LayersModel, without: ReadonlySet<tf.layers.Layer>): tf.Scalar[] {
  return model.layers.flatMap((layer) => {
    if (without.has(layer)) return [];
    const terms = layer instanceof tf.LayersModel ? chargesOf(layer, without) : layer.calculateLosses();
    return Array.from({ length: usesOf(layer, model) }, () => terms).flat();
  });
}

/** How often a layer stands in a model. */
export function usesOf(layer: tf.layers.Layer, model: tf.LayersModel): number {
  if (model instanceof tf.Sequential) return 1;
  const { containerNodes } = model as unknown as Graph;
  return layer.inboundNodes.filter((_, k) => containerNodes.has(`${layer.name}_ib-${k}`)).length;
}
