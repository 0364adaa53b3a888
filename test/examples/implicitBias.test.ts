import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import { cosine, descend, largestMargin, makePoints } from "../../examples/implicit-bias/experiment.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

describe("gradient descent on separable data", () => {
  const points = makePoints(12, 1);

  test("no run passes the largest margin, and wide ones that start small come to it and to its network", async () => {
    const best = await largestMargin(points);
    expect(best.certificate.scope).toBe("all gates");
    expect(best.margin * best.certificate.primal).toBeCloseTo(1, 6);
    for (const seed of [1, 2]) {
      const moments = descend(points, { width: 60, scale: 1e-3, seed, steps: 8000, rate: 0.02 });
      for (const { margin } of moments) expect(margin).toBeLessThanOrEqual(best.margin * (1 + 1e-9));
      const { margin, outputs } = moments[moments.length - 1];
      expect(margin).toBeGreaterThan(0.97 * best.margin);
      expect(cosine(outputs, best.outputs)).toBeGreaterThan(0.999);
    }
    const narrow = descend(points, { width: 10, scale: 1e-3, seed: 1, steps: 8000, rate: 0.02 });
    expect(narrow[narrow.length - 1].margin).toBeLessThan(0.9 * best.margin); // a KKT point that is not the best
  });
});
