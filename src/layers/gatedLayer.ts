/** What layers with gates share: their settings, their weights and their config. */

import * as tf from "@tensorflow/tfjs";
import { flag, integer, isRecord, refuse } from "../arguments.js";
import { type Config, dry, type Initializer, type Regularizer, revive, seedArgs } from "./parts.js";

/** A layer of more has its weights and gates in gigabytes. */
export const MOST_UNITS = 1e6;

/** Arguments of every layer with gates. */
export interface GatedArgs {
  /** Whether the units, and then also the gates, have a bias; default true. */
  readonly useBias?: boolean;
  readonly kernelInitializer?: Initializer | Config;
  readonly biasInitializer?: Initializer | Config;
  /** How the gates are drawn; default Gaussian with `seed`. Gates are not trained by gradients. */
  readonly gateInitializer?: Initializer | Config;
  /** Seed of the default initializers; the gates take it, the kernel the next one. */
  readonly seed?: number;
  readonly kernelRegularizer?: Regularizer | Config | null;
  readonly biasRegularizer?: Regularizer | Config | null;
  readonly name?: string;
  readonly inputShape?: tf.Shape;
  readonly trainable?: boolean;
}

/** A layer of units that fixed gates switch: trained kernel and bias, gates of the same shapes that no gradient reaches. */
export abstract class GatedLayer extends tf.layers.Layer {
  readonly useBias: boolean;
  readonly kernelRegularizer: Regularizer | null;
  readonly biasRegularizer: Regularizer | null;
  private readonly seed: number | undefined;
  private readonly kernelInitializer: Initializer;
  private readonly biasInitializer: Initializer;
  private readonly gateInitializer: Initializer;
  protected kernel: tf.LayerVariable | null = null;
  protected bias: tf.LayerVariable | null = null;
  protected gate: tf.LayerVariable | null = null;
  protected gateBias: tf.LayerVariable | null = null;

  protected constructor(where: string, args: GatedArgs) {
    if (!isRecord(args)) refuse(where, "an object of arguments", args, "Pass { units } or { filters, kernelSize }.");
    super(args as ConstructorParameters<typeof tf.layers.Layer>[0]);
    this.useBias = flag(`${where}: useBias`, args.useBias ?? true);
    this.seed = args.seed === undefined ? undefined : integer(`${where}: seed`, args.seed);
    this.kernelInitializer =
      revive<Initializer>(where, args.kernelInitializer) ?? tf.initializers.glorotNormal(seedArgs(args.seed, 1));
    this.biasInitializer = revive<Initializer>(where, args.biasInitializer) ?? tf.initializers.zeros();
    this.gateInitializer =
      revive<Initializer>(where, args.gateInitializer) ??
      tf.initializers.randomNormal({ mean: 0, stddev: 1, ...seedArgs(args.seed, 0) });
    this.kernelRegularizer = revive<Regularizer>(where, args.kernelRegularizer);
    this.biasRegularizer = revive<Regularizer>(where, args.biasRegularizer);
  }

  /** Adds the weights: kernel and gates of `shape`, whose last entry is the number of units, and their biases. */
  protected addGatedWeights(shape: number[]): void {
    const none = undefined;
    const units = [shape[shape.length - 1]];
    const kernelRegularizer = this.kernelRegularizer ?? none;
    this.kernel = this.addWeight("kernel", shape, "float32", this.kernelInitializer, kernelRegularizer, true);
    if (this.useBias) {
      const biasRegularizer = this.biasRegularizer ?? none;
      this.bias = this.addWeight("bias", units, "float32", this.biasInitializer, biasRegularizer, true);
    }
    this.gate = this.addWeight("gate", shape, "float32", this.gateInitializer, none, false);
    if (this.useBias) {
      this.gateBias = this.addWeight("gate_bias", units, "float32", this.gateInitializer, none, false);
    }
  }

  override getConfig(): tf.serialization.ConfigDict {
    const config: tf.serialization.ConfigDict = {
      useBias: this.useBias,
      kernelInitializer: dry(this.kernelInitializer),
      biasInitializer: dry(this.biasInitializer),
      gateInitializer: dry(this.gateInitializer),
      kernelRegularizer: this.kernelRegularizer === null ? null : dry(this.kernelRegularizer),
      biasRegularizer: this.biasRegularizer === null ? null : dry(this.biasRegularizer),
    };
    if (this.seed !== undefined) config.seed = this.seed;
    return { ...super.getConfig(), ...config };
  }
}

/** linear where the gate's pre-activation z is at least 0, else 0; both of one shape. */
export function gated(linear: tf.Tensor, z: tf.Tensor): tf.Tensor {
  // 1 - step(-z) is 1 at z = 0, as D = diag(1[X g >= 0]) is, and unlike a comparison it has a (zero) gradient.
  return tf.mul(linear, tf.sub(1, tf.step(tf.neg(z))));
}
