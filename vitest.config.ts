import { playwright } from "@vitest/browser-playwright";
import { defineConfig } from "vitest/config";
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

export default defineConfig({
  test: {
    testTimeout: 120_000,
    reporters: ["default", "./scripts/summary-reporter.mjs"],
    projects: [
      { extends: true, test: { name: "node", include: ["test/**/*.test.ts"], exclude: ["test/**/*.browser.test.ts"] } },
      {
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
          name: "browser",
          include: inBrowser,
          exclude: ["test/**/*.node.test.ts"],
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
      },
    ],
  },
});
