/** model.fit from several starts, its objective judged after every epoch. */

import * as tf from "@tensorflow/tfjs";
import type { DescentEpoch, DescentOrder } from "./descent.js";
import { buildModel, disposeModel } from "./model.js";
import type { Weight } from "./network.js";
import { targetsOf } from "./task.js";

/** Weights are sent at most this often. */
const SHOW_SECONDS = 0.15;

/** One start after another; the clock stands still while the objective is evaluated. */
export async function runStarts(
  { task, settings }: Pick<DescentOrder, "task" | "settings">,
  say: (epoch: DescentEpoch) => void,
  isStopped: () => boolean,
): Promise<void> {
  await tf.setBackend("cpu");
  const y = targetsOf(task, settings.loss);
  const tensors = [tf.tensor2d(task.x, [task.rows, task.cols]), tf.tensor2d(y, [task.rows, y.length / task.rows])];
  try {
    for (let start = 0; start < settings.starts && !isStopped(); start++) await run(start);
  } finally {
    tf.dispose(tensors);
  }

  async function run(start: number): Promise<void> {
    const [x, targets] = tensors;
    const model = buildModel(task, settings, 1 + 2 * start);
    let spent = 0;
    let since = performance.now();
    let shown = Number.NEGATIVE_INFINITY;
    const report = (epoch: number) => {
      const late = performance.now() - shown > 1000 * SHOW_SECONDS;
      const last = epoch === settings.epochs || isStopped();
      const message: DescentEpoch = {
        kind: "descent",
        start,
        epoch,
        seconds: spent,
        objective: objectiveOf(model, x, targets),
      };
      say(late || last ? { ...message, weights: weightsOf(model) } : message);
      if (late) shown = performance.now();
    };
    try {
      report(0);
      since = performance.now();
      await model.fit(x, targets, {
        ...{ epochs: settings.epochs, batchSize: 32, verbose: 0, yieldEvery: "never" },
        callbacks: {
          onEpochEnd: async (epoch) => {
            spent += (performance.now() - since) / 1000;
            report(epoch + 1);
            await new Promise((resolve) => setTimeout(resolve, 0)); // so that a wish to stop is heard
            if (isStopped()) model.stopTraining = true;
            since = performance.now();
          },
        },
      });
    } finally {
      disposeModel(model);
    }
  }
}

/** The loss over all data and the regularizers, as model.fit would minimise. */
function objectiveOf(model: tf.Sequential, x: tf.Tensor, y: tf.Tensor): number {
  return tf.tidy(() => {
    const loss = (model.evaluate(x, y, { batchSize: x.shape[0] }) as tf.Scalar).dataSync()[0];
    return model.calculateLosses().reduce((sum, term) => sum + term.dataSync()[0], loss);
  });
}

function weightsOf(model: tf.Sequential): Weight[] {
  return model
    .getWeights()
    .map((weight) => ({ shape: weight.shape, values: weight.dataSync().slice() as Float32Array }));
}
