/** The README and the pages of docs/: their code runs, what it says comes out, and their links lead somewhere. */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { MessageChannel, Worker as Thread } from "node:worker_threads";
import * as tf from "@tensorflow/tfjs";
import ts from "typescript";
import { beforeAll, describe, expect, test } from "vitest";
import { flowers } from "../../examples/migration/flowers.js";
import { type LocalOptions, local, type ShardProgram } from "../../src/cluster/index.js";
import * as library from "../../src/index.js";
import { shardProgram } from "../helpers/shardProgram.js";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const pages = [
  "README.md",
  ...readdirSync(join(ROOT, "docs")).flatMap((name) => (name.endsWith(".md") ? [`docs/${name}`] : [])),
];
const texts = new Map(pages.map((page) => [page, readFileSync(join(ROOT, page), "utf8")]));

const blocks = pages.flatMap((page) =>
  [...(texts.get(page) ?? "").matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code], k) => ({ page, number: k + 1, code })),
);

const AsyncFunction = Object.getPrototypeOf(async () => {}).constructor as new (
  ...words: string[]
) => (...values: unknown[]) => Promise<void>;

/** Where a block stands: beside the rows of examples/sharded. */
const HERE = new URL("../../examples/sharded/main.ts", import.meta.url).href;
let program: ShardProgram = {};

/** A page's Worker, as a thread: any script is that of test/helpers/trainer.thread.ts. */
class PageWorker extends Thread {
  constructor() {
    const script = new URL("../helpers/trainer.thread.ts", import.meta.url).href;
    super(`import("tsx/esm/api").then(({ register }) => { register(); return import(${JSON.stringify(script)}); });`, {
      eval: true,
    });
    this.unref();
  }
}

/** What a block may use without having made it: the names of the packages, and a small problem. */
function surroundings(): Record<string, unknown> {
  const compiled = (first: tf.layers.Layer) => {
    const made = tf.sequential({ layers: [first, tf.layers.dense({ units: 1 })] });
    made.compile({ optimizer: "adam", loss: "meanSquaredError" });
    return made;
  };
  const model = compiled(tf.layers.dense({ units: 40, activation: "relu", inputShape: [2] }));
  const gatedModel = compiled(library.gatedDense({ units: 40, inputShape: [2] }));
  const x = tf.randomUniform([14, 2], -1, 1, "float32", 1);
  const y = tf.tidy(() =>
    x
      .slice([0, 0], [14, 1])
      .abs()
      .add(x.slice([0, 1], [14, 1])),
  ) as tf.Tensor2D;
  const { signal } = new AbortController();
  const given = { tf, model, gatedModel, x, y, signal, callbacks: {}, flowers, Worker: PageWorker, here: HERE };
  const clusters = { local: (options: LocalOptions = {}) => local({ program, ...options }) };
  return { ...library, ...clusters, serveTrainer: serveOn(workerScope()), ...given };
}

/** A port that stands for the scope of a page's worker, which this thread has not. */
function workerScope(): library.WorkerPort {
  const { port1 } = new MessageChannel();
  port1.unref();
  return port1 as unknown as library.WorkerPort;
}

function serveOn(scope: library.WorkerPort): typeof library.serveTrainer {
  return (port = scope) => library.serveTrainer(port);
}

/** A block as a function body: imports name what is there already, and a comment after a value says what it is. */
function runnable(code: string): string {
  const script = ts.transpile(code, {
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.ESNext,
    verbatimModuleSyntax: true,
  });
  return script
    .replace(/^(import .*|export \{\};)$/gm, "")
    .replaceAll("import.meta.url", "here")
    .replace(/^(.+); \/\/ "([^"]*)".*$/gm, (_, value, said) => `same(${value}, ${JSON.stringify(said)});`)
    .replace(/^(.+); \/\/ (true|false)\b.*$/gm, (_, value, said) => `same(${value}, ${said});`);
}

beforeAll(async () => {
  await tf.setBackend("cpu");
  program = await shardProgram();
});

describe("code in the README and in docs/", () => {
  test("there is some on most pages", () => {
    expect(new Set(blocks.map(({ page }) => page)).size).toBeGreaterThanOrEqual(5);
  });

  test.each(blocks)("$page, block $number, runs and gives what it says", async ({ code }) => {
    const given = { ...surroundings(), same: (value: unknown, said: unknown) => expect(value).toBe(said) };
    const body = `return (async () => {\n${runnable(code)}\n})();`;
    const run = new AsyncFunction(...Object.keys(given), body)(...Object.values(given));
    // A block that asks for a device by name must run where there is one, and be refused by name where there is none.
    const asksForDevice = /engine: "(webgpu|webgl|gpujs)"/.test(code);
    await run.catch((error) => {
      if (!asksForDevice || error.code !== "engine/unavailable") throw error;
    });
  });
});

describe("links in the README and in docs/", () => {
  test.each(pages)("those of %s lead to files and headings that are there", (page) => {
    const text = texts.get(page) ?? "";
    const dead = [...text.matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, link]) => link)
      .filter((link) => !/^https?:/.test(link))
      .filter((link) => {
        const [path, heading] = link.split("#");
        const file = path === "" ? page : join(dirname(page), path);
        if (!existsSync(join(ROOT, file))) return true;
        return heading !== undefined && !headingsOf(readFileSync(join(ROOT, file), "utf8")).includes(heading);
      });
    expect(dead).toEqual([]);
  });

  test("every page of docs/ is named in the README", () => {
    const readme = texts.get("README.md") ?? "";
    expect(pages.filter((page) => page.startsWith("docs/") && !readme.includes(`(${page})`))).toEqual([]);
  });
});

/** The anchors that a page's headings make. */
function headingsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
    heading
      .toLowerCase()
      .replace(/[^\w\s-]/g, "")
      .replaceAll(" ", "-"),
  );
}
