/** docs/claims.md and these tests tell of the same claims. */

import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const FOLDER = fileURLToPath(new URL(".", import.meta.url));
const page = readFileSync(new URL("../../docs/claims.md", import.meta.url), "utf8");
const sections = page.split(/^## /m).slice(1);

test("every section is numbered and names its test, and every test is named in the section of its number", () => {
  const named = sections.map((section, k) => {
    expect(section.startsWith(`${k + 1}. `)).toBe(true);
    const [, file] = /\(\.\.\/test\/claims\/(\w+\.node\.test\.ts)\)/.exec(section) ?? [];
    expect(readFileSync(FOLDER + file, "utf8")).toContain(`docs/claims.md, ${k + 1}.`);
    return file;
  });
  const files = readdirSync(FOLDER).filter((name) => name.endsWith(".test.ts") && name !== "page.node.test.ts");
  expect(named.sort()).toEqual(files.sort());
});

test("every section has a claim with its source, and code that runs", () => {
  for (const section of sections) {
    expect(section).toMatch(/\*\*Claim\.\*\*/);
    expect(section).toMatch(/\b(19|20)\d\d\b|the same paper/);
    expect(section).toContain("```ts");
  }
});

test("the table at the head has a line for every section", () => {
  const lines = page.split("\n").filter((line) => /^\| \[\d+\]/.test(line));
  expect(lines.length).toBe(sections.length);
});
