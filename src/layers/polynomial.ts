/** A polynomial of degree two as a layer: a t^2 + b t + c, entry by entry. */

import * as tf from "@tensorflow/tfjs";
import { isRecord, refuse, shown } from "../arguments.js";
import { ConvexError } from "../errors.js";
import { singleTensor } from "./parts.js";

export interface PolynomialArgs {
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly name?: string;
  readonly inputShape?: tf.Shape;
}

/**
 * Outputs a x^2 + b x + c: after a dense layer whose kernel has `tf.constraints.unitNorm({ axis: 0 })`, the units of Bartan and
 * Pilanci (2021), which train to the global optimum under an l1 charge on the next kernel.
 *
 * @example
 * ```ts
 * const hidden = tf.layers.dense({ units: 8, inputShape: [2], useBias: false, kernelConstraint: tf.constraints.unitNorm({ axis: 0 }) });
 * const last = tf.layers.dense({ units: 1, kernelRegularizer: tf.regularizers.l1({ l1: 0.01 }) });
 * const model = tf.sequential({ layers: [hidden, polynomial(0.09, 0.5, 0.47), last] });
 * ```
 */
export class PolynomialActivation extends tf.layers.Layer {
  static readonly className = "PolynomialActivation";

  readonly a: number;
  readonly b: number;
  readonly c: number;

  constructor(args: PolynomialArgs) {
    if (!isRecord(args)) refuse("PolynomialActivation", "an object of arguments { a, b, c }", args);
    super(args as unknown as ConstructorParameters<typeof tf.layers.Layer>[0]);
    for (const name of ["a", "b", "c"] as const) {
      if (Number.isFinite(args[name])) continue;
      throw new ConvexError(
        "options/value",
        `PolynomialActivation: expected ${name} to be a finite number, got ${shown(args[name])}. Change it.`,
      );
    }
    this.a = args.a;
    this.b = args.b;
    this.c = args.c;
  }

  override computeOutputShape(inputShape: tf.Shape | tf.Shape[]): tf.Shape | tf.Shape[] {
    return inputShape;
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const { a, b, c } = this;
    return tf.tidy(() => {
      const t = singleTensor(inputs);
      return tf.add(tf.mul(t, tf.add(tf.mul(a, t), b)), c);
    });
  }

  override getConfig(): tf.serialization.ConfigDict {
    const { a, b, c } = this;
    return { ...super.getConfig(), a, b, c };
  }
}

/** A PolynomialActivation layer, as tf.layers has functions for its own. */
export function polynomial(a: number, b: number, c: number, args: Omit<PolynomialArgs, "a" | "b" | "c"> = {}) {
  return new PolynomialActivation({ ...args, a, b, c });
}
