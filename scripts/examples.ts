/**
 * docs/examples.md and its pictures: runs every example as its reader would, keeps what it drew and what it said last, and
 * photographs the gallery's chapters.
 *
 *     npm run docs:examples [-- name ...]
 *
 * With names (`mnist path gallery`) only those are run, and the page keeps what the others said before. CIFAR-10 is read from the
 * folder BENCH_DATA where that is set, and fetched otherwise.
 */

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Program, programs } from "./examples/entries.js";
import { pageOf, pictureOf, SHOWED, saidOn } from "./examples/page.js";
import { photographChapters } from "./examples/photographs.js";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const PAGE = join(ROOT, "docs/examples.md");
const GALLERY = "gallery";

const wanted = process.argv.slice(2);
const known = [...programs.map(({ name }) => name), GALLERY];
for (const name of wanted) {
  if (!known.includes(name)) throw new Error(`docs:examples: expected ${known.join(", ")}; got "${name}".`);
}
const isWanted = (name: string) => wanted.length === 0 || wanted.includes(name);

mkdirSync(join(ROOT, "docs/images/examples"), { recursive: true });
for (const program of programs.filter(({ name }) => isWanted(name))) {
  console.log(`${program.name}: ${program.command}`);
  const said = run(program);
  writeFileSync(
    join(ROOT, "docs", pictureOf(program)),
    slimmed(readFileSync(join(ROOT, `${program.plot}.svg`), "utf8")),
  );
  const before = existsSync(PAGE) ? saidOn(readFileSync(PAGE, "utf8")) : {};
  writeFileSync(PAGE, pageOf({ ...before, [program.name]: said }));
}
if (isWanted(GALLERY)) await photographChapters(join(ROOT, "docs"));

/** The example's last line, without its first words. */
function run({ name, command, source }: Program): string {
  const [, ...flags] = command.split(" --");
  const data = process.env.BENCH_DATA ?? "";
  const asked = flags.map((flag) => `--${flag.trim()}`).filter((flag) => flag !== "--");
  const given = asked.filter((flag) => flag !== "--fetch" || data === "");
  const child = spawnSync(process.execPath, ["--import", "tsx", join(ROOT, source), ...given], {
    cwd: ROOT,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  const last = child.stdout.trim().split("\n").at(-1) ?? "";
  if (child.status !== 0 || !last.startsWith(SHOWED)) {
    throw new Error(`${name}: ended with status ${child.status} and "${last}", where "${SHOWED}..." was expected.`);
  }
  return last.slice(SHOWED.length);
}

/** Coordinates to a tenth of a pixel, nothing that says what holds anyway, and fonts that a reader has. */
function slimmed(svg: string): string {
  const rounded = (path: string) =>
    path.replace(/-?\d+\.\d{2,}/g, (value) => String(Math.round(10 * Number(value)) / 10));
  return svg
    .replace(/ (d|transform)="[^"]*"/g, rounded)
    .replace(/<path [^>]*d="M0,0h0v0h0Z"[^>]*\/>/g, "")
    .replace(/ (opacity="1"|stroke-width="1"|pointer-events="none")(?=[ />])/g, "")
    .replaceAll('font-family="DejaVu Sans"', 'font-family="DejaVu Sans, Verdana, sans-serif"');
}
