/** Passes on the host, in float64: the layers of a model as a tape, and their regularizers. */

import type * as tf from "@tensorflow/tfjs";
import { transpose } from "../../../convex/linear/vectors.js";
import type { Tape } from "../../../convex/tape/index.js";
import type { Weight } from "../../read/graph.js";
import { columnsOf, type Input, isForDevice, type ReadTape, readInputs, rowsOfBlock } from "../../read/tape/index.js";
import type { Judge, Part, Passes, RowsOfParts, Trained, Way } from "../passes.js";
import { type LayerCharge, layerCharges } from "./layerCharges.js";

/** Numbers of x that are kept beside the tensor: 1 GB. */
const MOST_X = 2 ** 27;
/** How far the charge of all layers may be from what they say in float32. */
const ROUNDING = 1e-3;

/** What passes on the host are made of. */
export interface HostOrder extends Trained {
  readonly model: tf.LayersModel;
  readonly x: readonly tf.Tensor[]; // of each input
  readonly rows: number;
  readonly parts: RowsOfParts;
}

/** Null where the host lacks a layer, a regularizer or room, or a device of TensorFlow.js is faster. */
export async function hostPasses(order: HostOrder, tapeOf: () => ReadTape | null): Promise<Passes | null> {
  const { model, x, rows, told } = order;
  if (x.reduce((size, each) => size + each.size, 0) > MOST_X) return null;
  const charges = layerCharges(model);
  const read = charges && tapeOf();
  if (read === null || charges === null) return null;
  if (isForDevice(read.tape, rows)) return null;
  const passes = new HostPasses(order, read.tape, read.fixed, charges, await readInputs(x));
  await passes.refresh();
  const charged = await passes.charge(await passes.trained());
  if (Math.abs(charged - told) > ROUNDING * Math.abs(told)) return null;
  return passes;
}

class HostPasses implements Passes {
  readonly readsModel = false;
  readonly all: readonly Part[];
  private readonly weights: Float64Array; // those that are trained, then the fixed ones
  private readonly charges: readonly (LayerCharge & { readonly at: number; readonly size: number })[];
  private fixedCharge = 0;

  constructor(
    private readonly order: HostOrder,
    private readonly tape: Tape,
    private readonly fixed: readonly Weight[],
    private readonly layers: readonly LayerCharge[],
    private readonly inputs: readonly Input[],
  ) {
    const { placed, size, parts } = order;
    this.weights = new Float64Array(fixed.reduce((sum, weight) => sum + weight.read().size, size));
    this.charges = layers.flatMap((charge) => {
      const at = placed.get(charge.weight);
      return at === undefined ? [] : [{ ...charge, at, size: charge.weight.read().size }];
    });
    this.all = parts(rowsOfBlock(tape), (rows, loss) => this.way(rows, loss));
  }

  cut(most: number): Part[] {
    return this.order.parts(Math.min(most, rowsOfBlock(this.tape)), (rows, loss) => this.way(rows, loss));
  }

  async refresh(): Promise<void> {
    let at = this.order.size;
    for (const weight of this.fixed) {
      this.weights.set(await weight.read().data(), at);
      at += weight.read().size;
    }
    this.fixedCharge = 0;
    for (const { weight, l1, l2, times } of this.layers) {
      if (this.order.placed.has(weight)) continue;
      for (const value of await weight.read().data())
        this.fixedCharge += times * (l1 * Math.abs(value) + l2 * value ** 2);
    }
  }

  /** The trained weights as the model has them. */
  async trained(): Promise<Float64Array> {
    const packed = new Float64Array(this.order.size);
    for (const [weight, at] of this.order.placed) packed.set(await weight.read().data(), at);
    return packed;
  }

  async charge(packed: Float64Array): Promise<number> {
    let total = this.fixedCharge;
    for (const { l1, l2, times, at, size } of this.charges) {
      for (let p = at; p < at + size; p++) total += times * (l1 * Math.abs(packed[p]) + l2 * packed[p] ** 2);
    }
    return total;
  }

  async chargeSlope(packed: Float64Array, gradient: Float64Array): Promise<number> {
    let total = this.fixedCharge;
    for (const { l1, l2, times, at, size } of this.charges) {
      const end = at + size;
      if (l1 !== 0) total += times * l1 * slopeOfSizes(packed, gradient, times * l1, at, end);
      if (l2 !== 0) total += times * l2 * slopeOfSquares(packed, gradient, times * l2, at, end);
    }
    return total;
  }

  /** A way of some rows, which keeps them as the tape wants them. */
  private way(rows: Float64Array, loss: Judge): Way {
    const { tape, weights } = this;
    const n = rows.length;
    const X = columnsOf(this.inputs, rows);
    const [Z, N] = [new Float64Array(n * tape.outputs), new Float64Array(n * tape.outputs)];
    const outputs = (packed: Float64Array) => {
      weights.set(packed);
      transpose(tape.forward(X, n, weights), tape.outputs, n, Z);
      return loss.value(Z);
    };
    return {
      value: async (packed) => outputs(packed),
      slope: async (packed, gradient, share) => {
        const value = outputs(packed);
        loss.gradient(Z, N);
        for (let k = 0; k < N.length; k++) N[k] *= share;
        transpose(N, n, tape.outputs, Z);
        tape.backward(Z, n, weights, gradient);
        return share * value;
      },
      dispose: () => undefined,
    };
  }
}

/** The sum of squares; gradient += that of `factor` times it. */
function slopeOfSquares(
  packed: Float64Array,
  gradient: Float64Array,
  factor: number,
  from: number,
  to: number,
): number {
  let sum = 0;
  for (let p = from; p < to; p++) {
    const value = packed[p];
    sum += value * value;
    gradient[p] += 2 * factor * value;
  }
  return sum;
}

/** The sum of absolute values, likewise. */
function slopeOfSizes(packed: Float64Array, gradient: Float64Array, factor: number, from: number, to: number): number {
  let sum = 0;
  for (let p = from; p < to; p++) {
    const value = packed[p];
    sum += Math.abs(value);
    gradient[p] += factor * Math.sign(value);
  }
  return sum;
}
