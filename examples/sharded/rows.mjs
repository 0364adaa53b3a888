/** Rows of a CSV file whose last column is the target, for `fitSharded`: line j goes to shard j mod `shards`. */

import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";

export async function* rows({ shard, shards, args }) {
  const input = createReadStream(new URL(args.file, import.meta.url));
  let line = 0;
  for await (const text of createInterface({ input })) {
    if (line++ % shards !== shard) continue;
    const numbers = text.split(",").map(numberIn);
    yield { x: numbers.slice(0, -1), y: numbers.at(-1) };
  }
}

/** NaN, which is refused with its row, also where a cell is empty: Number("") is 0. */
const numberIn = (cell) => (cell.trim() === "" ? Number.NaN : Number(cell));
