/** Pictures of plots as a few coarse cells, so that fonts and smoothing of edges make no difference. */

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Page } from "playwright";

const FOLDER = fileURLToPath(new URL("../reference/plots/", import.meta.url));
const CELLS = 24; // a side

/** CELLS x CELLS mean colours, as bytes of RGBA and as a PNG file. */
export interface Coarse {
  readonly cells: readonly number[];
  readonly png: Buffer;
}

/** A plot of a page, shrunk. */
export async function coarseOf(page: Page, selector: string): Promise<Coarse> {
  return shrink(page, await page.locator(selector).screenshot({ animations: "disabled" }));
}

/** The stored picture of a plot. */
export async function referenceOf(page: Page, name: string): Promise<Coarse> {
  const file = join(FOLDER, `${name}.png`);
  if (!existsSync(file)) throw new Error(`There is no ${file}: npm run docs:images makes it.`);
  return shrink(page, readFileSync(file));
}

export function storeReference(name: string, { png }: Coarse): void {
  mkdirSync(FOLDER, { recursive: true });
  writeFileSync(join(FOLDER, `${name}.png`), png);
}

/** Mean difference of two pictures, cell by cell, in bytes of a colour. */
export function difference(a: Coarse, b: Coarse): number {
  return a.cells.reduce((sum, value, k) => sum + Math.abs(value - b.cells[k]), 0) / a.cells.length;
}

/** Shares of cells that are bluish, reddish and grey: where curves lie plays no part. */
export function hues({ cells }: Coarse): { blue: number; red: number; grey: number } {
  const counts = { blue: 0, red: 0, grey: 0 };
  for (let k = 0; k < cells.length; k += 4) {
    const lead = cells[k + 2] - cells[k];
    counts[lead > 12 ? "blue" : lead < -6 ? "red" : "grey"] += 4 / cells.length;
  }
  return counts;
}

/** Averages a PNG file over CELLS x CELLS cells, by means of a page. */
async function shrink(page: Page, png: Buffer): Promise<Coarse> {
  const { cells, url } = await page.evaluate(
    async ({ source, side }) => {
      const image = await createImageBitmap(await (await fetch(source)).blob());
      const whole = new OffscreenCanvas(image.width, image.height).getContext("2d");
      const canvas = Object.assign(document.createElement("canvas"), { width: side, height: side });
      const small = canvas.getContext("2d");
      if (whole === null || small === null) throw new Error("no canvas");
      whole.drawImage(image, 0, 0);
      const { data } = whole.getImageData(0, 0, image.width, image.height);
      const sums = new Float64Array(4 * side * side);
      const counts = new Float64Array(side * side);
      for (let k = 0; k < image.width * image.height; k++) {
        const column = Math.floor(((k % image.width) * side) / image.width);
        const cell = Math.floor((Math.floor(k / image.width) * side) / image.height) * side + column;
        counts[cell] += 1;
        for (let c = 0; c < 4; c++) sums[4 * cell + c] += data[4 * k + c];
      }
      const pixels = small.createImageData(side, side);
      pixels.data.set(sums.map((sum, k) => sum / counts[k >> 2]));
      small.putImageData(pixels, 0, 0);
      return { cells: Array.from(pixels.data), url: canvas.toDataURL("image/png") };
    },
    { source: `data:image/png;base64,${png.toString("base64")}`, side: CELLS },
  );
  return { cells, png: Buffer.from(url.split(",")[1], "base64") };
}
