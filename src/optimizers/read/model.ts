/** A model -> what convex training needs to know of its head, or a refusal that names the layer. */

import type * as tf from "@tensorflow/tfjs";
import { lossTraits } from "../../convex/losses/index.js";
import { ONE_PATCH } from "../../convex/network.js";
import type { LossName, Pooling } from "../../convex/types.js";
import { ConvexError } from "../../errors.js";
import type { Depth, Settings } from "../options.js";
import { type Anatomy, anatomyOf, type Cut, type Head } from "./anatomy.js";
import { type Convolution, readConvolution } from "./convolution.js";
import type { Whitening } from "./layers/batchNormalization.js";
import { readKernel } from "./layers/kernel.js";
import { NoProgram, refuseModel as refuse, refuseProgram } from "./layers/layer.js";
import { type Labels, readLoss } from "./loss.js";
import { readNormalization } from "./normalization/head.js";
import { type Skip, sharedBias } from "./skip.js";

/** The two-layer network that the head of a model is. */
export interface NetworkSpec {
  /** "linear": two layers without activation; "affine": the read-out alone. */
  readonly formulation: "relu" | "gated" | "linear" | "affine";
  readonly inputShape: readonly number[]; // of one sample as the head sees it: of x, or of what a trunk makes of it
  readonly inputs: number; // features of a row of X, without a bias column: of a sample, or of a patch
  readonly convolution: Convolution | null; // null: dense
  /** What the hidden units do to negative sums: alpha of a LeakyReLU layer, 0 of ReLU. */
  readonly negativeSlope: number;
  readonly units: number; // or filters
  readonly outputs: number; // C
  readonly hiddenBias: boolean;
  readonly outputBias: boolean; // of the read-out, or of a linear layer beside the hidden one
  /** A linear layer beside the hidden one; null without it. */
  readonly skip: Skip | null;
  readonly loss: LossName;
  readonly labels: Labels;
  /** The last layer's activation: what turns Z into the model's predictions. */
  readonly activation: "linear" | "sigmoid" | "softmax";
  readonly l2: {
    readonly hidden: number;
    readonly hiddenBias: number;
    readonly output: number;
    readonly outputBias: number;
  };
  /** Of batch normalisation before the ReLU; null without it. */
  readonly normalization: { readonly epsilon: number } | null;
  /** What that is on the rows at hand; null before they are known. */
  readonly whitening: Whitening | null;
  /** What training would do and the program does not, each a note. */
  readonly ignored: readonly string[];
  /** Where the head begins: at the last hidden layer, or, where that is none for a program, at the read-out. */
  readonly cut: Cut;
  /** Names of the layers below the head that model.fit would train; none of a model of two layers. */
  readonly deep: readonly string[];
}

/** What each formulation wants first: in a dense model, and in a convolutional one. */
const FIRST: Readonly<Record<NetworkSpec["formulation"], readonly string[]>> = {
  gated: ["a GatedDense first layer", "a GatedConv2D first layer"],
  relu: ['dense(units, activation "relu") as first layer', 'a convolution with activation "relu" as first layer'],
  affine: ["a dense layer alone", "a dense layer alone"],
  linear: ["a dense first layer without activation", "a convolution without activation as first layer"],
};

/**
 * Reads a compiled model whose last two layers that are trained are a hidden layer (dense or convolutional with ReLU, or gated)
 * and a dense read-out; what comes before them is frozen or has no weights, unless a schedule of depth is `asked` for or the
 * last two layers are all that is meant ("head"): then the read-out alone is the head where the two are not for a program.
 *
 * @throws ConvexError "model/..." naming the layer and what to change.
 */
export function readModel(
  model: tf.LayersModel,
  wanted: NetworkSpec["formulation"] | null,
  use: "fit" | "write" | "read" = "write",
  normalized = use === "fit", // whether batch normalisation is welcome
  asked: Depth | null = null,
): NetworkSpec {
  if (asked === null) {
    const spec = readHead(model, wanted, use, normalized, "hidden");
    refuseDepth(spec, use);
    return spec;
  }
  if (asked === "read-out") {
    refuseBeside(model, use);
    return readHead(model, null, use, normalized, "output");
  }
  try {
    const spec = readHead(model, wanted, use, normalized, "hidden");
    if (spec.skip !== null) return spec; // its layers end in a sum, which a read-out alone is not
    if (!isOneSided(spec) || (spec.deep.length === 0 && asked !== "alternate")) return spec;
  } catch (error) {
    return readOutAlone(model, use, normalized, error);
  }
  return readOutAlone(model, use, normalized, null);
}

/** What of the options decides by which schedule a model is trained. */
type Asked = Pick<Settings, "formulation" | "depth"> & Partial<Pick<Settings, "regularization">>;

/**
 * By which schedule a model is trained; null for one of two layers that a program has, which needs none. Where no option names it, a
 * model of more layers alternates, and so does whatever no program has before a read-out that one has, unless the program's network
 * class is asked for.
 *
 * @throws ConvexError as `readModel`; where no option names a schedule or a class, `NoProgram` for a model of which no part has a program,
 * its read-out neither.
 */
export function scheduleOf(model: tf.LayersModel, asked: Asked, use: "fit" | "read" = "fit"): Depth | null {
  const { formulation, depth } = asked;
  if (depth !== null) return readModel(model, formulation, use, true, depth).deep.length > 0 ? depth : null;
  try {
    const spec = readHead(model, formulation, use, true, "hidden");
    return spec.deep.length > 0 || (isOneSided(spec) && leavesCharges(asked)) ? "alternate" : null;
  } catch (error) {
    if (!(error instanceof NoProgram)) throw error;
    if (formulation === null && readHead(model, null, use, true, "output").deep.length > 0) return "alternate";
    throw use === "fit" && formulation !== null && isDeepBelowReadOut(model, use) ? withWayOut(error) : error;
  }
}

/** The same, or what there is no program for where no part of a model has one: then a descent alone trains it. */
export function scheduleOrNone(model: tf.LayersModel, asked: Asked): Depth | null | NoProgram {
  try {
    return scheduleOf(model, asked);
  } catch (error) {
    if (error instanceof NoProgram && asked.formulation === null && asked.depth === null) return error;
    throw error;
  }
}

/** A regularizer in one of two layers, where weights can move to the other one for nothing: no program has that. */
function isOneSided({ l2, cut, formulation }: NetworkSpec): boolean {
  return cut === "hidden" && formulation !== "affine" && l2.hidden > 0 !== l2.output > 0;
}

/** Whether no option says what two layers are to be charged. */
function leavesCharges({ formulation, regularization = null }: Asked): boolean {
  return (
    formulation === null &&
    (regularization === null || ["auto", "share", "from-model"].includes(String(regularization)))
  );
}

/** What of a model has no program, in words, where its read-out alone is the head for that; null elsewhere. */
export function whatHasNoProgram(model: tf.LayersModel, { cut }: Pick<NetworkSpec, "cut">): string | null {
  if (cut === "hidden") return null;
  try {
    return isOneSided(readHead(model, null, "fit", true, "hidden"))
      ? "an l2 regularizer in one of two layers only"
      : null;
  } catch (error) {
    return error instanceof NoProgram ? error.what : null;
  }
}

/** Whether the read-out has a program, and layers below it are trained. */
function isDeepBelowReadOut(model: tf.LayersModel, use: "fit" | "read"): boolean {
  try {
    return readHead(model, null, use, true, "output").deep.length > 0;
  } catch {
    return false;
  }
}

/** The refusal of a last hidden layer, and the schedules that do without its program. */
function withWayOut(error: ConvexError): ConvexError {
  const way =
    'Or set depth: "alternate", which descends over all layers and solves the read-out, or "head", which solves that alone.';
  return new ConvexError(error.code, `${error.message} ${way}`);
}

/** A read-out beside a linear layer is no head of its own: both see other features, and their sum is one output. */
function refuseBeside(model: tf.LayersModel, use: "fit" | "write" | "read"): void {
  let head: Head;
  try {
    ({ head } = anatomyOf(model, use === "read" ? "read" : "write"));
  } catch {
    return; // no two layers either: what is wrong with the read-out is what there is to say
  }
  if (head.skip === null) return;
  refuse(
    "model/layer",
    `a read-out with no linear layer beside the hidden one for depth "read-out"`,
    `layer "${head.skip.name}", whose outputs are added to its own`,
    'Set depth: "head", which solves both with the hidden layer, or leave that layer out.',
  );
}

/** The read-out as the head; where it is none either, what was wrong with the last hidden layer is what there is to say. */
function readOutAlone(
  model: tf.LayersModel,
  use: "fit" | "write" | "read",
  normalized: boolean,
  before: unknown,
): NetworkSpec {
  try {
    return readHead(model, null, use, normalized, "output");
  } catch (error) {
    throw before ?? error;
  }
}

function refuseDepth({ deep }: NetworkSpec, use: "fit" | "write" | "read"): void {
  if (deep.length === 0) return;
  refuse(
    "model/depth",
    "one hidden layer that is trained, and a read-out",
    `layers below them that are trained, too: ${deep.map((name) => `"${name}"`).join(", ")}`,
    `${use === "fit" ? 'Set depth: "head" to hold these as they are, or set' : "Set"} trainable: false in these: what they compute ` +
      `is then the data of the last two layers.`,
  );
}

function readHead(
  model: tf.LayersModel,
  wanted: NetworkSpec["formulation"] | null,
  use: "fit" | "write" | "read",
  normalized: boolean,
  cut: Cut,
): NetworkSpec {
  const anatomy = anatomyOf(model, use === "read" ? "read" : "write", cut);
  const { head } = anatomy;
  const { formulation, convolutional } = readFormulation(head, wanted);
  const inputShape = headShapeOf(anatomy, convolutional);
  const convolution = convolutional ? readConvolution(head.hidden, head.between, inputShape) : null;
  const normalization = readNormalization(head, convolutional, normalized);
  const hidden = normalization === null ? readKernel(head.hidden) : normalization.kernel;
  const output = readKernel(head.output);
  const beside = head.skip === null ? null : readKernel(head.skip);
  const bias = beside === null ? null : sharedBias(output, beside);
  const { loss, labels, fromLogits } = readLoss(model);
  if (head.skip !== null) refuseKinks(loss, head.skip);
  const activation = fromLogits ? "linear" : lossTraits[loss].activation;
  if (head.outputActivation !== activation) {
    refuseProgram(
      "model/activation",
      `activation "${activation}" in the last layer, as the loss ${loss} wants${orLossFor(head.outputActivation)}`,
      `"${head.outputActivation}" in layer "${head.output.name}"`,
      "Change the activation or the loss.",
    );
  }
  return {
    formulation,
    inputShape,
    inputs: convolution?.geometry.entries ?? inputShape[0],
    convolution,
    negativeSlope: formulation === "relu" ? (head.negativeSlope ?? 0) : 0,
    units: hidden.units,
    outputs: output.units,
    hiddenBias: hidden.useBias && !head.single,
    outputBias: output.useBias || beside?.useBias === true,
    skip:
      beside === null || bias === null
        ? null
        : {
            l2: beside.kernelL2,
            readOutShare: bias.readOutShare,
            biasL2: (output.useBias ? output.biasL2 : 0) + (beside.useBias ? beside.biasL2 : 0),
            biases: { readOut: output.useBias, skip: beside.useBias },
          },
    loss,
    labels,
    activation,
    l2: {
      hidden: hidden.kernelL2,
      hiddenBias: head.single ? 0 : hidden.biasL2,
      output: head.single ? 0 : output.kernelL2,
      outputBias: bias?.l2 ?? output.biasL2,
    },
    normalization: normalization && { epsilon: normalization.epsilon },
    whitening: null,
    ignored: anatomy.ignored,
    cut,
    deep: anatomy.deep,
  };
}

/** The loss that wants a last activation, for the end of a sentence. */
function orLossFor(given: string): string {
  const fitting = Object.entries(lossTraits).find(([, { activation }]) => activation === given && given !== "linear");
  return fitting === undefined ? "" : `, or the loss ${fitting[0]}, which wants "${given}"`;
}

/** Beside a linear layer the loss is that of the best such layer, which is smooth where the loss is. */
function refuseKinks(loss: LossName, skip: tf.layers.Layer): void {
  if (loss !== "hinge" && loss !== "meanAbsoluteError") return;
  refuseProgram(
    "model/loss",
    `a smooth loss beside the linear layer "${skip.name}"`,
    loss,
    `Compile with "${loss === "hinge" ? "squaredHinge" : "huberLoss"}", or leave that layer out.`,
  );
}

/** How rows make outputs, where they are patches or units have a slope for negative sums; null for the rows of ReLU networks. */
export function poolingOf({ convolution, negativeSlope }: NetworkSpec): Pooling | null {
  const pooling = convolution?.pooling ?? null;
  return negativeSlope === 0 ? pooling : { ...(pooling ?? ONE_PATCH), negativeSlope };
}

/** Which network class a head is; refuses one that is none, or not the one that is wanted. */
function readFormulation(
  { hidden, kind, activation, negativeSlope, normalization, single }: Head,
  wanted: NetworkSpec["formulation"] | null,
): { formulation: NetworkSpec["formulation"]; convolutional: boolean } {
  const linear = single ? "affine" : "linear";
  const bends = activation === "relu" || activation === "leakyRelu";
  const straight = activation === "linear" || (activation === "leakyRelu" && negativeSlope === 1);
  const formulation = kind === "gated" ? "gated" : straight ? linear : "relu";
  const convolutional = hidden.getClassName().includes("Conv");
  if (wanted !== null && wanted !== formulation) {
    const needs = FIRST[wanted][+convolutional];
    refuse(
      "model/layer",
      `${needs} for formulation "${wanted}"`,
      `layer "${hidden.name}" of class ${hidden.getClassName()}`,
      "Change the layer or the option.",
    );
  }
  if (normalization !== null && (formulation !== "relu" || !bends)) {
    refuseProgram(
      "model/layer",
      "a ReLU after batch normalisation",
      `"${activation}"`,
      "Change the activation, or leave it out.",
    );
  }
  if (formulation === "relu" && !bends) {
    refuseProgram(
      "model/activation",
      'activation "relu" in the hidden layer, or a leakyReLU layer',
      `"${activation}" in layer "${hidden.name}"`,
      'Change the activation to "relu", or use a GatedDense layer: without `formulation` and `depth` fit trains it by a descent.',
    );
  }
  if (activation === "leakyRelu" && !Number.isFinite(negativeSlope)) {
    refuse(
      "model/activation",
      "a leakyReLU layer whose alpha is a finite number",
      `alpha ${negativeSlope} after layer "${hidden.name}"`,
      "Set alpha, or leave it out: then it is 0.3.",
    );
  }
  return { formulation, convolutional };
}

/** The shape of one sample as the head sees it: [features], or that of an image or signal. */
function headShapeOf({ head, headShape, trunk }: Anatomy, convolutional: boolean): number[] {
  const { hidden } = head;
  const known = headShape.filter((size) => typeof size === "number");
  if (!convolutional && headShape.length !== 1) {
    refuseProgram(
      "model/layer",
      `rows of features, inputShape: [features], in layer "${hidden.name}"`,
      `inputShape [${headShape.map((size) => size ?? "null").join(", ")}]`,
      "Put tf.layers.flatten() before it, or flatten the data before training.",
    );
  }
  if (known.length === headShape.length) return known;
  const wanted = hidden.getClassName() === "Conv1D" ? "[length, channels]" : "[height, width, channels]";
  return refuseProgram(
    "model/layer",
    `an inputShape of known sizes in layer "${hidden.name}"`,
    `[${headShape.map((size) => size ?? "null").join(", ")}]`,
    trunk.length > 0
      ? "Give the model's first layer an inputShape of known sizes."
      : `Give the first layer inputShape: ${wanted}.`,
  );
}
