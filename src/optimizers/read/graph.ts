/** The way from a model's output back to where nothing is trained any more, through nested models. */

import * as tf from "@tensorflow/tfjs";
import { named, refuseModel, type Step } from "./layers/layer.js";

/** A model that is being walked through, and the tensor outside that it was called on. */
interface Frame {
  readonly model: tf.LayersModel;
  readonly fed: tf.SymbolicTensor | null; // null: the outermost
}

/** A weight as layers hold it. */
export type Weight = tf.layers.Layer["weights"][number];

/** A part of a trunk: from the inputs of a model to a tensor in its graph. */
export interface Stage {
  readonly inputs: tf.SymbolicTensor;
  readonly output: tf.SymbolicTensor;
}

/** A model cut in two. */
export interface Walk {
  /** The layers that come after the cut, in the order of the data. */
  readonly steps: readonly Step[];
  /** What comes before, one stage for each model around the cut; none where the cut is the input itself. */
  readonly stages: readonly Stage[];
  /** Layers before the cut that are trained, too. */
  readonly below: readonly tf.layers.Layer[];
  readonly inputShape: readonly (number | null)[]; // of the model, batch first
  readonly cutShape: readonly (number | null)[]; // of what goes over the cut
}

/**
 * Walks back as long as something above is trained, or until the steps are `enough`; `isTrained` says of a weight whether it is.
 */
export function walkBack(
  model: tf.LayersModel,
  isTrained: (weight: Weight) => boolean,
  enough: (steps: readonly Step[]) => boolean,
): Walk {
  const [input, output] = [single(model.inputs, "input"), single(model.outputs, "output")];
  const trains = (layer: tf.layers.Layer) => layer.weights.some(isTrained);
  const frames: Frame[] = [{ model, fed: null }];
  const steps: Step[] = [];
  let tensor = output;
  while (!enough(steps) && trainedAbove(tensor, frames, trains)) {
    const { sourceLayer: layer } = tensor;
    if (layer.getClassName() === "InputLayer") {
      tensor = left(frames);
      continue;
    }
    const node = layer.inboundNodes[tensor.nodeIndex];
    const [before, ...more] = node.inputTensors;
    if (more.length > 0) refuseBranch(layer);
    if (steps.some((step) => step.layer === layer)) refuseShared(layer);
    if (layer instanceof tf.LayersModel && trains(layer)) {
      frames.push({ model: layer, fed: before });
      single(layer.inputs, `input of model "${layer.name}"`);
      tensor = single(layer.outputs, `output of model "${layer.name}"`);
      continue;
    }
    steps.unshift({ layer, inputShape: before.shape, outputShape: tensor.shape, trained: trains(layer) });
    tensor = before;
  }
  // The input of a nested model is what it was called on.
  while (tensor.sourceLayer.getClassName() === "InputLayer" && frames.length > 1) tensor = left(frames);
  const upstream = new Set<tf.layers.Layer>();
  trainedAbove(tensor, frames, (layer) => {
    upstream.add(layer);
    return false;
  });
  for (const { layer } of steps) if (layer.weights.length > 0 && upstream.has(layer)) refuseShared(layer);
  const stages = frames.map((frame, k) => ({
    inputs: frame.model.inputs[0],
    output: frames[k + 1]?.fed ?? tensor,
  }));
  return {
    steps,
    stages: stages.filter(({ inputs, output }) => inputs !== output),
    below: [...upstream].filter(trains),
    inputShape: input.shape,
    cutShape: tensor.shape,
  };
}

/** Leaves the innermost model: what it was called on. */
function left(frames: Frame[]): tf.SymbolicTensor {
  const { fed } = frames.pop() as Frame;
  return fed as tf.SymbolicTensor;
}

/** Whether a weight that is trained has a part in a tensor. */
function trainedAbove(
  tensor: tf.SymbolicTensor,
  frames: readonly Frame[],
  trains: (layer: tf.layers.Layer) => boolean,
  seen = new Set<tf.SymbolicTensor>(),
): boolean {
  // What was seen and not trained need not be seen again, where branches meet.
  if (seen.has(tensor)) return false;
  seen.add(tensor);
  const { sourceLayer: layer, nodeIndex } = tensor;
  if (layer.getClassName() === "InputLayer") {
    const fed = frames[frames.length - 1]?.fed ?? null;
    return fed !== null && trainedAbove(fed, frames.slice(0, -1), trains, seen);
  }
  if (trains(layer)) return true;
  return layer.inboundNodes[nodeIndex].inputTensors.some((before) => trainedAbove(before, frames, trains, seen));
}

function single(tensors: readonly tf.SymbolicTensor[] | undefined, what: string): tf.SymbolicTensor {
  if (tensors?.length === 1) return tensors[0];
  return refuseModel(
    "model/graph",
    `a model of one input and one output`,
    `${tensors?.length ?? 0} tensors as ${what}`,
    what.startsWith("input")
      ? "Join the inputs into one tensor before training, or train this model with model.fit()."
      : "Train a model for each output, or train this one with model.fit().",
  );
}

function refuseBranch(layer: tf.layers.Layer): never {
  // Squares of a linear part are charged by another rule than units are: no solver here has both in one program.
  const skips = layer.getClassName() === "Add";
  const beside = skips
    ? "leave a linear layer beside the hidden one out (two ReLU units make any linear function of x, two leakyReLU units with another alpha than -1, too), "
    : "";
  return refuseModel(
    "model/graph",
    "layers that follow one another from the first that is trained to the output",
    `branches that meet in ${named(layer)}`,
    `Set trainable: false in the layers before it, so that training begins after it, ${beside}or train this model with model.fit().`,
  );
}

function refuseShared(layer: tf.layers.Layer): never {
  return refuseModel(
    "model/graph",
    "layers that are each used once",
    `${named(layer)} twice on the way from input to output`,
    "Give each place a layer of its own, or train this model with model.fit().",
  );
}
