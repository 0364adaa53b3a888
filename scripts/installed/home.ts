/** A folder in which the packed package is installed, away from this repository, and nothing else but what it depends on. */

import { execFileSync } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { pack } from "../pack.mjs";

export const MODULES = fileURLToPath(new URL("../../node_modules/", import.meta.url));

export interface Home {
  readonly folder: string;
  /** Makes a project of these files, by their paths; gives its folder. */
  project(name: string, files: Readonly<Record<string, string>>): string;
  remove(): void;
}

/**
 * Unpacks the tarball as npm does. What it needs is linked from our own node_modules, so that nothing is downloaded; optional
 * peers are left out, as most users have none of them.
 */
export function makeHome(): Home {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "tfjs-convex-installed-")));
  const modules = join(folder, "node_modules");
  mkdirSync(modules);
  execFileSync("tar", ["-xzf", pack(folder), "-C", modules]); // a folder "package"
  const installed = join(modules, "tfjs-convex");
  renameSync(join(modules, "package"), installed);
  const { dependencies } = JSON.parse(readFileSync(join(installed, "package.json"), "utf8"));
  for (const name of ["@tensorflow/tfjs", ...Object.keys(dependencies)]) {
    mkdirSync(dirname(join(modules, name)), { recursive: true });
    symlinkSync(realpathSync(join(MODULES, name)), join(modules, name), "junction");
  }
  return {
    folder,
    project(name, files) {
      for (const [path, text] of Object.entries(files)) {
        const file = join(folder, name, path);
        mkdirSync(dirname(file), { recursive: true });
        writeFileSync(file, text);
      }
      return join(folder, name);
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
