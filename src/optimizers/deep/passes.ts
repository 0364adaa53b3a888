/** Ways through a model: its loss over some rows, and what its layers charge, with gradients. */

import type * as tf from "@tensorflow/tfjs";
import type { Kernels } from "../../convex/kernels/index.js";
import type { Loss } from "../../convex/types.js";
import type { Weight } from "../read/graph.js";

/** A weight that is trained, with the place of its numbers among all. */
export interface Place {
  readonly variable: tf.Variable;
  readonly at: number;
}

/** What outputs are worth, and the gradient of that. */
export type Judge = Pick<Loss, "value" | "gradient">;

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
export type RowsOfParts = (most: number, make: (rows: Float64Array, loss: Judge) => Way) => Part[];

/** Parts of so many rows, from and to which each is made. */
export function parted(rows: number, most: number, make: (from: number, to: number) => Way): Part[] {
  const parts: Part[] = [];
  for (let from = 0; from < rows; from += most) {
    const to = Math.min(rows, from + most);
    parts.push({ ...make(from, to), share: (to - from) / rows });
  }
  return parts;
}

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

/** What the host has to know of weights and regularizers. */
export interface Trained {
  /** Weights that are trained, with their places in a vector of `size` numbers. */
  readonly placed: ReadonlyMap<Weight, number>;
  readonly size: number;
  readonly kernels: Kernels;
  /** What the layers say that they charge. */
  readonly told: number;
}

/** The rows of a fit, and who goes through them with a model. */
export interface Ways {
  readonly rows: number;
  byTfjs(places: readonly Place[], hasSlope: boolean): Passes;
  /** Null where the host lacks something for it, or is slower. */
  onHost(trained: Trained): Promise<Passes | null>;
}
