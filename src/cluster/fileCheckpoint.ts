/** A checkpoint in a file. */

import { readFile, rename, writeFile } from "node:fs/promises";
import type { Checkpoint } from "../convex/sharded/index.js";

/**
 * Keeps the state of `fitSharded` in a file, which is replaced as a whole: a driver that is killed while it writes leaves the one before.
 *
 * @example
 * ```js
 * import { fileCheckpoint, local } from "tfjs-convex/sharded";
 * await trainer.fitSharded(model, { cluster: local(), shards: 4, load, checkpoint: fileCheckpoint("./fit.state") });
 * ```
 */
export function fileCheckpoint(path: string): Checkpoint {
  return {
    async read() {
      try {
        return await readFile(path);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
        throw error;
      }
    },
    async write(bytes) {
      const fresh = `${path}.${process.pid}`;
      await writeFile(fresh, bytes);
      await rename(fresh, path);
    },
  };
}
