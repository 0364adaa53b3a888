/** The model of one unit that says what `train` is to build. */

import * as tf from "@tensorflow/tfjs";
import { refuseAs, shown } from "../../arguments.js";
import { lossTraits } from "../../convex/losses/index.js";
import type { LossName } from "../../convex/types.js";
import { gatedDense } from "../../layers/index.js";
import { ownOptimizer } from "./width.js";

/** What the model is to be. */
export interface ModelWish {
  readonly loss: LossName;
  readonly metrics?: string | string[];
  readonly hiddenBias?: boolean; // default true
  readonly outputBias?: boolean; // default true
}

/** What a model of `train` is compiled with, should its training go on by model.fit. */
export const OPTIMIZER = "adam";

/**
 * Builds and compiles it; the caller disposes.
 *
 * @throws ConvexError "options/value" for a loss or metric that is none.
 */
export function templateOf(
  wish: ModelWish,
  formulation: "relu" | "gated",
  features: number,
  outputs: number,
): tf.Sequential {
  if (typeof wish.loss !== "string" || !Object.hasOwn(lossTraits, wish.loss)) {
    const known = Object.keys(lossTraits).map((name) => `"${name}"`);
    refuseAs("train", `loss to be ${known.join(" or ")}`, shown(wish.loss), "Choose one of these.");
  }
  const first = { units: 1, useBias: flag("hiddenBias", wish.hiddenBias), inputShape: [features] };
  const last = { units: outputs, useBias: flag("outputBias", wish.outputBias) };
  const model = tf.sequential({
    layers: [
      formulation === "gated" ? gatedDense(first) : tf.layers.dense({ ...first, activation: "relu" }),
      tf.layers.dense({ ...last, activation: lossTraits[wish.loss].activation }),
    ],
  });
  const loss = wish.loss === "huberLoss" ? tf.losses.huberLoss : wish.loss;
  // By its name tfjs would make one that nobody disposes when it refuses the metrics.
  const optimizer = tf.train.adam();
  try {
    model.compile({
      optimizer,
      loss: loss as string,
      ...(wish.metrics === undefined ? {} : { metrics: wish.metrics }),
    });
  } catch (error) {
    optimizer.dispose();
    model.dispose();
    const { message } = error as Error;
    refuseAs(
      "train",
      "metrics that tfjs knows",
      `${shown(wish.metrics)} (${message})`,
      "Correct them or leave them out.",
    );
  }
  return ownOptimizer(model);
}

function flag(name: string, value: unknown): boolean {
  if (value === undefined || typeof value === "boolean") return value ?? true;
  return refuseAs("train", `${name} to be true or false`, shown(value), "Change it or leave it out.");
}
