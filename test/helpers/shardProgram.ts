/** The worker's program as the package has it, made from the source: workers are plain Node, which knows no TypeScript. */

import { mkdirSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";
import type { ShardProgram } from "../../src/cluster/index.js";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

export async function shardProgram(): Promise<ShardProgram> {
  const folder = `${ROOT}node_modules/.cache`;
  mkdirSync(folder, { recursive: true });
  const outfile = `${folder}/shard-${process.pid}.mjs`;
  await build({
    entryPoints: [`${ROOT}src/cluster/shard.ts`],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    packages: "external",
  });
  return { module: pathToFileURL(outfile).href };
}
