/** What is said of a whole model after a round, by the names of model.fit. */

import * as tf from "@tensorflow/tfjs";
import { Clock } from "../../convex/solvers/clock.js";
import { rowsTogether } from "../read/trunk.js";
import { rowsOf, type WholeRows } from "./rows.js";

/** Rows that model.evaluate takes at a time, at most; it means over batches as is done here. */
const BATCH = 512;

/** Rows as tensors of their own. */
interface Held {
  readonly x: tf.Tensor;
  readonly y: tf.Tensor;
}

/** The metrics of model.compile, and what model.evaluate says of rows held out. The caller disposes. */
export class WholeJudge {
  readonly names: readonly string[];
  private readonly train: Held | null;
  private readonly validation: Held | null;

  constructor(
    private readonly model: tf.LayersModel,
    x: tf.Tensor,
    y: tf.Tensor,
    rows: WholeRows,
  ) {
    const metrics = model.metricsNames.slice(1);
    const { train, validation } = rows;
    this.train = metrics.length === 0 ? null : { x: rowsOf(x, train.rows), y: rowsOf(y, train.rows) };
    this.validation = validation && {
      x: rowsOf(validation.x, validation.rows),
      y: rowsOf(validation.y, validation.rows),
    };
    const held = validation === null ? [] : model.metricsNames.map((name) => `val_${name}`);
    this.names = ["loss", ...metrics, ...held, "relativeGap", "seconds"];
  }

  dispose(): void {
    for (const held of [this.train, this.validation]) if (held !== null) tf.dispose([held.x, held.y]);
  }

  /** Everything but the loss of training, which is the objective. */
  async judge(): Promise<Record<string, number>> {
    const logs: Record<string, number> = {};
    if (this.train !== null) {
      const { loss: _loss, ...metrics } = await this.evaluated(this.train);
      Object.assign(logs, metrics);
    }
    if (this.validation === null) return logs;
    for (const [name, value] of Object.entries(await this.evaluated(this.validation))) logs[`val_${name}`] = value;
    return logs;
  }

  private async evaluated({ x, y }: Held): Promise<Record<string, number>> {
    const { metricsNames: names } = this.model;
    const means = new Float64Array(names.length);
    const turns = new Clock(Number.POSITIVE_INFINITY, () => false);
    const together = rowsTogether(x, BATCH);
    for (let from = 0; from < x.shape[0]; from += together) {
      const count = Math.min(together, x.shape[0] - from);
      const found = tf.tidy(() => {
        const [inputs, targets] = [tf.slice(x, from, count), tf.slice(y, from, count)];
        return [this.model.evaluate(inputs, targets, { batchSize: count })].flat();
      });
      try {
        const values = await Promise.all(found.map(async (scalar) => (await scalar.data())[0]));
        values.forEach((value, k) => {
          means[k] += (value * count) / x.shape[0];
        });
      } finally {
        tf.dispose(found);
      }
      await turns.pause();
    }
    return Object.fromEntries(names.map((name, k) => [name, means[k]]));
  }
}
