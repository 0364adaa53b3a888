import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import { convexOptimum, makePoints, sgdObjective } from "../../examples/strong-duality/experiment.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

describe.each([
  { n: 5, arrangements: 22, widths: [5, 15, 44, 50] },
  { n: 10, arrangements: 92, widths: [5, 15, 44, 50, 184] },
])("n = $n, d = 3, all $arrangements arrangements (Pilanci and Ergen 2020)", ({ n, arrangements, widths }) => {
  const points = makePoints(n, n);

  test("the recovered network attains the convex optimum to 1e-5, proven for all gates", async () => {
    const { certificate, gates, neurons } = await convexOptimum(points);
    expect(gates).toBe(arrangements);
    expect(certificate.scope).toBe("all gates");
    expect(Math.abs(certificate.network / certificate.primal - 1)).toBeLessThan(1e-5);
    expect(certificate.relativeGap).toBeLessThan(1e-8);
    expect(neurons).toBeLessThanOrEqual(n + 1);
  });

  test.each(widths)(
    "SGD with width %i never goes below it, and some run comes close when it is wide",
    async (width) => {
      const { certificate } = await convexOptimum(points);
      const runs = [1, 2, 3].map((seed) => sgdObjective(points, width, seed, 2000));
      for (const objective of runs) expect(objective).toBeGreaterThanOrEqual(certificate.dual);
      if (width >= 44) expect(Math.min(...runs)).toBeLessThan(1.05 * certificate.primal);
    },
  );
});
