/** Layers without weights or settings of their own: what all of them take, and how it is read. */

import * as tf from "@tensorflow/tfjs";
import { isRecord, refuse } from "../arguments.js";

export interface WeightlessArgs {
  readonly name?: string;
  readonly inputShape?: tf.Shape;
}

export abstract class WeightlessLayer extends tf.layers.Layer {
  /** `where`: the function that makes such a layer. */
  constructor(where: string, args: WeightlessArgs) {
    if (!isRecord(args)) refuse(where, "an object of arguments", args);
    super(args as ConstructorParameters<typeof tf.layers.Layer>[0]);
  }
}
