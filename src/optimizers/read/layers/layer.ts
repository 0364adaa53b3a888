/** What a layer class may be in an anatomy: the one record that each file beside this one answers with. */

import type * as tf from "@tensorflow/tfjs";
import { refuseAs, sentenceOf } from "../../../arguments.js";
import { ConvexError, type ErrorCode } from "../../../errors.js";

/** What a unit does to its input: the slope where that is negative (0: ReLU, 1: linear). */
export interface UnitActivation {
  readonly name: string;
  readonly negativeSlope: number;
}

/** What a layer does, as far as convex training has to know. */
export type LayerPart =
  /** A kernel that is trained: a hidden layer, or the read-out. */
  | { readonly role: "kernel"; readonly kind: "dense" | "convolution" | "gated"; readonly activation: string }
  /** Batch normalisation before the activation. */
  | { readonly role: "normalization" }
  /** An activation that stands alone, by its name in tfjs. */
  | { readonly role: "activation"; readonly activation: string; readonly negativeSlope?: number }
  /** Joins the places of a convolution: pooling, flatten. */
  | { readonly role: "places" }
  /** Does nothing when the model predicts; what it does in training is a note. */
  | { readonly role: "ignored"; readonly note: string | null };

/** A layer where it stands in a graph, with the shapes of what goes through it there, batch first. */
export interface Step {
  readonly layer: tf.layers.Layer;
  readonly inputShape: readonly (number | null)[];
  readonly outputShape: readonly (number | null)[];
  readonly trained: boolean; // whether model.fit would change a weight of it
}

/** One class of layers, or a few that are alike. */
export interface LayerKind {
  readonly classes: readonly string[];
  part(step: Step): LayerPart;
}

/** Throws, in the four parts of a sentence. */
export function refuseModel(code: ErrorCode, expected: string, got: string, todo: string): never {
  refuseAs("readModel", expected, got, todo, code);
}

/** The refusal of what no program has, where a descent of all layers takes it. */
export class NoProgram extends ConvexError {
  constructor(
    code: ErrorCode,
    message: string,
    readonly what: string,
    /** What would have one. */
    readonly instead: string,
  ) {
    super(code, message);
  }
}

/** As `refuseModel`, of what a descent of all layers takes. */
export function refuseProgram(code: ErrorCode, expected: string, got: string, todo: string): never {
  throw new NoProgram(code, sentenceOf("readModel", expected, got, todo), got, expected);
}

/** How a layer is called in a sentence. */
export function named(layer: tf.layers.Layer): string {
  return `layer "${layer.name}" of class ${layer.getClassName()}`;
}

/** Refuses a layer whose model was disposed of. */
export function refuseDisposed(layer: tf.layers.Layer): void {
  try {
    layer.getWeights();
  } catch {
    refuseModel("model/disposed", "a model that is alive", "a disposed one", "Build or load it again.");
  }
}

/** What came, where it is not what was expected. */
export function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === "function") return `the function ${value.name || "without a name"}`;
  return typeof value === "object"
    ? `an object of class ${value.constructor?.name ?? "unknown"}`
    : `${typeof value} ${String(value)}`;
}
