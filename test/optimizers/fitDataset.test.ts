import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import { ConvexReLUTrainer } from "../../src/index.js";
import { makeData, makeModel, weightsIn } from "../helpers/models.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const rowsOf = (x: tf.Tensor, y: tf.Tensor) => {
  const [xs, ys] = [x.arraySync() as number[][], y.arraySync() as number[][]];
  return tf.data.array(xs.map((row, k) => ({ xs: row, ys: ys[k] })));
};

describe("fitDataset", () => {
  test("gives what fit gives on the rows of all batches, and leaves no tensor", async () => {
    const { x, y } = makeData("meanSquaredError", 22);
    const [a, b] = [makeModel(), makeModel()];
    const tensors = tf.memory().numTensors;
    const seen: number[] = [];
    const trainer = new ConvexReLUTrainer({ regularization: 0.01 });
    const result = await trainer.fitDataset(a, rowsOf(x, y).batch(5), { onBatch: ({ rows }) => seen.push(rows) });
    expect(seen).toEqual([5, 10, 15, 20, 22]);
    expect(tf.memory().numTensors).toBe(tensors);
    const same = await trainer.fit(b, x, y);
    expect(result.objective).toEqual(same.objective);
    expect(weightsIn(a)).toEqual(weightsIn(b));
    for (const one of [a, b]) one.dispose();
    tf.dispose([x, y]);
  });

  test("takes as many batches as it is told, of a generator without end, and judges validation data that are a data set", async () => {
    const { x, y } = makeData("meanSquaredError", 24);
    const rows = await rowsOf(x, y).toArray();
    const endless = tf.data.generator(function* () {
      for (let k = 0; ; k++) yield rows[k % rows.length];
    });
    const model = makeModel();
    const result = await new ConvexReLUTrainer({ regularization: 0.01 }).fitDataset(model, endless.batch(4), {
      batchesPerEpoch: 3,
      validationData: rowsOf(x, y).batch(8),
      validationBatches: 2,
    });
    expect(result.problem.program.X.rows).toBe(12);
    const held = tf.tidy(() => (model.evaluate(tf.slice(x, 0, 16), tf.slice(y, 0, 16)) as tf.Scalar).dataSync()[0]);
    const told = result.history.val_loss as number[];
    expect(told[told.length - 1]).toBeCloseTo(held, 5);
    model.dispose();
    tf.dispose([x, y]);
  });

  test("takes a csv whose label column is named", async () => {
    const lines = [
      "a,b,price",
      ...Array.from({ length: 16 }, (_, k) => `${Math.sin(k)},${Math.cos(3 * k)},${Math.sin(2 * k)}`),
    ];
    const source = `data:text/csv;base64,${btoa(lines.join("\n"))}`;
    const csv = tf.data.csv(source, { columnConfigs: { price: { isLabel: true } } });
    const batches = csv.map((row) => {
      const { xs, ys } = row as unknown as Record<"xs" | "ys", Record<string, number>>;
      return { xs: Object.values(xs), ys: Object.values(ys) };
    });
    const model = makeModel({ inputs: 2 });
    const result = await new ConvexReLUTrainer({ regularization: 0.01 }).fitDataset(model, batches.batch(6));
    expect(result.problem.program.X.rows).toBe(16);
    expect(result.status).toBe("solved");
    model.dispose();
  });

  const wrong: [what: string, dataset: () => unknown, says: RegExp][] = [
    ["rows that are in no batch", () => tf.data.array([{ xs: 1, ys: 2 }]), /batches \{ xs, ys \}.*\.batch\(32\)/],
    [
      "a csv that was not mapped",
      () => tf.data.array([{ xs: { a: 1, b: 2 }, ys: { c: 1 } }]).batch(1),
      /expected batches \{ xs, ys \}.*Object\.values/,
    ],
    ["an array", () => [1, 2], /a tf\.data\.Dataset.*Use fit for tensors/],
    ["no batches", () => tf.data.array([]), /batches in the data set, got none/],
    [
      "rows of several shapes",
      () =>
        tf.data.generator(function* () {
          yield { xs: tf.ones([2, 3]), ys: tf.ones([2, 1]) };
          yield { xs: tf.ones([2, 4]), ys: tf.ones([2, 1]) };
        }),
      /xs of rows \[3\], got \[4\] in batch 1/,
    ],
    [
      "a data set without end",
      () =>
        tf.data
          .array([{ xs: [1, 2, 3], ys: [1] }])
          .repeat()
          .batch(2),
      /batchesPerEpoch for a data set without end/,
    ],
    [
      "more than fits",
      () =>
        tf.data
          .array([{ xs: new Array(3).fill(1), ys: [1] }])
          .repeat(1e9)
          .batch(2),
      /a data set of at most \d+ bytes.*got \d+ bytes/,
    ],
  ];
  test.each(wrong)("refuses %s, and the weights stay", async (_, dataset, says) => {
    const model = makeModel();
    const before = weightsIn(model);
    const tensors = tf.memory().numTensors;
    const run = new ConvexReLUTrainer().fitDataset(model, dataset() as never);
    await expect(run).rejects.toThrow(says);
    expect(weightsIn(model)).toEqual(before);
    expect(tf.memory().numTensors).toBe(tensors);
    model.dispose();
  });
});
