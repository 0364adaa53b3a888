/** A convex quadratic program as a layer, whose objective and constraints are trained. */

import * as tf from "@tensorflow/tfjs";
import { count, counted, isRecord, refuse, refuseAs } from "../arguments.js";
import { exp, log } from "../convex/linear/elementary.js";
import { quadraticProgram } from "./convexProgram.js";
import { seedArgs, singleShape, singleTensor } from "./parts.js";

export interface ConvexLayerArgs {
  /** Rows of G, constraints G z <= h that are trained; default 0. */
  readonly inequalities?: number;
  /** Rows of A, constraints A z = b that are trained, fewer than the columns of x; default 0. */
  readonly equalities?: number;
  /** Sizes k of second-order cones that are trained, each |u| <= t for k rows (t, u) = h - G z; default none. */
  readonly cones?: readonly number[];
  /** Of the initial constraints; by default drawn anew each time. */
  readonly seed?: number;
  readonly name?: string;
  readonly inputShape?: tf.Shape;
}

const MOST_ROWS = 1000;
/** Beside the factor of P, so that the solution is unique whatever has been trained. */
const RIDGE = 1e-3;
/** softplus(0.5413) = 1: the point z0 begins at a distance of one from the constraints. */
const SLACK = log(exp(1) - 1);

/**
 * z = argmin 1/2 z'P z - x'z subject to A z = b and G z <= h: x [.. x n] comes in, z [.. x n] goes out (OptNet; Amos and Kolter 2017).
 *
 * Trained are the objective P = L L' + 1e-3 I (L [n x n], begun at the identity), the constraints A [p x n] and G [m x n], and a point z0
 * that always meets them: b = A z0, h = G z0 + softplus(s), so that no step of training leaves the program without a solution. A cone has
 * h = G z0 + softplus(s) (1, v / sqrt(1 + |v|^2)) in place of it, v trained too.
 * Without constraints it is a linear layer with the matrix P^-1. `registerLayers()` lets `tf.loadLayersModel` read it.
 *
 * @example
 * ```ts
 * const model = tf.sequential({
 *   layers: [tf.layers.dense({ units: 4, inputShape: [6] }), convexLayer({ inequalities: 8 }), tf.layers.dense({ units: 1 })],
 * });
 * ```
 */
export class ConvexLayer extends tf.layers.Layer {
  /** @nocollapse */
  static readonly className = "ConvexLayer";

  readonly inequalities: number;
  readonly equalities: number;
  readonly cones: readonly number[];
  private readonly seed: number | undefined;
  private parts: Readonly<Record<"factor" | "point" | "G" | "slack" | "tilt" | "A", tf.LayerVariable | null>> | null =
    null;

  constructor(args: ConvexLayerArgs = {}) {
    if (!isRecord(args)) refuse("convexLayer", "an object of arguments { inequalities, equalities }", args);
    super(args as ConstructorParameters<typeof tf.layers.Layer>[0]);
    const { inequalities = 0, equalities = 0, cones = [], seed } = args;
    this.inequalities = inequalities === 0 ? 0 : count("convexLayer: inequalities", inequalities, MOST_ROWS);
    this.equalities = equalities === 0 ? 0 : count("convexLayer: equalities", equalities, MOST_ROWS);
    if (!Array.isArray(cones)) refuse("convexLayer: cones", "an array of sizes", cones);
    this.cones = cones.map((size) => count("convexLayer: cones", size, MOST_ROWS, 2));
    this.seed = seed;
  }

  override build(inputShape: tf.Shape | tf.Shape[]): void {
    const n = singleShape(inputShape).at(-1) ?? null;
    if (n === null) {
      refuseAs(
        "convexLayer",
        "an input with a known last dimension",
        "null",
        "Give the layer inputShape: [features].",
        "model/layer",
      );
    }
    const { inequalities, equalities: p, cones } = this;
    const tails = cones.reduce((sum, size) => sum + size - 1, 0);
    const m = inequalities + cones.length + tails;
    if (p >= n) {
      refuseAs(
        "convexLayer: equalities",
        `fewer than ${counted(n, "column")}, as come in`,
        String(p),
        "Lower it, or widen the layer before.",
        "model/layer",
      );
    }
    const random = (offset: number) => tf.initializers.glorotNormal(seedArgs(this.seed, offset));
    const weight = (name: string, shape: number[], initializer: Parameters<tf.layers.Layer["addWeight"]>[3]) =>
      this.addWeight(name, shape, "float32", initializer);
    this.parts = {
      factor: weight("factor", [n, n], tf.initializers.identity({ gain: 1 })),
      point: p + m > 0 ? weight("point", [n], tf.initializers.zeros()) : null,
      G: m > 0 ? weight("G", [m, n], random(0)) : null,
      slack: m > 0 ? weight("slack", [inequalities + cones.length], tf.initializers.constant({ value: SLACK })) : null,
      tilt: tails > 0 ? weight("tilt", [tails], tf.initializers.zeros()) : null,
      A: p > 0 ? weight("A", [p, n], random(1)) : null,
    };
    super.build(inputShape);
  }

  override computeOutputShape(inputShape: tf.Shape | tf.Shape[]): tf.Shape | tf.Shape[] {
    return inputShape;
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const { parts } = this;
    if (parts === null) throw new Error("ConvexLayer: call before build.");
    return tf.tidy(() => {
      const x = singleTensor(inputs);
      const n = x.shape[x.shape.length - 1];
      const factor = parts.factor?.read() as tf.Tensor2D;
      const P = tf.add(tf.matMul(factor, factor, false, true), tf.mul(RIDGE, tf.eye(n)));
      const point = parts.point?.read() as tf.Tensor1D;
      const [G, A] = [parts.G?.read() as tf.Tensor2D | undefined, parts.A?.read() as tf.Tensor2D | undefined];
      const at = (rows: tf.Tensor2D) => tf.reshape(tf.matMul(rows, tf.reshape(point, [n, 1])), [-1]);
      const z = quadraticProgram({
        ...{ P, q: tf.neg(tf.reshape(x, [-1, n])) },
        ...(A === undefined ? {} : { A, b: at(A) }),
        ...(G === undefined ? {} : { G, h: tf.add(at(G), this.room()) }),
        ...(this.cones.length === 0 ? {} : { cones: this.cones }),
      });
      return tf.reshape(z, x.shape);
    });
  }

  /** h - G z0: inside the cones. */
  private room(): tf.Tensor1D {
    const lengths = tf.softplus(this.parts?.slack?.read() as tf.Tensor1D) as tf.Tensor1D;
    if (this.cones.length === 0) return lengths;
    const tilts = this.parts?.tilt?.read() as tf.Tensor1D;
    let from = 0;
    const each = this.cones.map((size, k) => {
      const length = lengths.slice([this.inequalities + k], [1]);
      const v = tilts.slice([from], [size - 1]);
      from += size - 1;
      const inside = tf.div(v, tf.sqrt(tf.add(1, tf.sum(tf.square(v)))));
      return tf.mul(length, tf.concat([tf.ones([1]), inside])) as tf.Tensor1D;
    });
    const numbers = this.inequalities > 0 ? [lengths.slice([0], [this.inequalities])] : [];
    return tf.concat([...numbers, ...each]);
  }

  override getConfig(): tf.serialization.ConfigDict {
    const { inequalities, equalities, cones, seed } = this;
    return {
      ...super.getConfig(),
      inequalities,
      equalities,
      cones: [...cones],
      ...(seed === undefined ? {} : { seed }),
    };
  }
}

/** A ConvexLayer, as tf.layers has functions for its own. */
export function convexLayer(args: ConvexLayerArgs = {}): ConvexLayer {
  return new ConvexLayer(args);
}
