/** Models of which no part has a convex program: a descent trains them on their own objective, and says that nothing is proven. */

import * as tf from "@tensorflow/tfjs";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import {
  ConvexError,
  ConvexReLUTrainer,
  certify,
  describeNetwork,
  type FitArgs,
  type TrainerOptions,
} from "../../src/index.js";
import { weightsIn } from "../helpers/models.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

type Activation = NonNullable<Parameters<typeof tf.layers.dense>[0]["activation"]>;
type Tensors = tf.Tensor | tf.Tensor[];
interface Table {
  readonly model: tf.LayersModel;
  readonly x: Tensors;
  readonly y: Tensors;
}

/** Ended by its rounds, and not by the clock. */
const SHORT = { maxIterations: 3 } as const;
const ROWS = 20;
const seeded = (seed: number) => ({ kernelInitializer: tf.initializers.glorotUniform({ seed }) });
const dense = (units: number, activation: Activation, more: object = {}) =>
  tf.layers.dense({ units, activation, ...seeded(units), ...more });
const normal = (shape: number[], seed = 1) => tf.randomNormal(shape, 0, 1, "float32", seed);

function compiled(model: tf.LayersModel, loss: unknown, x: Tensors, y: Tensors): Table {
  model.compile({ optimizer: "sgd", loss: loss as string });
  return { model, x, y };
}

const table = (readOut: Activation, loss: unknown, y: Tensors = tf.sigmoid(normal([ROWS, 2], 2)), more: object = {}) =>
  compiled(
    tf.sequential({ layers: [dense(5, "relu", { inputShape: [3] }), dense(2, readOut, more)] }),
    loss,
    normal([ROWS, 3]),
    y,
  );

/** XOR in the words of a beginner. */
function xor(hidden: Activation, readOut: Activation, units = 8): Table {
  const layers = [dense(units, hidden, { inputShape: [2] }), dense(1, readOut)];
  const x = tf.tensor2d([0, 0, 0, 1, 1, 0, 1, 1], [4, 2]);
  return compiled(tf.sequential({ layers }), "meanSquaredError", x, tf.tensor2d([0, 1, 1, 0], [4, 1]));
}

function branches(): Table {
  const inputs = [tf.input({ shape: [2] }), tf.input({ shape: [3] })];
  const towers = inputs.map((input, k) => dense(3 + k, "relu").apply(input) as tf.SymbolicTensor);
  const both = tf.layers.concatenate().apply(towers) as tf.SymbolicTensor;
  const outputs = [dense(1, "linear").apply(both), dense(1, "sigmoid").apply(both)] as tf.SymbolicTensor[];
  const y = normal([ROWS, 1], 3);
  return compiled(
    tf.model({ inputs, outputs }),
    ["meanSquaredError", "binaryCrossentropy"],
    [normal([ROWS, 2], 1), normal([ROWS, 3], 2)],
    [y, tf.cast(tf.greater(y, 0), "float32")],
  );
}

const twins = () => {
  const inputs = [tf.input({ shape: [3] }), tf.input({ shape: [3] })];
  const tower = dense(4, "tanh");
  const pair = inputs.map((input) => tower.apply(input) as tf.SymbolicTensor);
  const output = dense(1, "sigmoid").apply(tf.layers.dot({ axes: -1 }).apply(pair) as tf.SymbolicTensor);
  const y = tf.cast(tf.greater(normal([ROWS, 1], 4), 0), "float32");
  return compiled(
    tf.model({ inputs, outputs: output as tf.SymbolicTensor }),
    "binaryCrossentropy",
    [normal([ROWS, 3], 1), normal([ROWS, 3], 2)],
    y,
  );
};

const places = (last: tf.layers.Layer[], loss: string, y: tf.Tensor) =>
  compiled(
    tf.sequential({ layers: [dense(4, "relu", { inputShape: [4, 2] }), ...last] }),
    loss,
    normal([ROWS, 4, 2]),
    y,
  );

const images = () => {
  const conv = (filters: number, activation: "relu" | "sigmoid", more: object = {}) =>
    tf.layers.conv2d({ filters, kernelSize: 2, padding: "same", activation, ...seeded(filters), ...more });
  const x = tf.sigmoid(normal([ROWS, 4, 4, 1]));
  const layers = [conv(3, "relu", { inputShape: [4, 4, 1] }), conv(1, "sigmoid")];
  return compiled(tf.sequential({ layers }), "meanSquaredError", x, x);
};

const rootOfMean = (y: tf.Tensor, p: tf.Tensor) => tf.sqrt(tf.losses.meanSquaredError(y, p) as tf.Scalar);
const power = (y: tf.Tensor, p: tf.Tensor) => tf.mean(tf.pow(tf.abs(tf.sub(y, p)), 1.5), -1);
const both = { kernelRegularizer: tf.regularizers.l1l2({ l1: 1e-3, l2: 1e-3 }) };

/** What strangers write, and what the first note says has no program. */
const MODELS: readonly (readonly [string, RegExp, () => Table])[] = [
  ["a read-out through tanh", /"tanh" in layer/, () => xor("relu", "tanh")],
  [
    "softmax with squared errors",
    /"softmax" in layer/,
    () => table("softmax", "meanSquaredError", tf.softmax(normal([ROWS, 2], 2))),
  ],
  ["softmax with a cross entropy for sigmoids", /"softmax" in layer/, () => table("softmax", "binaryCrossentropy")],
  [
    "logistic regression by squared errors",
    /"sigmoid" in layer/,
    () =>
      compiled(
        tf.sequential({ layers: [dense(1, "sigmoid", { inputShape: [3] })] }),
        "meanSquaredError",
        normal([ROWS, 3]),
        tf.sigmoid(normal([ROWS, 1], 2)),
      ),
  ],
  ["a loss without a program", /"poisson"/, () => table("softplus", "poisson")],
  ["cosines", /"cosineProximity"/, () => table("linear", "cosineProximity", normal([ROWS, 2], 3))],
  ["a loss of one's own", /the function power/, () => table("linear", power)],
  ["a loss of one's own that is one number", /the function rootOfMean/, () => table("linear", rootOfMean)],
  ["an autoencoder of images", /class Conv2D/, images],
  ["several inputs and outputs", /2 tensors as input/, branches],
  ["two towers with shared weights", /2 tensors as input/, twins],
  [
    "outputs at every place",
    /rank|\[4, 4\]/,
    () => places([dense(1, "linear")], "meanSquaredError", normal([ROWS, 4, 1], 2)),
  ],
  [
    "classes at every place",
    /./,
    () =>
      places(
        [tf.layers.timeDistributed({ layer: dense(3, "softmax") as tf.layers.Layer })],
        "sparseCategoricalCrossentropy",
        tf.expandDims(tf.argMax(normal([ROWS, 4, 3], 2), -1), -1),
      ),
  ],
  ["l1 and l2 in the read-out", /l1 0\.001/, () => table("linear", "meanSquaredError", undefined, both)],
  [
    "a read-out of weights of at least 0",
    /kernelConstraint in layer/,
    () => table("linear", "meanSquaredError", undefined, { kernelConstraint: tf.constraints.nonNeg() }),
  ],
];

const single = (tensors: Tensors) => (Array.isArray(tensors) && tensors.length === 1 ? tensors[0] : tensors);

function objectiveOf({ model, x, y }: Table): number {
  const [first] = [x].flat();
  return tf.tidy(() => {
    const targets = [y].flat().map((target) => (target.dtype === "int32" ? tf.cast(target, "float32") : target));
    const all = [model.evaluate(x, single(targets), { batchSize: first.shape[0] })].flat();
    const loss = all[model.outputs.length - 1]; // of several outputs the sums of the losses up to each come first
    return model.calculateLosses().reduce((sum, term) => sum + term.dataSync()[0], loss.dataSync()[0]);
  });
}

function dispose({ model, x, y }: Table) {
  model.dispose();
  tf.dispose([x, y]);
}

test.each(MODELS)("%s: falls, to what the model says, and nothing is claimed", async (_, what, build) => {
  const made = build();
  const { model, x, y } = made;
  const start = objectiveOf(made);
  const before = tf.memory().numTensors;
  const result = await new ConvexReLUTrainer(SHORT).fit(model, x, y);
  expect(tf.memory().numTensors).toBe(before);
  const end = objectiveOf(made);
  expect(end).toBeLessThan(start);
  const { objective, certificate, noProgram, notes, history, neurons, regularization } = result;
  expect(Math.abs(objective.total - end)).toBeLessThan(2e-5 * Math.abs(end) + 1e-6);
  expect(objective.total).toBeCloseTo(objective.loss + objective.regularization, 12);
  expect([certificate.dual, certificate.relativeGap]).toEqual([Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]);
  expect(certificate.claim).toMatch(/^Nothing is proven of this network/);
  expect(noProgram).toMatch(what);
  expect(notes[0]).toMatch(
    /^There is no convex program for .*nothing is proven\. What would have one, and a certificate: /,
  );
  expect([neurons, regularization.beta]).toEqual([Number.NaN, Number.NaN]);
  const { loss } = history as Record<string, number[]>;
  loss.forEach((value, k) => {
    if (k > 0) expect(value).toBeLessThan(loss[k - 1]);
  });
  for (const weight of model.getWeights()) expect(weight.dataSync().every(Number.isFinite)).toBe(true);
  dispose(made);
});

test("XOR as beginners spell it is learned, in whatever activations it is written", async () => {
  for (const hidden of ["relu", "sigmoid", "tanh"] as const) {
    for (const readOut of ["sigmoid", "tanh", "relu", "softplus"] as const) {
      const made = xor(hidden, readOut);
      const result = await new ConvexReLUTrainer().fit(made.model, made.x, made.y);
      expect(result.objective.total).toBeLessThan(1e-6);
      const shown = (made.model.predict(made.x) as tf.Tensor).dataSync();
      [0, 1, 1, 0].forEach((label, k) => {
        expect(Math.abs(shown[k] - label)).toBeLessThan(0.01);
      });
      dispose(made);
    }
  }
});

test("any read-out with any loss never ends above where it began", async () => {
  const property = fc.asyncProperty(
    fc.constantFrom<Activation[]>("linear", "sigmoid", "tanh", "relu", "softplus", "softmax", "elu"),
    fc.constantFrom(
      "meanSquaredError",
      "meanAbsoluteError",
      "meanSquaredLogarithmicError",
      "meanAbsolutePercentageError",
      "logcosh",
      "cosineProximity",
    ),
    fc.integer({ min: 1, max: 1000 }),
    fc.boolean(),
    async (readOut, loss, seed, weighted) => {
      const made = table(readOut, loss, tf.abs(normal([ROWS, 2], seed)));
      const args: FitArgs = weighted ? { sampleWeight: Array.from({ length: ROWS }, (_, k) => 1 + (k % 3)) } : {};
      const begun = await new ConvexReLUTrainer({ ...SHORT, signal: AbortSignal.abort() }).fit(
        made.model,
        made.x,
        made.y,
        args,
      );
      const { objective } = await new ConvexReLUTrainer(SHORT).fit(made.model, made.x, made.y, args);
      expect(objective.total).toBeLessThanOrEqual(begun.objective.total);
      dispose(made);
    },
  );
  await fc.assert(property, { numRuns: 12, seed: 1 });
});

test("what is of a program refuses, with what the model lacks; so do a class, a depth and a path that are asked for", async () => {
  const made = table("sigmoid", "meanSquaredError");
  const { model, x, y } = made;
  const [features, targets] = [x, y] as tf.Tensor[];
  const result = await new ConvexReLUTrainer(SHORT).fit(model, x, y);
  for (const read of [() => result.problem, () => result.gates, () => result.blocks]) {
    expect(read).toThrow(/expected a model with a convex program for result\.\w+, got "sigmoid" in layer/);
  }
  const asked = [
    new ConvexReLUTrainer({ formulation: "relu" }).fit(model, x, y),
    ...(["head", "read-out", "alternate", "layerwise"] as const).map((depth) =>
      new ConvexReLUTrainer({ depth }).fit(model, x, y),
    ),
    new ConvexReLUTrainer().path(model, features, targets),
    new ConvexReLUTrainer().crossValidate(model, features, targets),
    certify(model, features, targets),
    describeNetwork(model, features),
  ];
  for (const each of asked.slice(0, -1)) {
    const error = await each.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ConvexError);
    expect((error as ConvexError).message).toMatch(
      /activation "linear" in the last layer.*or the loss binaryCrossentropy/,
    );
  }
  await asked[asked.length - 1].catch(() => undefined);
  dispose(made);
});

describe("as model.fit", () => {
  test("callbacks hear of epochs, end it and see metrics and rows held out", async () => {
    const made = branches();
    const { model, x, y } = made;
    model.compile({ optimizer: "sgd", loss: ["meanSquaredError", "binaryCrossentropy"], metrics: ["mae"] });
    const heard: string[][] = [];
    const callbacks = {
      onEpochEnd: async (_: number, logs: tf.Logs = {}) => {
        heard.push(Object.keys(logs));
        if (heard.length === 2) model.stopTraining = true;
      },
    };
    const { status, history } = await new ConvexReLUTrainer().fit(model, x, y, { callbacks, validationSplit: 0.25 });
    expect(status).toBe("cancelled");
    expect(heard.length).toBe(2);
    const names = model.metricsNames.flatMap((name) => [name, `val_${name}`]);
    expect(Object.keys(history).sort()).toEqual([...names, "relativeGap", "seconds"].sort());
    expect(heard[1].sort()).toEqual(Object.keys(history).sort());
    dispose(made);
  });

  test("validationData by names, and of several inputs, are judged as evaluate does", async () => {
    const made = branches();
    const { model, x, y } = made;
    const named = (tensors: Tensors, names: string[]) =>
      Object.fromEntries(names.map((name, k) => [name, [tensors].flat()[k]]));
    const pair = [named(x, model.inputNames), named(y, model.outputNames)] as const;
    const { history } = await new ConvexReLUTrainer(SHORT).fit(model, ...pair, { validationData: pair });
    const held = history.val_loss as number[];
    expect(held[held.length - 1]).toBeCloseTo(objectiveOf(made), 5);
    dispose(made);
  });

  test("a row counts as its weight says, and as often as it is there", async () => {
    const made = table("sigmoid", "meanSquaredError");
    const [x, y] = [made.x, made.y] as tf.Tensor[];
    const twice = [x, y].map((tensor) => tf.concat([tensor, tf.slice(tensor, 0, 5)]));
    const weights = Array.from({ length: ROWS }, (_, k) => ((k < 5 ? 2 : 1) * ROWS) / (ROWS + 5));
    const stopped = new ConvexReLUTrainer({ signal: AbortSignal.abort() });
    const { objective } = await stopped.fit(made.model, x, y, { sampleWeight: weights });
    const { objective: plain } = await stopped.fit(made.model, twice[0], twice[1]);
    expect(objective.total).toBeCloseTo(plain.total, 10);
    tf.dispose(twice);
    dispose(made);
  });

  test("an error of a callback leaves the weights as they were, and no tensors", async () => {
    const made = twins();
    const before = weightsIn(made.model);
    const count = tf.memory().numTensors;
    const callbacks = { onEpochEnd: () => Promise.reject(new Error("mine")) };
    await expect(new ConvexReLUTrainer(SHORT).fit(made.model, made.x, made.y, { callbacks })).rejects.toThrow("mine");
    expect(weightsIn(made.model)).toEqual(before);
    expect(tf.memory().numTensors).toBe(count);
    dispose(made);
  });

  test("a signal that is aborted leaves the weights as they are; a loss that is NaN, too, with advice", async () => {
    const made = table("sigmoid", "meanSquaredError");
    const before = weightsIn(made.model);
    const { status } = await new ConvexReLUTrainer({ signal: AbortSignal.abort() }).fit(made.model, made.x, made.y);
    expect(status).toBe("cancelled");
    expect(weightsIn(made.model)).toEqual(before);
    made.model.compile({
      optimizer: "sgd",
      loss: (y, p) => tf.mean(tf.log(tf.sub(tf.mul(y, 0), tf.add(1, tf.abs(p)))), -1),
    });
    const lost = await new ConvexReLUTrainer(SHORT).fit(made.model, made.x, made.y);
    expect(lost.status).toBe("nonFinite");
    expect(lost.advice).toMatch(/NaN or infinite/);
    expect(weightsIn(made.model)).toEqual(before);
    dispose(made);
  });

  test("a limit of time is kept, and said", async () => {
    const made = table("tanh", "meanSquaredError", tf.randomUniform([ROWS, 2], -1, 1, "float32", 3));
    const begun = performance.now();
    const { status } = await new ConvexReLUTrainer({ timeLimit: 0.1, tolerance: 1e-12 }).fit(
      made.model,
      made.x,
      made.y,
    );
    expect(performance.now() - begun).toBeLessThan(3000);
    expect(status).toBe("timeLimit");
    dispose(made);
  });
});

describe("before the read-out", () => {
  const charged = tf.regularizers.l2({ l2: 1e-3 });
  test.each([
    ["l1 in the hidden layer", /l1 0\.001/, { kernelRegularizer: tf.regularizers.l1({ l1: 1e-3 }) }],
    ["l2 in the hidden layer alone", /in one of two layers only/, { kernelRegularizer: charged }],
    [
      "norms that are held",
      /kernelConstraint in layer/,
      { kernelConstraint: tf.constraints.maxNorm({ maxValue: 0.5, axis: 0 }) },
    ],
  ] as const)("%s alternates by itself, and the read-out has a certificate", async (_, what, more) => {
    const layers = [dense(5, "relu", { inputShape: [3], ...more }), dense(1, "linear")];
    const made = compiled(tf.sequential({ layers }), "meanSquaredError", normal([ROWS, 3]), normal([ROWS, 1], 2));
    const start = objectiveOf(made);
    const { notes, certificate, objective } = await new ConvexReLUTrainer({ maxIterations: 2 }).fit(
      made.model,
      made.x,
      made.y,
    );
    expect(notes[0]).toMatch(what);
    expect(certificate.claim).toMatch(/^Of the read-out alone/);
    expect(objective.total).toBeLessThan(start);
    expect(Math.abs(objective.total - objectiveOf(made))).toBeLessThan(1e-5);
    const norms = tf.norm(made.model.getWeights()[0], 2, 0).dataSync();
    if ("kernelConstraint" in more) for (const norm of norms) expect(norm).toBeLessThan(0.5 + 1e-5);
    dispose(made);
  });
});

interface Wrong {
  readonly wrong: string;
  readonly code: string;
  readonly says: RegExp;
  readonly made?: () => Table;
  readonly x?: (table: Table) => unknown;
  readonly y?: (table: Table) => unknown;
  readonly args?: object;
  readonly options?: TrainerOptions;
}

/** A constraint that TensorFlow.js does not have. */
class OwnConstraint extends (Object.getPrototypeOf(
  tf.constraints.nonNeg().constructor,
) as new () => tf.serialization.Serializable) {
  static className = "OwnConstraint";
  getConfig() {
    return {};
  }
  apply(w: tf.Tensor) {
    return w;
  }
}

const WRONG: readonly Wrong[] = [
  {
    wrong: "one tensor for two inputs",
    code: "data/shape",
    says: /2 tensors in x, one for each input \("input\d+", "input\d+"\), got 1 tensor/,
    made: branches,
    x: ({ x }) => [x].flat()[0],
  },
  {
    wrong: "an input that is not named",
    code: "data/shape",
    says: /2 tensors in y.*got 0 tensors/,
    made: branches,
    y: ({ y }) => ({ other: [y].flat()[0] }),
  },
  {
    wrong: "no tensors at all",
    code: "data/shape",
    says: /x as a tensor, or one for each input, got 3/,
    made: branches,
    x: () => 3,
  },
  {
    wrong: "inputs of several counts of rows",
    code: "data/shape",
    says: /as many rows of y as of x, 20, got 19/,
    made: branches,
    y: ({ y }) => [y].flat().map((each, k) => tf.slice(each, 0, ROWS - k)),
  },
  {
    wrong: "an input of another shape",
    code: "data/shape",
    says: /x of input "input\d+" of shape \[rows, 2\]/,
    made: branches,
    x: ({ x }) => [x].flat().reverse(),
  },
  {
    wrong: "NaN in the second input",
    code: "data/nonFinite",
    says: /NaN in row 3, column 2/,
    made: branches,
    x: ({ x }) => [
      [x].flat()[0],
      tf.tensor2d(
        Array.from({ length: 3 * ROWS }, (_, k) => (k === 11 ? Number.NaN : k)),
        [ROWS, 3],
      ),
    ],
  },
  {
    wrong: "labels beyond the loss",
    code: "data/target",
    says: /targets in \[0, 1\]/,
    made: branches,
    y: ({ y }) => [[y].flat()[0], tf.mul([y].flat()[1], 7)],
  },
  {
    wrong: "class numbers beyond the classes",
    code: "data/target",
    says: /class numbers from 0 to 1/,
    made: () => table("sigmoid", "sparseCategoricalCrossentropy", tf.fill([ROWS, 1], 5)),
  },
  {
    wrong: "one row",
    code: "data/empty",
    says: /at least 2 rows, got 1/,
    made: () => table("sigmoid", "meanSquaredError"),
    x: ({ x }) => tf.slice(x as tf.Tensor, 0, 1),
    y: ({ y }) => tf.slice(y as tf.Tensor, 0, 1),
  },
  {
    wrong: "constant columns",
    code: "data/constant",
    says: /a column of x that varies/,
    made: () => table("sigmoid", "meanSquaredError"),
    x: () => tf.ones([ROWS, 3]),
  },
  {
    wrong: "weights of rows with a loss of all rows",
    code: "data/weight",
    says: /a loss that answers for every row/,
    made: () => table("linear", rootOfMean),
    args: { sampleWeight: Array.from({ length: ROWS }, () => 2) },
  },
  {
    wrong: "class weights for two outputs",
    code: "data/weight",
    says: /no classWeight/,
    made: branches,
    args: { classWeight: { 0: 1, 1: 2 } },
  },
  {
    wrong: "a loss that answers with a number",
    code: "model/loss",
    says: /a loss that answers with a tensor, got number/,
    made: () => table("linear", () => 3),
  },
  {
    wrong: "an output without a loss",
    code: "model/loss",
    says: /a loss for every output, got none for/,
    made: () => {
      const made = branches();
      made.model.loss = { [made.model.outputNames[0]]: "meanSquaredError" };
      return made;
    },
  },
  {
    wrong: "a number for beta",
    code: "options/value",
    says: /none by a number, which is a program's, got 0\.1/,
    made: () => table("sigmoid", "meanSquaredError"),
    options: { regularization: 0.1 },
  },
  {
    wrong: "a wider layer",
    code: "options/value",
    says: /width: expected a value that a descent takes/,
    made: () => table("sigmoid", "meanSquaredError"),
    options: { width: "resize" },
  },
  {
    wrong: "a constraint of one's own",
    code: "model/regularizer",
    says: /nonNeg, maxNorm, unitNorm or minMaxNorm, got OwnConstraint for weight/,
    made: () => table("sigmoid", "meanSquaredError", undefined, { kernelConstraint: new OwnConstraint() }),
  },
  {
    wrong: "nothing that may be trained",
    code: "model/frozen",
    says: /layers that may be trained, got none/,
    made: () => {
      const made = branches();
      made.model.trainable = false;
      return made;
    },
  },
  {
    wrong: "validation data that are no pair",
    code: "options/value",
    says: /a pair \[x, y\] of tensors/,
    made: branches,
    args: { validationData: [1] },
  },
];

test.each(WRONG)(
  "$wrong: refused, and nothing is changed",
  async ({ code, says, made, x, y, args = {}, options = SHORT }) => {
    const given = (made as () => Table)();
    const before = weightsIn(given.model);
    const [features, targets] = [x?.(given) ?? given.x, y?.(given) ?? given.y] as Tensors[];
    const count = tf.memory().numTensors;
    const error = await new ConvexReLUTrainer(options)
      .fit(given.model, features, targets, args as FitArgs)
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ConvexError);
    expect((error as ConvexError).message).toMatch(says);
    expect((error as ConvexError).code).toBe(code);
    expect(weightsIn(given.model)).toEqual(before);
    expect(tf.memory().numTensors).toBe(count);
    dispose(given);
  },
);
