/** A page of Chromium with the benches of devices on it: on a GPU, or on the CPU (SwiftShader). */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { build } from "esbuild";
import { chromium, type Page } from "playwright";
import { findChromium } from "../../scripts/find-chromium.mjs";

const SOFTWARE_FLAGS = [
  "--use-angle=swiftshader",
  "--enable-unsafe-swiftshader",
  "--use-webgpu-adapter=swiftshader",
  "--no-sandbox",
];
const GPU_FLAGS = ["--ignore-gpu-blocklist", "--no-sandbox"];

/** On localhost, since WebGPU wants a secure origin; `isolated` pages have threads. */
export async function withPage(software: boolean, use: (page: Page) => Promise<void>, isolated = false): Promise<void> {
  const entryPoints = [new URL("devicePage.js", import.meta.url).pathname];
  const { outputFiles } = await build({ entryPoints, bundle: true, format: "iife", write: false, logLevel: "error" });
  const server = createServer((request, response) => {
    const script = request.url === "/bench.js";
    if (isolated) {
      response.setHeader("cross-origin-opener-policy", "same-origin");
      response.setHeader("cross-origin-embedder-policy", "require-corp");
    }
    response.setHeader("content-type", script ? "text/javascript" : "text/html");
    response.end(script ? outputFiles[0].text : '<!doctype html><script src="/bench.js"></script>');
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const executablePath = findChromium();
  const args = ["--enable-unsafe-webgpu", "--enable-features=Vulkan", "--use-gl=angle"];
  const browser = await chromium.launch({
    args: [...args, ...(software ? SOFTWARE_FLAGS : GPU_FLAGS)],
    ...(executablePath === null ? {} : { executablePath }),
  });
  try {
    const page = await browser.newPage();
    page.setDefaultTimeout(0);
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    await use(page);
  } finally {
    await browser.close();
    server.close();
  }
}
