/** The gallery's panel "Teach it your own symbols": drawn on with mouse, finger and keys in a headless browser. */

import type { Page } from "playwright";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { examplesOf } from "../../examples/gallery/symbols/examples.js";
import { pictureOf, type Stroke } from "../../examples/gallery/symbols/picture.js";
import { Gallery, violations } from "../helpers/gallery.js";

let gallery: Gallery;

beforeAll(async () => {
  gallery = await Gallery.open();
}, 60_000);

afterAll(() => gallery?.close());

/** Draws strokes on the pad with the mouse. */
async function draw(page: Page, strokes: readonly Stroke[]): Promise<void> {
  await page.locator("#symbolPad").scrollIntoViewIfNeeded();
  const box = await page.locator("#symbolPad").boundingBox();
  if (box === null) throw new Error("The pad is not there.");
  for (const stroke of strokes) {
    const places = stroke.map(({ x, y }) => [box.x + x * box.width, box.y + y * box.height] as const);
    await page.mouse.move(...places[0]);
    await page.mouse.down();
    for (const place of places.slice(1)) await page.mouse.move(...place, { steps: 2 });
    await page.mouse.up();
  }
}

/** Presses Teach and waits for the end. */
async function teach(page: Page): Promise<{ readonly verdict: string; readonly seconds: number }> {
  await page.click("#teach");
  await page.waitForFunction(() => /^Taught/.test(document.getElementById("symbolVerdict")?.textContent ?? ""), null, {
    timeout: 60_000,
  });
  const verdict = (await page.textContent("#symbolVerdict")) ?? "";
  return { verdict, seconds: Number(await page.textContent('#symbolFacts [data-fact="seconds of the fit"]')) };
}

async function best(page: Page): Promise<string> {
  await page.waitForSelector("#guess [data-best]");
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
  return (await page.textContent("#guess [data-best] > :first-child")) ?? "";
}

describe("the panel of symbols", () => {
  test("learns three symbols in the worker, with a bound that belongs to it, and sees new drawings for what they are", async () => {
    const { page, errors } = await gallery.page();
    expect(await page.isDisabled("#teach")).toBe(true);
    await page.click("#fillKinds");
    await teach(page); // loads TensorFlow.js
    const { verdict, seconds } = await teach(page);
    expect(verdict).toMatch(/within [\d.e-]+ % of the best head with its gates/);
    expect(seconds).toBeLessThan(5); // a fraction of one on a machine that does nothing else
    const fact = async (name: string) => page.textContent(`#symbolFacts [data-fact="${name}"]`);
    expect(await fact("status")).toBe("solved");
    expect(Number(await fact("dual bound"))).toBeLessThanOrEqual(Number(await fact("objective")) * (1 + 1e-5));
    expect(await page.textContent("#symbolClaim")).toContain("No network with these");
    // Drawings that it has not seen: the ninth of each.
    for (const name of ["circle", "cross", "triangle"]) {
      await page.click("#clearPad");
      await draw(page, examplesOf(name, 9)[8]);
      expect(await best(page)).toBe(name);
    }
    const shares = await page.locator("#guess li > :last-child").allTextContents();
    expect(shares.reduce((sum, share) => sum + Number.parseFloat(share), 0)).toBeCloseTo(100, 0);
    expect(errors).toEqual([]);
    await page.close();
  });

  test("two symbols of one's own, drawn and named, five times each, with Enter and with the button", async () => {
    const { page, errors } = await gallery.page();
    await page.fill('[aria-label="Name of symbol 1"]', "tick");
    await page.press('[aria-label="Name of symbol 1"]', "Tab");
    const line = (slope: number, k: number): Stroke[] => [
      [
        { x: 0.2 + 0.02 * k, y: 0.5 - slope },
        { x: 0.8 - 0.02 * k, y: 0.5 + slope },
      ],
    ];
    expect(await page.textContent("#takeSymbol")).toBe("Add to tick");
    for (let k = 0; k < 5; k++) {
      await draw(page, line(0.3, k));
      await page.click("#takeSymbol");
    }
    // It goes on to the next by itself.
    expect(await page.textContent("#takeSymbol")).toBe("Add to symbol 2");
    for (let k = 0; k < 5; k++) {
      expect(await page.isDisabled("#teach")).toBe(true);
      await draw(page, line(-0.3, k));
      await page.press("#symbolPad", "Enter");
    }
    expect(await page.locator("#kinds .drawn svg").count()).toBe(10);
    await teach(page);
    await draw(page, line(0.25, 1));
    expect(await best(page)).toBe("tick");
    await page.click("#clearPad");
    await draw(page, line(-0.25, 1));
    expect(await best(page)).toBe("symbol 2");
    expect(errors).toEqual([]);
    await page.close();
  });

  test("keys alone draw, add, clear, and take back", async () => {
    const { page } = await gallery.page();
    await page.focus("#symbolPad");
    for (const key of ["Space", "ArrowRight", "ArrowRight", "ArrowDown", "Space"]) await page.keyboard.press(key);
    const points = await page.getAttribute("#symbolPad polyline", "points");
    expect(points?.split(" ").length).toBe(4);
    await page.keyboard.press("Delete");
    expect(await page.locator("#symbolPad polyline").count()).toBe(0);
    await page.keyboard.press("Enter");
    expect(await page.textContent("#symbolSaid")).toBe("Draw something first.");
    for (const key of ["Space", "ArrowUp", "Enter"]) await page.keyboard.press(key);
    expect(await page.textContent("#kinds .count >> nth=0")).toBe("1 of 5");
    await page.click('[aria-label="Undo the last drawing of symbol 1"]');
    expect(await page.textContent("#kinds .count >> nth=0")).toBe("0 of 5");
    for (let k = 2; k < 6; k++) await page.click("#addKind");
    expect(await page.isDisabled("#addKind")).toBe(true);
    expect(await page.locator("#kinds li").count()).toBe(6);
    await page.close();
  });

  test("a finger draws, and the page does not scroll under it", async () => {
    const { page } = await gallery.page({ hasTouch: true, viewport: { width: 390, height: 800 } });
    await page.locator("#symbolPad").scrollIntoViewIfNeeded();
    const before = await page.evaluate(() => scrollY);
    const box = await page.locator("#symbolPad").boundingBox();
    const session = await page.context().newCDPSession(page);
    const touch = (type: "touchStart" | "touchMove" | "touchEnd", x?: number, y?: number) =>
      session.send("Input.dispatchTouchEvent", {
        type,
        touchPoints: x === undefined || y === undefined ? [] : [{ x: (box?.x ?? 0) + x, y: (box?.y ?? 0) + y }],
      });
    await touch("touchStart", 60, 60);
    for (let k = 1; k < 8; k++) await touch("touchMove", 60 + 10 * k, 60 + 8 * k);
    await touch("touchEnd");
    expect(await page.locator("#symbolPad polyline").count()).toBe(1);
    expect((await page.getAttribute("#symbolPad polyline", "points"))?.split(" ").length).toBeGreaterThan(4);
    expect(await page.evaluate(() => scrollY)).toBe(before);
    await page.close();
  });

  test.each([
    ["light", 1200],
    ["dark", 375],
  ] as const)(
    "axe finds nothing to say, %s and %i pixels wide, before and after it is taught",
    async (colorScheme, width) => {
      const { page, errors } = await gallery.page({ colorScheme, viewport: { width, height: 800 } });
      await page.click("#fillKinds");
      expect(await violations(page)).toEqual([]);
      await teach(page);
      await draw(page, examplesOf("cross", 7)[6]);
      await best(page);
      expect(await violations(page)).toEqual([]);
      const [inner, outer] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
      expect(inner).toBeLessThanOrEqual(outer);
      expect(errors).toEqual([]);
      await page.close();
    },
  );
});

describe("a drawing as a picture", () => {
  const middle = (picture: Float32Array) => {
    let [sum, x, y] = [0, 0, 0];
    picture.forEach((ink, k) => {
      sum += ink;
      x += ink * ((k % 14) + 0.5);
      y += ink * (Math.floor(k / 14) + 0.5);
    });
    return [x / sum, y / sum];
  };
  const near = (a: Float32Array, b: Float32Array) => a.every((ink, k) => Math.abs(ink - b[k]) < 1e-5);

  test("is the same wherever it is drawn and at any size, has pixels from 0 to 1, and lies in the middle", () => {
    for (const name of ["cross", "circle", "triangle"]) {
      const [drawing] = examplesOf(name, 1);
      const moved = drawing.map((stroke) => stroke.map(({ x, y }) => ({ x: 0.3 + 0.5 * x, y: 0.1 + 0.5 * y })));
      const picture = pictureOf(drawing);
      expect(near(picture, pictureOf(moved))).toBe(true);
      expect(Math.max(...picture)).toBeGreaterThan(0.9);
      expect(Math.max(...picture)).toBeLessThanOrEqual(1 + 1e-6);
      expect(Math.min(...picture)).toBe(0);
      for (const at of middle(picture)) expect(Math.abs(at - 7)).toBeLessThan(1.5);
    }
  });

  test("of nothing is black, and a dot stays a dot", () => {
    expect(pictureOf([]).every((ink) => ink === 0)).toBe(true);
    const dot = pictureOf([[{ x: 0.1, y: 0.9 }]]);
    expect(dot.reduce((sum, ink) => sum + ink, 0)).toBeGreaterThan(0.5);
    expect(dot.reduce((sum, ink) => sum + ink, 0)).toBeLessThan(4);
  });
});
