/** The layers of a model as a tape on the host; null where one of them is none that the tape knows. */

import * as tf from "@tensorflow/tfjs";
import type { Kernels } from "../../../convex/kernels/index.js";
import { Tape } from "../../../convex/tape/index.js";
import { anatomyOf } from "../anatomy.js";
import type { Stage, Weight } from "../graph.js";
import { partOfLayer } from "./tapeLayers.js";
import { type Place, TapeWriter } from "./tapeWriter.js";

/** A tape, and the weights that it reads in their order. */
export interface ReadTape {
  readonly tape: Tape;
  /** Weights that are not trained, whose numbers come after those that are. */
  readonly fixed: readonly Weight[];
}

/**
 * The outputs of a model before its last activation, of rows of a shape. `trained` are the weights that model.fit would train, with
 * their places in a vector of `size` numbers; `beside`: whether a linear layer stands beside the hidden one.
 */
export function readTape(
  model: tf.LayersModel,
  shape: readonly number[],
  kernels: Kernels,
  trained: ReadonlyMap<Weight, number>,
  size: number,
  beside: boolean,
): ReadTape | null {
  const { trunk, head, layers } = anatomyOf(model, "write", beside ? "hidden" : "output");
  const writer = new TapeWriter(trained, size);
  const features = through(writer, trunk, shape);
  if (features === null) return null;
  const hidden = beside ? layers.slice(0, layers.indexOf(head.output)) : [];
  const above = hidden.reduce<Place | null>((place, layer) => place && applied(writer, layer, [place]), features);
  const outputs = [
    above && linearOf(writer, head.output, above),
    ...(head.skip === null ? [] : [linearOf(writer, head.skip, features)]),
  ];
  const all = outputs.filter((place) => place !== null);
  if (all.length < outputs.length) return null;
  if (all.length > 1) partOfLayer.sum(writer, all);
  return { tape: new Tape(kernels, writer.steps, writer.depends), fixed: writer.fixed };
}

/** What the stages of a trunk make of rows of a shape; no weight is trained. Null, too, where they do nothing. */
export function readStages(stages: readonly Stage[], shape: readonly number[], kernels: Kernels): ReadTape | null {
  const writer = new TapeWriter(new Map(), 0);
  if (through(writer, stages, shape) === null || writer.steps.length === 0) return null;
  return { tape: new Tape(kernels, writer.steps, writer.depends), fixed: writer.fixed };
}

/**
 * The outputs of a model, one behind the other, of rows that have its inputs, of these shapes, one behind the other; in other respects as `readTape`.
 */
export function readWholeTape(
  model: tf.LayersModel,
  shapes: readonly (readonly number[])[],
  kernels: Kernels,
  trained: ReadonlyMap<Weight, number>,
  size: number,
): ReadTape | null {
  const writer = new TapeWriter(trained, size);
  const inputs = partOfLayer.inputs(writer, shapes);
  const known = new Map(model.inputs.map(({ id }, k) => [id, inputs[k]] as const));
  const outputs: Place[] = [];
  for (const output of model.outputs) {
    const place = traced(writer, output, known);
    if (place === null) return null;
    outputs.push(place);
  }
  if (outputs.length > 1 || outputs[0].index !== writer.steps.length) partOfLayer.behind(writer, outputs);
  return { tape: new Tape(kernels, writer.steps, writer.depends), fixed: writer.fixed };
}

/** What stages make of the rows. */
function through(writer: TapeWriter, stages: readonly Stage[], shape: readonly number[]): Place | null {
  return stages.reduce<Place | null>(
    (place, { inputs, output }) => place && traced(writer, output, new Map([[inputs.id, place]])),
    { index: 0, shape },
  );
}

/** A dense layer without its activation. */
function linearOf(writer: TapeWriter, layer: tf.layers.Layer, place: Place): Place | null {
  return layer.getClassName() === "Dense" ? partOfLayer.affine(writer, layer, place) : null;
}

/** The place of a tensor in a graph, whose inputs are known. */
function traced(writer: TapeWriter, tensor: tf.SymbolicTensor, known: Map<number, Place>): Place | null {
  const found = known.get(tensor.id);
  if (found !== undefined) return found;
  const { sourceLayer: layer, nodeIndex } = tensor;
  const node = layer.inboundNodes[nodeIndex];
  if (node === undefined || layer.getClassName() === "InputLayer") return null;
  const inputs: Place[] = [];
  for (const input of node.inputTensors) {
    const place = traced(writer, input, known);
    if (place === null) return null;
    inputs.push(place);
  }
  const made = applied(writer, layer, inputs);
  if (made !== null) known.set(tensor.id, made);
  return made;
}

/** What a layer makes of places; a model within is its own graph. */
function applied(writer: TapeWriter, layer: tf.layers.Layer, inputs: readonly Place[]): Place | null {
  if (!(layer instanceof tf.LayersModel)) return partOfLayer.any(writer, layer, inputs);
  if (layer.inputs.length !== inputs.length || layer.outputs.length !== 1) return null;
  return traced(writer, layer.outputs[0], new Map(layer.inputs.map((input, k) => [input.id, inputs[k]] as const)));
}
