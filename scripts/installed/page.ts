/** Opens a folder of built files in a headless browser and waits for what the page says in its title. */

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join } from "node:path";
import { chromium } from "playwright";
import { chromiumFlags, findChromium } from "../find-chromium.mjs";

const TYPES: Readonly<Record<string, string>> = { ".html": "text/html", ".js": "text/javascript" };

export interface Opened {
  readonly title: string;
  /** Errors, and what a policy refused. */
  readonly complaints: readonly string[];
}

/** Serves a folder with these headers until the title is other than empty, or an error came. */
export async function openPage(folder: string, headers: Readonly<Record<string, string>> = {}): Promise<Opened> {
  const server = createServer(({ url }, response) => {
    const path = new URL(url ?? "/", "http://localhost").pathname;
    const file = path === "/" ? "/index.html" : path;
    try {
      const body = readFileSync(join(folder, file));
      response
        .writeHead(200, { "Content-Type": TYPES[extname(file)] ?? "application/octet-stream", ...headers })
        .end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const executablePath = findChromium();
  const browser = await chromium.launch({
    args: chromiumFlags,
    ...(executablePath === null ? {} : { executablePath }),
  });
  try {
    const page = await browser.newPage();
    const complaints: string[] = [];
    const failed = new Promise<void>((resolve) => {
      page.on("pageerror", ({ message }) => {
        complaints.push(message);
        resolve();
      });
    });
    page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    const said = page.waitForFunction(() => document.title !== "", null, { timeout: 60_000 });
    await Promise.race([said, failed]).catch(() => undefined);
    return { title: await page.title(), complaints: complaints.filter((text) => !text.includes("404")) };
  } finally {
    await browser.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}
