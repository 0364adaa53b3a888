/** The program of a worker: what `node` runs wherever a shard is. */

export { serveShard } from "./serveShard.js";
