/** What learns the symbols: a frozen trunk and a head that the worker trains; loads TensorFlow.js, so it is imported when it is needed. */

import * as tf from "@tensorflow/tfjs";
import { gatedDense, WorkerTrainer } from "../../../src/index.js";
import { SIDE } from "./picture.js";
import stored from "./trunk.json";

/** Gates of the head, and the weight decay of all that it learns, beta / 2 on both kernels and the gates' biases. */
const UNITS = 64;
const BETA = 0.004;
const TOLERANCE = 1e-3;

/** Pictures of so many kinds: each [14 x 14] pixels, and its kind. */
export interface Lesson {
  readonly pictures: readonly Float32Array[];
  readonly kinds: readonly number[];
  readonly count: number; // of kinds
}

/** What the fit says of itself. */
export interface Taught {
  readonly objective: number;
  readonly bound: number;
  readonly relativeGap: number;
  readonly claim: string;
  readonly status: string;
  readonly seconds: number; // of the fit in the worker
  readonly neurons: number;
  readonly features: number; // that the trunk makes of a picture
}

export class Teacher {
  private model: tf.Sequential | null = null;

  private constructor(
    private readonly worker: Worker,
    private readonly trunk: tf.Sequential,
  ) {}

  static async start(worker: Worker): Promise<Teacher> {
    await tf.setBackend("cpu"); // pictures of 14 x 14 are soon seen
    return new Teacher(worker, trunkOf());
  }

  /** Learns a head from nothing; what was learned before is forgotten. */
  async teach({ pictures, kinds, count }: Lesson): Promise<Taught> {
    const x = imagesOf(pictures);
    const y = tf.tidy(() => tf.oneHot(tf.tensor1d([...kinds], "int32"), count).toFloat());
    const model = this.withHead(count);
    try {
      const { certificate, status, seconds, neurons } = await new WorkerTrainer(this.worker, {
        tolerance: TOLERANCE,
        timeLimit: 5,
      }).fit(model, x, y);
      this.forget();
      this.model = model;
      const { network, dual, relativeGap, claim } = certificate;
      const features = this.trunk.outputs[0].shape[1] as number;
      return { objective: network, bound: dual, relativeGap, claim, status, seconds, neurons, features };
    } catch (error) {
      discard(model, this.trunk);
      throw error;
    } finally {
      tf.dispose([x, y]);
    }
  }

  /** The probability of each kind; null before it has learned any. */
  guess(picture: Float32Array): Float32Array | null {
    const { model } = this;
    if (model === null) return null;
    return tf.tidy(() => (model.predict(imagesOf([picture])) as tf.Tensor).dataSync().slice() as Float32Array);
  }

  forget(): void {
    if (this.model !== null) discard(this.model, this.trunk);
    this.model = null;
  }

  private withHead(count: number): tf.Sequential {
    const l2 = () => tf.regularizers.l2({ l2: BETA / 2 });
    const model = tf.sequential({
      layers: [
        this.trunk,
        gatedDense({ units: UNITS, seed: 7, kernelRegularizer: l2(), biasRegularizer: l2() }),
        tf.layers.dense({ units: count, activation: "softmax", kernelRegularizer: l2() }),
      ],
    });
    model.compile({ optimizer: tf.train.sgd(0.1), loss: "categoricalCrossentropy" });
    return model;
  }
}

/** The layers of examples/transfer with the weights that makeTrunk.ts has stored, frozen. */
export function trunkOf(): tf.Sequential {
  const filters = { kernelSize: 3, strides: 2, activation: "relu" } as const;
  const trunk = tf.sequential({
    layers: [
      tf.layers.conv2d({ filters: 8, ...filters, inputShape: [SIDE, SIDE, 1] }),
      tf.layers.conv2d({ filters: 16, ...filters, padding: "same" }),
      tf.layers.flatten(),
    ],
  });
  tf.tidy(() => {
    trunk.setWeights(stored.weights.map(({ shape, values }) => tf.tensor(floatsOf(values), shape)));
  });
  for (const layer of trunk.layers) layer.trainable = false;
  return trunk;
}

function floatsOf(base64: string): Float32Array {
  return new Float32Array(Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)).buffer);
}

function imagesOf(pictures: readonly Float32Array[]): tf.Tensor4D {
  const values = new Float32Array(pictures.length * SIDE * SIDE);
  pictures.forEach((picture, k) => {
    values.set(picture, k * SIDE * SIDE);
  });
  return tf.tensor4d(values, [pictures.length, SIDE, SIDE, 1]);
}

/** A model but for the trunk, which the next one is built on. */
function discard(model: tf.Sequential, trunk: tf.Sequential): void {
  for (const layer of model.layers) if (layer !== trunk) layer.dispose();
  model.optimizer.dispose();
}
