/** The model that this browser keeps: saved to IndexedDB, found again after a reload, and used to predict. */

import type * as tf from "@tensorflow/tfjs";
import type { Task } from "./task.js";
import { byId, percent } from "./view.js";
import { loadConvex } from "./workers.js";

/** tfjs keeps the names of its models here; asking needs no TensorFlow.js, so that the page can open without it. */
const DATABASE = "tensorflowjs";

export class Saved {
  private model: tf.Sequential | null = null;
  private readonly text = byId("saved");
  private readonly save = byId<HTMLButtonElement>("save");
  private readonly predict = byId<HTMLButtonElement>("predict");
  private readonly forget = byId<HTMLButtonElement>("forget");

  constructor(
    private readonly task: () => Task | null,
    complain: (error: unknown) => void,
  ) {
    this.save.addEventListener("click", () => this.keep().catch(complain));
    this.predict.addEventListener("click", () => this.use().catch(complain));
    this.forget.addEventListener("click", () => this.drop().catch(complain));
  }

  /** The model of the last training, or null. */
  offer(model: tf.Sequential | null): void {
    this.model = model;
    this.save.disabled = model === null;
  }

  /** Looks for a saved model. */
  async refresh(): Promise<void> {
    const known = await indexedDB.databases();
    const found = known.some(({ name }) => name === DATABASE) ? await (await loadConvex()).savedModel() : null;
    this.predict.disabled = found === null;
    this.forget.disabled = found === null;
    this.text.textContent =
      found === null
        ? "Nothing saved yet."
        : `A model of ${Math.ceil(found.bytes / 1024)} kB was saved at ${found.date.toLocaleTimeString()}.`;
  }

  private async keep(): Promise<void> {
    if (this.model === null) return;
    await (await loadConvex()).save(this.model);
    await this.refresh();
  }

  private async use(): Promise<void> {
    const task = this.task();
    if (task === null) return;
    const { values, outputs } = await (await loadConvex()).predictSaved(task);
    const first = Array.from(values.subarray(0, outputs), (value) => value.toFixed(4)).join(", ");
    const judged =
      task.classes.length === 0 ? "" : ` ${percent(rightShare(task, values, outputs))} of the rows are right.`;
    this.text.textContent = `Predicted ${task.rows} rows with the saved model; the first is ${first}.${judged}`;
  }

  private async drop(): Promise<void> {
    await (await loadConvex()).forget();
    await this.refresh();
  }
}

/** Predictions are what model.predict gives: a probability is cut at 1/2, any other single output at 0. */
function rightShare(task: Task, values: Float32Array, outputs: number): number {
  const isProbability = values.every((value) => value >= 0 && value <= 1);
  let right = 0;
  for (let k = 0; k < task.rows; k++) {
    const row = values.subarray(k * outputs, (k + 1) * outputs);
    const seen = outputs > 1 ? row.indexOf(Math.max(...row)) : Number(row[0] > (isProbability ? 0.5 : 0));
    right += Number(seen === task.y[k]);
  }
  return right / task.rows;
}
