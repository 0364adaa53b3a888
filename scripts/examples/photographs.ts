/** The gallery's chapters as a browser shows them, each after it was used. */

import { join } from "node:path";
import type { Page } from "playwright";
import { Gallery, train } from "../../test/helpers/gallery.js";
import { chapters } from "./entries.js";
import { photoOf } from "./page.js";

const VIEW = { colorScheme: "light", viewport: { width: 900, height: 900 } } as const;
const PHOTO = { type: "jpeg", quality: 55, animations: "disabled" } as const;

/** What is pressed before a chapter is pictured. */
const uses: Readonly<Record<string, (page: Page) => Promise<void>>> = {
  compare: train,
  around: async (page) => {
    await page.click("#drawContours");
    await page.waitForSelector("#contourPlot .contour");
  },
  symbols: async (page) => {
    await page.click("#fillKinds");
    await page.click("#teach");
    await page.waitForFunction(() => document.getElementById("symbolVerdict")?.textContent !== "", null, {
      timeout: 120_000,
    });
    await drawTriangle(page);
  },
  take: (page) => page.click("#take summary"),
};

/** With the mouse on the drawing pad; what it sees in it is then said beside. */
async function drawTriangle(page: Page): Promise<void> {
  const pad = page.locator("#symbolPad");
  await pad.scrollIntoViewIfNeeded();
  const box = await pad.boundingBox();
  if (box === null) throw new Error("photographs: the drawing pad is not shown");
  const corners = [
    [0.5, 0.2],
    [0.8, 0.75],
    [0.2, 0.8],
    [0.5, 0.2],
  ].map(([x, y]) => [box.x + x * box.width, box.y + y * box.height] as const);
  await page.mouse.move(...corners[0]);
  await page.mouse.down();
  for (const corner of corners.slice(1)) await page.mouse.move(...corner, { steps: 12 });
  await page.mouse.up();
  await page.waitForTimeout(1000); // to be seen and guessed
}

/** What is pictured of a chapter that is longer than a picture. */
const parts: Readonly<Record<string, string>> = { compare: "#results" };

/** Writes one picture a chapter under `docs`. */
export async function photographChapters(docs: string): Promise<void> {
  const gallery = await Gallery.open();
  try {
    const { page } = await gallery.page(VIEW);
    for (const chapter of chapters) {
      await uses[chapter.name]?.(page);
      await page.evaluate(() => scrollTo(0, 0));
      await page.mouse.move(0, 0);
      await page
        .locator(parts[chapter.name] ?? `#${chapter.name}`)
        .screenshot({ path: join(docs, photoOf(chapter)), ...PHOTO });
    }
  } finally {
    await gallery.close();
  }
}
