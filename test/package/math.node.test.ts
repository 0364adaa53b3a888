/** The same seed is to give the same weights everywhere: what the JavaScript standard leaves to the engine is not used for them. */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const SOURCE = fileURLToPath(new URL("../../src", import.meta.url));

/** Functions of Math that the standard calls implementation-approximated (ECMA-262, section 21.3.2), and powers that are no square. */
const LOOSE =
  /Math\.(a?(sin|cos|tan)h?|atan2|cbrt|exp|expm1|hypot|log|log10|log1p|log2|pow)\(|(?<!\b2 )\*\* (?!2\b(?!\.))/;

/** Where only people see the numbers: the progress bar, the table of a network's neurons, and the number of bits. */
const SHOWN = ["optimizers/matrices/quantized.ts", "optimizers/report/progress.ts", "convex/description/index.ts"];

test("the weights rest on + - * / and square roots alone, which every engine rounds alike", () => {
  const found: string[] = [];
  for (const entry of readdirSync(SOURCE, { recursive: true, encoding: "utf8" })) {
    if (!entry.endsWith(".ts") || SHOWN.includes(entry.replaceAll("\\", "/"))) continue;
    readFileSync(join(SOURCE, entry), "utf8")
      .split("\n")
      .forEach((line, k) => {
        if (!/^\s*(\/?\*|\/\/)/.test(line) && LOOSE.test(line)) found.push(`${entry}:${k + 1}: ${line.trim()}`);
      });
  }
  expect(found).toEqual([]);
});
