/** A recorded signal in a file. */

import { readFileSync } from "node:fs";

/** The first column of a comma separated file with a header line. */
export function signalFrom(path: string, length: number): Float64Array {
  const lines = readFileSync(path, "utf8")
    .trim()
    .split("\n")
    .slice(1, length + 1);
  return Float64Array.from(lines, (line) => Number(line.split(",")[0]));
}
