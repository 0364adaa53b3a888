/** The objective of a whole model, loss and every regularizer, over all weights that model.fit would train, with its gradient. */

import * as tf from "@tensorflow/tfjs";
import { rowBlock } from "../../convex/linear/rowBlock.js";
import { bindLoss } from "../../convex/losses/index.js";
import type { Loss } from "../../convex/types.js";
import { ConvexError } from "../../errors.js";
import { anatomyOf } from "../read/anatomy.js";
import type { NetworkSpec } from "../read/model.js";
import type { Objective } from "../records.js";
import { layersOf } from "./layers.js";
import { type ChosenRows, rowsOf } from "./rows.js";

/** Rows that go through the model together: tables, and what has places. */
const ROWS = 4096;
const IMAGES = 256;

/** Rows that are judged together. */
export interface Chunk {
  readonly x: tf.Tensor;
  readonly loss: Loss; // mean over these rows
  readonly share: number; // of all rows
}

/** A weight as layers hold it, with the place of its numbers among all. */
interface Place {
  readonly variable: tf.Variable;
  readonly at: number;
}

/** Extends what the layers charge by factor |w|^2 of a weight. */
export interface Charge {
  readonly weight: tf.layers.Layer["weights"][number];
  readonly factor: number;
}

/**
 * The gradient is tfjs's, by back-propagation through the model's own layers as they predict: dropout and noise do nothing, batch
 * normalisation keeps its moving statistics. Losses are in float64 of the float32 outputs, before the last activation, so that no
 * probability is clipped. The caller disposes.
 */
export class WholeObjective {
  /** Numbers of all weights. */
  readonly size: number;
  private readonly stages: readonly tf.LayersModel[];
  private readonly output: tf.layers.Layer;
  /** Where a linear layer stands beside the hidden one: what the stages end before; null where they end before the read-out. */
  private readonly beside: { readonly hidden: readonly tf.layers.Layer[]; readonly skip: tf.layers.Layer } | null;
  private readonly places: readonly Place[];
  private readonly charges: readonly (Charge & { readonly at: number; readonly size: number })[];
  private readonly chunks: readonly Chunk[];
  private readonly cut: (most: number) => Chunk[];
  readonly rows: number;
  /** Whether what the regularizers charge depends on weights that are trained; what frozen layers charge is a constant. */
  private readonly hasSlope: boolean;

  constructor(
    private readonly model: tf.LayersModel,
    { loss, skip = null }: Pick<NetworkSpec, "loss"> & Partial<Pick<NetworkSpec, "skip">>,
    x: tf.Tensor,
    { rows, y, weights }: ChosenRows,
    charges: readonly Charge[] = [],
  ) {
    const { trunk, head, layers } = anatomyOf(model, "write", skip === null ? "output" : "hidden");
    this.stages = trunk.map(({ inputs, output }) => tf.model({ inputs, outputs: output }));
    this.output = head.output;
    this.beside = head.skip && { hidden: layers.slice(0, layers.indexOf(head.output)), skip: head.skip };
    const placed = new Map<unknown, number>();
    const places: Place[] = [];
    let size = 0;
    for (const weight of model.trainableWeights) {
      if (placed.has(weight)) continue;
      placed.set(weight, size);
      places.push({ variable: weight.read() as tf.Variable, at: size });
      size += weight.read().size;
    }
    this.hasSlope = layersOf(model).some(
      (layer) =>
        layer.weights.some((weight) => placed.has(weight)) && tf.tidy(() => layer.calculateLosses().length > 0),
    );
    this.places = places;
    this.size = size;
    this.charges = charges.map((charge) => ({
      ...charge,
      at: placed.get(charge.weight) ?? 0,
      size: placed.has(charge.weight) ? charge.weight.read().size : 0,
    }));
    this.cut = (most) =>
      chunksOf(x, rows, most, (from, to) => {
        const part = { rows: to - from, cols: y.cols, data: rowBlock(y, from, to - from) };
        return bindLoss(loss, part, weights?.subarray(from, to) ?? null);
      });
    this.rows = rows.length;
    this.chunks = this.cut(x.rank > 2 ? IMAGES : ROWS);
  }

  /** The rows in parts of so many, each to be judged by itself; the caller disposes their x. */
  parts(most: number): Chunk[] {
    return this.cut(most).map((chunk) => ({ ...chunk, share: 1 }));
  }

  dispose(): void {
    for (const { x } of this.chunks) x.dispose();
  }

  /** All weights, one after another. */
  async weights(): Promise<Float64Array> {
    const packed = new Float64Array(this.size);
    for (const { variable, at } of this.places) packed.set(await variable.data(), at);
    return packed;
  }

  /** Weights in a neighbourhood: each moved by a Gaussian of a share of the root mean square of its tensor. */
  near(packed: Float64Array, share: number, draw: () => number): Float64Array {
    const moved = packed.slice();
    for (const { variable, at } of this.places) {
      const part = moved.subarray(at, at + variable.size);
      const size = share * Math.sqrt(part.reduce((sum, value) => sum + value * value, 0) / part.length);
      for (let p = 0; p < part.length; p++) part[p] += size * draw();
    }
    return moved;
  }

  /** Puts weights into the model, as float32. */
  write(packed: Float64Array): void {
    tf.tidy(() => {
      for (const { variable, at } of this.places) {
        const values = Float32Array.from(packed.subarray(at, at + variable.size));
        variable.assign(tf.tensor(values, variable.shape));
      }
    });
  }

  /** The model as it is. */
  async value(): Promise<Objective> {
    let loss = 0;
    for (const chunk of this.chunks) {
      const Z = tf.tidy(() => this.outputs(chunk.x));
      try {
        loss += chunk.share * chunk.loss.value(Float64Array.from(await Z.data()));
      } finally {
        Z.dispose();
      }
    }
    let regularization = await this.chargedNow();
    const packed = await this.weights();
    for (const { factor, at, size } of this.charges) {
      for (let p = at; p < at + size; p++) regularization += factor * packed[p] ** 2;
    }
    return { loss, regularization, total: loss + regularization };
  }

  /** The objective at other weights, which the model then has, with its gradient; with the loss over some rows in place of all. */
  async at(packed: Float64Array, gradient: Float64Array, rows: readonly Chunk[] = this.chunks): Promise<number> {
    this.write(packed);
    gradient.fill(0);
    let total = 0;
    for (const chunk of rows) total += await this.slope(chunk, gradient);
    if (!this.hasSlope) total += await this.chargedNow();
    else {
      const { value, grads } = tf.variableGrads(() => this.charged(), this.variables);
      try {
        total += (await value.data())[0];
      } finally {
        value.dispose();
        await this.add(grads, 1, gradient);
      }
    }
    for (const { factor, at, size } of this.charges) {
      for (let p = at; p < at + size; p++) {
        total += factor * packed[p] ** 2;
        gradient[p] += 2 * factor * packed[p];
      }
    }
    return total;
  }

  private get variables(): tf.Variable[] {
    return this.places.map(({ variable }) => variable);
  }

  /** What the layers' own regularizers charge, in float32. */
  private charged(): tf.Scalar {
    return this.model.calculateLosses().reduce<tf.Scalar>((all, term) => tf.add(all, term), tf.scalar(0));
  }

  /** That of the weights as they are. */
  private async chargedNow(): Promise<number> {
    const sum = tf.tidy(() => this.charged());
    try {
      return (await sum.data())[0];
    } finally {
      sum.dispose();
    }
  }

  /** Outputs before the last activation, [rows x C]. */
  private outputs(x: tf.Tensor): tf.Tensor2D {
    const through = (stages: readonly tf.layers.Layer[], from: tf.Tensor) =>
      stages.reduce((tensor, stage) => stage.apply(tensor, { training: false }) as tf.Tensor, from);
    const features = through(this.stages, x);
    if (this.beside === null) return affine(this.output, features);
    const { hidden, skip } = this.beside;
    return tf.add(affine(this.output, through(hidden, features)), affine(skip, features));
  }

  /** The share of some rows in the loss; its gradient is added. */
  private async slope(chunk: Chunk, gradient: Float64Array): Promise<number> {
    return readsAtOnce() ? this.slopeAtOnce(chunk, gradient) : this.slopeInTurn(chunk, gradient);
  }

  /** One pass: what the loss says of the outputs is asked while the tape runs. */
  private async slopeAtOnce({ x, loss, share }: Chunk, gradient: Float64Array): Promise<number> {
    let value = Number.NaN;
    const judged = tf.customGrad((...given: (tf.Tensor | tf.GradSaveFunc)[]) => {
      const [Z, save] = given as [tf.Tensor2D, tf.GradSaveFunc];
      const z = Float64Array.from(Z.dataSync());
      value = loss.value(z);
      save([slopeOf(loss, z, Z.shape)]);
      return {
        value: tf.scalar(value),
        gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => tf.mul(dy, saved[0]),
      };
    });
    const { value: scalar, grads } = gradientsOf(() => judged(this.outputs(x)) as tf.Scalar, this.variables);
    scalar.dispose();
    await this.add(grads, share, gradient);
    return share * value;
  }

  /** Two passes, where a device can't be read while the tape runs. */
  private async slopeInTurn({ x, loss, share }: Chunk, gradient: Float64Array): Promise<number> {
    const held: tf.Tensor[] = [tf.tidy(() => this.outputs(x))];
    try {
      const z = Float64Array.from(await held[0].data());
      const slope = slopeOf(loss, z, held[0].shape as [number, number]);
      held.push(slope);
      const { value, grads } = gradientsOf(() => tf.sum(tf.mul(this.outputs(x), slope)) as tf.Scalar, this.variables);
      held.push(value);
      await this.add(grads, share, gradient);
      return share * loss.value(z);
    } finally {
      tf.dispose(held);
    }
  }

  private async add(grads: tf.NamedTensorMap, factor: number, gradient: Float64Array): Promise<void> {
    try {
      for (const { variable, at } of this.places) {
        const part = await grads[variable.name]?.data();
        for (let p = 0; part !== undefined && p < part.length; p++) gradient[at + p] += factor * part[p];
      }
    } finally {
      tf.dispose(grads);
    }
  }
}

/** What a dense layer computes before its activation. */
function affine(layer: tf.layers.Layer, features: tf.Tensor): tf.Tensor2D {
  const [kernel, bias] = layer.weights.map((weight) => weight.read());
  const Z = tf.matMul(features as tf.Tensor2D, kernel as tf.Tensor2D) as tf.Tensor2D;
  return bias === undefined ? Z : (tf.add(Z, bias) as tf.Tensor2D);
}

/** @throws ConvexError "engine/unavailable" where the backend has no gradient of a layer: WASM has none of convolutions. */
function gradientsOf(f: () => tf.Scalar, variables: tf.Variable[]): ReturnType<typeof tf.variableGrads> {
  try {
    return tf.variableGrads(f, variables);
  } catch (error) {
    const missing = /Kernel '(\w+)' not registered/.exec((error as Error)?.message ?? "");
    if (missing === null) throw error;
    throw new ConvexError(
      "engine/unavailable",
      `fit: expected a backend of TensorFlow.js with gradients of all layers, got "${tf.getBackend()}", which lacks ${missing[1]}. ` +
        `Call tf.setBackend("webgl") or tf.setBackend("cpu") first, or set depth: "head".`,
    );
  }
}

function slopeOf(loss: Loss, z: Float64Array, shape: [number, number]): tf.Tensor2D {
  const slope = new Float64Array(z.length);
  loss.gradient(z, slope);
  return tf.tensor2d(Float32Array.from(slope), shape);
}

/** Every backend but that of WebGPU. */
function readsAtOnce(): boolean {
  return tf.getBackend() !== "webgpu";
}

/** The rows of x in parts, each with what is to be judged by. */
function chunksOf(x: tf.Tensor, rows: Float64Array, most: number, lossOf: (from: number, to: number) => Loss): Chunk[] {
  const parts: Chunk[] = [];
  for (let from = 0; from < rows.length; from += most) {
    const to = Math.min(rows.length, from + most);
    const numbers = rows.subarray(from, to);
    parts.push({ x: rowsOf(x, numbers), loss: lossOf(from, to), share: (to - from) / rows.length });
  }
  return parts;
}
