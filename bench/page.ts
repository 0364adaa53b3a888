/** The gallery as a page: first paint, weight, long tasks, accessibility. `npm run bench:page`. */

import type { Page } from "playwright";
import { fill, Gallery, train, violations } from "../test/helpers/gallery.js";
import { readFlags } from "./support/flags.js";
import { describeMachine } from "./support/machine.js";
import { timingOf } from "./support/measure.js";
import { bytes, publish } from "./support/report.js";

/** What the page may take. */
const LIMITS = { paintSeconds: 1, layoutShift: 0.1, gzippedBytes: 1.5e6, taskMilliseconds: 200, violations: 0 };

const flags = readFlags("page", {
  repeats: { default: 7, help: "openings of which the median is taken, each in a fresh profile" },
});

interface Opening {
  readonly paint: number; // seconds until the first contentful paint
  readonly drawn: number; // seconds until the data are drawn
  readonly shift: number; // cumulative layout shift
  readonly task: number; // longest task of the main thread, milliseconds
}

const gallery = await Gallery.open();
try {
  const openings: Opening[] = [];
  for (let k = 0; k < flags.repeats; k++) openings.push(await open());
  const { loading, training, found } = await use();
  const paint = timingOf(openings.map((opening) => opening.paint));
  const drawn = timingOf(openings.map((opening) => opening.drawn));
  const files = gallery.gzippedFiles();
  const weight = gallery.gzippedBytes();
  const first = files.filter(({ name }) => /index/.test(name)).reduce((sum, { gzipped }) => sum + gzipped, 0);
  const opening = Math.max(...openings.map(({ task }) => task));
  const shift = Math.max(...openings.map((opening) => opening.shift));
  const span = ({ least, most }: typeof paint) => `${milliseconds(least)} to ${milliseconds(most)}`;
  const within = (holds: boolean) => (holds ? "within" : "ABOVE");
  const rows = [
    [
      "first contentful paint",
      milliseconds(paint.median),
      span(paint),
      "1 s",
      within(paint.median < LIMITS.paintSeconds),
    ],
    ["data drawn", milliseconds(drawn.median), span(drawn), "", ""],
    ["cumulative layout shift", shift.toFixed(3), "", "0.1", within(shift < LIMITS.layoutShift)],
    ["code until the page is drawn, gzipped", bytes(first), "", "", ""],
    [
      "code of everything, gzipped",
      bytes(weight),
      "",
      bytes(LIMITS.gzippedBytes),
      within(weight < LIMITS.gzippedBytes),
    ],
    ["longest task, opening", `${opening.toFixed(0)} ms`, "", "200 ms", within(opening < LIMITS.taskMilliseconds)],
    ["longest task, first training, which loads TensorFlow.js", `${loading.toFixed(0)} ms`, "", "", ""],
    ["longest task, training", `${training.toFixed(0)} ms`, "", "200 ms", within(training < LIMITS.taskMilliseconds)],
    ["violations by axe, light and dark", String(found.length), "", "0", within(found.length <= LIMITS.violations)],
  ];
  publish(
    {
      name: "page",
      title: "The gallery as a page",
      command: "npm run bench:page",
      machine: describeMachine(["playwright", "vite", "axe-core"]),
      about: [
        `Built, served from this machine and opened in headless Chromium: the median of ${flags.repeats} openings, each in a fresh`,
        "profile. A long task is one of more than 50 ms on the main thread, by the browser's own count; 0 means that there was none.",
        "Training is on 120 moons, twice. Code of everything includes TensorFlow.js and the workers' script.",
      ],
      sections: [
        { title: "Figures", cells: [["what", "measured", "from - to", "limit", ""], ...rows], notes: found },
        {
          title: "Files",
          cells: [["file", "gzipped"], ...files.map(({ name, gzipped }) => [unhashed(name), bytes(gzipped)])],
        },
      ],
      data: {
        ...{ settings: flags, limits: LIMITS, openings, gzippedBytes: weight, found },
        taskMilliseconds: { opening, loading, training },
      },
    },
    flags,
  );
  if (rows.some((row) => row.includes("ABOVE"))) process.exitCode = 1;
} finally {
  await gallery.close();
}

/** One opening in a fresh profile. */
async function open(): Promise<Opening> {
  const context = await gallery.browser.newContext();
  const page = await context.newPage();
  await observe(page);
  await page.goto(gallery.url);
  await page.waitForSelector("#convexPlot .point");
  const [paint, drawn, shift] = await page.evaluate(() => {
    const { seen } = window as unknown as { seen: { shift: number } };
    const [entry] = performance.getEntriesByName("first-contentful-paint");
    return [(entry?.startTime ?? Number.NaN) / 1000, performance.now() / 1000, seen.shift];
  });
  await page.waitForSelector("#contourPlot .contour"); // the last of the pictures that it opens with
  const task = await longestTask(page);
  await context.close();
  return { paint, drawn, shift, task };
}

/** Trains twice in light and in dark; the longest tasks of the first and of the second, and what axe says. */
async function use(): Promise<{ loading: number; training: number; found: string[] }> {
  let [loading, training] = [0, 0];
  const found: string[] = [];
  for (const colorScheme of ["light", "dark"] as const) {
    const context = await gallery.browser.newContext({ colorScheme, serviceWorkers: "block" });
    const page = await context.newPage();
    await observe(page);
    await page.goto(gallery.url);
    await page.waitForSelector("#convexPlot .point");
    found.push(...(await violations(page)));
    await fill(page, { starts: 1, epochs: 30 });
    await train(page);
    loading = Math.max(loading, await longestTask(page));
    await page.evaluate(() => Object.assign((window as unknown as { seen: object }).seen, { task: 0 }));
    await train(page);
    training = Math.max(training, await longestTask(page));
    found.push(...(await violations(page)));
    await context.close();
  }
  return { loading, training, found };
}

/** Counts long tasks and layout shifts from the first moment. */
async function observe(page: Page): Promise<void> {
  await page.addInitScript(() => {
    const seen = { task: 0, shift: 0 };
    Object.assign(window, { seen });
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) seen.task = Math.max(seen.task, duration);
    }).observe({ type: "longtask", buffered: true });
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) seen.shift += (entry as unknown as { value: number }).value;
    }).observe({ type: "layout-shift", buffered: true });
  });
}

function longestTask(page: Page): Promise<number> {
  return page.evaluate(() => (window as unknown as { seen: { task: number } }).seen.task);
}

function milliseconds(seconds: number): string {
  return `${(1000 * seconds).toFixed(0)} ms`;
}

/** A name without the hash of its content. */
function unhashed(name: string): string {
  return name.replace(/-[\w-]{8}(?=\.\w+$)/, "");
}
