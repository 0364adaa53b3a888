import { expect, test } from "vitest";
import { worthAnother } from "../../../src/convex/growth/restart.js";

const quick = { noticed: false, slowed: false };
const long = { noticed: true, slowed: false };

test.each([
  [[], quick, true],
  [[], long, true],
  [[2e-2, 1e-5, 1e-5, 1e-5], quick, true],
  [[2e-2, 1e-5, 1e-5, 1e-5, 1e-5], quick, false],
  [[1e-5, 1e-5, 1e-5, 2e-3], quick, true],
  [[2e-2], long, true],
  [[2e-2, 1e-5], long, false],
  [new Array(12).fill(1e-2), quick, false],
  [[2e-2], { noticed: true, slowed: true }, false],
] as const)("after gains of %j, with %j, another restart is in proportion: %s", (gains, effort, expected) => {
  expect(worthAnother(gains, effort)).toBe(expected);
});
