/** What is said of a descent alone: that nothing is proven, of what there is no program, and what would give one. */

import type * as tf from "@tensorflow/tfjs";
import { counted } from "../../../arguments.js";
import type { Certificate, Status } from "../../../convex/types.js";
import { layersOf } from "../../read/graph.js";
import { partOf } from "../../read/layers/index.js";
import type { NoProgram } from "../../read/layers/layer.js";
import type { StandardStart } from "../standardStart.js";
import { endedAs, startNotes } from "../words.js";

/** What came of the rounds. */
export interface Rounds {
  readonly status: Status;
  readonly steps: number; // of all descents
  readonly epochs: number; // of Adam, before them
}

/** A certificate that certifies nothing but what the network's objective is. */
export function unproven(total: number, { what }: NoProgram): Certificate {
  return {
    ...{ primal: total, dual: Number.NEGATIVE_INFINITY, relativeGap: Number.POSITIVE_INFINITY, network: total },
    ...{ scope: "these gates", evidence: null, neurons: "feed all outputs", perOutput: null, allGates: null },
    claim: `Nothing is proven of this network, whose objective is ${total.toPrecision(8)}: there is no convex program for ${what}.`,
  };
}

export function endedAlone(status: Status): { readonly status: Status; readonly advice: string } {
  return status in ADVICE ? { status, advice: ADVICE[status] as string } : endedAs(status);
}

const ADVICE: Partial<Record<Status, string>> = {
  slowed:
    "A descent of all layers takes next to nothing off the objective any more: this is near a local optimum. Wider layers, another " +
    "`seed`, or other first weights, may lead to a lower one.",
  nonFinite:
    "The objective is NaN or infinite wherever it was asked for: look at what the loss does with the first predictions, or scale the " +
    "columns of x and y.",
};

/** What a user should know of the descent. */
export function aloneNotes(
  model: tf.LayersModel,
  { what, instead }: NoProgram,
  { steps, epochs }: Rounds,
  start: StandardStart,
): string[] {
  return [
    `There is no convex program for ${what}: a descent trains all layers, and nothing is proven. What would have one, and a certificate: ${instead}.`,
    `${counted(steps, "step")} of descent${epochs === 0 ? "" : `, after ${counted(epochs, "epoch")} of Adam over parts of the rows`}; ` +
      `the weights never end above where they began.`,
    ...startNotes(model, start),
    ...layersOf(model).flatMap(ignoredIn),
  ];
}

/** What a layer would do in training, and does not when the model predicts. */
function ignoredIn(layer: tf.layers.Layer): string[] {
  const part = partOf({ layer, inputShape: [], outputShape: [], trained: false });
  return part?.role === "ignored" && part.note !== null ? [part.note] : [];
}
