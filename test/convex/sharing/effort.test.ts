import { expect, test } from "vitest";
import { SharingEffort } from "../../../src/convex/sharing/effort.js";
import { randomProgram } from "../../helpers/problems.js";

const program = randomProgram({ cones: true, rows: 40, outputs: 5 });

test("sharing is slow when the second half of its work brought less than 2 %, and never where someone said how far to go", () => {
  for (const patient of [true, false]) {
    const effort = new SharingEffort(program, patient);
    for (const value of [1, 0.9, 0.897, 0.895]) {
      for (let k = 0; k < 10; k++) effort.descent(300, 400);
      effort.mark(value);
      expect(effort.slowed).toBe(patient && value === 0.895);
    }
  }
});

test("the bounds of all rounds take a share of what the network took, however many they are", () => {
  const effort = new SharingEffort(program, true);
  effort.descent(300, 200);
  const first = effort.forRound(100_000);
  expect(first).toBeGreaterThan(200);
  expect(effort.forRound(100_000)).toBe(200); // the share is spent
  effort.descent(300, 200);
  expect(effort.forRound(100_000)).toBeLessThanOrEqual(first);
  expect(effort.forLast(100_000)).toBeLessThan(5 * first);
  expect(effort.forRound(7)).toBe(7);
  expect(new SharingEffort(program, false).forRound(100_000)).toBe(100_000);
});

test("large data have fewer steps and starts, unless someone said how far to go, and cheap data have them all", () => {
  const huge = { loss: program.loss, X: { rows: 1000, cols: 785, data: new Float64Array(0) } };
  const effort = new SharingEffort(huge, true);
  expect(effort.steps(300, 128)).toBeLessThan(100);
  expect(effort.starts(100)).toBeLessThan(100);
  expect(new SharingEffort(huge, false).steps(300, 128)).toBe(300);
  expect(new SharingEffort(program, true).steps(300, 30)).toBe(300);
});
