/** The rows of a model with a head: its outputs before the last activation, and a loss of ours on these, in float64. */

import * as tf from "@tensorflow/tfjs";
import { rowBlock } from "../../convex/linear/rowBlock.js";
import { bindLoss } from "../../convex/losses/index.js";
import { anatomyOf } from "../read/anatomy.js";
import type { NetworkSpec } from "../read/model.js";
import { readTape } from "../read/tape/index.js";
import { hostPasses } from "./host/index.js";
import { type Judge, type Part, type Place, parted, type RowsOfParts, type Ways } from "./passes.js";
import { type ChosenRows, rowsOf } from "./rows.js";
import { rowsAtOnce, TfjsPasses } from "./tfjsPasses.js";

export function headWays(
  model: tf.LayersModel,
  { loss, skip = null }: Pick<NetworkSpec, "loss"> & Partial<Pick<NetworkSpec, "skip">>,
  x: tf.Tensor,
  { rows, y, weights }: ChosenRows,
): Ways {
  const beside = skip !== null;
  const parts: RowsOfParts = (most, make) =>
    parted(rows.length, most, (from, to) => {
      const part = { rows: to - from, cols: y.cols, data: rowBlock(y, from, to - from) };
      return make(rows.subarray(from, to), bindLoss(loss, part, weights?.subarray(from, to) ?? null));
    });
  return {
    rows: rows.length,
    byTfjs: (places, hasSlope) => new HeadPasses(model, places, hasSlope, beside, x, parts),
    onHost: ({ kernels, ...trained }) =>
      hostPasses({ ...trained, kernels, model, x: [x], rows: rows.length, parts }, () =>
        readTape(model, x.shape.slice(1), kernels, trained.placed, trained.size, beside),
      ),
  };
}

/** Some rows, with what they are judged by. */
interface Chunk {
  readonly x: tf.Tensor;
  readonly loss: Judge; // mean over these rows
}

class HeadPasses extends TfjsPasses {
  readonly all: readonly Part[];
  private readonly stages: readonly tf.LayersModel[];
  private readonly output: tf.layers.Layer;
  /** Where a linear layer stands beside the hidden one: what the stages end before; null where they end before the read-out. */
  private readonly beside: { readonly hidden: readonly tf.layers.Layer[]; readonly skip: tf.layers.Layer } | null;

  constructor(
    model: tf.LayersModel,
    places: readonly Place[],
    hasSlope: boolean,
    beside: boolean,
    private readonly x: tf.Tensor,
    private readonly parts: RowsOfParts,
  ) {
    super(model, places, hasSlope);
    const { trunk, head, layers } = anatomyOf(model, "write", beside ? "hidden" : "output");
    this.stages = trunk.map(({ inputs, output }) => tf.model({ inputs, outputs: output }));
    this.output = head.output;
    this.beside = head.skip && { hidden: layers.slice(0, layers.indexOf(head.output)), skip: head.skip };
    this.all = this.cut(rowsAtOnce(x));
  }

  cut(most: number): Part[] {
    return this.parts(most, (rows, loss) => {
      const chunk = { x: rowsOf(this.x, rows), loss };
      return {
        value: () => this.loss(chunk),
        slope: (_, gradient, share) => this.slope(chunk, gradient, share),
        dispose: () => chunk.x.dispose(),
      };
    });
  }

  private async loss({ x, loss }: Chunk): Promise<number> {
    const Z = tf.tidy(() => this.outputs(x));
    try {
      return loss.value(Float64Array.from(await Z.data()));
    } finally {
      Z.dispose();
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
  private async slope(chunk: Chunk, gradient: Float64Array, share: number): Promise<number> {
    return readsAtOnce() ? this.slopeAtOnce(chunk, gradient, share) : this.slopeInTurn(chunk, gradient, share);
  }

  /** One pass: what the loss says of the outputs is asked while the tape runs. */
  private async slopeAtOnce({ x, loss }: Chunk, gradient: Float64Array, share: number): Promise<number> {
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
    const { value: scalar, grads } = this.gradients(() => judged(this.outputs(x)) as tf.Scalar);
    scalar.dispose();
    await this.add(grads, share, gradient);
    return share * value;
  }

  /** Two passes, where a device can't be read while the tape runs. */
  private async slopeInTurn({ x, loss }: Chunk, gradient: Float64Array, share: number): Promise<number> {
    const held: tf.Tensor[] = [tf.tidy(() => this.outputs(x))];
    try {
      const z = Float64Array.from(await held[0].data());
      const slope = slopeOf(loss, z, held[0].shape as [number, number]);
      held.push(slope);
      const { value, grads } = this.gradients(() => tf.sum(tf.mul(this.outputs(x), slope)) as tf.Scalar);
      held.push(value);
      await this.add(grads, share, gradient);
      return share * loss.value(z);
    } finally {
      tf.dispose(held);
    }
  }
}

/** What a dense layer computes before its activation. */
function affine(layer: tf.layers.Layer, features: tf.Tensor): tf.Tensor2D {
  const [kernel, bias] = layer.weights.map((weight) => weight.read());
  const Z = tf.matMul(features as tf.Tensor2D, kernel as tf.Tensor2D) as tf.Tensor2D;
  return bias === undefined ? Z : (tf.add(Z, bias) as tf.Tensor2D);
}

function slopeOf(loss: Judge, z: Float64Array, shape: [number, number]): tf.Tensor2D {
  const slope = new Float64Array(z.length);
  loss.gradient(z, slope);
  return tf.tensor2d(Float32Array.from(slope), shape);
}

/** Every backend but that of WebGPU. */
function readsAtOnce(): boolean {
  return tf.getBackend() !== "webgpu";
}
