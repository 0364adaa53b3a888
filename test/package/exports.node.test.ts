/** The built package, as Node's import and require and a page's script tag see it. */

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createContext, runInContext } from "node:vm";
import * as tf from "@tensorflow/tfjs";
import { type OutputOptions, rollup } from "rollup";
import { loadConfigFile } from "rollup/loadConfigFile";
import ts from "typescript";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as cluster from "../../src/cluster/index.js";
import * as source from "../../src/index.js";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const names = Object.keys(source).sort();

/** A folder in which `tfjs-convex` is installed, freshly built; inside ours, so that its dependencies are found. */
let home = "";
let installed = "";

beforeAll(async () => {
  mkdirSync(join(ROOT, "node_modules/.cache"), { recursive: true });
  home = mkdtempSync(join(ROOT, "node_modules/.cache/exports-"));
  installed = join(home, "node_modules/tfjs-convex");
  mkdirSync(installed, { recursive: true });
  writeFileSync(join(home, "package.json"), '{ "private": true }');
  writeFileSync(join(installed, "package.json"), readFileSync(join(ROOT, "package.json")));
  await build(installed);
}, 240_000);

afterAll(() => rmSync(home, { recursive: true, force: true }));

/** Builds the package as `npm run build` does, without the declarations, into a folder of its own. */
async function build(folder: string): Promise<void> {
  const { options, warnings } = await loadConfigFile(join(ROOT, "rollup.config.mjs"), {});
  warnings.flush();
  for (const { output: outputs, ...input } of options) {
    const scripts = outputs.filter(({ file }) => !/\.d\.c?ts$/.test(file ?? ""));
    if (scripts.length === 0) continue;
    const bundle = await rollup(input);
    for (const output of scripts) await bundle.write(inside(folder, output));
    await bundle.close();
  }
}

function inside(folder: string, output: OutputOptions): OutputOptions {
  return { ...output, file: join(folder, output.file ?? "") };
}

/** What a fresh Node process prints when it runs a script beside the installed package. */
function runNode(kind: "module" | "commonjs", script: string): unknown {
  const printed = execFileSync(process.execPath, [`--input-type=${kind}`, "--eval", script], {
    cwd: home,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"], // tfjs greets on stderr; an error shows it
  });
  return JSON.parse(printed.trim().split("\n").at(-1) ?? "");
}

/** The names that a page gets as `tfConvex` from the script tag. */
function namesInPage(script: string): string[] {
  const page = createContext({ tf });
  runInContext(script, page);
  return runInContext("Object.keys(tfConvex).sort()", page);
}

describe("the built package", () => {
  test("import gives the names of src/index.ts", () => {
    const script = 'import * as all from "tfjs-convex"; console.log(JSON.stringify(Object.keys(all).sort()));';
    expect(runNode("module", script)).toEqual(names);
  });

  test("require gives the names of src/index.ts", () => {
    const script = 'console.log(JSON.stringify(Object.keys(require("tfjs-convex")).sort()));';
    expect(runNode("commonjs", script)).toEqual(names);
  });

  test("its entry for shards gives the names of src/cluster, to import and require, and throws the errors of the main one", () => {
    const print = "console.log(JSON.stringify([Object.keys(all).sort(), wrong]));";
    const wrongly =
      "let wrong = 0; try { all.local({ patience: -1 }); } catch (error) { wrong = error instanceof ConvexError; }";
    const imports = 'import * as all from "tfjs-convex/sharded"; import { ConvexError } from "tfjs-convex";';
    const requires = 'const all = require("tfjs-convex/sharded"); const { ConvexError } = require("tfjs-convex");';
    const expected = [Object.keys(cluster).sort(), true];
    expect(runNode("module", `${imports} ${wrongly} ${print}`)).toEqual(expected);
    expect(runNode("commonjs", `${requires} ${wrongly} ${print}`)).toEqual(expected);
  });

  test("what a worker runs loads neither TensorFlow.js nor the rest of the package", () => {
    const worker = readFileSync(join(installed, "dist/shard.js"), "utf8");
    const loaded = [...worker.matchAll(/^import (?:.* from )?["']([^"']+)["'];$/gm)].map(([, name]) => name);
    expect(loaded.filter((name) => !/^(node:|pure-rand\/)/.test(name))).toEqual([]);
    expect(worker).toMatch(/export \{ rows, serveShard \}/);
  });

  test("a script tag beside TensorFlow.js gives the names of src/index.ts as tfConvex", () => {
    expect(namesInPage(readFileSync(join(installed, "dist/tfjs-convex.min.js"), "utf8"))).toEqual(names);
  });

  test("the file of the script tag is minified, and its source map tells where everything came from", () => {
    const script = readFileSync(join(installed, "dist/tfjs-convex.min.js"), "utf8");
    expect(script).toMatch(/\/\/# sourceMappingURL=tfjs-convex\.min\.js\.map\s*$/);
    // Texts of shaders keep their lines; all else is on a few long ones.
    expect(script.length).toBeLessThan(0.7 * readFileSync(join(installed, "dist/index.js"), "utf8").length);
    expect(Math.max(...script.split("\n").map((line) => line.length))).toBeGreaterThan(10_000);
    const map = JSON.parse(readFileSync(join(installed, "dist/tfjs-convex.min.js.map"), "utf8"));
    expect(map.sources.some((path: string) => path.endsWith("src/errors.ts"))).toBe(true);
    expect(map.sourcesContent).toHaveLength(map.sources.length);
  });

  test("importing it loads nothing but TensorFlow.js, pure-rand, ml-matrix and quadprog", () => {
    const bundle = readFileSync(join(installed, "dist/index.js"), "utf8");
    const packages = [...bundle.matchAll(/^import .* from ["']([^"']+)["'];$/gm)].map(([, name]) => name);
    expect(packages.filter((name) => !/^(@tensorflow\/tfjs|ml-matrix|quadprog|pure-rand\/.+)$/.test(name))).toEqual([]);
  });

  test("the quick start of the README runs and ends as its comments say", () => {
    const [, quickStart] = /```ts\n([\s\S]*?)```/.exec(readFileSync(join(ROOT, "README.md"), "utf8")) ?? [];
    const script = ts.transpile(quickStart ?? "", {
      target: ts.ScriptTarget.ES2022,
      module: ts.ModuleKind.ESNext,
      verbatimModuleSyntax: true,
    });
    const report = "console.log(JSON.stringify([result.status, result.certificate]));";
    const [status, certificate] = runNode("module", `${script}\n${report}`) as [string, Record<string, unknown>];
    expect(status).toBe("solved");
    expect(certificate.relativeGap).toBeLessThanOrEqual(1e-4);
    expect(certificate.scope).toBe("all gates");
  });
});
