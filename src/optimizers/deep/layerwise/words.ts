/** What is said of a layer-wise training. */

import { counted } from "../../../arguments.js";
import type { Status } from "../../../convex/types.js";
import type { StageModel } from "./stageModel.js";
import type { StagesDone } from "./stages.js";

export const STOPPED =
  "A callback or signal asked to stop: call fit again without it, or set timeLimit, by which every stage has its share.";

/** How the last stage ended, where its own advice would be about all layers. */
export const STAGE_ADVICE: Partial<Record<Status, string>> = {
  slowed:
    "Neither the program of the last stage nor a descent of its two layers takes more than the tolerance off its objective any more. The " +
    'layers below stay as their stages left them: depth "alternate" goes on from there with all of them.',
  timeLimit:
    'The objective was still falling: raise `timeLimit`, or go on with depth "alternate", which begins at these weights.',
  iterationLimit:
    'The objective was still falling: raise `maxIterations`, or go on with depth "alternate", which begins at these weights.',
};

export function layerwiseNotes(
  { done, constant }: StagesDone,
  chosen: number | null,
  stages: readonly StageModel[],
): string[] {
  const begun = done.filter(({ carried }) => carried !== null);
  const above = done.flatMap(({ layer, objective, carried }, k) => {
    const before = done[k - 1]?.objective ?? Number.POSITIVE_INFINITY;
    return carried === null && objective > before
      ? [`"${layer}" (${objective.toPrecision(4)} after ${before.toPrecision(4)})`]
      : [];
  });
  const others = stages.filter(({ same }) => !same);
  return [
    `${counted(done.length, "stage")}, one layer each: ${done.map(({ layer }) => `"${layer}"`).join(", ")}. Each is trained on what the layers below ` +
      `compute, and stays as it is from then on.`,
    ...(constant === null
      ? []
      : [
          `What layer "${done[done.length - 1].layer}" computes is the same on all rows, so that the layers after it have nothing to ` +
            `learn from: regularize less, or give more time.`,
        ]),
    ...(begun.length === 0
      ? []
      : [
          `No stage that begins at the read-out before it, by two units for each output or one for each feature, ends above that: ` +
            `${begun.map(({ layer }) => `"${layer}"`).join(", ")}.`,
        ]),
    ...(above.length === 0
      ? []
      : [
          `Above the stage before it ended ${above.join(", ")}: that could not be taken on, for want of two ReLU units for each output or one ` +
            `for each feature or channel, or since places are joined that the read-out before told apart. Make these layers wider, pool ` +
            `less, give more time, or go on with depth "alternate".`,
        ]),
    ...(others.length === 0
      ? []
      : [
          `Maxima over places have no program: while ${others.map(({ hidden: [[own]] }) => `"${own.name}"`).join(", ")} was trained they ` +
            `were means; what later stages see are the maxima.`,
        ]),
    ...(chosen === null
      ? [
          "It was stopped before the last stage, and the layers after have no room to take it on: the weights are those from before.",
        ]
      : chosen < stages.length - 1
        ? [
            `The model computes what stage ${chosen + 1} does${done.length === chosen + 1 ? ", the last one that was trained" : ", which has the least loss on the rows held out"}: the layers after it take ` +
              `its read-out on.`,
          ]
        : []),
    "The certificate is about the last stage, given the features that the layers below compute; no bound is known for all layers.",
  ];
}
