/** The data set of the moment: toys, digits, clicks or a file. */

import { parseCsv, type Table } from "./csv.js";
import { loadDigits } from "./digits.js";
import type { Settings } from "./settings.js";
import { taskOf } from "./table.js";
import type { Task } from "./task.js";
import { cut, makeToy } from "./toys.js";

/** The plane in which one clicks goes from -1 to 1. */
export const CLICK_REACH = 1.12;

/** Keeps what toys can be drawn anew from, and what the user gave. */
export class Source {
  table: Table | null = null;
  private readonly clicks: [number, number, number][] = [
    [-0.6, 0.4, 0],
    [0.5, 0.5, 1],
    [0.1, -0.6, 0],
  ];

  /** The task and sentences on it. Throws an Error with a sentence for the user. */
  async task(settings: Settings, target: string): Promise<{ task: Task; notes: readonly string[] }> {
    const { data, points, noise } = settings;
    switch (data) {
      case "digits35":
        return noted(await loadDigits([3, 5]));
      case "digits":
        return noted(await loadDigits([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]));
      case "clicks":
        return { task: this.clicked(), notes: [] };
      case "csv":
        if (this.table === null) throw new Error("Choose a CSV file, or drop one on the page.");
        return withSize(taskOf(this.table, target));
      default:
        return { task: makeToy(data, points, noise), notes: [] };
    }
  }

  addClick(u: number, v: number, label: number): void {
    this.clicks.push([cut(u), cut(v), label]);
  }

  undoClick(): void {
    if (this.clicks.length > 2) this.clicks.pop();
  }

  /** Reads a file in the place of the one before, which is gone also where this one is none. */
  async read(file: File): Promise<Table> {
    this.table = null;
    this.table = parseCsv(file.name, await file.text());
    return this.table;
  }

  private clicked(): Task {
    const { clicks } = this;
    return {
      ...{ name: "clicks", rows: clicks.length, cols: 2, classes: ["circle", "diamond"], held: null },
      x: Float32Array.from(clicks.flatMap((click) => click.slice(0, 2))),
      y: Float32Array.from(clicks, ([, , label]) => label),
    };
  }
}

function noted(task: Task) {
  const held = task.held === null ? "" : ` and ${task.held.rows} held out`;
  return { task, notes: [`${task.rows} images of 14 x 14 pixels${held}; the plot shows their two main components.`] };
}

function withSize({ task, notes }: { task: Task; notes: string[] }) {
  const goal = task.classes.length === 0 ? "a number" : `${task.classes.length} classes`;
  const shown = task.cols > 2 ? " The plot shows the two main components." : "";
  const all = task.rows + (task.held?.rows ?? 0);
  const held =
    task.held === null ? "" : ` ${task.held.rows} rows are held out, to see how well the rest predicts them.`;
  return { task, notes: [`${all} rows, ${task.cols} features, ${goal}.${held}${shown}`, ...notes] };
}
