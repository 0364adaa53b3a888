/** A dense layer whose neurons are switched by fixed gates: (x W + b) 1[x G + g >= 0]. */

import * as tf from "@tensorflow/tfjs";
import { ConvexError } from "../errors.js";
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

const WHERE = "gatedDense";

export interface GatedDenseArgs {
  readonly units: number;
  /** Whether the neurons, and then also the gates, have a bias; default true. */
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

/**
 * Gated ReLU layer of Fiat, Malach and Shalev-Shwartz (2019): y = (x W + b) 1[x G + g >= 0], x [.. x d], y [.. x units].
 *
 * W [d x units] and b [units] are trained; the gates G [d x units] and g [units] are weights that no gradient reaches.
 * `registerLayers()` lets `tf.loadLayersModel` read it.
 *
 * @example
 * ```ts
 * const model = tf.sequential({ layers: [gatedDense({ units: 32, inputShape: [4] }), tf.layers.dense({ units: 1 })] });
 * ```
 */
export class GatedDense extends tf.layers.Layer {
  /** @nocollapse */
  static readonly className = "GatedDense";

  readonly units: number;
  readonly useBias: boolean;
  private readonly seed: number | undefined;
  private readonly kernelInitializer: Initializer;
  private readonly biasInitializer: Initializer;
  private readonly gateInitializer: Initializer;
  readonly kernelRegularizer: Regularizer | null;
  readonly biasRegularizer: Regularizer | null;
  private kernel: tf.LayerVariable | null = null;
  private bias: tf.LayerVariable | null = null;
  private gate: tf.LayerVariable | null = null;
  private gateBias: tf.LayerVariable | null = null;

  constructor(args: GatedDenseArgs) {
    super(args as ConstructorParameters<typeof tf.layers.Layer>[0]);
    if (!Number.isInteger(args.units) || args.units < 1) {
      throw new ConvexError(
        "options/value",
        `gatedDense: expected units to be a positive integer, got ${args.units}. Say how many neurons the layer is to have.`,
      );
    }
    this.units = args.units;
    this.useBias = args.useBias ?? true;
    this.seed = args.seed;
    this.kernelInitializer =
      revive<Initializer>(WHERE, args.kernelInitializer) ?? tf.initializers.glorotNormal(seedArgs(args.seed, 1));
    this.biasInitializer = revive<Initializer>(WHERE, args.biasInitializer) ?? tf.initializers.zeros();
    this.gateInitializer =
      revive<Initializer>(WHERE, args.gateInitializer) ??
      tf.initializers.randomNormal({ mean: 0, stddev: 1, ...seedArgs(args.seed, 0) });
    this.kernelRegularizer = revive<Regularizer>(WHERE, args.kernelRegularizer);
    this.biasRegularizer = revive<Regularizer>(WHERE, args.biasRegularizer);
    this.supportsMasking = true;
  }

  override build(inputShape: tf.Shape | tf.Shape[]): void {
    const shape = singleShape(inputShape);
    const features = shape[shape.length - 1];
    if (features === null) {
      throw new ConvexError(
        "model/layer",
        `gatedDense: expected an input with a known last dimension, got null. Give the layer inputShape: [features].`,
      );
    }
    const none = undefined;
    this.kernel = this.addWeight(
      "kernel",
      [features, this.units],
      "float32",
      this.kernelInitializer,
      this.kernelRegularizer ?? none,
      true,
    );
    if (this.useBias) {
      this.bias = this.addWeight(
        "bias",
        [this.units],
        "float32",
        this.biasInitializer,
        this.biasRegularizer ?? none,
        true,
      );
    }
    this.gate = this.addWeight("gate", [features, this.units], "float32", this.gateInitializer, none, false);
    if (this.useBias)
      this.gateBias = this.addWeight("gate_bias", [this.units], "float32", this.gateInitializer, none, false);
    super.build(inputShape);
  }

  override computeOutputShape(inputShape: tf.Shape | tf.Shape[]): tf.Shape {
    return [...singleShape(inputShape).slice(0, -1), this.units];
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const { kernel, bias, gate, gateBias } = this;
    if (kernel === null || gate === null) throw new Error("GatedDense: call before build.");
    return tf.tidy(() => {
      const x = singleTensor(inputs);
      const rows = x.reshape([-1, x.shape[x.shape.length - 1]]) as tf.Tensor2D;
      let linear: tf.Tensor = tf.matMul(rows, kernel.read() as tf.Tensor2D);
      let open: tf.Tensor = tf.matMul(rows, gate.read() as tf.Tensor2D);
      if (bias !== null) linear = tf.add(linear, bias.read());
      if (gateBias !== null) open = tf.add(open, gateBias.read());
      // 1 - step(-z) is 1 at z = 0, as D = diag(1[X g >= 0]) is, and unlike a comparison it has a (zero) gradient.
      const y = tf.mul(linear, tf.sub(1, tf.step(tf.neg(open))));
      return y.reshape([...x.shape.slice(0, -1), this.units]);
    });
  }

  override getConfig(): tf.serialization.ConfigDict {
    const config: tf.serialization.ConfigDict = {
      units: this.units,
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

/** A `GatedDense` layer, in the manner of `tf.layers.dense`. */
export function gatedDense(args: GatedDenseArgs): GatedDense {
  return new GatedDense(args);
}
