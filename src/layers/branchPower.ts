/** A regularizer for layers of parallel branches: a power of the norm of each branch's weights. */

import * as tf from "@tensorflow/tfjs";
import { count, counted, isRecord, oneOf, refuse } from "../arguments.js";
import type { Regularizer } from "./parts.js";

/** A square that float32 holds, and whose root is nothing beside any weight. */
const NOTHING = 1e-30;

export interface BranchPowerArgs {
  /** The number in front of the sum, above or equal to 0; beta over the number of layers, for the program of parallel networks. */
  readonly factor: number;
  /** The power of each norm, at least 1; default 3, the number of layers. */
  readonly power?: number;
  /** Branches K that the kernel [inputs x outputs] is divided into, each with as many neighbouring columns or rows. */
  readonly branches: number;
  /** Whether a branch is columns, "outputs" (default), or rows, "inputs", as of the layer that adds the branches up. */
  readonly along?: "outputs" | "inputs";
}

/** The class that tfjs's own regularizers extend, which it asks of a regularizer and does not export. */
const Base = Object.getPrototypeOf(tf.regularizers.l2().constructor) as new () => Regularizer;

/**
 * factor sum_k |W_k|_F^power over the branches' parts W_k of a kernel.
 *
 * With power 3 on the kernels of three layers, as beta/3 (|W_1k|_F^3 + |w_2k|^3 + |w_3k|^3), parallel three-layer ReLU networks have a convex program
 * of the same value, and with power L and beta/L such of L layers behind gates; with weight decay they have none. `registerLayers()` lets `tf.loadLayersModel` read it.
 *
 * @example
 * ```ts
 * const first = { units: 8, inputShape: [2], activation: "relu", useBias: false } as const; // 4 branches of 2 neurons
 * const layer = tf.layers.dense({ ...first, kernelRegularizer: branchPower({ factor: 0.01, branches: 4 }) });
 * ```
 */
export class BranchPower extends Base {
  /** @nocollapse */
  static readonly className = "BranchPower";

  readonly factor: number;
  readonly power: number;
  readonly branches: number;
  readonly along: "outputs" | "inputs";

  constructor(args: BranchPowerArgs) {
    super();
    if (!isRecord(args)) refuse("branchPower", "an object of arguments { factor, branches }", args);
    const { factor, power = 3, branches, along = "outputs" } = args;
    if (!(typeof factor === "number" && factor >= 0 && Number.isFinite(factor))) {
      refuse("branchPower: factor", "a finite number of at least 0", factor);
    }
    if (!(typeof power === "number" && power >= 1 && Number.isFinite(power))) {
      refuse("branchPower: power", "a finite number of at least 1", power);
    }
    this.factor = factor;
    this.power = power;
    this.branches = count("branchPower: branches", branches);
    this.along = oneOf("branchPower: along", along, ["outputs", "inputs"]);
  }

  override apply(kernel: tf.Tensor): tf.Scalar {
    const { factor, power, branches, along } = this;
    const outputs = kernel.shape[kernel.shape.length - 1];
    const inputs = kernel.size / outputs;
    const divided = along === "outputs" ? outputs : inputs;
    if (divided % branches !== 0) {
      refuse(
        "branchPower",
        `a kernel whose ${along} are a multiple of ${counted(branches, "branch")}, as it has`,
        divided,
        "Change `units` or `branches`.",
        "model/regularizer",
      );
    }
    return tf.tidy(() => {
      const parts =
        along === "outputs"
          ? tf.reshape(kernel, [inputs, branches, outputs / branches])
          : tf.reshape(kernel, [branches, inputs / branches, outputs]);
      const squares = tf.sum(tf.square(parts), along === "outputs" ? [0, 2] : [1, 2]);
      const above = tf.maximum(squares, NOTHING); // a branch of zeros has the slope zero, also where the power's is not
      return tf.mul(factor, tf.sum(tf.pow(above, power / 2))) as tf.Scalar;
    });
  }

  getConfig(): tf.serialization.ConfigDict {
    const { factor, power, branches, along } = this;
    return { factor, power, branches, along };
  }
}

/** A BranchPower regularizer, as tf.regularizers has functions for its own. */
export function branchPower(args: BranchPowerArgs): BranchPower {
  return new BranchPower(args);
}
