/** A model as convex training sees it: trunk, head and ignored; every layer of it is in exactly one part. */

import * as tf from "@tensorflow/tfjs";
import { counted } from "../../arguments.js";
import { type Side, type Stage, type Walk, type Weight, walkBack } from "./graph.js";
import { partOf } from "./layers/index.js";
import {
  describe,
  type LayerPart,
  named,
  refuseDisposed,
  refuseModel,
  refuseProgram,
  type Step,
} from "./layers/layer.js";

/** The last hidden block and the read-out, as layers. */
export interface Head {
  readonly hidden: tf.layers.Layer;
  readonly kind: "dense" | "convolution" | "gated";
  readonly normalization: tf.layers.Layer | null;
  /** Of the hidden layer, whether fused or a layer of its own. */
  readonly activation: string;
  /** The factor of negative inputs, where the activation's name does not say it. */
  readonly negativeSlope: number | null;
  /** Between activation and read-out: what joins the places of a convolution. */
  readonly between: readonly tf.layers.Layer[];
  readonly output: tf.layers.Layer;
  readonly outputActivation: string;
  /** True where the read-out is all that is trained: then it is `hidden`, too. */
  readonly single: boolean;
  /** The dense layer without activation whose outputs are added to those of the read-out. */
  readonly skip: tf.layers.Layer | null;
}

/** Where a model is cut: before its last hidden layer, or before its read-out. */
export type Cut = "hidden" | "output";

/** What a model is made of. */
export interface Anatomy {
  /** Computed once a sample and not written by a program; no stage where the head sees x itself. */
  readonly trunk: readonly Stage[];
  readonly head: Head;
  /** The layers of the head in the order of the data, those that do nothing among them. */
  readonly layers: readonly tf.layers.Layer[];
  /** The names of layers of the trunk that model.fit would train: lower layers of a deep model. */
  readonly deep: readonly string[];
  /** The way beside that of the hidden layer; null where layers follow one another. */
  readonly side: Side | null;
  /** What training would do and the program does not, each a note. */
  readonly ignored: readonly string[];
  readonly inputShape: readonly (number | null)[]; // of a sample of x
  readonly headShape: readonly (number | null)[]; // of a sample as the head sees it
}

interface Part {
  readonly step: Step;
  readonly part: LayerPart;
}

type Kernel = Part & { readonly part: Extract<LayerPart, { role: "kernel" }> };

/**
 * Reads the graph of a model. For use "write" it is what model.fit would train; for "read" a model that is frozen as a whole, or
 * at its end, counts as if it were not. What is trained below the cut is the trunk's, and named as `deep`.
 *
 * @throws ConvexError "model/..." naming the layer and what to change.
 */
export function anatomyOf(model: tf.LayersModel, use: "write" | "read", cut: Cut = "hidden"): Anatomy {
  if (!(model instanceof tf.LayersModel)) {
    refuseModel("model/kind", "a tf.LayersModel", describe(model), "Build it with tf.sequential or tf.model.");
  }
  for (const layer of model.layers) refuseDisposed(layer);
  const walk = walkBack(model, trainedBy(model, use), (steps) => kernelsAmong(steps) === (cut === "hidden" ? 2 : 1));
  const parts = walk.steps.flatMap((step) => partsOf(step));
  const kernels = parts.filter((each): each is Kernel => each.part.role === "kernel");
  refuseFrozenEnd(model, walk, kernels);
  const [hidden, output] = kernels;
  const head = headOf(parts, hidden, output);
  const { side } = walk;
  const beside = side === null ? [] : side.steps.flatMap((step) => partsOf(step));
  return {
    trunk: walk.stages,
    head: side === null ? head : { ...head, skip: skipOf(head, side, parts, beside, output) },
    layers: [...walk.steps.map(({ layer }) => layer), ...(side === null ? [] : [...layersOf(side.steps), side.sum])],
    side,
    deep: walk.below.map(({ name }) => name),
    ignored: [...parts, ...beside].flatMap(({ part }) =>
      part.role === "ignored" && part.note !== null ? [part.note] : [],
    ),
    inputShape: walk.inputShape.slice(1),
    headShape: walk.cutShape.slice(1),
  };
}

/** Which weights model.fit would change: those of the model that are trainable, whatever froze the others. */
function trainedBy(model: tf.LayersModel, use: "write" | "read"): (weight: Weight) => boolean {
  const trained = new Set<unknown>(model.trainableWeights);
  const own = (weight: Weight) => trained.has(weight);
  if (use === "write") return own;
  const last = lastWithWeights(model);
  return last === null || last.weights.some(own) ? own : () => true;
}

/** The layer nearest to the output that has weights. */
function lastWithWeights(model: tf.LayersModel): tf.layers.Layer | null {
  for (const layer of [...model.layers].reverse()) {
    if (layer.weights.length === 0) continue;
    return layer instanceof tf.LayersModel ? lastWithWeights(layer) : layer;
  }
  return null;
}

/** What a step of the walk may be. */
function partsOf(step: Step): Part[] {
  const { layer } = step;
  const part = partOf(step);
  if (layer.weights.length > 0 && !step.trained) {
    refuseProgram(
      "model/frozen",
      "layers that may be trained after the first that is, since a convex fit writes them all",
      `trainable: false in layer "${layer.name}"`,
      "Set trainable to true, freeze the layers before it as well, or train the other layers with model.fit().",
    );
  }
  if (part !== null) return [{ step, part }];
  if (layer.weights.length > 0) {
    refuseProgram(
      "model/layer",
      "dense, convolutional or gated layers where something is trained",
      named(layer),
      "Set trainable: false in it and in the layers before it, so that what they compute is data for the layers after it, or " +
        "train this model with model.fit().",
    );
  }
  return refuseProgram(
    "model/layer",
    "layers whose effect on a trained hidden layer is convex training's business: activations, dropout, average pooling, flatten",
    named(layer),
    "Put what it does before the hidden layer, or train this model with model.fit().",
  );
}

function refuseFrozenEnd(model: tf.LayersModel, { steps }: Walk, kernels: readonly Kernel[]): void {
  if (steps.length === 0) {
    const frozen = model.trainable ? "every layer" : "the model";
    refuseModel(
      "model/frozen",
      "layers that may be trained, since a convex fit writes them",
      `trainable: false in ${frozen}`,
      "Set trainable to true in the last two layers.",
    );
  }
  const last = kernels[kernels.length - 1];
  if (last?.part.kind === "dense") return;
  const layer = last?.step.layer ?? steps[steps.length - 1].layer;
  refuseProgram("model/layer", "a dense last layer", named(layer), "Add tf.layers.dense.");
}

function kernelsAmong(steps: readonly Step[]): number {
  return steps.filter((step) => partOf(step)?.role === "kernel").length;
}

/** Puts the parts together; each has its place between the two kernels or after the last. */
function headOf(parts: readonly Part[], hidden: Kernel, output: Kernel | undefined): Head {
  if (output === undefined) {
    const { layer } = hidden.step;
    return {
      ...{ hidden: layer, output: layer, single: true, kind: "dense", between: [], normalization: null },
      ...{
        skip: null,
        activation: "linear",
        negativeSlope: null,
        outputActivation: lastActivation(hidden, after(parts, hidden)),
      },
    };
  }
  const at = (part: Part) => parts.indexOf(part);
  const inner = parts.slice(at(hidden) + 1, at(output));
  const before = parts.slice(0, at(hidden)).find(({ part }) => part.role !== "ignored");
  if (before !== undefined) refusePlace(before, "the hidden layer or what is frozen at the start");
  const { kind } = hidden.part;
  const read = { activation: hidden.part.activation, slope: null as number | null };
  let normalization: tf.layers.Layer | null = null;
  const between: tf.layers.Layer[] = [];
  for (const each of inner) {
    const { part, step } = each;
    switch (part.role) {
      case "ignored":
        break;
      case "places":
        if (kind === "dense" || step.layer.getClassName() === "Reshape") refusePlace(each, "a convolution");
        between.push(step.layer);
        break;
      case "normalization":
        if (normalization !== null || read.activation !== "linear" || between.length > 0) refuseNormalization(each);
        normalization = step.layer;
        break;
      case "activation":
        if (part.activation === "linear") break;
        if (between.length > 0) refusePlace(each, "the hidden layer, before its places are joined");
        if (read.activation !== "linear") refuseTwice(each, read.activation);
        read.activation = part.activation;
        read.slope = part.negativeSlope ?? null;
        break;
      default:
        refusePlace(each, "the end");
    }
  }
  return {
    hidden: hidden.step.layer,
    kind,
    normalization,
    activation: read.activation,
    negativeSlope: read.slope,
    between,
    output: output.step.layer,
    outputActivation: lastActivation(output, after(parts, output)),
    single: false,
    skip: null,
  };
}

const layersOf = (steps: readonly Step[]) => steps.map(({ layer }) => layer);

/** The layer beside the hidden one: linear, as the read-out is until both are added up. */
function skipOf(
  { kind, normalization, single, output: readOut }: Head,
  { sum, after: length }: Side,
  parts: readonly Part[],
  beside: readonly Part[],
  output: Kernel | undefined,
): tf.layers.Layer {
  const bends = ({ part }: Part) =>
    (part.role === "kernel" || part.role === "activation") && part.activation !== "linear";
  const skip = beside.find(({ part }) => part.role === "kernel");
  const foreign = beside.find(
    (each) => each !== skip && each.part.role !== "ignored" && !(each.part.role === "activation" && !bends(each)),
  );
  if (skip === undefined || skip.part.role !== "kernel" || skip.part.kind !== "dense" || foreign !== undefined) {
    return refuseSkip("a dense layer", named((foreign ?? skip ?? beside[0]).step.layer), sum);
  }
  const own = output === undefined ? [] : parts.slice(parts.indexOf(output), length);
  const bent = [skip, ...own].find(bends);
  if (bent !== undefined) {
    return refuseProgram(
      "model/activation",
      `no activation before layer "${sum.name}", which adds up a read-out and a linear layer beside the hidden one`,
      `an activation in ${named(bent.step.layer)}`,
      "Put it after the sum.",
    );
  }
  if (single) return refuseSkip("a hidden layer beside the linear one", "two linear ones", sum);
  if (kind === "convolution" || readOut.getClassName() !== "Dense") {
    return refuseSkip("a dense or gated hidden layer", "a convolution", sum);
  }
  if (normalization !== null)
    return refuseSkip("no batch normalisation beside a linear layer", named(normalization), sum);
  const { layer } = skip.step;
  const [mine, its] = [layer, readOut].map((each) => each.getConfig().units as number);
  if (mine !== its)
    return refuseSkip(`${counted(its, "unit")} in ${named(layer)}, as in the last layer`, counted(mine, "unit"), sum);
  return layer;
}

function refuseSkip(expected: string, got: string, sum: tf.layers.Layer): never {
  return refuseProgram(
    "model/layer",
    `${expected} where layer "${sum.name}" adds up two branches`,
    got,
    "Leave one branch out, or train this model with model.fit().",
  );
}

function after(parts: readonly Part[], kernel: Kernel): readonly Part[] {
  return parts.slice(parts.indexOf(kernel) + 1);
}

/** The activation of the last layer, fused or a layer of its own. */
function lastActivation({ part: { activation } }: Kernel, outer: readonly Part[]): string {
  let found = activation;
  for (const each of outer) {
    const { part } = each;
    if (part.role === "ignored") continue;
    if (part.role !== "activation") refusePlace(each, "the hidden layer, not the last one");
    else if (found === "linear") found = part.activation;
    else if (part.activation !== "linear") refuseTwice(each, found);
  }
  return found;
}

function refusePlace({ step }: Part, after: string): never {
  return refuseProgram(
    "model/layer",
    `${named(step.layer)} after ${after}`,
    `layer "${step.layer.name}" in another place`,
    "Leave it out, or train this model with model.fit().",
  );
}

function refuseTwice({ step }: Part, before: string): never {
  return refuseProgram(
    "model/activation",
    "one activation a layer",
    `"${before}" and then ${named(step.layer)}`,
    "Leave one out.",
  );
}

function refuseNormalization({ step }: Part): never {
  return refuseProgram(
    "model/layer",
    "batch normalisation between a hidden layer and its activation, where the program is exact",
    `${named(step.layer)} after the activation`,
    "Put it before the activation, or leave it out.",
  );
}
