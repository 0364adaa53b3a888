/** The pictures in docs/images and test/reference/plots, taken from the gallery in a headless browser: `npm run docs:images`. */

import { mkdirSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Page } from "playwright";
import { fill, Gallery, PICTURED, train } from "../test/helpers/gallery.js";
import { coarseOf, storeReference } from "../test/helpers/pictures.js";

const FOLDER = fileURLToPath(new URL("../docs/images/", import.meta.url));

const PHOTO = { type: "jpeg", quality: 85 } as const;

/** A plot as the file that its button hands out. */
async function savePlot(page: Page, what: string, name: string): Promise<void> {
  const coming = page.waitForEvent("download");
  await page.click(`[data-export=${what}]`);
  writeFileSync(join(FOLDER, name), await readFile(await (await coming).path()));
}

mkdirSync(FOLDER, { recursive: true });
const gallery = await Gallery.open();
try {
  const light = await gallery.page(PICTURED);
  await train(light.page); // the code is loaded and warm for the pictures
  await fill(light.page, { data: "moons" });
  await train(light.page);
  await light.page.click("#drawContours");
  await light.page.waitForSelector("#contourPlot .contour");
  for (const name of ["convexPlot", "gradientPlot", "objectivePlot", "contourPlot"]) {
    storeReference(name, await coarseOf(light.page, `#${name}`));
  }
  await light.page.evaluate(() => scrollTo(0, 0));
  await light.page.mouse.move(0, 0);
  await light.page.locator("#compare").screenshot({ path: join(FOLDER, "gallery.jpg"), ...PHOTO });
  await fill(light.page, { arrangements: "sample", gates: 1000, tolerance: "0.000001" });
  await train(light.page);
  await savePlot(light.page, "objectivePlot", "objective.svg");
  await fill(light.page, { data: "xor", beta: 0.02 });
  await train(light.page);
  await savePlot(light.page, "convexPlot", "plane.svg");

  const dark = await gallery.page({ colorScheme: "dark", viewport: { width: 390, height: 844 } });
  await fill(dark.page, { data: "spirals", beta: 0.001 });
  await train(dark.page);
  await dark.page.evaluate(() => document.getElementById("verdict")?.scrollIntoView());
  await dark.page.screenshot({ path: join(FOLDER, "phone.jpg"), ...PHOTO });
} finally {
  await gallery.close();
}
