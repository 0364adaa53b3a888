/** The objective of a whole model, loss and every regularizer, over all weights that model.fit would train, with its gradient. */

import * as tf from "@tensorflow/tfjs";
import type { Kernels } from "../../convex/kernels/index.js";
import { concatenated } from "../../convex/linear/vectors.js";
import { Clock } from "../../convex/solvers/clock.js";
import type { Weight } from "../read/graph.js";
import { layersOf } from "../read/graph.js";
import { recurrentLayersOf } from "../read/tape/index.js";
import type { Objective } from "../records.js";
import {
  type Columns,
  type Constrained,
  constrain,
  constraintsAmong,
  intoColumns,
  intoFree,
  outOfColumns,
  slopesInColumns,
  slopesOfFree,
} from "./coordinates/index.js";
import type { Part, Passes, Place, Ways } from "./passes.js";

/** Extends what the layers charge by factor |w|^2 of a weight. */
export interface Charge {
  readonly weight: Weight;
  readonly factor: number;
}

/**
 * The gradient is by back-propagation through the layers as they predict: dropout and noise do nothing, batch normalisation keeps its
 * moving statistics. It is tfjs's, or the host's in float64, where that knows all the layers. Losses are in float64, before the last
 * activation, so that no probability is clipped. The caller disposes.
 */
export class WholeObjective {
  /** Numbers of all weights. */
  readonly size: number;
  readonly rows: number;
  private readonly places: readonly Place[];
  private readonly charges: readonly (Charge & { readonly at: number; readonly size: number })[];
  private passes: Passes;
  private readonly placed = new Map<Weight, number>();
  private constraints: readonly Constrained[] = [];
  private columns: readonly Columns[] = [];
  private last: { readonly weights: Float64Array; readonly value: Objective } | null = null;
  private valueSeconds = 0;
  private ownKernels: Kernels | undefined;

  /** With gradients by TensorFlow.js. */
  constructor(
    private readonly model: tf.LayersModel,
    private readonly ways: Ways,
    charges: readonly Charge[] = [],
  ) {
    const { placed } = this;
    const places: Place[] = [];
    let size = 0;
    for (const weight of model.trainableWeights) {
      if (placed.has(weight)) continue;
      placed.set(weight, size);
      places.push({ variable: weight.read() as tf.Variable, at: size });
      size += weight.read().size;
    }
    this.places = places;
    this.size = size;
    this.charges = charges.map((charge) => ({
      ...charge,
      at: placed.get(charge.weight) ?? 0,
      size: placed.has(charge.weight) ? charge.weight.read().size : 0,
    }));
    this.rows = ways.rows;
    const hasSlope = layersOf(model).some(
      (layer) =>
        layer.weights.some((weight) => placed.has(weight)) && tf.tidy(() => layer.calculateLosses().length > 0),
    );
    this.passes = ways.byTfjs(places, hasSlope);
  }

  /** Takes the host's gradients in place of those of TensorFlow.js, where it has them for all layers; answers whether. */
  async moveToHost(kernels: Kernels): Promise<boolean> {
    const { placed, size } = this;
    this.ownKernels = kernels;
    const told = await this.passes.charge(await this.weights());
    const passes = await this.ways.onHost({ placed, size, kernels, told });
    if (passes === null) return false;
    this.dispose();
    this.passes = passes;
    this.last = null;
    return true;
  }

  /** Whether a layer that goes through times, each with what came of the one before, is trained. */
  get recurrent(): boolean {
    return recurrentLayersOf(this.model).some((layer) => layer.trainableWeights.length > 0);
  }

  /** Of the host, where `moveToHost` was asked with some. */
  get kernels(): Kernels | undefined {
    return this.ownKernels;
  }

  /** In how many parts all rows are gone through. */
  get partCount(): number {
    return this.passes.all.length;
  }

  /** The rows in parts of so many, each to be judged by itself; the caller disposes them. */
  parts(most: number): Part[] {
    return this.passes.cut(most).map((part) => ({ ...part, share: 1 }));
  }

  /** Where the weights of a layer stand among all, with what it sees: kernel [.. x inputs x units], and a bias where it has one. */
  columnsOf([kernel, bias]: readonly Weight[], mean: Float64Array, scale: Float64Array): Columns {
    const { placed } = this;
    const { shape, size } = kernel.read();
    const units = shape[shape.length - 1];
    const repeated = (values: Float64Array) =>
      Float64Array.from({ length: size / units }, (_, p) => values[p % values.length]);
    const at = placed.get(kernel) ?? 0;
    return { at, bias: placed.get(bias) ?? null, units, mean: repeated(mean), scale: repeated(scale) };
  }

  /** From now on weights are said and asked for in these coordinates. */
  see(columns: readonly Columns[]): void {
    this.columns = columns;
  }

  dispose(): void {
    for (const part of this.passes.all) part.dispose();
  }

  /** All weights, one after another. */
  async weights(): Promise<Float64Array> {
    return intoColumns(intoFree(await this.plainWeights(), this.constraints), this.columns);
  }

  /** Those too that are not trained. */
  private async allWeights(): Promise<Float64Array> {
    const parts = await Promise.all(this.model.weights.map((weight) => weight.read().data()));
    return concatenated(...parts.map((part) => Float64Array.from(part)));
  }

  private async plainWeights(): Promise<Float64Array> {
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

  /** Others like these: Gaussians of the mean and the variance that the weights of their tensor have. */
  like(packed: Float64Array, draw: () => number): Float64Array {
    const drawn = packed.slice();
    for (const { variable, at } of this.places) {
      const part = drawn.subarray(at, at + variable.size);
      const mean = part.reduce((sum, value) => sum + value, 0) / part.length;
      const deviation = Math.sqrt(part.reduce((sum, value) => sum + (value - mean) ** 2, 0) / part.length);
      for (let p = 0; p < part.length; p++) part[p] = mean + deviation * draw();
    }
    return drawn;
  }

  /** Puts weights into the model, as float32. */
  write(packed: Float64Array): void {
    this.put(this.plain(packed));
  }

  private put(packed: Float64Array): void {
    tf.tidy(() => {
      for (const { variable, at } of this.places) {
        const values = Float32Array.from(packed.subarray(at, at + variable.size));
        variable.assign(tf.tensor(values, variable.shape));
      }
    });
  }

  /** The model as it is; the rows are gone through only where a weight is another than when they last were. */
  async value(): Promise<Objective> {
    const weights = await this.allWeights();
    if (this.last?.weights.every((value, p) => value === weights[p])) return this.last.value;
    const value = await this.passedValue();
    this.last = { weights, value };
    return value;
  }

  /** What it took to go through all rows for a value, when last they were. */
  get secondsOfValue(): number {
    return this.valueSeconds;
  }

  private async passedValue(): Promise<Objective> {
    const packed = await this.plainWeights();
    await this.passes.refresh?.();
    const turns = new Clock(Number.POSITIVE_INFINITY, () => false);
    let loss = 0;
    for (const part of this.passes.all) {
      loss += part.share * (await part.value(packed));
      await turns.pause();
    }
    this.valueSeconds = turns.seconds;
    let regularization = await this.passes.charge(packed);
    for (const { factor, at, size } of this.charges) {
      for (let p = at; p < at + size; p++) regularization += factor * packed[p] ** 2;
    }
    return { loss, regularization, total: loss + regularization };
  }

  /**
   * The objective at other weights with its gradient; with the loss over some rows in place of all. What the model has then is not
   * said: `write` decides. NaN where `over`, asked between parts of the rows, ends it.
   */
  async at(
    weights: Float64Array,
    gradient: Float64Array,
    parts: readonly Part[] = this.passes.all,
    over: () => Promise<boolean> = async () => false,
  ): Promise<number> {
    const packed = this.plain(weights);
    if (this.passes.readsModel) this.put(packed);
    gradient.fill(0);
    let total = 0;
    for (const part of parts) {
      if (await over()) return Number.NaN;
      total += await part.slope(packed, gradient, part.share);
    }
    total += await this.passes.chargeSlope(packed, gradient);
    for (const { factor, at, size } of this.charges) {
      for (let p = at; p < at + size; p++) {
        total += factor * packed[p] ** 2;
        gradient[p] += 2 * factor * packed[p];
      }
    }
    slopesOfFree(weights, gradient, this.constraints);
    slopesInColumns(gradient, this.columns);
    return total;
  }

  /**
   * From now on weights keep their constraints, which first weights need not meet: the model has those that do.
   *
   * @throws ConvexError "model/regularizer" for a constraint that is none of TensorFlow.js.
   */
  async keepConstraints(): Promise<void> {
    this.constraints = constraintsAmong(this.model, this.placed);
    if (this.constraints.length > 0) this.write(await this.weights());
  }

  private plain(packed: Float64Array): Float64Array {
    if (this.columns.length + this.constraints.length === 0) return packed;
    return outOfColumns(constrain(packed.slice(), this.constraints), this.columns);
  }
}
