/** A model as layers that follow one another, cut into blocks: a trained layer with a kernel, and what comes after it. */

import * as tf from "@tensorflow/tfjs";
import { partOf } from "../../read/layers/index.js";
import { named, refuseModel, type Step } from "../../read/layers/layer.js";

/** A hidden layer, and what stands between it and the next one. */
export type Block = readonly Step[];

export interface Chain {
  /** What comes before the first layer that is trained, as layers. */
  readonly before: readonly Step[];
  readonly blocks: readonly Block[];
  /** The read-out, and what comes after it. */
  readonly end: Block;
}

/** @throws ConvexError "model/..." naming the layer where layers do not follow one another, or are none that a stage has. */
export function chainOf(model: tf.LayersModel): Chain {
  const trained = new Set<unknown>(model.trainableWeights);
  const steps = stepsOf(model, (layer) => layer.weights.some((weight) => trained.has(weight)));
  const kernels = steps.flatMap((step, k) => (step.trained && partOf(step)?.role === "kernel" ? [k] : []));
  const first = kernels[0] ?? steps.length;
  const strange = steps.find(
    (step, k) =>
      (k >= first && partOf(step) === null) ||
      (k > first && step.layer.weights.length > 0 && !step.trained) ||
      (k < first && step.trained),
  );
  if (strange !== undefined) {
    refuseModel(
      "model/layer",
      'trained dense or convolutional layers after the first, activations, pooling, dropout and flatten for depth "layerwise"',
      named(strange.layer),
      'Leave it out, freeze it and all layers before it, or set depth: "alternate", which takes any layers.',
    );
  }
  const last = kernels[kernels.length - 1];
  return {
    before: steps.slice(0, first),
    blocks: kernels.slice(0, -1).map((from, k) => steps.slice(from, kernels[k + 1])),
    end: steps.slice(last),
  };
}

/** The layers from the input to the output, those of models within among them. */
function stepsOf(model: tf.LayersModel, trains: (layer: tf.layers.Layer) => boolean): Step[] {
  const steps: Step[] = [];
  let tensor = model.outputs[0];
  while (tensor.sourceLayer.getClassName() !== "InputLayer") {
    const { sourceLayer: layer, nodeIndex } = tensor;
    const [before, ...more] = layer.inboundNodes[nodeIndex].inputTensors;
    if (more.length > 0 || steps.some((step) => step.layer === layer)) {
      refuseModel(
        "model/graph",
        'layers that follow one another for depth "layerwise", each once',
        more.length > 0 ? `${named(layer)}, which joins ${more.length + 1} ways` : `${named(layer)} twice`,
        'Set depth: "alternate", which takes any graph.',
      );
    }
    if (layer instanceof tf.LayersModel) steps.unshift(...stepsOf(layer, trains));
    else steps.unshift({ layer, inputShape: before.shape, outputShape: tensor.shape, trained: trains(layer) });
    tensor = before;
  }
  return steps;
}
