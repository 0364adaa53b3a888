import fc from "fast-check";
import { expect, test } from "vitest";
import type { Clock } from "../../src/convex/solvers/clock.js";
import { warmUp } from "../../src/optimizers/deep/descents/index.js";
import type { WholeObjective } from "../../src/optimizers/deep/objective.js";

const ROWS = 320;
const PARTS = 10;
const PASS = 1; // seconds of a step over all rows; one over a part of 32 takes a tenth
const LOOK = 0.3; // of a value over all rows, where the weights are others than before

interface State {
  now: number;
  stop: number; // when someone asks to stop
}

/** Time that only work spends. */
function clockOf(state: State, end: number): Clock {
  const began = state.now;
  const stopped = () => state.now >= state.stop;
  const clock = {
    stopped,
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
    pause: async () => state.now >= end || stopped(),
  };
  return clock as unknown as Clock;
}

/** |w - 5|^2 of one weight, NaN beyond `most`, every look at which costs time; records the weights that steps came to. */
function objectiveOf(state: State, most: number, recurrent: boolean) {
  let weight = 0;
  let looked = 0;
  const totalAt = (at: number) => (at > most ? Number.NaN : (at - 5) ** 2);
  const seen: number[] = [];
  const objective = {
    recurrent,
    rows: ROWS,
    size: 1,
    partCount: PARTS,
    weights: async () => Float64Array.of(weight),
    write: (weights: Float64Array) => {
      weight = weights[0];
    },
    value: async () => {
      if (weight !== looked) state.now += LOOK;
      looked = weight;
      return { total: totalAt(weight) };
    },
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
      return totalAt(weights[0]);
    },
  };
  return { objective: objective as unknown as WholeObjective, seen, end: () => totalAt(weight) };
}

async function run(
  seconds: number,
  { most = 10, stop = Number.POSITIVE_INFINITY, enough = 1000, recurrent = false } = {},
) {
  const state = { now: 0, stop };
  const { objective, seen, end } = objectiveOf(state, most, recurrent);
  const told: number[] = [];
  const epochs = await warmUp(
    objective,
    clockOf(state, seconds),
    () => 0,
    async (value) => told.push(value) >= enough,
  );
  return { epochs, seen, spent: state.now, told, end: end() };
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

test("of layers through times it takes its share of any time, and a hundred epochs without a limit, in steps that shrink to nothing", async () => {
  for (const seconds of [300, 2000]) {
    const { seen, spent, end } = await run(seconds, { recurrent: true });
    expect(spent).toBeGreaterThan(0.55 * seconds);
    expect(spent).toBeLessThan(0.65 * seconds);
    const steps = seen.slice(1).map((weight, k) => Math.abs(weight - seen[k]));
    expect(steps[steps.length - 1]).toBeLessThan(0.1 * Math.max(...steps.slice(0, 10)));
    expect(end).toBeLessThan(1);
  }
  const { epochs, spent } = await run(Number.POSITIVE_INFINITY, { recurrent: true });
  expect(epochs).toBe(100);
  expect(spent).toBeLessThanOrEqual(100 * (PASS + LOOK) + 1e-6);
});

test("looks at no more of the rows than a share of the time is enough for, to know what a step over all of them takes", async () => {
  const { spent, epochs } = await run(0.5);
  expect(epochs).toBe(1);
  expect(spent).toBeLessThanOrEqual(0.5 + PASS / PARTS + LOOK);
});

test("without time it does nothing, and where time is up, or someone asks to stop, it takes a step and a look more at most", async () => {
  expect(await run(0)).toMatchObject({ epochs: 0, spent: 0, seen: [] });
  expect(await run(0.05)).toMatchObject({ epochs: 0, spent: PASS / PARTS, seen: [] });
  const seconds = fc.double({ min: 0.01, max: 300, noNaN: true });
  await fc.assert(
    fc.asyncProperty(
      seconds,
      fc.double({ min: 0, max: 1.5, noNaN: true }),
      fc.boolean(),
      async (seconds, share, recurrent) => {
        const { spent, epochs, seen } = await run(seconds, { stop: share * seconds, recurrent });
        expect(spent).toBeLessThanOrEqual(Math.min(1, share) * seconds + PASS / PARTS + LOOK + 1e-9);
        expect(epochs > 0).toBe(seen.length > 0);
      },
    ),
    { seed: 1 },
  );
});

test("whatever the rates lead to, also to numbers that are none, it tells of falling values and leaves the lowest weights", async () => {
  const any = [
    fc.double({ min: 0.01, max: 100, noNaN: true }),
    fc.double({ min: 0, max: 6, noNaN: true }),
    fc.integer({ min: 1, max: 5 }),
    fc.boolean(),
  ] as const;
  await fc.assert(
    fc.asyncProperty(...any, async (seconds, most, enough, recurrent) => {
      const { told, end } = await run(seconds, { most, enough, recurrent });
      expect(told.length).toBeLessThanOrEqual(enough);
      for (let k = 0; k < told.length; k++) expect(told[k]).toBeLessThan(k === 0 ? 25 : told[k - 1]);
      expect(end).toBeLessThanOrEqual(told.at(-1) ?? 25);
      if (told.length === enough) expect(end).toBe(told.at(-1));
    }),
    { seed: 1 },
  );
  expect((await run(20, { most: 0 })).end).toBe(25);
  // A rate of 0.1 ends beyond 1 in its share of the time.
  expect((await run(20, { most: 1 })).end).toBeLessThan(20);
});
