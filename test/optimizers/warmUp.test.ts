import { expect, test } from "vitest";
import type { Clock } from "../../src/convex/solvers/clock.js";
import type { WholeObjective } from "../../src/optimizers/deep/objective.js";
import { warmUp } from "../../src/optimizers/deep/warmUp.js";

const ROWS = 320;
const PARTS = 10;
const PASS = 1; // seconds of a step over all rows; one over a part of 32 takes a tenth

/** Time that only work spends. */
function clockOf(state: { now: number }, end: number): Clock {
  const began = state.now;
  const clock = {
    get seconds() {
      return state.now - began;
    },
    get left() {
      return Math.max(0, end - state.now);
    },
    get over() {
      return state.now >= end;
    },
    part: (share: number) => clockOf(state, state.now + share * (end - state.now)),
    pause: async () => state.now >= end,
  };
  return clock as unknown as Clock;
}

/** |w - 5|^2 of one weight, every look at which costs time; records the weights that steps came to. */
function objectiveOf(state: { now: number }) {
  let weight = 0;
  const seen: number[] = [];
  const objective = {
    rows: ROWS,
    size: 1,
    partCount: PARTS,
    weights: async () => Float64Array.of(weight),
    write: (weights: Float64Array) => {
      weight = weights[0];
    },
    value: async () => ({ total: (weight - 5) ** 2 }),
    parts: () => Array.from({ length: PARTS }, () => ({ dispose: () => undefined })),
    at: async (
      weights: Float64Array,
      gradient: Float64Array,
      parts?: readonly unknown[],
      over: () => Promise<boolean> = async () => false,
    ) => {
      for (let part = 0; part < (parts?.length ?? PARTS); part++) {
        if (await over()) return Number.NaN;
        state.now += PASS / PARTS;
      }
      if (parts !== undefined) seen.push(weights[0]);
      gradient[0] = 2 * (weights[0] - 5);
      return (weights[0] - 5) ** 2;
    },
  };
  return { objective: objective as unknown as WholeObjective, seen };
}

async function run(seconds: number) {
  const state = { now: 0 };
  const { objective, seen } = objectiveOf(state);
  const epochs = await warmUp(
    objective,
    clockOf(state, seconds),
    () => 0,
    async () => false,
  );
  return { epochs, seen, spent: state.now };
}

test("with time for few steps over all rows after it, it takes all of the time, in steps that shrink to nothing", async () => {
  const { seen, spent } = await run(20);
  expect(spent).toBeGreaterThan(18); // to where three epochs in a row bring next to nothing
  const steps = seen.slice(1).map((weight, k) => Math.abs(weight - seen[k]));
  expect(steps[steps.length - 1]).toBeLessThan(0.2 * steps[0]);
});

test("with time for more of them it leaves them their share, and with time for very many it does nothing", async () => {
  const { spent, seen } = await run(300);
  expect(spent).toBeLessThan(0.65 * 300);
  expect(seen.length).toBeGreaterThan(100);
  expect((await run(1000)).epochs).toBe(0);
});

test("looks at no more of the rows than a share of the time is enough for, to know what a step over all of them takes", async () => {
  const { spent, epochs } = await run(0.5);
  expect(epochs).toBe(1);
  expect(spent).toBeLessThanOrEqual(0.5 + PASS / PARTS);
});
