/** A data set with what it is to be learnt: rows, targets, and the losses that fit. */

import type { GalleryLoss } from "./settings.js";

export interface Rows {
  readonly rows: number; // n
  readonly x: Float32Array; // [n x d]
  /** Class numbers, or the values of a regression. */
  readonly y: Float32Array; // [n]
}

export interface Task extends Rows {
  readonly name: string;
  readonly cols: number; // d
  /** Rows that are not trained on, where there are enough. */
  readonly held: Rows | null;
  /** Names of the classes; none for a regression. */
  readonly classes: readonly string[];
}

/** The losses that fit a task, the first being the default, with the words for them. */
export function lossesFor(task: Task): readonly (readonly [GalleryLoss, string])[] {
  const { length } = task.classes;
  if (length === 0)
    return [
      ["meanSquaredError", "squared error"],
      ["huberLoss", "Huber"],
    ];
  if (length > 2)
    return [
      ["categoricalCrossentropy", "cross entropy (softmax)"],
      ["meanSquaredError", "squared error of one-hot"],
    ];
  return [
    ["squaredHinge", "squared hinge"],
    ["hinge", "hinge"],
    ["binaryCrossentropy", "cross entropy (sigmoid)"],
    ["meanSquaredError", "squared error of -1, 1"],
  ];
}

/** Outputs C of a network for the task. */
export function outputsOf(task: Task): number {
  return task.classes.length > 2 ? task.classes.length : 1;
}

/** Targets [n x C] as the loss wants them. */
export function targetsOf(task: Task, loss: GalleryLoss): Float32Array {
  const { y, rows, classes } = task;
  if (classes.length === 0) return y;
  if (classes.length === 2) {
    const low = loss === "binaryCrossentropy" ? 0 : -1;
    return y.map((label) => (label === 1 ? 1 : low));
  }
  const oneHot = new Float32Array(rows * classes.length);
  y.forEach((label, k) => {
    oneHot[k * classes.length + label] = 1;
  });
  return oneHot;
}

/** The class that outputs Z [C] before the last activation stand for; null for a regression. */
export function classOf(task: Task, Z: ArrayLike<number>): number | null {
  if (task.classes.length === 0) return null;
  if (task.classes.length > 2) {
    let best = 0;
    for (let c = 1; c < Z.length; c++) if (Z[c] > Z[best]) best = c;
    return best;
  }
  return Number(Z[0] > 0);
}
