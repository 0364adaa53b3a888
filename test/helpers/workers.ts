/** Workers that serve the trainer, in Node and in the browser. */

import type { WorkerPort } from "../../src/index.js";

export interface TestWorker extends WorkerPort {
  terminate(): unknown;
}

const inNode = typeof process !== "undefined" && process.versions?.node !== undefined;

export async function startWorker(): Promise<TestWorker> {
  if (!inNode) return new Worker(new URL("./trainer.worker.ts", import.meta.url), { type: "module" });
  return startThread("./trainer.thread.ts");
}

/** A worker whose script fails. */
export function startBrokenWorker(): Promise<TestWorker> {
  return startScript('throw new Error("this script is broken")');
}

/** A worker whose script does nothing, for ever. */
export function startIdleWorker(): Promise<TestWorker> {
  return startScript("setInterval(() => {}, 1000)");
}

async function startScript(script: string): Promise<TestWorker> {
  if (!inNode) return new Worker(URL.createObjectURL(new Blob([script])));
  const { Worker: Thread } = await import(/* @vite-ignore */ threads);
  return new Thread(script, { eval: true });
}

const threads = "node:worker_threads";

/** A thread knows no TypeScript until tsx is registered in it. */
const LOADER = `
import("tsx/esm/api").then(({ register }) => {
  register();
  return import(require("node:worker_threads").workerData);
});
`;

async function startThread(file: string): Promise<TestWorker> {
  const { Worker: Thread } = await import(/* @vite-ignore */ threads);
  return new Thread(LOADER, { eval: true, workerData: new URL(file, import.meta.url).href });
}
