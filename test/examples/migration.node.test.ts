import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { differences, runBoth } from "../../examples/migration/compare.js";

describe("the migration example", () => {
  test("three new lines take the place of one", () => {
    const lines = differences();
    expect(lines.filter((line) => line.startsWith("- "))).toHaveLength(1);
    expect(lines.filter((line) => line.startsWith("+ "))).toHaveLength(3);
    expect(lines.join("\n")).toMatch(/- .*model\.fit[\s\S]*\+ .*trainer\.fit/);
  });

  test("docs/migration.md shows just these lines", () => {
    const page = readFileSync(new URL("../../docs/migration.md", import.meta.url), "utf8");
    for (const line of differences()) expect(page).toContain(line.replace("../../src/index.js", "tfjs-convex"));
  });

  test("both scripts run, and the convex one ends at its bound, below model.fit", () => {
    const [before, after] = runBoth();
    expect(after.bound).not.toBeNull();
    expect(after.objective / (after.bound ?? 0) - 1).toBeLessThan(2e-4);
    expect(after.objective).toBeLessThan(before.objective);
    expect(after.accuracy).toBeGreaterThan(0.95);
  });
});
