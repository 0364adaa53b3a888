/**
 * Compiles assembly/ and embeds the module as text, so that no bundler needs a loader for it: one build for every host with
 * SIMD, and what is other in the build with relaxed SIMD. The text keeps bytes apart, so that it packs better on the wire than
 * base64. Their memory is the program's own; the same bytes take a shared one when one of them is changed.
 */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";
import { diffArrays } from "diff";

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

/** A module, checked, and where its shared memory stands. */
async function build(name, ...extra) {
  const own = await compile(...extra);
  refuseData(own);
  const shared = sharedByte(own, await compile("--sharedMemory", ...extra));
  console.log(`${name}: ${own.length} bytes of WebAssembly`);
  return { own, shared };
}

/** What makes `after` of `before`: pieces of it, each as a number of bytes to keep, a number to leave out, and bytes to put in. */
function edits(before, after) {
  const list = [[0, 0, ""]];
  for (const { added, removed, count, value } of diffArrays([...before], [...after])) {
    const last = list[list.length - 1];
    if (added) last[2] += textOf(value);
    else if (removed) last[1] += count;
    else if (last[1] === 0 && last[2] === "") last[0] += count;
    else list.push([count, 0, ""]);
  }
  return list.filter(([, out, put]) => out > 0 || put !== "");
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

const plain = await build("wasmModule");
const relaxed = await build("relaxedModule", "--enable", "relaxed-simd");
if (plain.shared.at !== relaxed.shared.at || plain.shared.value !== relaxed.shared.value) {
  throw new Error("build-wasm: the builds differ in where they say that memory is shared.");
}
rmSync(folder, { recursive: true });
writeFileSync(
  join(root, "src/convex/kernels/wasm/module.ts"),
  `/** The compiled assembly/; made by scripts/build-wasm.mjs, not kept in the repository. */
export const wasmModule = {
  sharedAt: ${plain.shared.at},
  sharedValue: ${plain.shared.value},
  code: ${JSON.stringify(textOf(plain.own))},
  /** For hosts with relaxed SIMD: bytes to keep, bytes to leave out, bytes to put in; and so on. */
  relaxed: ${JSON.stringify(edits(plain.own, relaxed.own))} as [number, number, string][],
};
`,
);
