/** The file for <script> tags in a page with a strict Content-Security-Policy: what docs/deploy.md says that it needs. */

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { type Browser, chromium } from "playwright";
import { rollup } from "rollup";
import { loadConfigFile } from "rollup/loadConfigFile";
import { afterAll, beforeAll, expect, test } from "vitest";
import { chromiumFlags, findChromium } from "../../scripts/find-chromium.mjs";

const require = createRequire(import.meta.url);
const PLACE = "http://localhost/";

let browser: Browser;
let library = "";

beforeAll(async () => {
  const { options } = await loadConfigFile(fileURLToPath(new URL("../../rollup.config.mjs", import.meta.url)), {});
  const config = options.find(({ output }) => output.some(({ format }) => format === "umd"));
  if (config === undefined) throw new Error("rollup.config.mjs makes no file for script tags");
  const bundle = await rollup(config);
  library = (await bundle.generate(config.output[0])).output[0].code;
  await bundle.close();
  const executablePath = findChromium();
  browser = await chromium.launch({ args: chromiumFlags, ...(executablePath === null ? {} : { executablePath }) });
}, 120_000);

afterAll(() => browser?.close());

/** A fit of a program that is large enough for two threads, and the engine that did it. */
const WORKER = `
  importScripts("/tf.js", "/library.js");
  (async () => {
    await tf.setBackend("cpu");
    const x = tf.randomNormal([400, 20], 0, 1, "float32", 1);
    const y = x.slice([0, 0], [400, 1]).abs();
    const trainer = new tfConvex.ConvexReLUTrainer({
      formulation: "gated", arrangements: { kind: "sample", count: 300 }, threads: 2, engine: "wasm", tolerance: 0.1,
      solver: "proximal-newton", regularization: "share",
    });
    return (await trainer.train(x, y, { loss: "meanSquaredError" })).engine;
  })().then(postMessage, (error) => postMessage("failed: " + error.message));
`;

/** What `use` answers in a page with the policy, and what the policy refused there. */
async function underPolicy<T>(
  policy: string,
  tfjs: string,
  use: () => Promise<T>,
): Promise<{ value: T | null; refused: string }> {
  const page = await browser.newPage();
  const refused: string[] = [];
  page.on("pageerror", ({ message }) => refused.push(message));
  page.on("console", (message) => refused.push(message.text()));
  const files: Record<string, string> = {
    "tf.js": readFileSync(require.resolve(`@tensorflow/tfjs/dist/${tfjs}`), "utf8"),
    "library.js": library,
    "worker.js": WORKER,
  };
  await page.route(`${PLACE}**`, (route) => {
    const file = files[new URL(route.request().url()).pathname.slice(1)];
    const headers = {
      "Content-Security-Policy": policy,
      "Cross-Origin-Opener-Policy": "same-origin",
      "Cross-Origin-Embedder-Policy": "require-corp",
    };
    if (file !== undefined) return route.fulfill({ contentType: "text/javascript", headers, body: file });
    const body = `<!doctype html><script src="/tf.js"></script><script src="/library.js"></script>`;
    return route.fulfill({ contentType: "text/html", headers, body });
  });
  await page.goto(PLACE);
  // By the debugger, which the policy does not bind; what the scripts of the page do is bound.
  const value = await page.evaluate(use).catch(() => null);
  await page.close();
  return { value, refused: refused.join("\n") };
}

/** The engine of a small fit, and the code with which engine "wasm" by name is refused. */
async function fitSmall(): Promise<{ engine: string; byName: string }> {
  const { tf, tfConvex: convex } = globalThis as never as {
    tf: typeof import("@tensorflow/tfjs");
    tfConvex: typeof import("../../src/index.js");
  };
  await tf.setBackend("cpu");
  const x = tf.tensor2d(Array.from({ length: 20 }, (_, k) => [Math.sin(k), Math.cos(3 * k)]));
  const y = tf.tensor2d(Array.from({ length: 20 }, (_, k) => [Math.abs(Math.sin(k))]));
  const { engine } = await new convex.ConvexReLUTrainer().train(x, y, { loss: "meanSquaredError" });
  const byName = await new convex.ConvexReLUTrainer({ engine: "wasm" }).train(x, y, { loss: "meanSquaredError" }).then(
    () => "",
    (error) => error.code as string,
  );
  return { engine, byName };
}

/** The engine of a fit in a worker of the page. */
function fitInWorker(): Promise<string> {
  return new Promise((resolve, reject) => {
    const worker = new Worker("/worker.js");
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = ({ message }) => reject(new Error(message));
  });
}

test.each([
  ["blob:, there are two threads", "worker-src 'self' blob:", /2 threads/],
  ["'self' alone, there is one, and the engine says so", "worker-src 'self'", /^(?!.*2 threads).*(worker|thread)/s],
])("where workers may come from %s", async (_, sources, engine) => {
  const policy = `script-src 'self' 'wasm-unsafe-eval'; ${sources}`;
  const { value } = await underPolicy(policy, "tf.es2017.min.js", fitInWorker);
  expect(value).toMatch(engine);
});

test("with wasm-unsafe-eval and tf.es2017.min.js a fit runs on the WASM engine, and nothing is refused", async () => {
  const { value, refused } = await underPolicy("script-src 'self' 'wasm-unsafe-eval'", "tf.es2017.min.js", fitSmall);
  expect(refused).toBe("");
  expect(value?.engine).toMatch(/^wasm/);
  expect(value?.byName).toBe("");
});

test("without wasm-unsafe-eval it runs on cpu and says why; wasm by name is refused", async () => {
  const { value } = await underPolicy("script-src 'self'", "tf.es2017.min.js", fitSmall);
  expect(value?.engine).toMatch(/^cpu: WebAssembly with SIMD is not there .*Content Security Policy/s);
  expect(value?.byName).toBe("engine/unavailable");
});

test("tf.min.js itself wants unsafe-eval", async () => {
  const { refused } = await underPolicy("script-src 'self' 'wasm-unsafe-eval'", "tf.min.js", fitSmall);
  expect(refused).toMatch(/unsafe-eval/);
});
