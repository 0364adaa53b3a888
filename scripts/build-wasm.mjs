/**
 * Compiles assembly/ and embeds the module as base64, so that no bundler needs a loader for it: one build for every host with
 * SIMD, one with relaxed SIMD. Their memory is the program's own; the same bytes take a shared one when one of them is changed.
 */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "tfjs-convex-"));
const SETTINGS = ["-O3", "--noAssert", "--runtime", "stub", "--enable", "simd,threads"];
const MEMORY = ["--importMemory", "--initialMemory", "1", "--maximumMemory", "65536", "--memoryBase", "2048"];

async function compile(...extra) {
  const outFile = join(folder, "module.wasm");
  const { error, stderr } = await asc.main([
    join(root, "assembly/index.ts"),
    ...["--outFile", outFile],
    ...[...SETTINGS, ...MEMORY, ...extra],
  ]);
  if (error) {
    console.error(stderr.toString());
    process.exit(1);
  }
  return readFileSync(outFile);
}

/** The byte in which the same program with shared memory differs, or an error when that is not all. */
function sharedByte(own, shared) {
  const different = [...own.keys()].filter((at) => own[at] !== shared[at]);
  if (own.length !== shared.length || different.length !== 1) {
    throw new Error(`build-wasm: shared memory changes ${different.length} bytes, expected 1.`);
  }
  return { at: different[0], value: shared[different[0]] };
}

/** Static data would lie where threads work, and each would write it anew: the heap begins below where it may end. */
function refuseData(module) {
  const DATA = 11; // of the sections of a module (WebAssembly core specification, section 5.5.2)
  for (let at = 8; at < module.length; ) {
    const id = module[at++];
    let size = 0;
    for (let shift = 0, more = true; more; shift += 7) {
      size |= (module[at] & 0x7f) << shift;
      more = (module[at++] & 0x80) !== 0;
    }
    if (id === DATA)
      throw new Error("build-wasm: expected a module without static data (x ** 2 brings some), got one with it.");
    at += size;
  }
}

async function embed(name, ...extra) {
  const own = await compile(...extra);
  refuseData(own);
  const { at, value } = sharedByte(own, await compile("--sharedMemory", ...extra));
  console.log(`${name}: ${own.length} bytes of WebAssembly`);
  return `export const ${name} = {\n  sharedAt: ${at},\n  sharedValue: ${value},\n  code: "${own.toString("base64")}",\n};\n`;
}

const modules = [await embed("wasmModule"), await embed("relaxedModule", "--enable", "relaxed-simd")];
rmSync(folder, { recursive: true });
writeFileSync(
  join(root, "src/convex/kernels/wasmModule.ts"),
  `/** The compiled assembly/; made by scripts/build-wasm.mjs, not kept in the repository. */\n${modules.join("")}`,
);
