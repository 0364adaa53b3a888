/** What a bench found stays in a folder, so that a run goes on where another ended. */

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";

/** What a run before found with the same settings, or what is found now; nothing is kept without a folder. */
export async function keeping<T>(
  folder: string,
  name: string,
  settings: unknown,
  find: () => T | Promise<T>,
): Promise<T> {
  if (folder === "") return find();
  const file = join(folder, `${name}.json`);
  const plain = JSON.parse(JSON.stringify(settings));
  if (existsSync(file)) {
    const before = JSON.parse(readFileSync(file, "utf8"));
    if (isDeepStrictEqual(before.settings, plain)) return before.found;
  }
  const found = await find();
  mkdirSync(folder, { recursive: true });
  writeFileSync(file, JSON.stringify({ settings: plain, found }));
  return found;
}
