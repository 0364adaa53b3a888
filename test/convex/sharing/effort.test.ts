import { expect, test } from "vitest";
import { SharingEffort } from "../../../src/convex/sharing/effort.js";
import { randomProgram } from "../../helpers/problems.js";

const program = randomProgram({ cones: true, rows: 40, outputs: 5 });

test("sharing is slow when the second half of its work brought less than 0.1 %, and never where someone said how far to go", () => {
  for (const patient of [true, false]) {
    const effort = new SharingEffort(program, patient);
    for (const value of [1, 0.9, 0.8998, 0.8997]) {
      for (let k = 0; k < 20; k++) effort.descent(300, 400);
      effort.mark(value);
      expect(effort.slowed).toBe(patient && value === 0.8997);
    }
  }
});

test("the bounds of all rounds take a share of what the network took, however many they are", () => {
  const effort = new SharingEffort(program, true);
  effort.descent(3000, 200);
  const first = effort.forRound(100_000);
  expect(first).toBeGreaterThan(200);
  expect(effort.forRound(100_000)).toBe(200); // the share is spent
  effort.descent(3000, 200);
  expect(effort.forRound(100_000)).toBeLessThanOrEqual(first);
  expect(effort.forLast(1e9)).toBeGreaterThan(new SharingEffort(program, true).forLast(1e9));
  expect(effort.forLast(1e9)).toBeLessThan(1e6);
  expect(effort.forRound(7)).toBe(7);
  expect(new SharingEffort(program, false).forRound(100_000)).toBe(100_000);
});

test("large data have fewer steps and starts, unless someone said how far to go, and cheap data have them all", () => {
  const huge = { loss: program.loss, X: { rows: 10_000, cols: 785, data: new Float64Array(0) } };
  const effort = new SharingEffort(huge, true);
  expect(effort.steps(300, 128)).toBeLessThan(100);
  expect(effort.starts(100)).toBeLessThan(100);
  expect(new SharingEffort(huge, false).steps(300, 128)).toBe(300);
  expect(new SharingEffort(program, true).steps(300, 30)).toBe(300);
});

test("a descent that begins anew and ends no lower has brought nothing", () => {
  const effort = new SharingEffort(program, true);
  for (const value of [1, 0.5, 2, 1, 0.6, 0.5]) {
    for (let k = 0; k < 40; k++) effort.descent(300, 400);
    effort.mark(value);
  }
  expect(effort.slowed).toBe(true);
});

test("fewer neurons begin where time is shorter or rows are more, some always, and all without a limit", () => {
  const rows = (count: number) => ({ loss: program.loss, X: { rows: count, cols: 25, data: new Float64Array(0) } });
  for (const count of [40, 4000, 400_000]) {
    const effort = new SharingEffort(rows(count), false);
    const many = [0, 0.1, 1, 10, Number.POSITIVE_INFINITY].map((seconds) => effort.neuronsIn(seconds, 200, true));
    expect(many).toEqual([...many].sort((a, b) => a - b));
    expect(many[0]).toBeGreaterThan(0);
    expect(many[4]).toBe(200);
    expect(effort.neuronsIn(1, 200, true)).toBeGreaterThanOrEqual(
      new SharingEffort(rows(2 * count), false).neuronsIn(1, 200, true),
    );
    expect(effort.neuronsIn(1, 200, false)).toBeLessThanOrEqual(effort.neuronsIn(1, 200, true));
    expect(effort.neuronsIn(0, 3, true)).toBe(3);
  }
});
