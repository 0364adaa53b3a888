import { playwright } from "@vitest/browser-playwright";
import { defineConfig, type TestProjectConfiguration } from "vitest/config";
import type { InlineConfig } from "vitest/node";
import { chromiumFlags, findChromium } from "./scripts/find-chromium.mjs";

const executablePath = findChromium();

// A browser has engines, memory, workers, an event loop and backends of its own: what meets them runs there as well. Arithmetic in
// float64 does not, and V8 is that of Node: once is enough.
const inBrowser = [
  "test/**/*.browser.test.ts",
  "test/browser/**/*.test.ts",
  "test/convex/kernels/**/*.test.ts",
  "test/layers/**/*.test.ts",
  "test/worker/**/*.test.ts",
  "test/optimizers/{badCalls,badInput,certify,convexNN,deepHost,engines,fit,fitConv,fitDataset,judge,timeLimit}.test.ts",
];

const losing = "test/convex/kernels/lost*.browser.test.ts";

export default defineConfig({
  test: {
    testTimeout: 120_000,
    reporters: ["default", "./scripts/summary-reporter.mjs"],
    projects: [
      { extends: true, test: { name: "node", include: ["test/**/*.test.ts"], exclude: ["test/**/*.browser.test.ts"] } },
      // Pages are made once for all files, which spares each of them the load of TensorFlow.js; what takes a device away has its own.
      inBrowserAs("browser", { include: inBrowser, exclude: ["test/**/*.node.test.ts", losing], isolate: false }),
      inBrowserAs("browser-alone", { include: [losing] }),
    ],
  },
});

/** A project of headless Chromium. */
function inBrowserAs(
  name: string,
  files: Pick<InlineConfig, "include" | "exclude" | "isolate">,
): TestProjectConfiguration {
  return {
    extends: true,
    // Cross-origin isolation, without which there is no shared memory.
    server: {
      headers: { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" },
    },
    optimizeDeps: {
      include: [
        "@tensorflow/tfjs",
        "@tensorflow/tfjs-backend-webgpu",
        "@tensorflow/tfjs-vis",
        "fast-check",
        "gpu.js",
        "ml-matrix",
      ],
    },
    test: {
      ...files,
      name,
      browser: {
        enabled: true,
        headless: true,
        screenshotFailures: false,
        provider: playwright({
          launchOptions: { args: chromiumFlags, ...(executablePath === null ? {} : { executablePath }) },
        }),
        instances: [{ browser: "chromium" }],
      },
    },
  };
}
