/** A convolution whose filters are switched by fixed gates: (x * W + b) 1[x * G + g >= 0]. */

import * as tf from "@tensorflow/tfjs";
import { outputSize } from "../convex/operators/patches.js";
import { ConvexError } from "../errors.js";
import {
  type Config,
  type ConvolutionArgs,
  type ConvolutionSettings,
  convolutionOf,
  dry,
  type Initializer,
  patchShapeOf,
  type Regularizer,
  revive,
  seedArgs,
  singleShape,
  singleTensor,
} from "./parts.js";

const WHERE = "gatedConv2D";

export interface GatedConv2DArgs extends ConvolutionArgs {
  readonly filters: number;
  /** Whether the filters, and then also the gates, have a bias; default true. */
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
 * Gated ReLU convolution over images x [n x height x width x channels] (or channels first): each filter is on at the patches
 * where its gate is, y = (x * W + b) 1[x * G + g >= 0], y [n x out height x out width x filters].
 *
 * W [filter height x filter width x channels x filters] and b [filters] are trained; the gates G and g, of the same shapes, are
 * weights that no gradient reaches. `registerLayers()` lets `tf.loadLayersModel` read it.
 *
 * @example
 * ```ts
 * const model = tf.sequential({
 *   layers: [
 *     gatedConv2D({ filters: 16, kernelSize: 3, inputShape: [28, 28, 1] }),
 *     tf.layers.globalAveragePooling2d({ dataFormat: "channelsLast" }),
 *     tf.layers.dense({ units: 10 }),
 *   ],
 * });
 * ```
 */
export class GatedConv2D extends tf.layers.Layer {
  /** @nocollapse */
  static readonly className = "GatedConv2D";

  readonly filters: number;
  readonly useBias: boolean;
  private readonly settings: ConvolutionSettings;
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

  /** @throws ConvexError "options/value" for filters or sizes that are no positive integers. */
  constructor(args: GatedConv2DArgs) {
    super(args as ConstructorParameters<typeof tf.layers.Layer>[0]);
    if (!Number.isInteger(args.filters) || args.filters < 1) {
      throw new ConvexError(
        "options/value",
        `gatedConv2D: expected filters to be a positive integer, got ${args.filters}. Say how many filters the layer is to have.`,
      );
    }
    this.filters = args.filters;
    this.settings = convolutionOf(WHERE, args);
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
  }

  override build(inputShape: tf.Shape | tf.Shape[]): void {
    const { channels } = patchShapeOf(WHERE, this.settings, singleShape(inputShape));
    const shape = [...this.settings.kernelSize, channels, this.filters];
    const none = undefined;
    const kernelRegularizer = this.kernelRegularizer ?? none;
    this.kernel = this.addWeight("kernel", shape, "float32", this.kernelInitializer, kernelRegularizer, true);
    if (this.useBias) {
      const biasRegularizer = this.biasRegularizer ?? none;
      this.bias = this.addWeight("bias", [this.filters], "float32", this.biasInitializer, biasRegularizer, true);
    }
    this.gate = this.addWeight("gate", shape, "float32", this.gateInitializer, none, false);
    if (this.useBias) {
      this.gateBias = this.addWeight("gate_bias", [this.filters], "float32", this.gateInitializer, none, false);
    }
    super.build(inputShape);
  }

  override computeOutputShape(inputShape: tf.Shape | tf.Shape[]): tf.Shape {
    const shape = singleShape(inputShape);
    const { height, width, padding, dataFormat } = patchShapeOf(WHERE, this.settings, shape);
    const space = [outputSize(height, padding).size, outputSize(width, padding).size];
    return dataFormat === "channelsLast" ? [shape[0], ...space, this.filters] : [shape[0], this.filters, ...space];
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const { kernel, bias, gate, gateBias } = this;
    if (kernel === null || gate === null) throw new Error("GatedConv2D: call before build.");
    const { strides, padding, dilationRate, dataFormat } = this.settings;
    return tf.tidy(() => {
      const given = singleTensor(inputs) as tf.Tensor4D;
      const x = dataFormat === "channelsLast" ? given : tf.transpose(given, [0, 2, 3, 1]);
      const convolve = (filter: tf.LayerVariable, shift: tf.LayerVariable | null) => {
        const y = tf.conv2d(x, filter.read() as tf.Tensor4D, strides, padding, "NHWC", dilationRate);
        return shift === null ? y : tf.add(y, shift.read());
      };
      // 1 - step(-z) is 1 at z = 0, as D = diag(1[X g >= 0]) is, and unlike a comparison it has a (zero) gradient.
      const open = tf.sub(1, tf.step(tf.neg(convolve(gate, gateBias))));
      const y = tf.mul(convolve(kernel, bias), open);
      return dataFormat === "channelsLast" ? y : tf.transpose(y, [0, 3, 1, 2]);
    });
  }

  override getConfig(): tf.serialization.ConfigDict {
    const config: tf.serialization.ConfigDict = {
      filters: this.filters,
      ...this.settings,
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

/** A `GatedConv2D` layer, in the manner of `tf.layers.conv2d`. */
export function gatedConv2D(args: GatedConv2DArgs): GatedConv2D {
  return new GatedConv2D(args);
}
