/** The way from a model's output back to where nothing is trained any more, through nested models. */

import * as tf from "@tensorflow/tfjs";
import { named, refuseProgram, type Step } from "./layers/layer.js";

/** A model that is being walked through, and the tensor outside that it was called on. */
interface Frame {
  readonly model: tf.LayersModel;
  readonly fed: tf.SymbolicTensor | null; // null: the outermost
}

/** A weight as layers hold it. */
export type Weight = tf.layers.Layer["weights"][number];

/** The layers of a model, and of models within, that hold weights of their own. */
export function layersOf(model: tf.LayersModel): tf.layers.Layer[] {
  return model.layers.flatMap((layer) => (layer instanceof tf.LayersModel ? layersOf(layer) : [layer]));
}

/** A part of a trunk: from the inputs of a model to a tensor in its graph. */
export interface Stage {
  readonly inputs: tf.SymbolicTensor;
  readonly output: tf.SymbolicTensor;
}

/** A second way from the cut to the output: its layers, and where it joins the first. */
export interface Side {
  readonly steps: readonly Step[];
  readonly sum: tf.layers.Layer;
  readonly after: number; // layers of the first way that come before the sum
}

/** Whether a way back, now at a tensor, has gone far enough. */
type Enough = (steps: readonly Step[], tensor: tf.SymbolicTensor) => boolean;

/** A model cut in two. */
export interface Walk {
  /** The layers that come after the cut, in the order of the data; of two ways that are added up the one with more that is trained. */
  readonly steps: readonly Step[];
  readonly side: Side | null;
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
export function walkBack(model: tf.LayersModel, isTrained: (weight: Weight) => boolean, enough: Enough): Walk {
  const [input, output] = [single(model.inputs, "input"), single(model.outputs, "output")];
  const trains = (layer: tf.layers.Layer) => layer.weights.some(isTrained);
  const frames: Frame[] = [{ model, fed: null }];
  const up = wayUp(output, frames, trains, enough);
  const { steps } = up;
  let { tensor } = up;
  const side = up.sum === null ? null : sideOf(up.sum, frames, trains, enough, steps);
  if (side !== null) ({ tensor } = side);
  // The input of a nested model is what it was called on.
  while (tensor.sourceLayer.getClassName() === "InputLayer" && frames.length > 1) tensor = left(frames);
  const upstream = new Set<tf.layers.Layer>();
  trainedAbove(tensor, frames, (layer) => {
    upstream.add(layer);
    return false;
  });
  for (const { layer } of [...steps, ...(side?.steps ?? [])])
    if (layer.weights.length > 0 && upstream.has(layer)) refuseShared(layer);
  const stages = frames.map((frame, k) => ({
    inputs: frame.model.inputs[0],
    output: frames[k + 1]?.fed ?? tensor,
  }));
  return {
    steps,
    side: side && { steps: side.steps, sum: side.sum, after: side.after },
    stages: stages.filter(({ inputs, output }) => inputs !== output),
    below: [...upstream].filter(trains),
    inputShape: input.shape,
    cutShape: tensor.shape,
  };
}

/** Two branches, and the layer that adds them up. */
interface Sum {
  readonly layer: tf.layers.Layer;
  readonly branches: readonly [tf.SymbolicTensor, tf.SymbolicTensor];
}

/** Goes back from a tensor, through models that `frames` grow by, as long as something above is trained, or to a sum of two branches. */
function wayUp(
  from: tf.SymbolicTensor,
  frames: Frame[],
  trains: (layer: tf.layers.Layer) => boolean,
  enough: Enough,
): { readonly tensor: tf.SymbolicTensor; readonly steps: Step[]; readonly sum: Sum | null } {
  const steps: Step[] = [];
  let tensor = from;
  while (!enough(steps, tensor) && trainedAbove(tensor, frames, trains)) {
    const { sourceLayer: layer } = tensor;
    if (layer.getClassName() === "InputLayer") {
      tensor = left(frames);
      continue;
    }
    const node = layer.inboundNodes[tensor.nodeIndex];
    const [before, ...more] = node.inputTensors;
    if (layer.getClassName() === "Add" && more.length === 1) {
      return { tensor, steps, sum: { layer, branches: [before, more[0]] } };
    }
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
  return { tensor, steps, sum: null };
}

/** Both branches of a sum back to where they part: the longer one is put before `steps`, the other is the side. */
function sideOf(
  { layer: sum, branches }: Sum,
  frames: Frame[],
  trains: (layer: tf.layers.Layer) => boolean,
  enough: Enough,
  steps: Step[],
): Side & { readonly tensor: tf.SymbolicTensor } {
  if (steps.some((step) => step.trained)) refuseBranch(sum);
  const way = (branch: tf.SymbolicTensor, end: Enough) => {
    const own = [...frames];
    const gone = wayUp(branch, own, trains, end);
    return { ...gone, frames: own, trained: gone.steps.filter((step) => step.trained).length };
  };
  // The side ends where the way of the hidden layer does, also where more is trained below.
  const ways = [branches, [branches[1], branches[0]]].map(([longer, other]) => {
    const main = way(longer, enough);
    return { main, side: way(other, (gone, tensor) => tensor === main.tensor || enough(gone, tensor)) };
  });
  const { main, side } = ways.find((pair) => pair.main.trained >= pair.side.trained) ?? ways[0];
  const trained = [main.trained, side.trained];
  const part = main.tensor === side.tensor && main.frames.length === side.frames.length;
  if (!part || main.sum !== null || side.sum !== null || Math.min(...trained) !== 1) refuseBranch(sum);
  steps.unshift(...main.steps);
  const all = [...steps, ...side.steps].map(({ layer }) => layer);
  const twice = all.find((layer, k) => all.indexOf(layer) !== k);
  if (twice !== undefined) refuseShared(twice);
  frames.splice(0, frames.length, ...main.frames);
  return { steps: side.steps, sum, after: main.steps.length, tensor: main.tensor };
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
  return refuseProgram(
    "model/graph",
    `a model of one input and one output`,
    `${tensors?.length ?? 0} tensors as ${what}`,
    what.startsWith("input")
      ? "Join the inputs into one tensor before training, or train this model with model.fit()."
      : "Train a model for each output, or train this one with model.fit().",
  );
}

function refuseBranch(layer: tf.layers.Layer): never {
  const known =
    layer.getClassName() === "Add"
      ? "add a dense layer that is trained, without activation, to the last layer, both from where the hidden layer begins, "
      : "";
  return refuseProgram(
    "model/graph",
    "layers that follow one another from the first that is trained to the output, or one linear layer added beside them",
    `branches that meet in ${named(layer)}`,
    `Set trainable: false in the layers before it, so that training begins after it, ${known}or train this model with model.fit().`,
  );
}

function refuseShared(layer: tf.layers.Layer): never {
  return refuseProgram(
    "model/graph",
    "layers that are each used once",
    `${named(layer)} twice on the way from input to output`,
    "Give each place a layer of its own, or train this model with model.fit().",
  );
}
