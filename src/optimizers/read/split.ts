/** Training rows and the rows that are held out, as model.fit would take them. */

import type * as tf from "@tensorflow/tfjs";
import { counted, refuse, refuseAs, shown } from "../../arguments.js";
import { ConvexError } from "../../errors.js";
import { type Dataset, type ModelTensors, readData, readRows, rowsThatCount, splitData } from "./data.js";
import type { NetworkSpec } from "./model.js";
import type { Weighting } from "./sampleWeights.js";
import type { Trunk } from "./trunk.js";

/** What is held out of training and judged. */
export interface HeldOut {
  readonly validationData?: readonly [ModelTensors, ModelTensors] | null;
  /** Share of the last rows that is kept out of training and judged after every round. */
  readonly validationSplit?: number | null;
}

/**
 * Reads x and y, and what is held out of them, through the trunk where there is one. Rows of weight 0 are no part of the training.
 *
 * @throws ConvexError "data/..." or "options/value".
 */
export async function readSplit(
  x: tf.Tensor,
  y: tf.Tensor,
  spec: NetworkSpec,
  args: HeldOut & Weighting,
  trunk: Pick<Trunk, "see"> = { see: async (_, same) => same },
): Promise<{ train: Dataset; validation: Dataset | null }> {
  const data = await readRows(await trunk.see("x", x), y, spec, args);
  const given = pairOf<tf.Tensor>(args);
  if (given !== null) {
    const held = await readData(await trunk.see("validationData[0]", given[0]), given[1], spec);
    return { train: rowsThatCount(data), validation: held };
  }
  const { rows } = data.x;
  const { train, validation } = splitData(data, rowsBefore(rows, args));
  return { train: rowsThatCount(train), validation };
}

/** The pair of `validationData`; null without it. */
export function pairOf<T>(args: HeldOut): readonly [x: T, y: T] | null {
  const given: unknown = args.validationData ?? null;
  if (given === null || (Array.isArray(given) && given.length === 2)) return given as readonly [T, T] | null;
  const came = Array.isArray(given) ? counted(given.length, "entry") : shown(given);
  throw new ConvexError(
    "options/value",
    `validationData: expected a pair [x, y] of tensors, got ${came}. Change it or leave it out.`,
  );
}

/** How many rows come before those that `validationSplit` holds out, as model.fit cuts them. */
export function rowsBefore(count: number, args: HeldOut): number {
  const share: unknown = args.validationSplit ?? 0;
  if (share === 0) return count;
  if (!(typeof share === "number" && share > 0 && share < 1))
    refuse("validationSplit", "a number between 0 and 1", share);
  const rows = Math.floor(count * (1 - share));
  if (rows >= 1 && rows < count) return rows;
  return refuseAs(
    "readData",
    "rows left on both sides of validationSplit",
    `${rows} of ${count} for training`,
    "Change the share.",
    "data/shape",
  );
}
