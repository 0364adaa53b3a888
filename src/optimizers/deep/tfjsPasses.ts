/** Passes by TensorFlow.js, through the model's own layers: any that has a gradient there. */

import * as tf from "@tensorflow/tfjs";
import { ConvexError } from "../../errors.js";
import { layersOf } from "../read/graph.js";
import { named } from "../read/layers/layer.js";
import { rowsTogether } from "../read/trunk.js";
import type { Part, Passes, Place } from "./passes.js";

/** Rows that go through the model together: tables, and what has places. */
const ROWS = 4096;
const IMAGES = 256;

/** What TensorFlow.js says of an operation that it has no gradient of. */
const NO_GRADIENT = /gradient function not found/;

/** What goes through which layers, and how it is judged there, is said by those that extend this. */
export abstract class TfjsPasses implements Passes {
  readonly readsModel = true;
  abstract readonly all: readonly Part[];

  constructor(
    protected readonly model: tf.LayersModel,
    private readonly places: readonly Place[],
    /** Whether what the regularizers charge depends on weights that are trained; what frozen layers charge is a constant. */
    private readonly hasSlope: boolean,
  ) {}

  abstract cut(most: number): Part[];

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

  /**
   * @throws ConvexError "engine/unavailable" where the backend has no gradient of a layer: WASM has none of convolutions; "model/layer"
   * where TensorFlow.js has none.
   */
  protected gradients(f: () => tf.Scalar): ReturnType<typeof tf.variableGrads> {
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
        `fit: expected layers through which TensorFlow.js has gradients, got ${layer === undefined ? "a loss without" : named(layer)} (${said}). ` +
          `Leave it out, set trainable: false in all layers before it, or set depth: "head".`,
      );
    }
  }

  protected async add(grads: tf.NamedTensorMap, factor: number, gradient: Float64Array): Promise<void> {
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

/** What a gradient that broke off leaves in TensorFlow.js: its tape, and what that saved. */
function dropTape(): void {
  const { state } = tf.engine();
  for (const { saved } of state.activeTape ?? []) tf.dispose(saved);
  state.activeTape = [];
}

/** How many rows of a tensor go through a model together. */
export function rowsAtOnce(x: tf.Tensor): number {
  return rowsTogether(x, x.rank > 2 ? IMAGES : ROWS);
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
