import * as tf from "@tensorflow/tfjs";
import { beforeAll, expect, test } from "vitest";
import { convexBranches, descendBranches, type Task } from "../../examples/parallel/branches.js";
import { gaussianSource } from "../../src/convex/linear/random.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

function taskOf(n: number, classes: number, seed: number): Task {
  const draw = gaussianSource(seed);
  const x = Float64Array.from({ length: 4 * n }, (_, k) => (k % 4 === 3 ? 1 : draw()));
  const kinds = Array.from({ length: n }, (_, k) =>
    x[4 * k] * x[4 * k + 1] > 0 ? 1 : classes === 2 || x[4 * k + 2] > 0 ? 0 : 2,
  );
  const y = kinds.flatMap((kind) => (classes === 2 ? [kind] : [0, 1, 2].map((c) => Number(c === kind))));
  return { x: { rows: n, cols: 4, data: x }, y: { rows: n, cols: classes === 2 ? 1 : 3, data: Float64Array.from(y) } };
}

test.each([2, 3])(
  "descent behind the gates of the convex run never ends below its bound (%i classes)",
  async (classes) => {
    const [train, held] = [taskOf(60, classes, 1), taskOf(60, classes, 2)];
    const shape = { branches: 5, hidden: 4, beta: 0.01 };
    const convex = await convexBranches(train, held, shape, { tolerance: 1e-4, limit: 60, seed: 1 });
    expect(convex.status).toBe("solved");
    expect(convex.looks.at(-1)?.objective).toBe(convex.gap.primal);
    expect(convex.looks.at(-1)?.accuracy).toBeGreaterThan(0.5);
    const tensors = tf.memory().numTensors;
    const common = { optimizer: () => tf.train.adam(0.02), seconds: 0.5, seed: 1, batch: 20, looks: 4 };
    for (const gates of [convex.gates, null]) {
      const looks = await descendBranches(train, held, shape, { ...common, gates });
      if (gates !== null) for (const { objective } of looks) expect(objective).toBeGreaterThan(convex.gap.dual);
      expect(looks[looks.length - 1].objective).toBeLessThan(looks[0].objective);
    }
    expect(tf.memory().numTensors).toBe(tensors);
  },
);
