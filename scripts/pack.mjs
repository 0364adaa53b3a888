/** The package as a file, as `npm publish` would send it. */

import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** Packs dist/ into a folder and gives the file's path; builds it first where it is missing, or older than a source. */
export function pack(folder) {
  if (isStale()) execFileSync("npm", ["run", "build"], { cwd: ROOT, stdio: "ignore" });
  const words = ["pack", "--json", "--ignore-scripts", "--pack-destination", folder];
  const printed = execFileSync("npm", words, { cwd: ROOT, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  return join(folder, JSON.parse(printed)[0].filename);
}

function isStale() {
  const { main, module, types, unpkg, exports } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  const sharded = Object.values(exports["./sharded"]).flatMap((files) => Object.values(files));
  const built = [main, module, types, unpkg, ...sharded].map((file) => join(ROOT, file));
  if (!built.every((file) => existsSync(file))) return true;
  const oldest = Math.min(...built.map((file) => statSync(file).mtimeMs));
  return ["assembly", "src", "rollup.config.mjs"].some((name) => newest(join(ROOT, name)) > oldest);
}

function newest(path) {
  const stat = statSync(path);
  if (!stat.isDirectory()) return path.endsWith("wasm/module.ts") ? 0 : stat.mtimeMs; // which the build itself writes
  return Math.max(0, ...readdirSync(path).map((name) => newest(join(path, name))));
}
