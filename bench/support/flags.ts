/** The command line of a bench: `--name value`, and `--json`, `--dry` and `--help` for all of them. */

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual, type ParseArgsConfig, parseArgs } from "node:util";

/** A flag with its default and what it means. */
export interface Flag {
  readonly default: string | number | boolean;
  readonly help: string;
}

const COMMON = {
  json: { default: false, help: "print JSON" },
  dry: { default: false, help: "leave bench/results as it is" },
} as const satisfies Record<string, Flag>;

type Values<F extends Record<string, Flag>> = {
  readonly [K in keyof F]: F[K]["default"] extends boolean ? boolean : F[K]["default"] extends number ? number : string;
};

/** Reads the flags; with `--help` prints them and ends. */
export function readFlags<const F extends Record<string, Flag>>(
  script: string,
  flags: F,
  args = process.argv.slice(2),
): Values<F & typeof COMMON> {
  const all: Record<string, Flag> = { ...flags, ...COMMON };
  const options: ParseArgsConfig["options"] = { help: { type: "boolean" } };
  for (const [name, flag] of Object.entries(all)) {
    options[name] = { type: typeof flag.default === "boolean" ? "boolean" : "string" };
  }
  const { values } = parseArgs({ args, options });
  if (values.help === true) {
    const lines = Object.entries(all).map(([name, flag]) => `  --${name} (${flag.default})  ${flag.help}`);
    console.log(`npx tsx bench/${script}.ts\n${lines.join("\n")}`);
    process.exit(0);
  }
  const read = Object.entries(all).map(([name, flag]) => [name, readValue(name, flag, values[name])]);
  return Object.fromEntries(read);
}

function readValue(name: string, flag: Flag, given: unknown): unknown {
  if (given === undefined) return flag.default;
  if (typeof flag.default !== "number") return given;
  const value = Number(given);
  if (!Number.isFinite(value)) throw new Error(`--${name}: expected a number, got ${JSON.stringify(given)}.`);
  return value;
}

/** "250,1000" as numbers. */
export function numbers(list: string): number[] {
  return list
    .split(",")
    .filter((part) => part !== "")
    .map((part) => {
      const value = Number(part);
      if (!Number.isFinite(value)) throw new Error(`Expected numbers with commas between them, got ${list}.`);
      return value;
    });
}

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
