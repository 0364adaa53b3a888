/** The gallery as it is built: the real buttons pressed in a headless browser, the numbers read from the page. */

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs";
import type { Download, Page } from "playwright";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadModel } from "../../examples/support/modelFiles.js";
import { factsOf, fill, Gallery, PICTURED, serve, train, violations } from "../helpers/gallery.js";
import { coarseOf, difference, hues, referenceOf } from "../helpers/pictures.js";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const few = { points: 40, epochs: 10, starts: 2, arrangements: "sample", gates: 50 };

let gallery: Gallery;

beforeAll(async () => {
  gallery = await Gallery.open();
}, 60_000);

afterAll(() => gallery?.close());

async function downloads(page: Page, what: string, count = 1): Promise<Download[]> {
  const found: Download[] = [];
  const all = new Promise<void>((resolve) => {
    page.on("download", (download) => {
      found.push(download);
      if (found.length === count) resolve();
    });
  });
  await page.click(`[data-export=${what}]`);
  await all;
  return found;
}

async function textOf(download: Download): Promise<string> {
  return readFileSync(await download.path(), "utf8");
}

describe("the page as it opens", () => {
  test("is drawn without TensorFlow.js, and all of it is below 1.5 MB gzipped", async () => {
    const { page, errors } = await gallery.page();
    const loaded = await page.evaluate(() => performance.getEntriesByType("resource").map((entry) => entry.name));
    expect(loaded.filter((name) => /convex-|worker-/.test(name))).toEqual([]);
    expect(gallery.gzippedBytes()).toBeLessThan(1.5e6);
    expect(errors).toEqual([]);
    await page.close();
  });

  test("shows a finished run of what its form asks for, with its curves, networks and words, before TensorFlow.js is there", async () => {
    const { page } = await gallery.page();
    await page.waitForSelector("#convexPlot .neuron");
    const facts = await factsOf(page, "convexFacts");
    expect(facts.status).toBe("solved");
    expect(await page.locator("#convexPlot .neuron").count()).toBe(Number(facts.neurons));
    expect(await page.locator("#convexPlot image[href]").count()).toBe(1);
    expect(await page.locator("#runs tbody tr").count()).toBe(4);
    expect(await page.locator("#excessPlot .descent").count()).toBe(3);
    expect(await page.locator("#contourPlot .contour").count()).toBeGreaterThan(1);
    expect(await page.textContent("#verdict")).toMatch(/made beforehand.* within \S+ % of the best network/);
    expect(await page.locator("#convexFacts dd[data-fact='relative gap']").textContent()).toMatch(/ %$/);
    expect(await page.textContent("#legend")).toContain("upper moon");
    await fill(page, { noise: 0.3 }); // other data: it is another run
    await expect.poll(() => page.textContent("#verdict")).toContain("Press Train");
    expect(await page.locator("#convexPlot .neuron").count()).toBe(0);
    expect(await page.locator("#runs tbody tr").count()).toBe(0);
    await page.close();
  });

  test.each([390, 1280])("stands where it is when its scripts come, %i pixels wide", async (width) => {
    const top = async (javaScriptEnabled: boolean) => {
      const context = await gallery.browser.newContext({ javaScriptEnabled, viewport: { width, height: 800 } });
      const page = await context.newPage();
      await page.goto(gallery.url);
      if (javaScriptEnabled) await page.waitForSelector("#convexPlot .point");
      const box = await page.locator("main").boundingBox();
      await context.close();
      return box?.y;
    };
    expect(await top(true)).toBe(await top(false));
  });

  test("lists its chapters, and each link leads to one", async () => {
    const { page } = await gallery.page();
    const links = await page.locator("#chapters a").evaluateAll((all) => all.map((link) => link.getAttribute("href")));
    expect(links.length).toBeGreaterThanOrEqual(3);
    for (const link of links) expect(await page.locator(`${link}.chapter h2`).count()).toBe(1);
    await page.close();
  });

  test("the theme button turns light into dark, and back", async () => {
    const { page } = await gallery.page({ colorScheme: "light" });
    const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    expect(await paper()).toBe("rgb(255, 255, 255)");
    await page.click("#theme");
    expect(await paper()).toBe("rgb(20, 23, 27)");
    await page.click("#theme");
    expect(await paper()).toBe("rgb(255, 255, 255)");
    await page.close();
  });

  test("Train can be seen without scrolling, on a phone and on a desk", async () => {
    for (const viewport of [
      { width: 390, height: 700 },
      { width: 1280, height: 720 },
    ]) {
      const { page } = await gallery.page({ viewport });
      const box = await page.locator("#train").boundingBox();
      expect((box?.y ?? Number.POSITIVE_INFINITY) + (box?.height ?? 0)).toBeLessThanOrEqual(viewport.height);
      await page.close();
    }
  });

  test.each([
    ["light", 1200],
    ["dark", 375],
  ] as const)(
    "axe finds nothing to say, %s and %i pixels wide, before and after training",
    async (colorScheme, width) => {
      const { page, errors } = await gallery.page({ colorScheme, viewport: { width, height: 800 } });
      expect(await violations(page)).toEqual([]);
      await fill(page, few);
      await train(page);
      expect(await violations(page)).toEqual([]);
      const [inner, outer] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
      expect(inner).toBeLessThanOrEqual(outer);
      expect(errors).toEqual([]);
      await page.close();
    },
  );
});

describe("Train", () => {
  test("shows a proven objective beside every start of model.fit, and the page keeps its turns", async () => {
    const { page, errors } = await gallery.page();
    await fill(page, few);
    await train(page); // loads TensorFlow.js
    await page.evaluate(() => {
      const tasks: number[] = [];
      Object.assign(window, { tasks });
      new PerformanceObserver((list) => tasks.push(...list.getEntries().map((entry) => entry.duration))).observe({
        entryTypes: ["longtask"],
      });
    });
    await fill(page, { points: 100, tolerance: "0.000001", beta: 0.002 });
    const began = performance.now();
    await train(page);
    const training = performance.now() - began;
    const facts = await factsOf(page, "convexFacts");
    expect(facts.status).toBe("solved");
    expect(Number(facts["relative gap"])).toBeLessThanOrEqual(1e-6);
    expect(Number(facts["dual bound"])).toBeLessThanOrEqual(Number(facts.objective) * (1 + 1e-5));
    expect(facts.engine).toBe("wasm, in a worker");
    expect(Number.parseFloat(facts["training accuracy"])).toBeGreaterThan(95);
    const rows = await page
      .locator("#runs tbody tr")
      .evaluateAll((all) => all.map((row) => [...row.children].map((cell) => cell.textContent)));
    expect(rows.map(([method]) => method)).toEqual(["convex", "Adam, start 1", "Adam, start 2"]);
    expect(rows[0][1]).toBe(facts.objective);
    expect(Number((await factsOf(page, "gradientFacts"))["best objective"])).toBe(
      Math.min(...rows.slice(1).map((row) => Number(row[1]))),
    );
    expect(await page.locator("#convexPlot .neuron").count()).toBe(Number(facts.neurons));
    expect(await page.locator("#objectivePlot .descent").count()).toBe(2);
    const verdict = (await page.textContent("#verdict")) ?? "";
    const [, within, best] = /within (\S+) % of the best network.* ended (\S+) % above it/.exec(verdict) ?? [];
    expect(Number(within) / 100).toBeCloseTo(Number(facts["relative gap"]), 7);
    expect(Number(best)).toBeGreaterThan(0);
    expect(await page.locator("#objectivePlot .dual").count()).toBe(1);
    expect(await page.locator("#excessPlot text").allTextContents()).toContain("above the bound");
    expect(await page.locator("#excessPlot .descent").count()).toBe(2);
    expect(await page.locator("#excessPlot .dual").count()).toBe(0);
    expect(await page.getAttribute("#objectivePlot", "aria-label")).toContain("dual bound");
    const tasks = await page.evaluate(() => (window as unknown as { tasks: number[] }).tasks);
    expect(Math.max(0, ...tasks)).toBeLessThan(training / 2); // npm run bench:page has the milliseconds
    expect(errors).toEqual([]);
    await page.close();
  });

  test("Stop ends both sides, and what they have reached stays", async () => {
    const { page } = await gallery.page();
    await fill(page, { points: 300, epochs: 5000, tolerance: "0.000001", beta: 0.0001 });
    await page.click("#train");
    await page.waitForSelector("#runs tbody tr[data-kind=gradient]");
    await page.waitForFunction(
      () => document.querySelector("#convexFacts dd[data-fact='relative gap'][title]") !== null,
    );
    const during = await factsOf(page, "convexFacts");
    expect(during.status).toMatch(/^(in round \d+|solved)$/);
    expect(Number(during["relative gap"])).toBeGreaterThan(0);
    await page.click("#stop");
    await page.waitForFunction(() => document.getElementById("status")?.textContent !== "");
    const { status, objective } = await factsOf(page, "convexFacts");
    expect(status).toMatch(/^(cancelled|solved)/);
    expect(Number(objective)).toBeGreaterThan(0);
    await page.close();
  });

  test("Stop in the middle of a long round ends it, and the next training begins anew", async () => {
    const { page, errors } = await gallery.page();
    await fill(page, { data: "digits" });
    await expect.poll(() => page.textContent("#dataNote")).toContain("images");
    await fill(page, { beta: 0.0001, tolerance: "0.000001", gates: 2000, epochs: 5000, starts: 1 });
    await page.click("#train");
    await page.waitForSelector("#runs tbody tr[data-kind=gradient]");
    await page.click("#stop");
    expect(await page.locator("#stop").isDisabled()).toBe(true);
    await page.waitForFunction(() => document.getElementById("status")?.textContent !== "", null, { timeout: 20_000 });
    expect((await factsOf(page, "convexFacts")).status).toMatch(/^(cancelled|solved)/);
    await fill(page, { data: "moons" });
    await fill(page, { ...few, beta: 0.005, tolerance: "0.001" });
    await train(page);
    expect((await factsOf(page, "convexFacts")).status).toBe("solved");
    expect(errors).toEqual([]);
    await page.close();
  });

  test("nothing is left behind by 20 trainings, in the page and in its workers", async () => {
    const { page, errors } = await gallery.page();
    await fill(page, { points: 10, epochs: 1, starts: 1, arrangements: "sample", gates: 20, loss: "meanSquaredError" });
    const counts: number[] = [];
    for (let k = 0; k < 20; k++) {
      await train(page);
      counts.push(Number(await page.textContent("#tensors")));
    }
    expect(counts[0]).toBeGreaterThan(0);
    expect(new Set(counts.slice(1)).size).toBe(1);
    expect(errors).toEqual([]);
    await page.close();
  });

  test.each([
    { data: "circles", loss: "squaredHinge", arrangements: "grow", points: 20 },
    { data: "xor", loss: "binaryCrossentropy", arrangements: "enumerate", points: 16 },
    { data: "spirals", loss: "meanSquaredError", formulation: "gated" },
    { data: "digits35", formulation: "gated", units: 10, epochs: 1, starts: 1 },
  ])("solves $data", async (values) => {
    const { page, errors } = await gallery.page();
    await fill(page, { ...few, data: values.data });
    await page.waitForFunction(
      (name) => name.startsWith("digits") === /images/.test(document.getElementById("dataNote")?.textContent ?? ""),
      values.data,
    );
    await fill(page, values);
    await train(page);
    const facts = await factsOf(page, "convexFacts");
    expect(facts.status).toBe("solved");
    if (values.arrangements === "enumerate") expect(facts["proven for"]).toMatch(/^all gates/);
    expect(errors).toEqual([]);
    await page.close();
  });
});

describe("pictures of the plots", () => {
  /** Mean bytes by which a picture may differ; another data set, a blank plot or a lost surface differ by more. */
  const LOOSE = 6;
  let page: Page;

  beforeAll(async () => {
    ({ page } = await gallery.page(PICTURED));
    await train(page);
    await page.click("#drawContours");
    await page.waitForSelector("#contourPlot .contour");
  }, 60_000);

  afterAll(() => page?.close());

  test.each(["convexPlot", "gradientPlot"])("%s looks as it did", async (name) => {
    const picture = await coarseOf(page, `#${name}`);
    expect(difference(picture, await referenceOf(page, name))).toBeLessThan(LOOSE);
  });

  // Times are the machine's, and contours those of one of many optima: where they lie is not compared.
  test.each(["objectivePlot", "contourPlot"])("%s has about as much of each colour as it had", async (name) => {
    const [now, then] = [await coarseOf(page, `#${name}`), await referenceOf(page, name)].map(hues);
    for (const hue of ["blue", "red", "grey"] as const) {
      expect(now[hue], hue).toBeGreaterThanOrEqual(then[hue] / 4);
      expect(now[hue], hue).toBeLessThanOrEqual(then[hue] * 4);
    }
  });

  test("a plot without its surface, without its contours, without its curves, or of other data is told apart", async () => {
    const [plane, contour, curves] = ["convexPlot", "contourPlot", "objectivePlot"].map((name) => `#${name}`);
    await page.evaluate(() => document.querySelector("#convexPlot image")?.removeAttribute("href"));
    expect(difference(await coarseOf(page, plane), await referenceOf(page, "convexPlot"))).toBeGreaterThan(LOOSE);
    await page.evaluate(() => document.querySelector("#contourPlot")?.replaceChildren());
    expect(hues(await coarseOf(page, contour)).blue).toBe(0);
    await page.evaluate(() => document.querySelector("#objectivePlot")?.replaceChildren());
    expect(hues(await coarseOf(page, curves)).red).toBe(0);
    await fill(page, { data: "circles", epochs: 1 });
    await train(page);
    expect(difference(await coarseOf(page, plane), await referenceOf(page, "convexPlot"))).toBeGreaterThan(LOOSE);
  });
});

describe("data of one's own", () => {
  test("points are added by a click and by keys alone, and removed", async () => {
    const { page } = await gallery.page();
    await fill(page, { data: "clicks" });
    const count = () => page.locator("#convexPlot .point").count();
    await expect.poll(count).toBe(3);
    await page.click("#convexPlot", { position: { x: 40, y: 40 } });
    await expect.poll(count).toBe(4);
    await fill(page, { clickClass: "1" });
    await page.focus("#convexPlot");
    for (const key of ["ArrowLeft", "ArrowLeft", "ArrowUp", "Enter"]) await page.keyboard.press(key);
    await expect.poll(count).toBe(5);
    expect(await page.locator("#convexPlot .second").count()).toBe(2);
    await page.click("#undo");
    await expect.poll(count).toBe(4);
    await page.close();
  });

  test("a CSV file is read, with words, quotes, gaps and a target of its own", async () => {
    const { page, errors } = await gallery.page();
    const rows = Array.from({ length: 40 }, (_, k) => {
      const side = k % 2 === 0 ? "left" : "right";
      return `${k},${Math.sin(k).toFixed(3)},"a ""${side}"" one",${k === 7 ? "" : (k * k) % 17},${side}`;
    });
    const text = ["number,wave,words,square,side", ...rows].join("\r\n");
    await page.setInputFiles("#file", { name: "mine.csv", mimeType: "text/csv", buffer: Buffer.from(text) });
    await expect.poll(() => page.textContent("#dataNote")).toContain("39 rows, 5 features, 2 classes");
    expect(await page.textContent("#dataNote")).toContain("1 rows with gaps left out");
    await fill(page, { epochs: 10, starts: 1, arrangements: "sample", gates: 50 });
    await train(page);
    expect((await factsOf(page, "convexFacts"))["training accuracy"]).toBe("100.0 %");
    await fill(page, { target: "wave" });
    await expect.poll(() => page.textContent("#dataNote")).toContain("a number");
    await train(page);
    expect((await factsOf(page, "convexFacts")).status).toBe("solved");
    expect(errors).toEqual([]);
    await page.close();
  });

  test("a file that is none says what is missing", async () => {
    const { page } = await gallery.page();
    await page.setInputFiles("#file", { name: "empty.csv", mimeType: "text/csv", buffer: Buffer.from("a,b\n1,2") });
    await expect.poll(() => page.textContent("#message")).toContain("at least three rows");
    await page.close();
  });

  test("an unusable file or target names the column, and nothing of the run before stays", async () => {
    const { page, errors } = await gallery.page();
    await page.waitForSelector("#convexPlot .neuron");
    const send = (text: string) =>
      page.setInputFiles("#file", { name: "mine.csv", mimeType: "text/csv", buffer: Buffer.from(text) });
    await send("only\n1\n2\n3\n4");
    await expect.poll(() => page.textContent("#message")).toContain('one column, "only"');
    expect(await page.locator("#convexPlot .point, #convexPlot .neuron, #runs tbody tr").count()).toBe(0);
    expect(await page.textContent("#dataNote")).toBe("");
    await send(["a,name", ...Array.from({ length: 40 }, (_, k) => `${k},word ${k}`)].join("\n"));
    await expect.poll(() => page.textContent("#message")).toContain('Column "name" cannot be the target: it has 40');
    await fill(page, { target: "a" });
    await expect.poll(() => page.textContent("#message")).toContain('Column "name" left out: 40 different words');
    await send(["a,same", ...Array.from({ length: 9 }, (_, k) => `${k},7`)].join("\n"));
    await expect
      .poll(() => page.textContent("#message"))
      .toContain('Column "same" cannot be the target: every row has "7"');
    await send(["a,b,c", ...Array.from({ length: 9 }, (_, k) => `${k},,${k % 2}`)].join("\n"));
    await expect.poll(() => page.textContent("#message")).toContain('column "b" has a gap in 9 of 9');
    expect(errors).toEqual([]);
    await page.close();
  });

  test("dates are read, stray words among numbers are gaps, and every fifth row is held out", async () => {
    const { page } = await gallery.page();
    const rows = Array.from({ length: 50 }, (_, k) => {
      const day = new Date(Date.UTC(2024, 0, 1 + k)).toISOString().slice(0, 10);
      return `${day},${k === 3 ? "broken" : Math.sin(k)},${k < 25 ? "winter" : "spring"}`;
    });
    const text = ["day,wave,season", ...rows].join("\n");
    await page.setInputFiles("#file", { name: "days.csv", mimeType: "text/csv", buffer: Buffer.from(text) });
    await expect
      .poll(() => page.textContent("#dataNote"))
      .toContain("49 rows, 2 features, 2 classes. 9 rows are held out");
    const note = (await page.textContent("#dataNote")) ?? "";
    expect(note).toContain('Column "day" is read as dates');
    expect(note).toContain('1 other cells, such as "broken" in row 4');
    await fill(page, { epochs: 5, starts: 1, arrangements: "sample", gates: 50 });
    await train(page);
    expect((await factsOf(page, "convexFacts"))["held-out accuracy"]).toMatch(/^(88.9|100.0) %$/); // of 9 rows
    await page.close();
  });
});

describe("what is taken away", () => {
  let page: Page;
  let facts: Record<string, string>;
  let folder = "";

  beforeAll(async () => {
    folder = mkdtempSync(join(ROOT, "node_modules/.cache/taken-"));
    ({ page } = await gallery.page());
    await fill(page, few);
    await train(page);
    facts = await factsOf(page, "convexFacts");
  }, 60_000);

  afterAll(async () => {
    await page.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test("the code makes the same run in Node", async () => {
    const [download] = await downloads(page, "code");
    const code = (await textOf(download)).replace('"tfjs-convex"', JSON.stringify(join(ROOT, "src/index.ts")));
    writeFileSync(join(folder, "run.mts"), code);
    const printed = execFileSync(process.execPath, ["--import", "tsx", join(folder, "run.mts")], {
      encoding: "utf8",
      cwd: ROOT,
      stdio: ["ignore", "pipe", "ignore"],
    });
    const certificate = JSON.parse(printed.trim().split("\n").at(-1) ?? "");
    expect(certificate.network.toPrecision(6)).toBe(facts.objective);
    expect(certificate.dual.toPrecision(6)).toBe(facts["dual bound"]);
  });

  test("the model loads in Node and evaluates to the objective of the page", async () => {
    const files = await downloads(page, "model", 2);
    for (const file of files) await file.saveAs(join(folder, file.suggestedFilename()));
    const [data] = await downloads(page, "data");
    const { x, y } = JSON.parse(await textOf(data));
    await tf.setBackend("cpu");
    const model = await loadModel(folder);
    model.compile({ optimizer: "sgd", loss: "squaredHinge" });
    const loss = tf.tidy(() => (model.evaluate(tf.tensor2d(x), tf.tensor2d(y)) as tf.Scalar).dataSync()[0]);
    const decay = tf.tidy(() => model.calculateLosses().reduce((sum, term) => sum + term.dataSync()[0], 0));
    expect(loss + decay).toBeCloseTo(Number(facts.objective), 5);
    model.dispose();
  });

  test("the objective around the optimum is drawn, nowhere lower than in the middle", async () => {
    await page.click("#drawContours");
    await page.waitForSelector("#contourPlot .contour");
    const said = (await page.getAttribute("#contourPlot", "aria-label")) ?? "";
    const [, middle, least] = /: ([\d.]+) in the middle.* nowhere less than (\S+) percent/.exec(said) ?? [];
    expect(Number(middle)).toBeCloseTo(Number(facts.objective), 5);
    expect(Number(least)).toBeGreaterThan(-0.1);
    expect(await page.locator("#contourPlot .contour").count()).toBeGreaterThan(1);
  });

  test.each(["convexPlot", "gradientPlot", "excessPlot", "objectivePlot", "contourPlot"])(
    "%s is an SVG file that stands alone",
    async (what) => {
      const [download] = await downloads(page, what);
      const svg = await textOf(download);
      const drawn = await page.evaluate((text) => {
        const tree = new DOMParser().parseFromString(text, "image/svg+xml");
        return {
          broken: tree.querySelector("parsererror") !== null,
          parts: tree.querySelectorAll("path, line").length,
        };
      }, svg);
      expect(drawn.broken).toBe(false);
      expect(drawn.parts).toBeGreaterThan(3);
      for (const [, name] of svg.matchAll(/var\((--\w+)\)/g)) expect(svg).toContain(`${name}: rgb`);
    },
  );

  test("a saved model is found again after a reload, predicts, and is deleted", async () => {
    await page.click("#save");
    await expect.poll(() => page.textContent("#saved")).toContain("was saved at");
    await page.reload();
    await expect.poll(() => page.textContent("#saved")).toContain("was saved at");
    await fill(page, { points: few.points });
    await page.click("#predict");
    await expect.poll(() => page.textContent("#saved")).toContain(`Predicted 40 rows`);
    expect(await page.textContent("#saved")).toContain(`${facts["training accuracy"]} of the rows are right`);
    await page.click("#forget");
    await expect.poll(() => page.textContent("#saved")).toBe("Nothing saved yet.");
  });
});

describe("without a network", () => {
  test("a model trained before opens in the page after its server is gone, predicts, and trains on", async () => {
    const server = await serve(gallery.folder);
    const { page, errors } = await gallery.page({ serviceWorkers: "allow" }, server.url);
    await expect.poll(() => page.textContent("#offline"), { timeout: 30_000 }).toContain("without a network");
    await fill(page, few);
    await train(page);
    const { "training accuracy": accuracy } = await factsOf(page, "convexFacts");
    await page.click("#save");
    await expect.poll(() => page.textContent("#saved")).toContain("was saved at");
    await server.close();
    await page.context().setOffline(true);
    await expect(fetch(server.url)).rejects.toThrow();

    await page.reload();
    await expect.poll(() => page.textContent("#saved")).toContain("was saved at");
    await fill(page, few);
    await page.click("#predict");
    await expect.poll(() => page.textContent("#saved")).toContain(`${accuracy} of the rows are right`);
    await fill(page, { data: "digits35" });
    await expect.poll(() => page.textContent("#dataNote")).toContain("images of 14 x 14");
    await fill(page, { data: "moons" });
    await train(page);
    expect((await factsOf(page, "convexFacts"))["training accuracy"]).toBe(accuracy);
    expect(errors).toEqual([]);
    await page.close();
  });
});
