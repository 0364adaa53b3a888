/** Packs what `npm publish` would, from dist/ as it is, and lets publint and "are the types wrong?" judge the file. */

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pack } from "./pack.mjs";

const folder = mkdtempSync(join(tmpdir(), "tfjs-convex-"));
try {
  const file = pack(folder);
  const judges = [
    ["publint", file, "--strict"],
    ["attw", file],
  ];
  for (const [judge, ...words] of judges) {
    const { status } = spawnSync("npx", ["--no-install", judge, ...words], { stdio: "inherit" });
    if (status !== 0) process.exitCode = 1;
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
