/** What runs where a shard is, or a fit of a sweep: a process that answers on stdin and stdout. */

export { serveShard } from "./serveShard.js";
