/** Every folder says what lives there, in its first file, and holds no more than a reader takes in at once. */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { describe, expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** Files beside the first one: a folder that has more is asked whether it is two. */
const MOST_FILES = 14;

/** First files of folders that others enter by each file's own name, and not through a list. */
const FIRST: Readonly<Record<string, string>> = {
  "src/convex": "types.ts",
  "src/convex/linear": "vectors.ts",
  "src/convex/operators": "blocks.ts",
  "src/optimizers": "convexReLUTrainer.ts",
  // The steps of a fit: what `fit` calls of each, and what other verbs call beside it.
  "src/optimizers/read": "fit.ts",
  "src/optimizers/pose": "fit.ts",
  "src/optimizers/solve": "fit.ts",
  "src/optimizers/report": "fit.ts",
  "src/optimizers/write": "fit.ts",
  "src/optimizers/deep": "fit.ts",
  "src/optimizers/sharded": "fit.ts",
};

/** Folders that may be large, and why. */
const LARGE: Readonly<Record<string, string>> = {
  bench: "one script a bench, which a person calls by its name",
  "test/helpers": "each is named by what it makes, and half of them are entry points of workers and pages",
};

const folders = ["src", "bench", "test/helpers"].flatMap(foldersIn);

function foldersIn(root: string): string[] {
  const names = readdirSync(ROOT + root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map(({ parentPath }) => parentPath.slice(ROOT.length).replaceAll("\\", "/"));
  return [...new Set(names)].sort();
}

function sourcesOf(folder: string): string[] {
  return readdirSync(ROOT + folder).filter((name) => name.endsWith(".ts"));
}

/** Under src/ its index, or the file that is named above; elsewhere a README, of its own or of the folder above. */
function firstOf(folder: string): string {
  if (folder.startsWith("src")) return `${folder}/${FIRST[folder] ?? "index.ts"}`;
  return existsSync(`${ROOT}${folder}/README.md`) ? `${folder}/README.md` : `${dirname(folder)}/README.md`;
}

/** The first sentence of the comment that a source begins with; empty where it begins with anything else. */
function firstSentence(text: string): string {
  const [range] = ts.getLeadingCommentRanges(text, 0) ?? [];
  const comment = range?.pos === 0 ? text.slice(range.pos, range.end) : "";
  const words = /^\/\*\*([\s\S]*)\*\/$/.exec(comment)?.[1].replace(/\s*\n \*\s?/g, " ") ?? "";
  return /^\s*[\w`][\s\S]*?\.(?=\s|$)/.exec(words)?.[0].trim() ?? "";
}

describe("folders", () => {
  test("there are some, so that the rules below are about something", () => {
    expect(folders).toEqual(expect.arrayContaining(["src/convex/growth", "src/optimizers/pose", "bench/support"]));
  });

  test.each(folders.filter((folder) => folder.startsWith("src")))(
    "%s says in its first file what lives there",
    (folder) => {
      const first = firstOf(folder);
      expect(existsSync(ROOT + first), `${first} is there`).toBe(true);
      expect(firstSentence(readFileSync(ROOT + first, "utf8")).split(" ").length).toBeGreaterThan(3);
    },
  );

  test.each(folders.filter((folder) => !folder.startsWith("src")))("%s is told of in a README", (folder) => {
    const readme = firstOf(folder);
    const text = readFileSync(ROOT + readme, "utf8");
    expect(text).toMatch(/^# .+\n\n[A-Z`]/);
    if (dirname(readme) !== folder) expect(text).toContain(`\`${basename(folder)}/\``);
  });

  test("none has more files than a reader takes in at once, but for those that are named with a reason", () => {
    const large = folders.filter((folder) => sourcesOf(folder).length - 1 > MOST_FILES);
    expect(large.filter((folder) => !(folder in LARGE))).toEqual([]);
  });

  test("no exception outlives its reason", () => {
    const needless = Object.keys(LARGE).filter((folder) => sourcesOf(folder).length - 1 <= MOST_FILES);
    const doubled = Object.keys(FIRST).filter((folder) => existsSync(`${ROOT}${folder}/index.ts`));
    expect([...needless, ...doubled]).toEqual([]);
  });
});
