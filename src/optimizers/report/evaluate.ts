/** Losses and metrics of a network, named and defined as model.fit reports them. */

import * as tf from "@tensorflow/tfjs";
import { bindLoss } from "../../convex/losses/index.js";
import { forward, type NetworkWeights } from "../../convex/network.js";
import type { Loss, LossName, Matrix } from "../../convex/types.js";
import type { Dataset } from "../read/data.js";
import { inputRows } from "../read/inputRows.js";
import { compiledIn } from "../read/loss.js";
import type { NetworkSpec } from "../read/model.js";

/** A loss or metric of tfjs. */
type Judge = (target: tf.Tensor, prediction: tf.Tensor) => tf.Tensor;

/** The losses for which tfjs clips probabilities at 1e-7: on data that were not trained on, that shows. */
const CLIPPED: readonly LossName[] = ["binaryCrossentropy", "categoricalCrossentropy", "kullbackLeiblerDivergence"];

/** A data set that is ready to be judged again and again. */
export class Evaluator {
  private readonly loss: Loss; // without sample weights, as model.evaluate

  constructor(
    private readonly model: tf.LayersModel,
    private readonly spec: NetworkSpec,
    private readonly X: Matrix, // with the bias column
    private readonly data: Dataset,
  ) {
    this.loss = bindLoss(spec.loss, data.y, null);
  }

  /** The loss and the metrics of model.compile, as model.evaluate would say of these weights, by its metricsNames. */
  async judge(weights: NetworkWeights, Z = forward(weights, this.X)): Promise<Record<string, number>> {
    const clips = this.spec.activation !== "linear" && CLIPPED.includes(this.spec.loss);
    const clipped = clips ? compiledIn(this.model).lossFunctions[0] : undefined;
    const judges: Judge[] = this.model.metricsTensors.map(([metric]) => metric);
    if (clipped !== undefined) judges.unshift(clipped);
    const values = judges.length === 0 ? [] : await this.means(judges, Z);
    if (clipped === undefined) values.unshift(this.loss.value(Z));
    return Object.fromEntries(this.model.metricsNames.map((name, k) => [name, values[k]]));
  }

  /** The mean over the rows of what each judge says of the predictions; awaited, since some backends can't read at once. */
  private async means(judges: readonly Judge[], Z: Float64Array): Promise<number[]> {
    const { rows, cols, data } = this.data.y;
    const means = tf.tidy(() => {
      const prediction = this.activate(tf.tensor2d(Float32Array.from(Z), [rows, cols]));
      const target = this.given(rows, cols, data);
      return tf.stack(judges.map((judge) => tf.mean(judge(target, prediction))));
    });
    try {
      return Array.from(await means.data());
    } finally {
      means.dispose();
    }
  }

  /** The targets as model.evaluate gets them. */
  private given(rows: number, cols: number, data: Float64Array): tf.Tensor2D {
    const one = tf.tensor2d(Float32Array.from(data), [rows, cols]);
    switch (this.spec.labels) {
      case "as the loss has them":
        return one;
      case "classes":
        return tf.reshape(tf.cast(tf.argMax(one, 1), "float32"), [rows, 1]);
      case "zero or one":
        return tf.div(tf.add(one, 1), 2);
    }
  }

  private activate(Z: tf.Tensor2D): tf.Tensor2D {
    switch (this.spec.activation) {
      case "linear":
        return Z;
      case "sigmoid":
        return tf.sigmoid(Z);
      case "softmax":
        return tf.softmax(Z);
    }
  }
}

/** The rows of training and those held out, judged together: what is said of the latter stands after "val_". */
export class SplitEvaluator {
  private readonly train: Evaluator;
  private readonly validation: Evaluator | null;

  constructor(
    model: tf.LayersModel,
    spec: NetworkSpec,
    X: Matrix, // of training, with the bias column
    biasColumn: number,
    { train, validation }: { readonly train: Dataset; readonly validation: Dataset | null },
  ) {
    this.train = new Evaluator(model, spec, X, train);
    const held = (data: Dataset) => new Evaluator(model, spec, inputRows(spec, data.x, biasColumn), data);
    this.validation = validation === null ? null : held(validation);
  }

  /** `Z` [n x C] is what the weights predict for the rows of training, where that is known. */
  async judge(weights: NetworkWeights, Z?: Float64Array): Promise<Record<string, number>> {
    const values = await this.train.judge(weights, Z);
    if (this.validation === null) return values;
    for (const [name, value] of Object.entries(await this.validation.judge(weights))) values[`val_${name}`] = value;
    return values;
  }
}
