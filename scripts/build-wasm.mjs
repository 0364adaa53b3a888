/** Compiles assembly/gemm.ts and embeds the module as base64, so that no bundler needs a loader for it. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "tfjs-convex-"));
const outFile = join(folder, "gemm.wasm");
const { error, stderr } = await asc.main([
  join(root, "assembly/gemm.ts"),
  "--outFile",
  outFile,
  ...["-O3", "--noAssert", "--runtime", "stub", "--enable", "simd", "--importMemory", "--memoryBase", "1024"],
]);
if (error) {
  console.error(stderr.toString());
  process.exit(1);
}
const base64 = readFileSync(outFile).toString("base64");
rmSync(folder, { recursive: true });
writeFileSync(
  join(root, "src/convex/kernels/wasmModule.ts"),
  `/** The compiled assembly/gemm.ts; made by scripts/build-wasm.mjs, not kept in the repository. */\nexport const wasmModule =\n  "${base64}";\n`,
);
console.log(`src/convex/kernels/wasmModule.ts: ${Math.round((base64.length * 3) / 4)} bytes of WebAssembly`);
