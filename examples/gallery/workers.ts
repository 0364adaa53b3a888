/** The two workers of the page, which a stop may end, and TensorFlow.js, which comes with the first training. */

import { tensorsIn } from "./descent.js";

export type Convex = typeof import("./convex.js");

export interface Workers {
  readonly convex: Worker;
  readonly gradient: Worker;
}

let workers: Workers | null = null;

/** TensorFlow.js, and the code that needs it, comes with the first training. */
export function loadConvex(): Promise<Convex> {
  return import("./convex.js");
}

/** A worker with the trainer in it. */
export function makeWorker(): Worker {
  return new Worker(new URL("./gallery.worker.ts", import.meta.url), { type: "module" });
}

export function startWorkers(): Workers {
  workers ??= { convex: makeWorker(), gradient: makeWorker() };
  return workers;
}

/** Ends them in the middle of whatever they do; the next training starts others. */
export function endWorkers(): void {
  workers?.convex.terminate();
  workers?.gradient.terminate();
  workers = null;
}

/** Tensors that the page and its workers hold. */
export async function countTensors(): Promise<number> {
  const library = await loadConvex();
  const theirs = workers === null ? [] : await Promise.all([workers.convex, workers.gradient].map(tensorsIn));
  return theirs.reduce((sum, count) => sum + count, library.tensors());
}
