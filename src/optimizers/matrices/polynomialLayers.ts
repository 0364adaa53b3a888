/** A model whose one hidden layer has units of length one and a polynomial of degree two: what it says, and how weights get into it. */

import * as tf from "@tensorflow/tfjs";
import { lossTraits } from "../../convex/losses/index.js";
import type { LayerWeights } from "../../convex/matrices/index.js";
import type { LossName, OutputBias } from "../../convex/types.js";
import type { Polynomial } from "../../convex/units/index.js";
import { PolynomialActivation } from "../../layers/index.js";
import { type Convolution, readConvolution } from "../read/convolution.js";
import { readL2 } from "../read/layers/kernel.js";
import { named, refuseDisposed, refuseModel } from "../read/layers/layer.js";
import { type Labels, readLoss } from "../read/loss.js";

export interface PolynomialLayers {
  readonly hidden: tf.layers.Layer;
  readonly output: tf.layers.Layer;
  /** Whether a column of ones, or a channel, is put behind the data. */
  readonly ones: boolean;
  readonly inputShape: readonly number[]; // of a sample of x
  readonly convolution: Convolution | null; // null: dense
  readonly activation: Polynomial;
  readonly units: number; // or filters
  readonly outputs: number;
  readonly outputBias: OutputBias | null;
  readonly beta: number; // of the l1 regularizer
  readonly loss: LossName;
  readonly labels: Labels;
}

/** Kernels of units, and over which of their axes the length is one. */
const UNIT_AXES: Readonly<Record<string, readonly number[]>> = { Dense: [0], Conv1D: [0, 1], Conv2D: [0, 1, 2] };

const BOUND_INSIDE =
  "Set useBias: false, and put onesColumn() before the layer: the bias is then an entry of the kernel, which has length one with it.";

/**
 * Reads a compiled tf.Sequential [dense, PolynomialActivation, dense] or [conv, PolynomialActivation, average pooling, flatten or both, dense],
 * before it an OnesColumn or nothing.
 *
 * @throws ConvexError "model/..." naming the layer and what to change.
 */
export function readPolynomialLayers(model: tf.LayersModel): PolynomialLayers {
  if (!(model instanceof tf.Sequential)) {
    refuseModel("model/kind", "a tf.Sequential", "something else", "Build it with tf.sequential().");
  }
  for (const layer of model.layers) refuseDisposed(layer);
  const { loss, labels, fromLogits } = readLoss(model);
  const { ones, hidden, polynomial, between, output } = partsOf(model);
  for (const layer of [hidden, output]) refuseFrozen(layer);
  const kind = hidden.getClassName();
  refuseFreeUnits(hidden, UNIT_AXES[kind]);
  if (output.getConfig().activation !== (fromLogits ? "linear" : lossTraits[loss].activation)) {
    refuseModel(
      "model/activation",
      `activation "${fromLogits ? "linear" : lossTraits[loss].activation}" in the last layer, as the loss ${loss} wants`,
      `"${output.getConfig().activation}" in layer "${output.name}"`,
      "Change the activation or the loss.",
    );
  }
  const inputShape = knownShape(model.inputs[0].shape.slice(1), model.layers[0]);
  if (kind === "Dense" && inputShape.length !== 1) {
    refuseModel(
      "model/layer",
      `rows of one axis before layer "${hidden.name}"`,
      `inputShape [${inputShape.join(", ")}]`,
      "Flatten x, or build a convolution.",
    );
  }
  const seen = ones ? [...inputShape.slice(0, -1), inputShape[inputShape.length - 1] + 1] : inputShape;
  const { useBias, biasRegularizer, units } = output.getConfig();
  const charge = useBias === true ? readL2(biasRegularizer, output, "biasRegularizer") : 0;
  const { a, b, c } = polynomial;
  const kernel = hidden.getConfig();
  return {
    ...{ hidden, output, ones, inputShape },
    convolution: kind === "Dense" ? refuseBetween(between) : readConvolution(hidden, between, seen),
    activation: { a, b, c },
    units: (kernel.units ?? kernel.filters) as number,
    outputs: units as number,
    outputBias: useBias === true ? { ridge: charge } : null,
    beta: readL1(output),
    ...{ loss, labels },
  };
}

/** Writes both kernels, in float32; filters that are left are of length one and feed nothing. */
export function writePolynomialLayers(
  { hidden, output, units: width, outputs: C, convolution }: PolynomialLayers,
  [first, last]: readonly LayerWeights[],
): void {
  const { rows: d, cols: m } = first.kernel;
  const places = Math.max(1, last.kernel.rows / Math.max(1, m));
  const patchesFastest = convolution?.readOut === "patchesFastest";
  const rowsOfPlaces = output.getWeights()[0].shape[0] as number;
  const kernel = new Float32Array(d * width);
  for (let p = 0; p < d; p++) {
    for (let j = 0; j < width; j++) kernel[p * width + j] = j < m ? first.kernel.data[p * m + j] : Number(p === 0);
  }
  const read = new Float32Array(rowsOfPlaces * C);
  for (let a = 0; a < places; a++) {
    for (let j = 0; j < m; j++) {
      const row = patchesFastest ? j * places + a : a * width + j;
      for (let c = 0; c < C; c++) read[row * C + c] = last.kernel.data[(a * m + j) * C + c];
    }
  }
  tf.tidy(() => {
    const weights = [
      [tf.tensor(kernel, hidden.getWeights()[0].shape)],
      [
        tf.tensor2d(read, [rowsOfPlaces, C]),
        ...(last.bias === null ? [] : [tf.tensor1d(Float32Array.from(last.bias))]),
      ],
    ];
    hidden.setWeights(weights[0]);
    output.setWeights(weights[1]);
  });
}

interface Parts {
  readonly ones: boolean;
  readonly hidden: tf.layers.Layer;
  readonly polynomial: PolynomialActivation;
  readonly between: readonly tf.layers.Layer[];
  readonly output: tf.layers.Layer;
}

function partsOf(model: tf.Sequential): Parts {
  const layers = model.layers.filter((layer) => layer.getClassName() !== "InputLayer");
  const ones = layers[0]?.getClassName() === "OnesColumn";
  const [hidden, polynomial, ...rest] = ones ? layers.slice(1) : layers;
  const output = rest.pop();
  const wanted =
    "layers dense or conv, polynomial(a, b, c), and dense, with average pooling or flatten before the last";
  if (hidden === undefined || UNIT_AXES[hidden.getClassName()] === undefined) {
    const got = hidden === undefined ? "none" : named(hidden);
    refuseModel("model/layer", `${wanted}, in this order`, got, "Put what comes before it into the data.");
  }
  if (hidden.getConfig().activation !== "linear") {
    const got = `"${hidden.getConfig().activation}" in layer "${hidden.name}"`;
    refuseModel("model/activation", "a hidden layer without activation of its own", got, "Leave it out.");
  }
  if (!(polynomial instanceof PolynomialActivation)) {
    const got = polynomial === undefined ? "nothing" : named(polynomial);
    refuseModel(
      "model/activation",
      `a layer polynomial(a, b, c) behind layer "${hidden.name}"`,
      got,
      "Add it; ConvexReLUTrainer trains ReLU networks.",
    );
  }
  if (polynomial.a === 0 && polynomial.b === 0) {
    refuseModel("model/activation", "a polynomial that is no constant", "a: 0, b: 0", "Change its coefficients.");
  }
  if (output?.getClassName() !== "Dense") {
    const got = output === undefined ? "nothing" : named(output);
    refuseModel("model/layer", `${wanted}, in this order`, got, "End with tf.layers.dense.");
  }
  return { ones, hidden, polynomial, between: rest, output };
}

function refuseFrozen(layer: tf.layers.Layer): void {
  if (layer.trainable && layer.trainableWeights.length > 0) return;
  refuseModel("model/frozen", "both kernels trained", `${named(layer)}, frozen`, "Set trainable = true.");
}

/** Refuses units whose size nothing holds, and ones that are held by more than their length. */
function refuseFreeUnits(layer: tf.layers.Layer, axes: readonly number[]): void {
  const { useBias, kernelConstraint, ...config } = layer.getConfig();
  if (useBias === true) refuseModel("model/layer", `no bias in layer "${layer.name}"`, "one", BOUND_INSIDE);
  const { className, config: told } = (kernelConstraint ?? {}) as { className?: string; config?: { axis?: unknown } };
  const given = [told?.axis ?? 0].flat().sort();
  if (className !== "UnitNorm" || given.join() !== axes.join()) {
    refuseModel(
      "model/regularizer",
      `kernelConstraint unitNorm over axis ${axes.length === 1 ? axes[0] : `[${axes.join(", ")}]`} in layer "${layer.name}" (without it ` +
        "the charge on the output weights alone has no minimum)",
      className === undefined ? "none" : `${className} over axis ${given.join(", ")}`,
      "Set kernelConstraint: tf.constraints.unitNorm({ axis }).",
    );
  }
  for (const part of ["kernelRegularizer", "activityRegularizer"]) {
    if (config[part] === undefined || config[part] === null) continue;
    refuseModel(
      "model/regularizer",
      `no ${part} in layer "${layer.name}"`,
      "one",
      "Remove it: its units have length one.",
    );
  }
}

/** The factor of the l1 regularizer on the last kernel. */
function readL1(layer: tf.layers.Layer): number {
  const { kernelRegularizer, kernelConstraint, biasConstraint, activityRegularizer } = layer.getConfig();
  for (const [part, one] of Object.entries({ kernelConstraint, biasConstraint, activityRegularizer })) {
    if (one !== undefined && one !== null)
      refuseModel("model/regularizer", `no ${part} in layer "${layer.name}"`, "one", "Remove it.");
  }
  const { config } = (kernelRegularizer ?? {}) as { config?: { l1?: number; l2?: number } };
  const { l1 = 0, l2 = 0 } = config ?? {};
  if (l1 > 0 && Number.isFinite(l1) && l2 === 0) return l1;
  return refuseModel(
    "model/regularizer",
    `an l1 regularizer, and no l2, on the kernel of layer "${layer.name}"`,
    config === undefined ? "none" : `l1 ${l1}, l2 ${l2}`,
    "Set kernelRegularizer: tf.regularizers.l1({ l1: ... }).",
  );
}

function refuseBetween(between: readonly tf.layers.Layer[]): null {
  if (between.length === 0) return null;
  return refuseModel("model/layer", "the last dense layer behind the polynomial", named(between[0]), "Remove it.");
}

function knownShape(shape: readonly (number | null)[], layer: tf.layers.Layer): number[] {
  const known = shape.filter((size) => size !== null);
  if (known.length === shape.length) return known;
  const got = `[${shape.map((size) => size ?? "null").join(", ")}]`;
  return refuseModel("model/layer", `an inputShape of known sizes in layer "${layer.name}"`, got, "Set it.");
}
