/** Start-up: the time to import the built package in a fresh process, and its size. `npm run bench:startup`. */

import { spawnSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import { type OutputChunk, type RollupOptions, rollup } from "rollup";
import { readFlags } from "./support/flags.js";
import { describeMachine } from "./support/machine.js";
import { timingOf } from "./support/measure.js";
import { bytes, publish } from "./support/report.js";

const flags = readFlags("startup", {
  repeats: { default: 9, help: "processes of which the median is taken" },
});

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = join(root, "node_modules", ".cache", "bench-startup");
mkdirSync(folder, { recursive: true });
try {
  const bundles = await build();
  const imports = ["tfjs", "ours"] as const;
  const measured = imports.map((what) => ({ what, seconds: importTime(what) }));
  publish(
    {
      name: "startup",
      title: "Start-up: import time and bundle size",
      command: "npm run bench:startup",
      machine: describeMachine(["@tensorflow/tfjs", "rollup"]),
      about: [
        `Import: a dynamic import in a fresh Node process, median of ${flags.repeats}; ours after TensorFlow.js, which a user`,
        "has anyway.",
        "Size: what the build writes, without source maps, gzip at level 9. The script for pages holds everything but",
        "TensorFlow.js, the WASM module included, and no gpu.js.",
      ],
      sections: [
        {
          title: "Import",
          cells: [
            ["module", "ms (median)", "from - to"],
            ...measured.map(({ what, seconds }) => [
              what === "tfjs" ? "@tensorflow/tfjs" : "tfjs-convex, after it",
              (1e3 * seconds.median).toFixed(1),
              `${(1e3 * seconds.least).toFixed(1)} - ${(1e3 * seconds.most).toFixed(1)}`,
            ]),
          ],
        },
        {
          title: "Size",
          cells: [
            ["file", "minified", "bytes", "gzipped"],
            ...bundles.map(({ file, raw, gzipped }) => [
              file,
              file.endsWith(".min.js") ? "yes" : "no",
              bytes(raw),
              bytes(gzipped),
            ]),
          ],
        },
      ],
      data: { settings: flags, imports: measured, bundles },
    },
    flags,
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** Bundles the package as rollup.config.mjs says, into memory; the ES module also into a folder from which it can be imported. */
async function build(): Promise<{ file: string; raw: number; gzipped: number }[]> {
  const configuration: { default: RollupOptions[] } = await import(pathToFileURL(join(root, "rollup.config.mjs")).href);
  const sizes: { file: string; raw: number; gzipped: number }[] = [];
  for (const options of configuration.default) {
    const outputs = [options.output ?? []].flat();
    if (outputs.some(({ file }) => file?.endsWith(".d.ts"))) continue;
    const bundle = await rollup({ ...options, input: join(root, String(options.input)) });
    for (const output of outputs) {
      const generated = await bundle.generate({ ...output, sourcemap: false });
      const chunks = generated.output.filter((part): part is OutputChunk => part.type === "chunk");
      for (const chunk of chunks) {
        const name = chunks.length > 1 || output.file === undefined ? chunk.fileName : output.file.replace(/^.*\//, "");
        sizes.push({
          file: name,
          raw: Buffer.byteLength(chunk.code),
          gzipped: gzipSync(chunk.code, { level: 9 }).length,
        });
        if (output.format === "es") writeFileSync(join(folder, name.replace(/\.js$/, ".mjs")), chunk.code);
      }
    }
    await bundle.close();
  }
  return sizes;
}

function importTime(what: "tfjs" | "ours"): ReturnType<typeof timingOf> {
  const target = what === "tfjs" ? "@tensorflow/tfjs" : pathToFileURL(join(folder, "index.mjs")).href;
  const first = what === "tfjs" ? "" : `await import("@tensorflow/tfjs");`;
  const measured = `const t = performance.now(); await import(${JSON.stringify(target)});`;
  const code = `${first} ${measured} console.log(performance.now() - t);`;
  const runs = Array.from({ length: flags.repeats }, () => {
    const args = ["--input-type=module", "-e", code];
    const child = spawnSync(process.execPath, args, { encoding: "utf8", cwd: root });
    if (child.status !== 0) throw new Error(`import of ${target} failed:\n${child.stderr}`);
    return Number(child.stdout.trim().split("\n").pop()) / 1000;
  });
  return timingOf(runs);
}
