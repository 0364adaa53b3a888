/** An optimizer for layers with gates inside an ordinary `model.fit`: steps as Adam's, and a shrinkage that leaves whole units at zero. */

import * as tf from "@tensorflow/tfjs";
import { isRecord, refuse, refuseAs, refuseUnknown, shown } from "../../arguments.js";
import { realPower } from "../../convex/linear/elementary.js";
import { Moments } from "./moments.js";

/** How tfjs names a GatedDense or GatedConv2D that was given no name. */
const GATED = ["gated_dense", "gated_conv2d"];
const ARGUMENTS = ["beta", "learningRate", "decay", "beta1", "beta2", "epsilon", "layers"];

export interface ProximalAdamArgs {
  /** The charge for the norm of each unit's weights, above or equal to 0: beta of the convex program. */
  readonly beta: number;
  /** Default 0.01. */
  readonly learningRate?: number;
  /** Step t is learningRate / (1 + decay t) long; default 0. */
  readonly decay?: number;
  /** Of the means of gradients and of their squares, as Adam's; default 0.9 and 0.999. */
  readonly beta1?: number;
  readonly beta2?: number;
  readonly epsilon?: number;
  /**
   * Names of the layers whose units are charged; default: layers with gates that have no name of their own. With beta above 0 the
   * first step throws unless each is there, with a kernel that is trained.
   */
  readonly layers?: readonly string[] | null;
}

/** Weights that step together: a charged unit's kernel and bias have one step length. */
interface Charged {
  readonly kernel: string;
  readonly bias: string | null;
}

/**
 * Proximal steps on loss + beta sum_k |(w_k, b_k)| over the units k of layers with gates, and Adam's on all other weights.
 *
 * With a read-out of ones that is not trained this is the convex program of gated networks (a group lasso), and the optimum is the only
 * kind of point at which the steps rest: the mean square of the gradients is taken a unit, not a weight, so that a unit
 * has one step length s and w := prox of s beta |.| at w - s m is a proximal step in its own metric. A unit that is not worth its charge is
 * exactly zero, and comes back when it is. The charge is not part of the loss that `fit` shows; `branchPower({ factor: beta, power: 1,
 * branches: units })` counts it. `registerLayers()` lets `tf.loadLayersModel` read it.
 *
 * @example
 * ```ts
 * const readOut = tf.layers.dense({ units: 1, useBias: false, kernelInitializer: "ones", trainable: false });
 * const convex = tf.sequential({ layers: [gatedDense({ units: 64, inputShape: [2], seed: 1 }), readOut] });
 * convex.compile({ optimizer: proximalAdam({ beta: 0.01 }), loss: "meanSquaredError" });
 * ```
 */
export class ProximalAdam extends tf.Optimizer {
  /** @nocollapse */
  static readonly className = "ProximalAdam";

  readonly beta: number;
  learningRate: number;
  readonly decay: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly layers: readonly string[] | null;
  private readonly moments = new Moments(); // the squares are [units] where units are charged
  private checked = false; // whether a unit is charged

  constructor(args: ProximalAdamArgs) {
    super();
    if (!isRecord(args)) refuse("proximalAdam", "an object of arguments { beta }", args);
    refuseUnknown("proximalAdam", args, ARGUMENTS);
    const { beta, learningRate = 0.01, decay = 0, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-7, layers = null } = args;
    this.beta = numberOf("beta", beta, "a finite number of at least 0", (v) => v >= 0);
    this.learningRate = numberOf("learningRate", learningRate, "a finite number above 0", (v) => v > 0);
    this.decay = numberOf("decay", decay, "a finite number of at least 0", (v) => v >= 0);
    this.beta1 = numberOf("beta1", beta1, "a number in [0, 1)", (v) => v >= 0 && v < 1);
    this.beta2 = numberOf("beta2", beta2, "a number in [0, 1)", (v) => v >= 0 && v < 1);
    this.epsilon = numberOf("epsilon", epsilon, "a finite number above 0", (v) => v > 0);
    if (layers !== null && !(Array.isArray(layers) && layers.every((name) => typeof name === "string"))) {
      refuse("proximalAdam: layers", "an array of names of layers", layers);
    }
    this.layers = layers;
  }

  override applyGradients(gradients: tf.NamedTensorMap | { name: string; tensor: tf.Tensor }[]): void {
    const list = Array.isArray(gradients)
      ? new Map(gradients.map(({ name, tensor }) => [name, tensor]))
      : new Map(Object.entries(gradients));
    const step = this.iterations + 1;
    const correction = Math.sqrt(1 - realPower(this.beta2, step)) / (1 - realPower(this.beta1, step));
    const rate = (this.learningRate / (1 + this.decay * this.iterations)) * correction;
    const done = new Set<string>();
    const charged = this.chargedAmong([...list.keys()]);
    this.check(charged, [...list.keys()]);
    this.moments.adopt([...list.keys()]);
    for (const unit of charged) {
      this.stepUnits(unit, list, rate);
      done.add(unit.kernel).add(unit.bias ?? unit.kernel);
    }
    for (const [name, gradient] of list)
      if (!done.has(name) && gradient != null) this.stepWeights(name, gradient, rate);
    this.incrementIterations();
  }

  override dispose(): void {
    this.moments.dispose();
  }

  override async getWeights(): Promise<{ name: string; tensor: tf.Tensor }[]> {
    return [await this.saveIterations(), ...this.moments.save()];
  }

  override async setWeights(weights: { name: string; tensor: tf.Tensor }[]): Promise<void> {
    this.moments.load(await this.extractIterations(weights));
  }

  getConfig(): tf.serialization.ConfigDict {
    const { beta, learningRate, decay, beta1, beta2, epsilon, layers } = this;
    return { beta, learningRate, decay, beta1, beta2, epsilon, layers: layers === null ? null : [...layers] };
  }

  /** @nocollapse */
  static override fromConfig<T extends tf.serialization.Serializable>(
    cls: tf.serialization.SerializableConstructor<T>,
    config: tf.serialization.ConfigDict,
  ): T {
    // tfjs puts the classes that it was given beside the arguments.
    return new cls(Object.fromEntries(Object.entries(config).filter(([name]) => name !== "customObjects")));
  }

  /** Kernels of charged layers, with the bias where there is one. */
  private chargedAmong(names: readonly string[]): Charged[] {
    const isCharged = (layer: string) =>
      this.layers === null ? GATED.some((start) => layer.startsWith(start)) : this.layers.includes(layer);
    const ofKind = (kind: string) => names.filter((name) => name.slice(layerOf(name).length + 1).startsWith(kind));
    return ofKind("kernel")
      .filter((kernel) => isCharged(layerOf(kernel)))
      .map((kernel) => ({ kernel, bias: ofKind("bias").find((bias) => layerOf(bias) === layerOf(kernel)) ?? null }));
  }

  /** In the first step: later ones may train other layers only. */
  private check(charged: readonly Charged[], names: readonly string[]): void {
    if (this.checked || this.beta === 0) return;
    const found = charged.map(({ kernel }) => layerOf(kernel));
    const wrong = this.layers?.find((layer) => !found.includes(layer));
    if (found.length === 0 || wrong !== undefined) {
      const there = [...new Set(names.map(layerOf))].map((layer) => `"${layer}"`).join(", ");
      refuseAs(
        "proximalAdam: layers",
        `names of layers with a kernel that is trained, among ${there}`,
        this.layers === null ? "none, and no layer with gates that has no name of its own" : namesOf(this.layers),
        "Name the layers whose units beta charges, or set beta to 0.",
      );
    }
    this.checked = true;
  }

  private stepUnits({ kernel, bias }: Charged, gradients: ReadonlyMap<string, tf.Tensor>, rate: number): void {
    tf.tidy(() => {
      const parts = [kernel, ...(bias === null ? [] : [bias])].map((name) => {
        const weights = variableOf(name);
        const gradient = gradients.get(name) ?? tf.zerosLike(weights);
        const units = weights.shape[weights.shape.length - 1];
        return { name, weights, gradient, table: [weights.size / units, units] as [number, number] };
      });
      const entries = parts.reduce((sum, { table }) => sum + table[0], 0);
      const square = parts
        .map(({ gradient, table }) => tf.sum(tf.square(tf.reshape(gradient, table)), 0))
        .reduce((sum, one) => tf.add(sum, one));
      const scale = tf.add(tf.sqrt(this.moments.move("v", kernel, tf.div(square, entries), this.beta2)), this.epsilon);
      const length = tf.div(rate, scale); // [units]
      const moved = parts.map(({ name, weights, gradient, table }) => {
        const mean = this.moments.move("m", name, gradient, this.beta1);
        return tf.sub(tf.reshape(weights, table), tf.mul(length, tf.reshape(mean, table)));
      });
      const norms = tf.sqrt(moved.map((one) => tf.sum(tf.square(one), 0)).reduce((sum, one) => tf.add(sum, one)));
      const left = tf.relu(tf.sub(1, tf.divNoNan(tf.mul(this.beta, length), norms)));
      parts.forEach(({ weights }, k) => {
        weights.assign(tf.reshape(tf.mul(left, moved[k]), weights.shape));
      });
    });
  }

  private stepWeights(name: string, gradient: tf.Tensor, rate: number): void {
    tf.tidy(() => {
      const weights = variableOf(name);
      const scale = tf.add(tf.sqrt(this.moments.move("v", name, tf.square(gradient), this.beta2)), this.epsilon);
      const mean = this.moments.move("m", name, gradient, this.beta1);
      weights.assign(tf.sub(weights, tf.mul(rate, tf.div(mean, scale))));
    });
  }
}

/** A ProximalAdam optimizer, in the manner of `tf.train.adam`. */
export function proximalAdam(args: ProximalAdamArgs): ProximalAdam {
  return new ProximalAdam(args);
}

function layerOf(weight: string): string {
  return weight.slice(0, Math.max(0, weight.lastIndexOf("/")));
}

function namesOf(layers: readonly string[]): string {
  return layers.length === 0 ? "an empty array" : layers.map((layer) => shown(layer)).join(", ");
}

function variableOf(name: string): tf.Variable {
  return tf.engine().registeredVariables[name];
}

function numberOf(name: string, value: unknown, wanted: string, fits: (value: number) => boolean): number {
  if (typeof value !== "number" || !Number.isFinite(value) || !fits(value))
    refuse(`proximalAdam: ${name}`, wanted, value);
  return value;
}
