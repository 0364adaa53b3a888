/** docs/examples.md: every example has its words, its picture and its last sentence there, and the page is what the script writes. */

import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { chapters, programs } from "../../scripts/examples/entries.js";
import { pageOf, photoOf, pictureOf, SHOWED, saidOn } from "../../scripts/examples/page.js";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const MOST_BYTES = 64 * 1024; // of a picture

const read = (path: string) => readFileSync(join(ROOT, path), "utf8");
const page = read("docs/examples.md");
const { scripts }: { scripts: Record<string, string> } = JSON.parse(read("package.json"));

/** Sources under examples/ that a person runs: each folder's main.ts, and what its first comment or a script names. */
function runnable(): string[] {
  const sources = readdirSync(join(ROOT, "examples"), { recursive: true, encoding: "utf8" })
    .map((name) => `examples/${name.replaceAll("\\", "/")}`)
    .filter((name) => name.endsWith(".ts") && !name.startsWith("examples/gallery/"));
  return sources.filter(
    (source) =>
      source.endsWith("/main.ts") ||
      read(source).slice(0, 1500).includes(`npx tsx ${source}`) ||
      Object.values(scripts).includes(`tsx ${source}`),
  );
}

describe("the page of examples", () => {
  test("has an entry for every program under examples/ that a person runs, and for no other", () => {
    expect(programs.map(({ source }) => source).sort()).toEqual(runnable().sort());
  });

  test("has an entry for every chapter of the gallery, under its title", () => {
    const html = read("examples/gallery/index.html");
    const sections = [...html.matchAll(/<section id="(\w+)" class="chapter"[^>]*>\s*<h2[^>]*>([^<]+)</g)];
    expect(chapters.map(({ name, title }) => [name, title])).toEqual(sections.map(([, id, title]) => [id, title]));
  });

  test("is what the script writes of the list and of what each example said", () => {
    expect(pageOf(saidOn(page))).toBe(page);
  });

  test.each(programs)("tells what $name showed, as the example prints it in its last line", ({ name, source }) => {
    expect(saidOn(page)[name]).toMatch(/^\S.*\.$/);
    const own = readdirSync(join(ROOT, dirname(source))).map((file) => `${dirname(source)}/${file}`);
    const shared = readdirSync(join(ROOT, "examples/support")).map((file) => `examples/support/${file}`);
    expect([...own, ...shared].filter((file) => file.endsWith(".ts")).some((file) => read(file).includes(SHOWED))).toBe(
      true,
    );
  });

  test.each(programs)("has a picture of $name, small and drawn with numbers only", (program) => {
    const path = join("docs", pictureOf(program));
    expect(page).toContain(`![${program.title}](${pictureOf(program)})`);
    expect(statSync(join(ROOT, path)).size).toBeLessThan(MOST_BYTES);
    expect(read(path)).toMatch(/^<svg/);
    // Images within are base64, where any word may come up.
    expect(read(path).replace(/"data:image[^"]*"/g, "")).not.toMatch(/NaN|Infinity|undefined/);
  });

  test.each(chapters)("has a photograph of the gallery's $name", (chapter) => {
    expect(page).toContain(`](${photoOf(chapter)})`);
    const file = readFileSync(join(ROOT, "docs", photoOf(chapter)));
    expect(file.subarray(0, 3).toString("hex")).toBe("ffd8ff");
    expect(file.length).toBeLessThan(MOST_BYTES);
  });

  test("keeps no picture that it does not show", () => {
    const shown = [...programs.map(pictureOf), ...chapters.map(photoOf)].map((path) => path.split("/").at(-1));
    expect(readdirSync(join(ROOT, "docs/images/examples")).sort()).toEqual(shown.sort());
  });

  test.each(programs)("names a command for $name that is there", ({ command, source }) => {
    const script = /^npm run ([\w:-]+)/.exec(command)?.[1];
    if (script === undefined) expect(command.split(" ").slice(0, 3).join(" ")).toBe(`npx tsx ${source}`);
    else expect(scripts[script]).toBe(`tsx ${source}`);
    expect(existsSync(join(ROOT, source))).toBe(true);
  });
});
