/** Ways through a model: its loss over some rows, and what its layers charge, with gradients. */

import type * as tf from "@tensorflow/tfjs";
import type { Loss } from "../../convex/types.js";

/** A weight that is trained, with the place of its numbers among all. */
export interface Place {
  readonly variable: tf.Variable;
  readonly at: number;
}

/** Some rows of the data; weights are those of the whole model, one after another. */
export interface Way {
  /** The mean loss over these rows. */
  value(packed: Float64Array): Promise<number>;
  /** `share` times it; the gradient of that is added. */
  slope(packed: Float64Array, gradient: Float64Array, share: number): Promise<number>;
  dispose(): void;
}

/** A way with the share of its rows in all of them. */
export interface Part extends Way {
  readonly share: number;
}

/** Makes a part of each so many rows, whose numbers are given, with the mean loss over them. */
export type RowsOfParts = (most: number, make: (rows: Float64Array, loss: Loss) => Way) => Part[];

export interface Passes {
  /** Whether weights that are asked about have to be in the model. */
  readonly readsModel: boolean;
  /** Reads anew what is not trained and yet may have changed: moving statistics that a program has written. */
  refresh?(): Promise<void>;
  /** All rows. */
  readonly all: readonly Part[];
  /** The same in parts of so many rows; the caller disposes them. */
  cut(most: number): Part[];
  /** What the regularizers of the layers charge. */
  charge(packed: Float64Array): Promise<number>;
  /** The same; its gradient is added. */
  chargeSlope(packed: Float64Array, gradient: Float64Array): Promise<number>;
}
