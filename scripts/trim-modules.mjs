/**
 * Takes out of node_modules what no script here reads, half of its weight: source maps, the WebGPU of other platforms, and the
 * command line programs of binaryen, whose module the AssemblyScript compiler uses.
 */

import { existsSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const modules = fileURLToPath(new URL("../node_modules/", import.meta.url));
const platform = process.platform === "darwin" ? "darwin-universal" : `${process.platform}-${process.arch}`;

/** What is below a folder, as paths from it. */
function below(folder) {
  const path = join(modules, folder);
  return existsSync(path) ? readdirSync(path, { recursive: true, encoding: "utf8" }).map((at) => join(folder, at)) : [];
}

const unread = [
  ...below("@tensorflow").filter((path) => path.endsWith(".map")),
  ...below("webgpu/dist").filter((path) => !path.includes(platform)),
  ...below("binaryen/bin").filter((path) => !path.endsWith(".json")),
].filter((path) => statSync(join(modules, path)).isFile());

const bytes = unread.reduce((sum, path) => sum + statSync(join(modules, path)).size, 0);
for (const path of unread) rmSync(join(modules, path));
if (bytes > 0)
  console.log(`trim-modules: ${Math.round(bytes / 1e6)} MB that nothing here reads are out of node_modules.`);
