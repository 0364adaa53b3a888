/** The loss that a model was compiled with: which of ours it is, and how its targets are given. */

import * as tf from "@tensorflow/tfjs";
import { lossTraits } from "../../convex/losses/index.js";
import type { LossName } from "../../convex/types.js";
import { describe, refuseModel, refuseProgram } from "./layers/layer.js";

/** How y is given: as the loss has it, as the number of a class, or as 0 and 1 for -1 and 1. */
export type Labels = "as the loss has them" | "classes" | "zero or one";

export interface ReadLoss {
  readonly loss: LossName;
  readonly labels: Labels;
  readonly fromLogits: boolean;
}

const LOSS_NAMES = Object.keys(lossTraits) as LossName[];

/** The losses of tfjs that are one of ours under another name, or with other labels. */
function knownLosses(): readonly (readonly [given: unknown, loss: LossName, more?: Partial<ReadLoss>])[] {
  const { losses, metrics } = tf;
  const classes = { labels: "classes" } as const;
  const fromLogits = { fromLogits: true };
  return [
    ...LOSS_NAMES.map((name) => [name, name] as const),
    ["sparseCategoricalCrossentropy", "categoricalCrossentropy", classes],
    [losses.huberLoss, "huberLoss"],
    [losses.absoluteDifference, "meanAbsoluteError"],
    [metrics.meanAbsoluteError, "meanAbsoluteError"],
    [losses.meanSquaredError, "meanSquaredError"],
    [metrics.meanSquaredError, "meanSquaredError"],
    [metrics.MSE, "meanSquaredError"],
    [metrics.mse, "meanSquaredError"],
    [losses.hingeLoss, "hinge", { labels: "zero or one" }],
    [losses.logLoss, "binaryCrossentropy"],
    [losses.sigmoidCrossEntropy, "binaryCrossentropy", fromLogits],
    [metrics.binaryCrossentropy, "binaryCrossentropy"],
    [losses.softmaxCrossEntropy, "categoricalCrossentropy", fromLogits],
    [metrics.categoricalCrossentropy, "categoricalCrossentropy"],
  ];
}

/** What a loss is that a model was compiled with; null for one that is none of ours. */
export function knownLoss(given: unknown): ReadLoss | null {
  const found = knownLosses().find(([known]) => known === given);
  return found === undefined
    ? null
    : { loss: found[1], labels: "as the loss has them", fromLogits: false, ...found[2] };
}

/** The model that was compiled: a tf.Sequential keeps the functions of its losses and metrics in the model within. */
export function compiledIn(model: tf.LayersModel): tf.LayersModel {
  return (model as { model?: tf.LayersModel }).model ?? model;
}

/**
 * Reads the loss of model.compile: by name, by the function of tf.losses or tf.metrics that it is, in an array, or by the name
 * of the output.
 *
 * @throws ConvexError "model/uncompiled" or "model/loss".
 */
export function readLoss(model: tf.LayersModel): ReadLoss {
  const loss = givenLoss(model);
  const read = knownLoss(loss);
  if (read !== null) return read;
  const known = [...LOSS_NAMES, "sparseCategoricalCrossentropy"].map((name) => `"${name}"`).join(", ");
  return refuseProgram(
    "model/loss",
    `a loss among ${known} (huberLoss as the function tf.losses.huberLoss)`,
    typeof loss === "string" ? `"${loss}"` : describe(loss),
    "Compile the model with one of them, or train it with model.fit().",
  );
}

/** The metrics of model.compile as a list, however they were given. */
export function givenMetrics({ metrics }: tf.LayersModel): string[] {
  const given = (metrics ?? []) as unknown;
  const list = typeof given === "object" && !Array.isArray(given) ? Object.values(given as object) : [given];
  return list.flat(2) as string[];
}

/**
 * The losses of model.compile in the order of its outputs, however they were given.
 *
 * @throws ConvexError "model/uncompiled"; "model/loss" naming an output that has none.
 */
export function givenLosses(model: tf.LayersModel): readonly unknown[] {
  const given = givenLoss(model);
  const { loss, outputNames } = model;
  if (outputNames.length === 1) return [given];
  const losses: readonly unknown[] = outputNames.map((name, k) => {
    if (Array.isArray(loss)) return loss[k];
    return typeof loss === "object" && loss !== null ? (loss as Record<string, unknown>)[name] : loss;
  });
  const lacking = outputNames.find((_, k) => losses[k] == null);
  if (lacking !== undefined) {
    refuseModel(
      "model/loss",
      "a loss for every output",
      `none for "${lacking}"`,
      "Compile the model with one for each.",
    );
  }
  return losses;
}

/** The one loss of model.compile, out of its array or its record. */
export function givenLoss(model: tf.LayersModel): unknown {
  const given = model.loss as unknown;
  if (given === undefined || given === null || (Array.isArray(given) && given.length === 0)) {
    refuseModel(
      "model/uncompiled",
      "a compiled model",
      "one without a loss",
      "Call model.compile({ loss: ..., optimizer: ... }) first.",
    );
  }
  if (Array.isArray(given) && given.length === 1) return given[0];
  if (typeof given !== "object" || Array.isArray(given)) return given;
  const values = Object.values(given as Record<string, unknown>);
  return values.length === 1 ? values[0] : given;
}
