/** The file for <script> tags in a page, built and minified as for users: each engine is run there. */

import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { type Browser, chromium, type Page } from "playwright";
import { rollup } from "rollup";
import { loadConfigFile } from "rollup/loadConfigFile";
import { afterAll, beforeAll, expect, test } from "vitest";
import { chromiumFlags, findChromium } from "../../scripts/find-chromium.mjs";

const require = createRequire(import.meta.url);
const PLACE = "http://localhost/"; // of a page that needs no server; a secure context, which WebGPU asks for

let browser: Browser;
let page: Page;

beforeAll(async () => {
  const { options } = await loadConfigFile(fileURLToPath(new URL("../../rollup.config.mjs", import.meta.url)), {});
  const config = options.find(({ output }) => output.some(({ format }) => format === "umd"));
  if (config === undefined) throw new Error("rollup.config.mjs makes no file for script tags");
  const bundle = await rollup(config);
  const { output } = await bundle.generate(config.output[0]);
  await bundle.close();
  const executablePath = findChromium();
  browser = await chromium.launch({ args: chromiumFlags, ...(executablePath === null ? {} : { executablePath }) });
  page = await browser.newPage();
  await page.route(PLACE, (route) => route.fulfill({ contentType: "text/html", body: "<!doctype html>" }));
  await page.goto(PLACE);
  for (const name of ["tfjs/dist/tf.min.js", "tfjs-backend-webgpu/dist/tf-backend-webgpu.min.js"]) {
    await page.addScriptTag({ path: require.resolve(`@tensorflow/${name}`) });
  }
  await page.addScriptTag({ content: output[0].code });
}, 120_000);

afterAll(() => browser?.close());

test.each(["wasm", "webgl", "webgpu", "tfjs"])(
  "%s fits a dense and a convolutional model there",
  async (engine) => {
    const fits = await page.evaluate(fitBoth, engine);
    for (const { used, status, primal, network, relativeGap } of fits) {
      expect([used, status]).toEqual([engine, "solved"]);
      expect(relativeGap).toBeLessThanOrEqual(1e-2);
      expect(Math.abs(network / primal - 1)).toBeLessThan(1e-4);
    }
  },
  180_000,
);

test("a ReLU model grows its gates there", async () => {
  const { status, dual, primal, network } = await page.evaluate(growGates);
  expect(["solved", "timeLimit"]).toContain(status);
  expect(dual).toBeGreaterThan(0.5 * primal);
  expect(dual).toBeLessThanOrEqual(primal);
  expect(Math.abs(network / primal - 1)).toBeLessThan(1e-4);
});

test("gpujs is not in it, and says so", async () => {
  await expect(page.evaluate(fitBoth, "gpujs")).rejects.toThrow(/script.*leaves it out/s);
});

interface Fit {
  readonly used: string;
  readonly status: string;
  readonly primal: number;
  readonly network: number;
  readonly relativeGap: number;
}

/** In the page: a ReLU network whose gates are searched for, on numbers that are always the same. */
async function growGates(): Promise<{ status: string; dual: number; primal: number; network: number }> {
  const { tf, tfConvex } = globalThis as unknown as {
    tf: typeof import("@tensorflow/tfjs");
    tfConvex: typeof import("../../src/index.js");
  };
  await tf.setBackend("cpu");
  const x = tf.randomNormal([60, 4], 0, 1, "float32", 5);
  const y = tf.randomNormal([60, 1], 0, 1, "float32", 6);
  const arrangements = { kind: "grow" } as const;
  const trainer = new tfConvex.ConvexReLUTrainer({ engine: "wasm", arrangements, regularization: 0.02, timeLimit: 20 });
  const { status, certificate } = await trainer.train(x as never, y as never, { loss: "meanSquaredError" });
  tf.dispose([x, y]);
  return { status, dual: certificate.dual, primal: certificate.primal, network: certificate.network };
}

/** In the page: a gated dense model and a gated convolution with average pooling, on numbers that are always the same. */
async function fitBoth(engine: string): Promise<Fit[]> {
  const { tf, tfConvex } = globalThis as unknown as {
    tf: typeof import("@tensorflow/tfjs");
    tfConvex: typeof import("../../src/index.js");
  };
  await tf.setBackend(engine === "webgl" || engine === "webgpu" ? engine : "cpu");
  const l2 = () => tf.regularizers.l2({ l2: 5e-3 });
  const shared = { kernelRegularizer: undefined, useBias: false };
  const read = () => tf.layers.dense({ units: 1, useBias: false, kernelRegularizer: l2() });
  const dense = tf.sequential({
    layers: [new tfConvex.GatedDense({ ...shared, units: 24, inputShape: [7], kernelRegularizer: l2() }), read()],
  });
  const convolution = tf.sequential({
    layers: [
      new tfConvex.GatedConv2D({
        ...shared,
        filters: 9,
        kernelSize: 3,
        inputShape: [7, 7, 2],
        kernelRegularizer: l2(),
      }),
      tf.layers.globalAveragePooling2d({}),
      read(),
    ],
  });
  const answers: Fit[] = [];
  for (const model of [dense, convolution]) {
    model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
    const x = tf.randomNormal([30, ...model.inputs[0].shape.slice(1).map(Number)], 0, 1, "float32", 5);
    const y = tf.randomNormal([30, 1], 0, 1, "float32", 6);
    const trainer = new tfConvex.ConvexReLUTrainer({ engine, tolerance: 1e-2, seed: 3 } as never);
    const result = await trainer.fit(model, x, y);
    const { primal, network, relativeGap } = result.certificate;
    answers.push({ used: result.engine.split(":")[0], status: result.status, primal, network, relativeGap });
    tf.dispose([x, y]);
  }
  return answers;
}
