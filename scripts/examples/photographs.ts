/** The gallery's chapters as a browser shows them, each after it was used. */

import { join } from "node:path";
import type { Page } from "playwright";
import { Gallery, train } from "../../test/helpers/gallery.js";
import { chapters } from "./entries.js";
import { photoOf } from "./page.js";

const VIEW = { colorScheme: "light", viewport: { width: 900, height: 900 } } as const;
const PHOTO = { type: "jpeg", quality: 60, animations: "disabled" } as const;

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
  },
};

/** Writes one picture a chapter under `docs`. */
export async function photographChapters(docs: string): Promise<void> {
  const gallery = await Gallery.open();
  try {
    const { page } = await gallery.page(VIEW);
    for (const chapter of chapters) {
      await uses[chapter.name]?.(page);
      await page.evaluate(() => scrollTo(0, 0));
      await page.mouse.move(0, 0);
      await page.locator(`#${chapter.name}`).screenshot({ path: join(docs, photoOf(chapter)), ...PHOTO });
    }
  } finally {
    await gallery.close();
  }
}
