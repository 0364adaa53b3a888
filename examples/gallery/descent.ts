/** Runs of model.fit in a worker, and what is said to it. */

import type { Weight } from "./network.js";
import type { Settings } from "./settings.js";
import type { Task } from "./task.js";

export interface DescentOrder {
  readonly kind: "descend";
  readonly task: Task;
  readonly settings: Settings;
}

export interface DescentEpoch {
  readonly kind: "descent";
  readonly start: number;
  readonly epoch: number;
  readonly seconds: number; // of training alone
  readonly objective: number;
  readonly weights?: readonly Weight[];
}

export interface DescentDone {
  readonly kind: "descentDone";
  readonly backend: string;
  readonly tensors: number; // that the worker still holds
}

export type ToGallery = DescentOrder | { readonly kind: "stopDescent" } | { readonly kind: "memory" };
export type FromGallery =
  | DescentEpoch
  | DescentDone
  | { readonly kind: "descentFailed"; readonly message: string }
  | { readonly kind: "memory"; readonly tensors: number };

/** Runs all starts, one after another; resolves when they are done or stopped. */
export function descend(
  worker: Worker,
  task: Task,
  settings: Settings,
  signal: AbortSignal,
  killed: Promise<never>,
  onEpoch: (epoch: DescentEpoch) => void,
): Promise<DescentDone> {
  const stop = () => worker.postMessage({ kind: "stopDescent" } satisfies ToGallery);
  const done = new Promise<DescentDone>((resolve, reject) => {
    const hear = ({ data }: MessageEvent<FromGallery>) => {
      if (data.kind === "descent") onEpoch(data);
      if (data.kind !== "descentDone" && data.kind !== "descentFailed") return;
      worker.removeEventListener("message", hear);
      if (data.kind === "descentDone") resolve(data);
      else reject(new Error(data.message));
    };
    worker.addEventListener("message", hear);
    signal.addEventListener("abort", stop);
    worker.postMessage({ kind: "descend", task, settings } satisfies ToGallery);
  });
  return Promise.race([done, killed]).finally(() => signal.removeEventListener("abort", stop));
}

/** Tensors that a worker holds. */
export function tensorsIn(worker: Worker): Promise<number> {
  return new Promise((resolve) => {
    const hear = ({ data }: MessageEvent<FromGallery>) => {
      if (data?.kind !== "memory") return;
      worker.removeEventListener("message", hear);
      resolve(data.tensors);
    };
    worker.addEventListener("message", hear);
    worker.postMessage({ kind: "memory" } satisfies ToGallery);
  });
}
