/** Where a bench ran: the facts without which its numbers mean nothing. */

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { cpus, loadavg, totalmem } from "node:os";

const require = createRequire(import.meta.url);

/** Work that waited when the bench began: above the bench's own it means that the machine was not quiet. */
const loadAtStart = Number(loadavg()[0].toFixed(1));

export interface Machine {
  readonly cores: number;
  readonly processor: string;
  readonly memory: string; // of the machine, GiB
  readonly platform: string;
  readonly loadAtStart: number; // over one minute; below 1 on a quiet machine
  readonly versions: Readonly<Record<string, string>>;
}

/** The machine and the versions of what ran; further packages by name. */
export function describeMachine(packages: readonly string[] = []): Machine {
  const versions: Record<string, string> = { node: process.version, "tfjs-convex": versionAt("../../package.json") };
  for (const name of packages) versions[name] = versionAt(`${name}/package.json`);
  return {
    cores: cpus().length,
    processor: cpus()[0].model,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    platform: `${process.platform} ${process.arch}`,
    loadAtStart,
    versions,
  };
}

/** One line of it. */
export function machineLine({ cores, processor, memory, platform, loadAtStart: load, versions }: Machine): string {
  const named = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  const quiet = load > 1 ? ` (not quiet: load ${load} at the start)` : "";
  return `${cores} cores, ${processor}, ${memory}, ${platform}${quiet}; ${named.join(", ")}`;
}

function versionAt(path: string): string {
  const file = path.startsWith(".") ? new URL(path, import.meta.url) : require.resolve(path);
  return JSON.parse(readFileSync(file, "utf8")).version;
}
