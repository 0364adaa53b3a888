/** What is said of an alternation: what it does not take, how it ended, and its notes. */

import type * as tf from "@tensorflow/tfjs";
import { counted } from "../../arguments.js";
import type { Status } from "../../convex/types.js";
import { ConvexError } from "../../errors.js";
import type { FitArgs } from "../fit.js";
import type { Settings } from "../options.js";
import { layersOf } from "../read/graph.js";
import { type NetworkSpec, whatHasNoProgram } from "../read/model.js";
import { trunkOf } from "../read/trunk.js";
import { unchargedLayers } from "./layers.js";
import type { StandardStart } from "./standardStart.js";

/** Options that are about one program on the same columns, with what an alternation would do about them. */
const UNFIT: readonly (readonly [name: keyof Settings, when: (settings: Settings) => boolean, todo: string])[] = [
  ["width", ({ width }) => width === "resize", 'All layers keep their width: make them wider, or set depth: "head".'],
  ["rank", ({ rank }) => rank !== null, "Leave it out: what the program sees changes from round to round."],
  ["pca", ({ pca }) => pca !== null, "Leave it out: what the program sees changes from round to round."],
  ["standardize", ({ standardize }) => standardize === true, "Leave it out: layers are charged as they are."],
  [
    "arrangements",
    ({ arrangements }) => arrangements !== null && !("kind" in arrangements),
    "Gates of one round are none of the next one's features: leave it out, or let them grow.",
  ],
  [
    "regularization",
    ({ regularization }) =>
      typeof regularization === "string" && !["from-model", "auto", "share"].includes(regularization),
    "Give the layers regularizers, or a number.",
  ],
];

/** @throws ConvexError "options/value" for what does not go with programs on features that change. */
export function refuseUnfit(
  settings: Settings,
  { warmStart }: Pick<FitArgs, "warmStart">,
  depth: "alternate" | "layerwise" | null, // null: a descent alone
): void {
  if (depth === null && typeof settings.regularization === "number") {
    throw new ConvexError(
      "options/value",
      `regularization: expected none by a number, which is a program's, got ${settings.regularization}. Give the layers regularizers.`,
    );
  }
  const by = depth === null ? "a descent" : `depth "${depth}"`;
  const begins = BEGINS[depth ?? "alternate"];
  for (const [name, when, todo] of UNFIT) {
    if (!when(settings)) continue;
    const came = typeof settings[name] === "object" ? "a gate set" : JSON.stringify(settings[name]);
    throw new ConvexError("options/value", `${name}: expected a value that ${by} takes, got ${came}. ${todo}`);
  }
  if (warmStart === undefined) return;
  throw new ConvexError(
    "options/value",
    `warmStart: expected none for ${by}, which begins ${begins}, got one. Leave it out.`,
  );
}

const BEGINS = { alternate: "at the weights that the model has", layerwise: "every stage at the one before" } as const;

/** @throws ConvexError "model/regularizer" where later programs, of a read-out alone, would leave out a linear layer beside it. */
export function refuseFreeBeside({ skip, l2 }: NetworkSpec, { regularization }: Settings): void {
  if (skip === null || l2.hidden > 0 || l2.output > 0 || typeof regularization === "number") return;
  throw new ConvexError(
    "model/regularizer",
    'fit: expected regularizers of the hidden layer and the read-out for depth "alternate" where a linear layer is beside them, got ' +
      'none. Add tf.regularizers.l2 to both, set regularization to a number, set depth: "head", or leave the linear layer out.',
  );
}

/** The status in words that help. */
export function endedAs(status: Status): { readonly status: Status; readonly advice: string } {
  return { status, advice: ADVICE[status] ?? "" };
}

const ADVICE: Partial<Record<Status, string>> = {
  slowed:
    "Neither the program of the head nor a descent of all layers takes more than the tolerance off the objective any more: this is " +
    "near a local optimum of the whole model. Loosely regularized or wider layers, or other first weights, may lead to a lower one.",
  timeLimit: "The objective was still falling: raise `timeLimit`, or call fit again, which begins at these weights.",
  iterationLimit:
    "The objective was still falling: raise `maxIterations`, or call fit again, which begins at these weights.",
  cancelled: "A callback or signal asked to stop; the weights are the lowest that were found.",
};

/** Where a model's own head stays. */
export const KEPT = {
  status: "stalled",
  advice:
    "The weights that the model had are lower than what was found in its width and time, and stay: raise `timeLimit`, or make the " +
    "last hidden layer wider.",
} as const satisfies { status: Status; advice: string };

/** What then is not the model's. */
export const KEPT_PROGRAM =
  "The network that the program found was not taken: problem, gates, blocks, neurons and regularization are that program's, weights, " +
  "objective and certificate the model's own.";

/** What a user should know of the rounds, beside what is said of the last program. */
export function alternateNotes(
  model: tf.LayersModel,
  spec: NetworkSpec,
  rounds: {
    readonly accepted: boolean;
    readonly programs: number;
    readonly helped: number;
    readonly steps: number;
    readonly epochs: number;
    readonly undone: number;
  },
  start: StandardStart,
): string[] {
  const { accepted, programs, helped, steps, epochs, undone } = rounds;
  const foreign = whatHasNoProgram(model, spec);
  return [
    ...(foreign === null
      ? []
      : [
          `There is no convex program for ${foreign}: a descent trains the hidden layers, of which nothing is proven, and the program is of ` +
            `the read-out, given what they compute.`,
        ]),
    `${counted(steps, "step")} of descent of all layers${epochs === 0 ? "" : `, after ${counted(epochs, "epoch")} of Adam over parts of the rows`}, ` +
      `and in turn with them ${counted(programs, "convex program")} of the head, of which ${helped} lowered the objective. No round ended above ` +
      `the one before.`,
    ...(undone === 0
      ? []
      : [
          `Taken back, for layers below the head that compute the same on all rows: ${counted(undone, "descent")}. Regularize less, or lower ` +
            `the scale of x.`,
        ]),
    ...startNotes(model, start),
    ...spec.ignored,
    "The certificate is about the head, given the features that the layers below compute now; no bound is known for all layers.",
    ...(accepted ? [] : [KEPT_PROGRAM]),
  ];
}

/** How a descent began, what it did with batch normalisation, and which regularizers it left out. */
export function startNotes(model: tf.LayersModel, { read, normalized }: StandardStart): string[] {
  const kept = layersOf(model).filter((layer) => layer.getClassName() === "BatchNormalization");
  const uncharged = unchargedLayers(model);
  return [
    ...(read.length === 0
      ? []
      : [
          `First weights were read as for standardised columns (${listed(read)}): what these layers see comes in units far from them, and ` +
            `a descent from there went lower.`,
        ]),
    ...(normalized.length === 0
      ? []
      : [
          `Batch normalisation that had no statistics of data took those of the rows, before all else (${listed(normalized)}).`,
        ]),
    ...(kept.length === 0
      ? []
      : [
          `Batch normalisation kept its moving statistics (${listed(kept.map(({ name }) => name))}): gamma and beta were trained, ` +
            `the model being judged as it predicts.`,
        ]),
    ...(uncharged.length === 0
      ? []
      : [
          `TensorFlow.js charges nothing for the regularizers of these layers, and nor did this: ${listed(uncharged.map(({ name }) => name))}.`,
        ]),
  ];
}

function listed(names: readonly string[]): string {
  return names.map((name) => `"${name}"`).join(", ");
}

/** The notes on the head alone, but for those that the ones on the whole model say. */
export function headNotes(model: tf.LayersModel, { cut, ignored }: NetworkSpec, notes: readonly string[]): string[] {
  const said = new Set([...ignored, trunkOf(model, "write", cut).note]);
  return notes.filter((note) => !said.has(note)).map((note) => `The program of the head: ${note}`);
}
