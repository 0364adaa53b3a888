/** The program of a worker: what `node` runs wherever a shard is, and the rows of `fileRows` for it. */

export { rows } from "./rowFile.js";
export { serveShard } from "./serve/index.js";
