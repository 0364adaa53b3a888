/** What is said of a whole model after a round, by the names of model.fit. */

import * as tf from "@tensorflow/tfjs";
import { Clock } from "../../convex/solvers/clock.js";
import { compiledIn } from "../read/loss.js";
import { hostOutputs, recurrentLayersOf } from "../read/tape/index.js";
import { rowsTogether } from "../read/trunk.js";
import { type HeldRows, rowsOfEach, type Tensors } from "./rows.js";

/** Rows that model.evaluate takes at a time, at most; it means over batches as is done here. */
const BATCH = 512;

/** Rows as tensors of their own. */
interface Held {
  readonly x: tf.Tensor[];
  readonly y: tf.Tensor[];
}

/** Numbers of rows that are trained on, and rows that are held out. */
export interface JudgedRows {
  readonly train: { readonly rows: Float64Array };
  readonly validation: HeldRows | null;
}

/** The metrics of model.compile, and what model.evaluate says of rows held out. The caller disposes. */
export class WholeJudge {
  readonly names: readonly string[];
  private readonly train: Held | null;
  private readonly validation: Held | null;

  constructor(
    private readonly model: tf.LayersModel,
    x: Tensors,
    y: Tensors,
    { train, validation }: JudgedRows,
  ) {
    const metrics = model.metricsNames.slice(1);
    const held = (pair: { readonly x: Tensors; readonly y: Tensors }, chosen: Float64Array): Held => ({
      x: rowsOfEach(pair.x, chosen),
      y: rowsOfEach(pair.y, chosen),
    });
    this.train = metrics.length === 0 ? null : held({ x, y }, train.rows);
    this.validation = validation && held(validation, validation.rows);
    const names = validation === null ? [] : model.metricsNames.map((name) => `val_${name}`);
    this.names = ["loss", ...metrics, ...names, "relativeGap", "seconds"];
  }

  dispose(): void {
    for (const held of [this.train, this.validation]) if (held !== null) tf.dispose([...held.x, ...held.y]);
  }

  /** Whether predictions may be those of the host, as features of layers through times are. */
  private get byHost(): boolean {
    const { model } = this;
    return recurrentLayersOf(model).length > 0 && model.outputs.every(({ shape }) => !shape.slice(1).includes(null));
  }

  /** What model.evaluate makes of predictions of some rows, the outputs one behind the other. */
  private judged(predicted: Float32Array, targets: readonly tf.Tensor[]): tf.Tensor[] {
    const { outputs, lossFunctions, metricsTensors } = compiledIn(this.model);
    const rows = targets[0].shape[0];
    const all = tf.tensor2d(predicted, [rows, predicted.length / rows]);
    let from = 0;
    const pairs = outputs.map(({ shape }, k) => {
      const columns = shape.slice(1).reduce<number>((size, each) => size * (each ?? 1), 1);
      from += columns;
      const own = tf.reshape(tf.slice(all, [0, from - columns], [rows, columns]), [
        rows,
        ...(shape.slice(1) as number[]),
      ]);
      const target = targets[k].rank === 1 ? tf.expandDims(targets[k], 1) : targets[k];
      return [target, own] as const;
    });
    const losses = lossFunctions.map((loss, k) => tf.mean(loss(...pairs[k])));
    return [tf.addN(losses), ...metricsTensors.map(([metric, k]) => tf.mean(metric(...pairs[k])))];
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
    const host = this.byHost ? await hostOutputs(this.model, x) : null;
    const means = new Float64Array(names.length);
    const turns = new Clock(Number.POSITIVE_INFINITY, () => false);
    const rows = x[0].shape[0];
    const together = Math.min(BATCH, ...(host === null ? x.map((each) => rowsTogether(each, BATCH)) : [host.together]));
    for (let from = 0; from < rows; from += together) {
      const count = Math.min(together, rows - from);
      const predicted = host && Float32Array.from(await host.of(from, count));
      const found = tf.tidy(() => {
        const [inputs, targets] = [x, y].map((tensors) => tensors.map((tensor) => tf.slice(tensor, from, count)));
        if (predicted !== null) return this.judged(predicted, targets);
        const all = [this.model.evaluate(inputs, targets, { batchSize: count })].flat();
        // TensorFlow.js 4.22 says of k outputs the sum of the losses up to each, k numbers, before all that has a name.
        return all.slice(this.model.outputs.length - 1);
      });
      try {
        const values = await Promise.all(found.map(async (scalar) => (await scalar.data())[0]));
        values.forEach((value, k) => {
          means[k] += (value * count) / rows;
        });
      } finally {
        tf.dispose(found);
      }
      await turns.pause();
    }
    return Object.fromEntries(names.map((name, k) => [name, means[k]]));
  }
}
