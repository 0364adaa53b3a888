/** Fits for sweeps in tests: plain JavaScript, since workers load it. What goes wrong is told by `args`. */

import { appendFileSync } from "node:fs";

export async function fit(args, { index }) {
  const { value = 0, wrong = null, marks = null } = args;
  // Each try leaves a mark, by which a second one knows that it is.
  let before = 0;
  if (marks !== null) {
    const { readFileSync, existsSync } = await import("node:fs");
    const file = `${marks}/${index}`;
    before = existsSync(file) ? readFileSync(file, "utf8").length : 0;
    appendFileSync(file, ".");
  }
  if (wrong === "throws") throw new Error("no such column");
  if (wrong === "dies" || (wrong === "dies once" && before === 0)) process.kill(process.pid, "SIGKILL");
  if (wrong === "hangs") await new Promise(() => setInterval(() => {}, 1000));
  if (wrong === "function") return { value: () => value };
  if (wrong === "slow") await new Promise((resolve) => setTimeout(resolve, 300));
  return { square: value * value, list: Float64Array.of(value, Number.NaN), pid: process.pid };
}
