import { expect, test } from "vitest";
import { descendWorthwhile } from "../../../src/convex/linear/lbfgs.js";
import { plainPairs } from "../../../src/convex/linear/pairs/index.js";

const always = { window: 1, share: Number.NEGATIVE_INFINITY };

/** 1/2 |x|^2, and how often it was let go of. */
function bowl() {
  let gone = 0;
  const objective = (x: Float64Array, gradient: Float64Array) => {
    gradient.set(x);
    return x.reduce((sum, value) => sum + value * value, 0) / 2;
  };
  const dispose = () => {
    gone += 1;
  };
  return { objective: Object.assign(objective, { dispose }), gone: () => gone };
}

test("a descent lets go of its objective also where the engine fails to make room for pairs", async () => {
  const { objective, gone } = bowl();
  const pairs = () => {
    throw new Error("the engine is lost");
  };
  const descent = descendWorthwhile(objective, Float64Array.of(1, 2), 9, async () => false, {
    ...always,
    kernels: { pairs },
  });
  await expect(descent).rejects.toThrow("the engine is lost");
  expect(gone()).toBe(1);
});

test("a descent without memory for pairs on the engine has plain ones, and lets go of what it used", async () => {
  const pairs = () => {
    throw new RangeError("no memory");
  };
  let released = 0;
  const dispose = () => {
    released += 1;
  };
  const own = (size: number, count: number) => ({ ...plainPairs(size, count), dispose });
  for (const kernels of [{ pairs }, { pairs: own }]) {
    const { objective, gone } = bowl();
    const { value } = await descendWorthwhile(objective, Float64Array.of(1, 2), 9, async () => false, {
      ...always,
      kernels,
    });
    expect(value).toBeLessThan(1e-12);
    expect(gone()).toBe(1);
  }
  expect(released).toBe(1);
});
