import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { boundOf, plotConvergence } from "../../examples/support/plot.js";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "plot-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const curves = [
  { method: "frank-wolfe", points: [2, 1, 0.5].map((objective, k) => ({ seconds: k, objective })) },
  { method: "Adam", points: [3, 2, 0.6].map((objective, k) => ({ seconds: k, objective })) },
];

/** Points of the lines that were drawn, in pixels. */
function linesOf(svg: string): number[] {
  return [
    ...svg.matchAll(
      /<path aria-label="[^"]*line mark[^"]*"[^>]* d="(M[^"]*)"|<path[^>]* d="(M[^"]*)"[^>]*aria-roledescription="line mark"|<path aria-label[^>]*d="(M[^"]*L[^"]*)"/g,
    ),
  ].flatMap((found) => (found[1] ?? found[2] ?? found[3]).slice(1).split("L").length);
}

test.each([null, 0.4])("every point of every curve is drawn (lower bound %s)", async (lowerBound) => {
  const path = join(folder, `plot-${lowerBound}`);
  await plotConvergence(path, curves, { solvedAt: 2, lowerBound, title: "A plot" });
  const svg = readFileSync(`${path}.svg`, "utf8");
  expect(linesOf(svg)).toEqual(expect.arrayContaining([3, 3]));
  expect(svg).not.toContain("NaN");
  expect(svg).toContain(lowerBound === null ? ">objective<" : ">objective minus the proven lower bound<");
});

test("a bound that a curve passes is none, and is not drawn as one", async () => {
  expect(boundOf(curves, 0.4)).toBe(0.4);
  expect(boundOf(curves, 0.55)).toBeNull();
  const path = join(folder, "passed");
  await plotConvergence(path, curves, { solvedAt: 2, lowerBound: 0.55, title: "A plot" });
  expect(readFileSync(`${path}.svg`, "utf8")).toContain(">objective<");
});
