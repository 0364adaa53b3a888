/** The last line of both scripts: what the trained model is worth, as one line of JSON. */

import * as tf from "@tensorflow/tfjs";

export interface Report {
  readonly method: string;
  readonly objective: number; // loss over all rows and regularizers
  readonly accuracy: number;
  readonly epochs: number;
  readonly seconds: number; // since the script began
  /** A lower bound of the objective, where the method has one. */
  readonly bound: number | null;
}

export async function report(
  method: string,
  model: tf.Sequential,
  x: tf.Tensor,
  y: tf.Tensor,
  history: tf.History & { readonly certificate?: { readonly dual: number } },
): Promise<void> {
  const [loss, accuracy, decay] = tf.tidy(() => {
    const values = model.evaluate(x, y, { batchSize: x.shape[0] }) as tf.Scalar[];
    const terms = model.calculateLosses().reduce((sum, term) => sum + term.dataSync()[0], 0);
    return [values[0].dataSync()[0], values[1].dataSync()[0], terms];
  });
  const result: Report = {
    ...{ method, objective: loss + decay, accuracy, epochs: history.epoch.length },
    seconds: performance.now() / 1000,
    bound: history.certificate?.dual ?? null,
  };
  console.log(JSON.stringify(result));
}
