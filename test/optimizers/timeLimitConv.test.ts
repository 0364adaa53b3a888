/** Filters and several outputs where time is short: the limit is kept, the network is no bad start, and what is said of it is true. */

import * as tf from "@tensorflow/tfjs";
import { beforeAll, expect, test } from "vitest";
import { bindLoss } from "../../src/convex/losses/index.js";
import { biasAlone } from "../../src/convex/operators/dualPoint.js";
import type { LossName } from "../../src/convex/types.js";
import { ConvexReLUTrainer } from "../../src/index.js";
import { onCountingClock } from "../helpers/clock.js";
import { type ConvModelOptions, makeConvModel, makeImages } from "../helpers/convModels.js";

beforeAll(() => tf.setBackend("cpu"));

const kinds: readonly (ConvModelOptions & { readonly outputs: number; readonly loss: LossName })[] = [
  { outputs: 2, loss: "meanSquaredError", kernelSize: 3 },
  { outputs: 10, loss: "categoricalCrossentropy", kernelSize: 3 },
  { outputs: 3, loss: "categoricalCrossentropy", kernelSize: 2, strides: 2 },
  { outputs: 5, loss: "meanSquaredError", kernelSize: [3, 2], padding: "same", strides: 2 },
  { outputs: 4, loss: "binaryCrossentropy", kernelSize: 2, dilationRate: 2 },
  { outputs: 7, loss: "categoricalCrossentropy", kind: "conv1d", kernelSize: 3, inputShape: [12, 2] },
];

test.each(kinds)(
  "$outputs outputs, $loss, filters of $kernelSize: a limit is kept, and the network below none",
  async (kind) => {
    const options = {
      inputShape: [6, 6, 1],
      filters: 20,
      l2: 1e-3,
      hiddenBias: false,
      readOut: "average",
      ...kind,
    } as const;
    let before = Number.POSITIVE_INFINITY; // more time is never worse, and a moment better than none
    for (const timeLimit of [0.02, 0.4]) {
      const model = makeConvModel(options);
      const { x, y } = makeImages(model, kind.loss, 40);
      const { made, time } = await onCountingClock(() => new ConvexReLUTrainer({ timeLimit }).fit(model, x, y));
      const { network, primal, dual, perOutput } = made.certificate;
      expect(time).toBeLessThan(1100 * timeLimit + 300);
      const said = tf.tidy(() => (model.evaluate(x, y, { batchSize: 40 }) as tf.Scalar).dataSync()[0]);
      expect(said).toBeCloseTo(made.objective.loss, 5);
      expect(network).toBeLessThanOrEqual(primal * (1 + 1e-5));
      expect(primal).toBeLessThanOrEqual(1.001 * network);
      expect(dual).toBeLessThanOrEqual(network * (1 + 1e-6));
      expect(perOutput?.dual).toBeLessThanOrEqual(perOutput?.primal ?? 0);
      expect(perOutput?.primal).toBeGreaterThanOrEqual(primal);
      expect(network).toBeLessThan(before);
      before = network;
      const loss = bindLoss(kind.loss, { rows: 40, cols: kind.outputs, data: Float64Array.from(y.dataSync()) });
      const bias = biasAlone({ loss, outputBias: { ridge: 0 } });
      const none = loss.value(Float64Array.from({ length: 40 * kind.outputs }, (_, k) => bias[k % kind.outputs]));
      expect(network).toBeLessThan((timeLimit < 0.1 ? 0.99 : 0.95) * none);
      tf.dispose([x, y]);
      model.dispose();
    }
  },
);
