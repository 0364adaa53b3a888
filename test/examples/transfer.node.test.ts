/** The transfer example on few digits: its trunk, both heads, its table and its last sentence. */

import * as tf from "@tensorflow/tfjs";
import { expect, test } from "vitest";
import { countProcessorTime } from "../../examples/support/clock.js";
import { bestRate, conclusion, transfer, transferTable } from "../../examples/transfer/experiment.js";
import { picturesOf } from "../../examples/transfer/images.js";

test("a head on a frozen trunk is as good as its certificate says, tells new digits apart, and leaves no tensors", async () => {
  await tf.setBackend("cpu");
  countProcessorTime();
  const before = tf.memory().numTensors;
  const { knownAccuracy, features, lessons } = await transfer({
    ...{ known: 30, epochs: 4, unseen: 10, shots: [2], units: 8, decay: 5e-2, tolerance: 5e-2, timeLimit: 30 },
    ...{ rates: [1e-2], starts: 1 },
  });
  expect(features).toBe(144);
  expect(knownAccuracy).toBeGreaterThan(0.4);
  for (const { result, objective, testAccuracy, shots } of lessons) {
    const { dual, network, relativeGap } = result.certificate;
    expect(result.problem.program.X.rows).toBe(5 * shots);
    expect(relativeGap).toBeLessThanOrEqual(5e-2);
    expect(objective / network).toBeCloseTo(1, 4);
    expect(objective).toBeGreaterThanOrEqual(dual * (1 - 1e-6));
    expect(testAccuracy).toBeGreaterThan(0.3);
  }
  for (const lesson of lessons) {
    const { rate, ends } = bestRate(lesson);
    expect(rate).toBe(1e-2);
    expect(ends).toHaveLength(1);
  }
  expect(transferTable(lessons)).toMatch(/2 +convex .*\(proven\).*\n +Adam, rate 0\.01, best of 1/);
  const lower = lessons.filter((lesson) => lesson.objective <= bestRate(lesson).ends[0].objective).length;
  expect(conclusion(lessons)).toContain(`no higher than the best of Adam's starts in ${lower} of 1 cases`);
  expect(tf.memory().numTensors).toBe(before);
});

test("pictures are the first of their kinds, so many of each", () => {
  const { x, y } = picturesOf("t10k", [4, 9], 2);
  expect(x.shape).toEqual([4, 14, 14, 1]);
  // The first digits of the test set are 7 2 1 0 4 1 4 9 5 9.
  expect(Array.from(tf.tidy(() => y.argMax(1).dataSync()))).toEqual([0, 0, 1, 1]);
  tf.dispose([x, y]);
});
