/**
 * Compiles assembly/ and embeds the module as text, so that no bundler needs a loader for it: one build for every host with
 * SIMD, without relaxed SIMD, whose results the host decides. The text keeps bytes apart, so that it packs better on the wire
 * than base64. Its memory is the program's own; the same bytes take a shared one when one of them is changed.
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

async function compile(...more) {
  const outFile = join(folder, "module.wasm");
  const { error, stderr } = await asc.main([
    join(root, "assembly/index.ts"),
    ...["--outFile", outFile],
    ...[...SETTINGS, ...MEMORY, ...more],
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

/** Printable ASCII that a string literal takes as it is. */
const SIGNS = Array.from({ length: 94 }, (_, k) => String.fromCharCode(33 + k)).filter(
  (sign) => !'"\\`'.includes(sign),
);

/** A byte as its digit of base 85, after a sign beyond the digits where it is 85 or more: small bytes are the most. */
function textOf(bytes) {
  const sign = (byte) => (byte < 85 ? "" : SIGNS[84 + Math.floor(byte / 85)]) + SIGNS[byte % 85];
  return Array.from(bytes, sign).join("");
}

const own = await compile();
refuseData(own);
const shared = sharedByte(own, await compile("--sharedMemory"));
console.log(`wasmModule: ${own.length} bytes of WebAssembly`);
rmSync(folder, { recursive: true });
writeFileSync(
  join(root, "src/convex/kernels/wasm/module.ts"),
  `/** The compiled assembly/; made by scripts/build-wasm.mjs, not kept in the repository. */
export const wasmModule = {
  sharedAt: ${shared.at},
  sharedValue: ${shared.value},
  code: ${JSON.stringify(textOf(own))},
};
`,
);
