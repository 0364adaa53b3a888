/** Reading, the first step of a fit: what the model is, and its rows as the head sees them. */

import type * as tf from "@tensorflow/tfjs";
import { hostKernels } from "../../convex/kernels/index.js";
import type { Settings } from "../options.js";
import { type Dataset, refuseDegenerate } from "./data.js";
import { frozenCharge } from "./frozenCharge.js";
import { type NetworkSpec, readModel } from "./model.js";
import { white, whitened } from "./normalization/index.js";
import type { Weighting } from "./sampleWeights.js";
import { type HeldOut, readSplit } from "./split.js";
import { trunkOf } from "./trunk.js";

/** Model and data as plain records. */
export interface Read {
  readonly spec: NetworkSpec;
  readonly train: Dataset;
  readonly validation: Dataset | null;
  readonly note: string | null; // of the layers before the head, where there are any
  readonly frozen: number; // what their regularizers charge
}

/** @throws ConvexError for a model or data that do not fit; the message says what to do. */
export async function readFit(
  model: tf.LayersModel,
  x: tf.Tensor,
  y: tf.Tensor,
  { formulation, depth, engine, threads }: Pick<Settings, "formulation" | "depth" | "engine" | "threads">,
  args: HeldOut & Weighting,
  pause: () => Promise<unknown>, // lets the host breathe
): Promise<Read> {
  const read = readModel(model, formulation, "fit", true, depth);
  const trunk = trunkOf(model, "write", read.cut);
  const { train, validation } = await readSplit(x, y, read, args, trunk);
  refuseDegenerate(train);
  const kernels = await hostKernels({ engine, threads });
  const spec = await whitened(read, train, kernels, pause);
  const frozen = await frozenCharge(model, "write", read.cut);
  return {
    spec,
    train: await white(train, spec, kernels, pause),
    validation: validation && (await white(validation, spec, kernels, pause)),
    note: trunk.note,
    frozen,
  };
}
