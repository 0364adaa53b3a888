/** Parallel branches of two hidden layers whose neurons are switched by fixed gates. */

import * as tf from "@tensorflow/tfjs";
import { count, integer, isRecord, refuse } from "../arguments.js";
import { ConvexError } from "../errors.js";
import { gated, MOST_UNITS } from "./gatedLayer.js";
import {
  type Config,
  dry,
  type Initializer,
  type Regularizer,
  revive,
  seedArgs,
  singleShape,
  singleTensor,
} from "./parts.js";

type Constraint = ReturnType<typeof tf.constraints.unitNorm>;

export interface GatedBranchesArgs {
  /** Branches K, the units of the layer. */
  readonly branches: number;
  /** Hidden neurons m of each branch. */
  readonly hidden: number;
  /** Seed of the default initializers: Gaussian gates, Glorot's normal kernels. */
  readonly seed?: number;
  readonly kernelInitializer?: Initializer | Config;
  readonly secondInitializer?: Initializer | Config;
  /** How both gates are drawn; they are not trained by gradients. */
  readonly gateInitializer?: Initializer | Config;
  readonly kernelRegularizer?: Regularizer | Config | null;
  readonly secondRegularizer?: Regularizer | Config | null;
  readonly kernelConstraint?: Constraint | Config | null;
  readonly name?: string;
  readonly inputShape?: tf.Shape;
  readonly trainable?: boolean;
}

/**
 * y_k = 1[sum_j (x G_kj)_+ a_kj >= 0] sum_j 1[x G_kj >= 0] (x W_kj) w_kj for branch k of K, x [batch x d], y [batch x K]: a three-layer ReLU branch
 * whose patterns are held, so that all of it is linear in products of its weights (Ergen and Pilanci, ICML 2021, with gates as Fiat, Malach and
 * Shalev-Shwartz 2019 have them).
 *
 * W [d x K m], a branch's m columns side by side, and w [K m x 1] are trained; the gates G [d x K m] and a [K m x 1] are weights that no gradient
 * reaches. Biases are a column of ones before it: `onesColumn()`. `registerLayers()` lets `tf.loadLayersModel` read it.
 *
 * @example
 * ```ts
 * const branches = gatedBranches({ branches: 8, hidden: 3, inputShape: [4] });
 * const model = tf.sequential({ layers: [branches, tf.layers.dense({ units: 1 })] });
 * ```
 */
export class GatedBranches extends tf.layers.Layer {
  /** @nocollapse */
  static readonly className = "GatedBranches";

  readonly branches: number;
  readonly hidden: number;
  readonly kernelRegularizer: Regularizer | null;
  readonly secondRegularizer: Regularizer | null;
  readonly kernelConstraint: Constraint | null;
  private readonly seed: number | undefined;
  private readonly initializers: Readonly<Record<"kernel" | "second" | "gate" | "secondGate", Initializer>>;
  private parts: Readonly<Record<"kernel" | "second" | "gate" | "secondGate", tf.LayerVariable>> | null = null;

  constructor(args: GatedBranchesArgs) {
    const where = "gatedBranches";
    if (!isRecord(args)) refuse(where, "an object of arguments", args, "Pass { branches, hidden }.");
    super(args as unknown as ConstructorParameters<typeof tf.layers.Layer>[0]);
    this.branches = count(`${where}: branches`, args.branches, MOST_UNITS);
    this.hidden = count(`${where}: hidden`, args.hidden, Math.floor(MOST_UNITS / this.branches));
    this.seed = args.seed === undefined ? undefined : integer(`${where}: seed`, args.seed);
    const weights = (offset: number) => tf.initializers.glorotNormal(seedArgs(args.seed, offset));
    const gaussian = (offset: number) =>
      tf.initializers.randomNormal({ mean: 0, stddev: 1, ...seedArgs(args.seed, offset) });
    const gate = revive<Initializer>(where, args.gateInitializer);
    this.initializers = {
      kernel: revive<Initializer>(where, args.kernelInitializer) ?? weights(1),
      second: revive<Initializer>(where, args.secondInitializer) ?? weights(2),
      gate: gate ?? gaussian(0),
      secondGate: gate ?? gaussian(3),
    };
    this.kernelRegularizer = revive<Regularizer>(where, args.kernelRegularizer);
    this.secondRegularizer = revive<Regularizer>(where, args.secondRegularizer);
    this.kernelConstraint = revive<Constraint>(where, args.kernelConstraint);
    this.supportsMasking = true;
  }

  override build(inputShape: tf.Shape | tf.Shape[]): void {
    const shape = singleShape(inputShape);
    const features = shape[shape.length - 1];
    if (shape.length !== 2 || features === null) {
      throw new ConvexError(
        "model/layer",
        `gatedBranches: expected an input [batch, features] of known features, got [${shape.join(", ")}]. ` +
          `Give the layer inputShape: [features], behind a flatten layer where need be.`,
      );
    }
    const units = this.branches * this.hidden;
    const { kernel, second, gate, secondGate } = this.initializers;
    const add = (name: string, shape: tf.Shape, how: Initializer, charge: Regularizer | null, trained: boolean) =>
      this.addWeight(
        ...([name, shape, "float32", how, charge ?? undefined, trained] as const),
        name === "kernel" ? (this.kernelConstraint ?? undefined) : undefined,
      );
    this.parts = {
      kernel: add("kernel", [features, units], kernel, this.kernelRegularizer, true),
      second: add("second_kernel", [units, 1], second, this.secondRegularizer, true),
      gate: add("gate", [features, units], gate, null, false),
      secondGate: add("second_gate", [units, 1], secondGate, null, false),
    };
    super.build(inputShape);
  }

  override computeOutputShape(inputShape: tf.Shape | tf.Shape[]): tf.Shape {
    return [...singleShape(inputShape).slice(0, -1), this.branches];
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const { parts, branches, hidden } = this;
    if (parts === null) throw new Error("GatedBranches: call before build.");
    return tf.tidy(() => {
      const x = singleTensor(inputs) as tf.Tensor2D;
      const open = tf.matMul(x, parts.gate.read() as tf.Tensor2D);
      const linear = tf.matMul(x, parts.kernel.read() as tf.Tensor2D);
      const summed = (neurons: tf.Tensor, weights: tf.LayerVariable) =>
        tf.sum(tf.mul(neurons, tf.reshape(weights.read(), [1, -1])).reshape([-1, branches, hidden]), 2);
      const values = summed(gated(linear, open), parts.second);
      return gated(values, summed(tf.relu(open), parts.secondGate));
    });
  }

  override getConfig(): tf.serialization.ConfigDict {
    const { branches, hidden, seed, initializers } = this;
    const optional = (part: tf.serialization.Serializable | null) => (part === null ? null : dry(part));
    const config: tf.serialization.ConfigDict = {
      ...{ branches, hidden },
      kernelInitializer: dry(initializers.kernel),
      secondInitializer: dry(initializers.second),
      gateInitializer: dry(initializers.gate),
      kernelRegularizer: optional(this.kernelRegularizer),
      secondRegularizer: optional(this.secondRegularizer),
      kernelConstraint: optional(this.kernelConstraint),
    };
    if (seed !== undefined) config.seed = seed;
    return { ...super.getConfig(), ...config };
  }
}

/** A `GatedBranches` layer, in the manner of `tf.layers.dense`. */
export function gatedBranches(args: GatedBranchesArgs): GatedBranches {
  return new GatedBranches(args);
}
