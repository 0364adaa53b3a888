/** Parallel branches of two hidden layers or more whose neurons are switched by fixed gates. */

import * as tf from "@tensorflow/tfjs";
import { count, counts, integer, isRecord, refuse } from "../arguments.js";
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
  /** Hidden neurons m of each branch; or m_1, .., m_L-2 of its lower hidden layers, for L layers with the read-out. */
  readonly hidden: number | readonly number[];
  /** Seed of the default initializers: Gaussian gates, Glorot's normal kernels. */
  readonly seed?: number;
  readonly kernelInitializer?: Initializer | Config | null;
  /** Of the kernels behind the first one, as is `secondRegularizer`. */
  readonly secondInitializer?: Initializer | Config | null;
  /** How all gates are drawn; they are not trained by gradients. */
  readonly gateInitializer?: Initializer | Config | null;
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
 * With `hidden: [m_1, .., m_L-2]` a branch has L - 2 lower hidden layers and then one neuron, a ReLU branch of L layers with the read-out:
 * D_L-1,k .. D_2k (D_1k (x W_1k)) W_2k .. w_L-1,k, its gates those of a branch of weights G_1k, .., G_L-1,k. Kernels behind the first are
 * [K m_l x m_l+1], a branch's m_l rows side by side, the last [K m_L-2 x 1].
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
  /** m_1, .., m_L-2. */
  readonly hidden: readonly number[];
  readonly kernelRegularizer: Regularizer | null;
  readonly secondRegularizer: Regularizer | null;
  readonly kernelConstraint: Constraint | null;
  private readonly seed: number | undefined;
  private readonly initializers: Readonly<Record<"kernel" | "second" | "gate", Initializer | null>>;
  private parts: Readonly<Record<"kernels" | "gates", readonly tf.LayerVariable[]>> | null = null; // of layers 1, .., L - 1

  constructor(args: GatedBranchesArgs) {
    const where = "gatedBranches";
    if (!isRecord(args)) refuse(where, "an object of arguments", args, "Pass { branches, hidden }.");
    super(args as unknown as ConstructorParameters<typeof tf.layers.Layer>[0]);
    this.branches = count(`${where}: branches`, args.branches, MOST_UNITS);
    this.hidden = counts(`${where}: hidden`, args.hidden, Math.floor(MOST_UNITS / this.branches));
    this.seed = args.seed === undefined ? undefined : integer(`${where}: seed`, args.seed);
    this.initializers = {
      kernel: revive<Initializer>(where, args.kernelInitializer),
      second: revive<Initializer>(where, args.secondInitializer),
      gate: revive<Initializer>(where, args.gateInitializer),
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
    const { branches, hidden, seed } = this;
    const { kernel, second, gate } = this.initializers;
    const weights = (offset: number) => tf.initializers.glorotNormal(seedArgs(seed, offset));
    const gaussian = (offset: number) =>
      tf.initializers.randomNormal({ mean: 0, stddev: 1, ...seedArgs(seed, offset) });
    const add = (name: string, shape: tf.Shape, how: Initializer, charge: Regularizer | null, trained: boolean) =>
      this.addWeight(
        ...([name, shape, "float32", how, charge ?? undefined, trained] as const),
        name === "kernel" ? (this.kernelConstraint ?? undefined) : undefined,
      );
    const shapes = hidden.map((m, l) => [branches * m, hidden[l + 1] ?? 1]);
    const first = [features, branches * hidden[0]];
    const named = (kind: string, l: number) => (l === 0 ? `second_${kind}` : `${kind}_${l + 2}`);
    this.parts = {
      kernels: [
        add("kernel", first, kernel ?? weights(1), this.kernelRegularizer, true),
        ...shapes.map((shape, l) =>
          add(named("kernel", l), shape, second ?? weights(2 * l + 2), this.secondRegularizer, true),
        ),
      ],
      gates: [
        add("gate", first, gate ?? gaussian(0), null, false),
        ...shapes.map((shape, l) => add(named("gate", l), shape, gate ?? gaussian(2 * l + 3), null, false)),
      ],
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
      const [kernels, gates] = [parts.kernels, parts.gates].map((all) => all.map((weights) => weights.read()));
      let values: tf.Tensor = tf.matMul(x, kernels[0] as tf.Tensor2D);
      let open: tf.Tensor = tf.matMul(x, gates[0] as tf.Tensor2D);
      for (const [l, m] of hidden.entries()) {
        const onwards = (neurons: tf.Tensor, weights: tf.Tensor) => throughBranches(neurons, weights, branches, m);
        values = onwards(gated(values, open), kernels[l + 1]);
        open = onwards(tf.relu(open), gates[l + 1]);
      }
      return gated(values, open);
    });
  }

  override getConfig(): tf.serialization.ConfigDict {
    const { branches, hidden, seed, initializers } = this;
    const optional = (part: tf.serialization.Serializable | null) => (part === null ? null : dry(part));
    const config: tf.serialization.ConfigDict = {
      ...{ branches, hidden: hidden.length === 1 ? hidden[0] : [...hidden] },
      kernelInitializer: optional(initializers.kernel),
      secondInitializer: optional(initializers.second),
      gateInitializer: optional(initializers.gate),
      kernelRegularizer: optional(this.kernelRegularizer),
      secondRegularizer: optional(this.secondRegularizer),
      kernelConstraint: optional(this.kernelConstraint),
    };
    if (seed !== undefined) config.seed = seed;
    return { ...super.getConfig(), ...config };
  }
}

/** Neurons [n x K m] times each branch's m rows of weights [K m x w]: [n x K w]. */
function throughBranches(neurons: tf.Tensor, weights: tf.Tensor, branches: number, m: number): tf.Tensor {
  const width = weights.shape[1] as number;
  if (width === 1) {
    return tf.sum(tf.mul(neurons, tf.reshape(weights, [1, -1])).reshape([-1, branches, m]), 2);
  }
  const each = tf.transpose(tf.reshape(neurons, [-1, branches, m]), [1, 0, 2]);
  const products = tf.matMul(each, tf.reshape(weights, [branches, m, width]));
  return tf.reshape(tf.transpose(products, [1, 0, 2]), [-1, branches * width]);
}

/** A `GatedBranches` layer, in the manner of `tf.layers.dense`. */
export function gatedBranches(args: GatedBranchesArgs): GatedBranches {
  return new GatedBranches(args);
}
