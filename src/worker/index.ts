/** Training in a worker: the page's side, the worker's side, and the messages between them. */

export type { WorkerPort } from "./port.js";
export { serveTrainer } from "./serveTrainer.js";
export { WorkerTrainer } from "./workerTrainer.js";
