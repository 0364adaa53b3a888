/** The gallery, built and served as a user would have it, in a headless browser. */

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { type Browser, chromium, type Page } from "playwright";
import { build, preview } from "vite";
import { findChromium } from "../../scripts/find-chromium.mjs";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const GALLERY = join(ROOT, "examples/gallery");
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export class Gallery {
  private constructor(
    readonly folder: string,
    readonly url: string,
    readonly browser: Browser,
    private readonly server: Served,
  ) {}

  static async open(): Promise<Gallery> {
    mkdirSync(join(ROOT, "node_modules/.cache"), { recursive: true });
    const folder = mkdtempSync(join(ROOT, "node_modules/.cache/gallery-"));
    const configFile = join(GALLERY, "vite.config.ts");
    const environment = process.env.NODE_ENV;
    process.env.NODE_ENV = "production"; // the test runner's own would make another page
    try {
      await build({ root: GALLERY, configFile, logLevel: "silent", build: { outDir: folder } });
    } finally {
      process.env.NODE_ENV = environment;
    }
    const server = await serve(folder);
    const executablePath = findChromium();
    const browser = await chromium.launch({
      args: ["--no-sandbox"],
      ...(executablePath === null ? {} : { executablePath }),
    });
    return new Gallery(folder, server.url, browser, server);
  }

  async close(): Promise<void> {
    await this.browser.close();
    await this.server.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** A page with the gallery open and its data drawn; what goes wrong in it is in `errors`. */
  async page(
    options: Parameters<Browser["newPage"]>[0] = {},
    url = this.url,
  ): Promise<{ page: Page; errors: string[] }> {
    const page = await this.browser.newPage({ serviceWorkers: "block", ...options }); // it would load all files each time
    const errors: string[] = [];
    page.on("pageerror", (error) => errors.push(error.message));
    page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
    await page.goto(url);
    await page.waitForSelector("#convexPlot .point");
    return { page, errors };
  }

  /** Bytes of each file of code, gzipped; data not counted. */
  gzippedFiles(): { readonly name: string; readonly gzipped: number }[] {
    const names = readdirSync(this.folder, { recursive: true, encoding: "utf8" });
    return names
      .filter((name) => /\.(html|js|css)$/.test(name))
      .map((name) => ({ name, gzipped: gzipSync(readFileSync(join(this.folder, name))).length }));
  }

  /** Bytes of all that a page loads to train, gzipped. */
  gzippedBytes(): number {
    return this.gzippedFiles().reduce((sum, { gzipped }) => sum + gzipped, 0);
  }
}

/** A server of built files. */
export interface Served {
  readonly url: string;
  /** Ends it, and all connections to it. */
  close(): Promise<void>;
}

export async function serve(folder: string): Promise<Served> {
  const { httpServer, resolvedUrls } = await preview({
    root: GALLERY,
    configFile: false,
    logLevel: "silent",
    build: { outDir: folder },
    preview: { port: 0, host: "127.0.0.1" },
  });
  return {
    url: resolvedUrls?.local[0] ?? "",
    close: () =>
      new Promise((resolve) => {
        httpServer.close(() => resolve());
        if ("closeAllConnections" in httpServer) httpServer.closeAllConnections();
      }),
  };
}

/** Fills in fields of the form by their names. */
export async function fill(page: Page, values: Readonly<Record<string, string | number>>): Promise<void> {
  await page.locator("#more").evaluate((more) => (more as HTMLDetailsElement).setAttribute("open", ""));
  for (const [name, value] of Object.entries(values)) {
    const field = page.locator(`#settings [name=${name}]`);
    const isSelect = await field.evaluate((node) => node.tagName === "SELECT");
    if (isSelect) await field.selectOption(String(value));
    else await field.fill(String(value));
  }
}

/** Presses Train and waits for the end. */
export async function train(page: Page): Promise<void> {
  await page.evaluate(() => document.getElementById("status")?.replaceChildren());
  await page.click("#train");
  await page.waitForFunction(() => document.getElementById("status")?.textContent !== "", null, { timeout: 60_000 });
}

/** The facts under a plot, by their names: the number behind the words where there is one. */
export async function factsOf(page: Page, id: "convexFacts" | "gradientFacts"): Promise<Record<string, string>> {
  return page
    .locator(`#${id} dd`)
    .evaluateAll((nodes) =>
      Object.fromEntries(
        nodes.map((node) => [(node as HTMLElement).dataset.fact, (node as HTMLElement).title || node.textContent]),
      ),
    );
}

/** The page that the stored pictures of plots show. */
export const PICTURED = { colorScheme: "light", viewport: { width: 1200, height: 1000 } } as const;

/** What axe finds wrong with a page for people who read it otherwise. */
export async function violations(page: Page): Promise<string[]> {
  await page.evaluate(AXE);
  return page.evaluate(async () => {
    const { axe } = window as unknown as {
      axe: { run(): Promise<{ violations: { id: string; nodes: unknown[] }[] }> };
    };
    const { violations } = await axe.run();
    return violations.map(
      ({ id, nodes }) => `${id}: ${JSON.stringify(nodes.map((node) => (node as { html: string }).html))}`,
    );
  });
}
