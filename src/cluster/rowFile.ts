/** Rows in two files, x in float32 and y in float64, and how a shard reads its part of them. */

import { open } from "node:fs/promises";
import { join } from "node:path";

/** Where the rows are, and how many numbers each has; sent to workers as JSON. */
export interface RowFile {
  readonly folder: string;
  readonly rows: number;
  readonly inputs: number;
  readonly targets: number;
}

/** Rows that are read at a time. */
const BLOCK = 4096;

export function filesIn(folder: string): { readonly x: string; readonly y: string } {
  return { x: join(folder, "x.f32"), y: join(folder, "y.f64") };
}

/** Row [n s / S, n (s + 1) / S) of shard s of S, in blocks. */
export async function* rows({
  shard,
  shards,
  args: { folder, rows: n, inputs, targets },
}: {
  readonly shard: number;
  readonly shards: number;
  readonly args: RowFile;
}): AsyncGenerator<{ x: Float32Array; y: Float64Array }> {
  const end = Math.floor(((shard + 1) * n) / shards);
  const files = filesIn(folder);
  const [x, y] = [await open(files.x), await open(files.y)];
  try {
    for (let from = Math.floor((shard * n) / shards); from < end; from += BLOCK) {
      const count = Math.min(BLOCK, end - from);
      const wide = new Float32Array(count * inputs);
      const told = new Float64Array(count * targets);
      await x.read(new Uint8Array(wide.buffer), 0, wide.byteLength, 4 * from * inputs);
      await y.read(new Uint8Array(told.buffer), 0, told.byteLength, 8 * from * targets);
      yield { x: wide, y: told };
    }
  } finally {
    await Promise.all([x.close(), y.close()]);
  }
}
