/** Passes by TensorFlow.js, through the model's own layers: any that has a gradient there. */

import * as tf from "@tensorflow/tfjs";
import type { Loss } from "../../convex/types.js";
import { ConvexError } from "../../errors.js";
import { anatomyOf } from "../read/anatomy.js";
import { named } from "../read/layers/layer.js";
import { rowsTogether } from "../read/trunk.js";
import { layersOf } from "./layers.js";
import type { Part, Passes, Place, RowsOfParts } from "./passes.js";
import { rowsOf } from "./rows.js";

/** Rows that go through the model together: tables, and what has places. */
const ROWS = 4096;
const IMAGES = 256;

/** What TensorFlow.js says of an operation that it has no gradient of. */
const NO_GRADIENT = /gradient function not found/;

/** Some rows, with what they are judged by. */
interface Chunk {
  readonly x: tf.Tensor;
  readonly loss: Loss; // mean over these rows
}

export class TfjsPasses implements Passes {
  readonly readsModel = true;
  readonly all: readonly Part[];
  private readonly stages: readonly tf.LayersModel[];
  private readonly output: tf.layers.Layer;
  /** Where a linear layer stands beside the hidden one: what the stages end before; null where they end before the read-out. */
  private readonly beside: { readonly hidden: readonly tf.layers.Layer[]; readonly skip: tf.layers.Layer } | null;

  constructor(
    private readonly model: tf.LayersModel,
    private readonly places: readonly Place[],
    /** Whether what the regularizers charge depends on weights that are trained; what frozen layers charge is a constant. */
    private readonly hasSlope: boolean,
    beside: boolean,
    private readonly x: tf.Tensor,
    private readonly rows: RowsOfParts,
  ) {
    const { trunk, head, layers } = anatomyOf(model, "write", beside ? "hidden" : "output");
    this.stages = trunk.map(({ inputs, output }) => tf.model({ inputs, outputs: output }));
    this.output = head.output;
    this.beside = head.skip && { hidden: layers.slice(0, layers.indexOf(head.output)), skip: head.skip };
    this.all = this.cut(rowsTogether(x, x.rank > 2 ? IMAGES : ROWS));
  }

  cut(most: number): Part[] {
    return this.rows(most, (rows, loss) => {
      const chunk = { x: rowsOf(this.x, rows), loss };
      return {
        value: () => this.loss(chunk),
        slope: (_, gradient, share) => this.slope(chunk, gradient, share),
        dispose: () => chunk.x.dispose(),
      };
    });
  }

  /** What the layers' own regularizers charge, in float32. */
  async charge(): Promise<number> {
    const sum = tf.tidy(() => this.charged());
    try {
      return (await sum.data())[0];
    } finally {
      sum.dispose();
    }
  }

  async chargeSlope(_: Float64Array, gradient: Float64Array): Promise<number> {
    if (!this.hasSlope) return this.charge();
    const { value, grads } = tf.variableGrads(() => this.charged(), this.variables);
    try {
      return (await value.data())[0];
    } finally {
      value.dispose();
      await this.add(grads, 1, gradient);
    }
  }

  private get variables(): tf.Variable[] {
    return this.places.map(({ variable }) => variable);
  }

  private charged(): tf.Scalar {
    return this.model.calculateLosses().reduce<tf.Scalar>((all, term) => tf.add(all, term), tf.scalar(0));
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

  /**
   * @throws ConvexError "engine/unavailable" where the backend has no gradient of a layer: WASM has none of convolutions; "model/layer"
   * where TensorFlow.js has none.
   */
  private gradients(f: () => tf.Scalar): ReturnType<typeof tf.variableGrads> {
    try {
      return tf.tidy(() => tf.variableGrads(f, this.variables));
    } catch (error) {
      dropTape();
      const said = (error as Error)?.message ?? "";
      const missing = /Kernel '(\w+)' not registered/.exec(said);
      if (missing !== null) {
        throw new ConvexError(
          "engine/unavailable",
          `fit: expected a backend of TensorFlow.js with gradients of all layers, got "${tf.getBackend()}", which lacks ${missing[1]}. ` +
            `Call tf.setBackend("webgl") or tf.setBackend("cpu") first, or set depth: "head".`,
        );
      }
      if (!NO_GRADIENT.test(said)) throw error;
      const layer = withoutGradient(this.model);
      throw new ConvexError(
        "model/layer",
        `fit: expected layers through which TensorFlow.js has gradients, got ${layer === undefined ? "one without" : named(layer)} (${said}). ` +
          `Leave it out, set trainable: false in all layers before it, or set depth: "head".`,
      );
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

/** What a gradient that broke off leaves in TensorFlow.js: its tape, and what that saved. */
function dropTape(): void {
  const { state } = tf.engine();
  for (const { saved } of state.activeTape ?? []) tf.dispose(saved);
  state.activeTape = [];
}

/** A layer through which TensorFlow.js has no gradient, by a sample of zeros. */
function withoutGradient(model: tf.LayersModel): tf.layers.Layer | undefined {
  return layersOf(model).find((layer) => {
    const shape = [layer.batchInputShape ?? layer.inboundNodes[0]?.inputShapes].flat(2).map((size) => size ?? 1);
    if (layer.getClassName() === "InputLayer" || layer.inboundNodes[0]?.inputTensors.length !== 1) return false;
    const zeros = tf.zeros(shape);
    try {
      tf.grad((x) => tf.sum(layer.apply(x, { training: false }) as tf.Tensor))(zeros).dispose();
      return false;
    } catch (error) {
      dropTape();
      return NO_GRADIENT.test(String(error));
    } finally {
      zeros.dispose();
    }
  });
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
