/** Rows in two files, x in float32 and y in float64, and how a shard reads its part of them. */

import { type FileHandle, open } from "node:fs/promises";
import { basename, join } from "node:path";
import { counted } from "../arguments.js";
import { RowRefusal } from "../convex/sharded/index.js";

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
  const start = Math.floor((shard * n) / shards);
  const end = Math.floor(((shard + 1) * n) / shards);
  const files = filesIn(folder);
  const [x, y] = [await open(files.x), await open(files.y)];
  try {
    for (let from = start; from < end; from += BLOCK) {
      const count = Math.min(BLOCK, end - from);
      const wide = new Float32Array(count * inputs);
      const told = new Float64Array(count * targets);
      const halves = [
        { file: x, path: files.x, into: new Uint8Array(wide.buffer), rowBytes: 4 * inputs },
        { file: y, path: files.y, into: new Uint8Array(told.buffer), rowBytes: 8 * targets },
      ];
      for (const { file, path, into, rowBytes } of halves) {
        const whole = Math.floor((await filled(file, into, from * rowBytes)) / rowBytes);
        if (whole < count)
          throw endsEarly(path, n, Math.floor((await file.stat()).size / rowBytes), from + whole - start);
      }
      yield { x: wide, y: told };
    }
  } finally {
    await Promise.all([x.close(), y.close()]);
  }
}

/** Reads from a place until `into` is full or the file ends; answers with the bytes that there were. */
async function filled(file: FileHandle, into: Uint8Array, at: number): Promise<number> {
  let have = 0;
  while (have < into.length) {
    const { bytesRead } = await file.read(into, have, into.length - have, at + have);
    if (bytesRead === 0) break;
    have += bytesRead;
  }
  return have;
}

function endsEarly(path: string, expected: number, there: number, row: number): RowRefusal {
  return new RowRefusal(
    "data/shape",
    row,
    `expected ${counted(expected, "row")} in the file ${basename(path)}, got ${counted(there, "whole one")}: it was cut short. Write the files again by fileRows.`,
  );
}
