/** Every export of the package, every place of its arguments and every one of its options, with what does not belong there. */

import * as tf from "@tensorflow/tfjs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as library from "../../src/index.js";
import { makeData, makeModel, weightsIn } from "../helpers/models.js";

const { ConvexError, ConvexReLUTrainer } = library;

/** Values that no kind takes, and what is wrong for some kinds only. */
const NOTHING = [null, Symbol("s"), () => 0, Object.create(null)];
const TEXTS = ["", "0.2", "text"];
const WRONG = {
  positive: [...NOTHING, ...TEXTS, true, [], 0, -1, Number.NaN, Number.POSITIVE_INFINITY],
  tolerance: [...NOTHING, ...TEXTS, true, [], 0, -1, Number.NaN, Number.POSITIVE_INFINITY, 1e-300, 1e-17],
  beta: [...NOTHING, ...TEXTS, true, [], 0, -1, Number.NaN, Number.POSITIVE_INFINITY],
  decay: [...NOTHING, ...TEXTS, true, [], -1, Number.NaN, Number.POSITIVE_INFINITY],
  count: [...NOTHING, ...TEXTS, true, [], 0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY],
  limited: [...NOTHING, ...TEXTS, true, [], 0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 1e7, 1e9, 1e300],
  cones: [...NOTHING, ...TEXTS, true, [], 0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 1e9, 1e300],
  integer: [...NOTHING, ...TEXTS, true, [], 1.5, Number.NaN, Number.POSITIVE_INFINITY, 1e300],
  size: [...NOTHING, ...TEXTS, true, [], -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY],
  share: [null, Symbol("s"), () => 0, ...TEXTS, true, [], -1, 1, Number.NaN].slice(1),
  ratio: [...NOTHING, ...TEXTS, true, [], 0, 1, -1, Number.NaN],
  word: [...NOTHING, ...TEXTS, true, [], 7, Number.NaN],
  name: [...NOTHING, true, [], 7],
  flag: [...NOTHING, ...TEXTS, 0, 1, []],
  finite: [...NOTHING, ...TEXTS, true, [], Number.NaN, Number.POSITIVE_INFINITY],
  record: [...NOTHING, ...TEXTS, true, [], 7],
  list: [...NOTHING.slice(0, 3), "text", true, 7],
  betas: [...NOTHING, "text", true, 7, [], [0], [Number.NaN], ["1"], new Array(1e5).fill(1)],
  tensor: [...NOTHING, ...TEXTS, undefined, true, 7, [[1]]],
  model: [...NOTHING, ...TEXTS, undefined, true, 7, []],
  pair: [() => 0, ...TEXTS, true, 7, [], [1, 2], [null, null]],
  weights: [() => 0, ...TEXTS, true, 7, [], [1, 2], ["a"], { 0: 1 }],
  classes: [() => 0, ...TEXTS, true, 7, { 0: -1 }, { 0: "1" }],
  callbacks: [7, "text", true, [null], [7]],
  start: [null, 7, "text", [], {}].slice(1),
  matrix: [
    ...NOTHING,
    ...TEXTS,
    undefined,
    true,
    7,
    [],
    {},
    { rows: 2, cols: 2 },
    { rows: 2, cols: 2, data: [1, 2, 3, 4] },
  ],
  port: [...NOTHING, ...TEXTS, true, 7, [], {}],
  options: [null, Symbol("s"), "text", true, 7, []],
  pairOfSizes: [...NOTHING, "text", true, 0, -1, 1.5, 1e300, [], [1, 2, 3], [0, 1]],
  args: [null, undefined, "text", true, 7, []],
} as const satisfies Record<string, readonly unknown[]>;
type Kind = keyof typeof WRONG;

/** One function or method: good arguments, the kind of each, and the kinds of the options in the last. */
interface Entry {
  readonly call: (...args: never[]) => unknown;
  readonly good: readonly unknown[];
  readonly kinds: readonly Kind[];
  readonly options?: Readonly<Record<string, Kind | readonly unknown[]>>;
  /** Options without which the others are not looked at. */
  readonly needed?: object;
  /** False where the layers of tfjs take more names than are ours. */
  readonly closed?: boolean;
}

const trainerOptions = {
  formulation: "word",
  arrangements: [
    null,
    7,
    "grow",
    [],
    {},
    { kind: "all" },
    { kind: "sample" },
    { kind: "sample", count: 0 },
    { kind: "grow", starts: 1e9 },
  ],
  pricing: [null, 7, "search", [], {}, { kind: "none" }, { kind: "branch-and-bound", cones: 1e9 }],
  regularization: "beta",
  tolerance: "tolerance",
  maxIterations: "count",
  timeLimit: "positive",
  signal: "record",
  seed: "integer",
  width: "word",
  depth: "word",
  vectorPenalty: "word",
  hiddenBiasScale: "positive",
  rank: "count",
  pca: "count",
  standardize: "flag",
  engine: "word",
  threads: "limited",
  solver: "word",
} as const;
const pick = <T extends object>(from: T, ...names: (keyof T)[]) =>
  Object.fromEntries(names.map((name) => [name, from[name]])) as Record<string, Kind>;
const weighting = { sampleWeight: "weights", classWeight: "classes" } as const;
const held = { validationData: "pair", validationSplit: "share" } as const;
const fitArgs = { ...held, ...weighting, callbacks: "callbacks", warmStart: "start" } as const;
const modelArgs = { hiddenBias: "flag", outputBias: "flag" } as const;
const grid = { betas: "betas", count: "limited", ratio: "ratio" } as const;

let x: tf.Tensor;
let y: tf.Tensor;
let signs: tf.Tensor;
let model: tf.Sequential;
let parallel: tf.Sequential;
let linear: tf.Sequential;
let round: tf.Sequential;
let result: library.FitResult;
let set: library.OptimalSet;
let derivatives: library.Sensitivity;
let tangent: library.TangentKernel;
const rows = { rows: 3, cols: 2, data: Float64Array.of(1, 2, -1, 0.5, 2, -3) };
/** The terms of a program of two variables. */
const [square, sides] = [tf.eye(2), tf.zeros([2])];
const WRONG_TERMS = [null, 1, "P", [1, 2], {}, tf.zeros([3]), tf.zeros([3, 3])];
const port = { postMessage() {}, on() {}, off() {} };

beforeAll(async () => {
  await tf.setBackend("cpu");
  ({ x, y } = makeData());
  signs = tf.tidy(() => tf.where(tf.greater(y, 0), tf.onesLike(y), tf.neg(tf.onesLike(y))));
  model = makeModel({ units: 60 });
  linear = tf.sequential({
    layers: [4, 1].map((units) =>
      tf.layers.dense({ units, inputShape: [3], useBias: false, kernelRegularizer: tf.regularizers.l2({ l2: 0.1 }) }),
    ),
  });
  linear.compile({ optimizer: "sgd", loss: "meanSquaredError" });
  const unitLength = { useBias: false, kernelConstraint: tf.constraints.unitNorm({ axis: 0 }) };
  round = tf.sequential({
    layers: [
      tf.layers.dense({ units: 8, inputShape: [3], ...unitLength }),
      library.polynomial(1, 0.5, 0),
      tf.layers.dense({ units: 1, kernelRegularizer: tf.regularizers.l1({ l1: 0.1 }) }),
    ],
  });
  round.compile({ optimizer: "sgd", loss: "meanSquaredError" });
  parallel = makeParallel();
  result = await new ConvexReLUTrainer({ tolerance: 1e-2, arrangements: { kind: "sample", count: 6 } }).fit(
    model,
    x,
    y,
  );
  set = await library.optimalSet(result, { tolerance: 1e-3 });
  const sharp = new ConvexReLUTrainer({ regularization: 0.1, arrangements: { kind: "sample", count: 6 } });
  tangent = await library.neuralTangentKernel(x);
  derivatives = await library.sensitivity(await sharp.fit(makeModel({ units: 60 }), x, y));
});
afterAll(() => {
  tf.dispose([x, y, signs]);
  model.dispose();
  parallel.dispose();
});

/** A getter, since what they are called with is made before the tests run. */
const entries = (): Record<string, readonly Entry[]> => {
  const trainer = new ConvexReLUTrainer({ tolerance: 1e-2, maxIterations: 5 });
  const remote = new library.WorkerTrainer(port);
  const on = [model, x, y];
  const onKinds: Kind[] = ["model", "tensor", "tensor"];
  const kernel = {
    kernelSize: "pairOfSizes",
    strides: "pairOfSizes",
    dilationRate: "pairOfSizes",
    padding: "word",
    dataFormat: "word",
  } as const;
  const optimum = set.solutions[0];
  return {
    ConvexReLUTrainer: [
      { call: (o?: object) => new ConvexReLUTrainer(o), good: [{}], kinds: ["options"], options: trainerOptions },
      {
        call: trainer.fit.bind(trainer),
        good: [...on, {}],
        kinds: [...onKinds, "options"],
        options: { ...fitArgs, verbose: [] },
      },
      {
        call: trainer.train.bind(trainer),
        good: [x, y, { loss: "meanSquaredError" }],
        kinds: ["tensor", "tensor", "args"],
        options: { ...fitArgs, verbose: [], loss: "word", metrics: ["none", 7], ...modelArgs },
        needed: { loss: "meanSquaredError" },
      },
      {
        call: trainer.path.bind(trainer),
        good: [...on, {}],
        kinds: [...onKinds, "options"],
        options: { ...grid, ...held, ...weighting, onPoint: [null, 7, "text", {}] },
      },
      {
        call: trainer.crossValidate.bind(trainer),
        good: [...on, {}],
        kinds: [...onKinds, "options"],
        options: { ...grid, ...weighting, folds: "limited", metric: "word", mode: "word" },
      },
    ],
    certify: [
      {
        call: library.certify,
        good: [...on, {}],
        kinds: [...onKinds, "options"],
        options: {
          ...pick(
            trainerOptions,
            "formulation",
            "arrangements",
            "pricing",
            "regularization",
            "hiddenBiasScale",
            "depth",
            "vectorPenalty",
            "rank",
            "standardize",
          ),
          ...pick(trainerOptions, "engine", "threads", "seed", "tolerance", "timeLimit", "maxIterations"),
          ...weighting,
        },
      },
    ],
    trainConvexNN: [
      {
        call: library.trainConvexNN,
        good: [x, y, { loss: "meanSquaredError" }],
        kinds: ["tensor", "tensor", "args"],
        needed: { loss: "meanSquaredError" },
        options: {
          ...pick(trainerOptions, "tolerance", "maxIterations", "timeLimit", "signal", "seed", "engine", "threads"),
          ...weighting,
          ...{ loss: "word", activation: "word", regularization: "beta", ...modelArgs },
          ...{ reach: "positive", starts: "limited", together: "limited" },
        } as Record<string, Kind>,
      },
    ],
    describeNetwork: [{ call: library.describeNetwork, good: [model, x], kinds: ["model", "tensor"] }],
    joinNetworks: [
      {
        call: library.joinNetworks,
        good: [model, model, x, y, {}],
        kinds: ["model", "model", "tensor", "tensor", "options"],
        options: { steps: "limited", regularization: "decay", ...weighting },
      },
    ],
    lossSurface: [
      {
        call: library.lossSurface,
        good: [...on, {}],
        kinds: [...onKinds, "options"],
        options: {
          span: "positive",
          resolution: "limited",
          seed: "integer",
          regularization: [...WRONG.beta, "auto", "interpolate"],
          ...weighting,
        },
      },
    ],
    optimalSet: [
      {
        call: library.optimalSet,
        good: [result, {}],
        kinds: ["model", "options"],
        options: {
          tolerance: "tolerance",
          slack: "positive",
          timeLimit: "positive",
          others: [...WRONG.list, [7], [null]],
        },
      },
    ],
    OptimalSet: [
      { call: set.fewest.bind(set), good: [{}], kinds: ["options"], options: { tries: "limited", seed: "integer" } },
      { call: set.choose.bind(set), good: [x, y], kinds: ["tensor", "tensor"] },
      { call: set.distance.bind(set), good: [optimum, optimum], kinds: ["model", "model"] },
      {
        call: set.path.bind(set),
        good: [optimum, optimum, {}],
        kinds: ["model", "model", "options"],
        options: { steps: "limited" },
      },
      { call: set.write.bind(set), good: [model, optimum], kinds: ["model", "model"] },
      { call: set.modelOf.bind(set), good: [optimum], kinds: ["model"] },
    ],
    sensitivity: [
      {
        call: library.sensitivity,
        good: [result, {}],
        kinds: ["model", "options"],
        options: { tolerance: "tolerance", timeLimit: "positive" },
      },
    ],
    Sensitivity: [
      {
        call: derivatives.along.bind(derivatives),
        good: [{ beta: 1 }],
        kinds: ["options"],
        options: {
          targets: [...WRONG.record, [1], new Array(30).fill("1"), new Array(30).fill(Number.NaN)],
          sampleWeight: [...WRONG.record, [1], new Array(30).fill(Number.POSITIVE_INFINITY)],
          beta: "finite",
        },
      },
      { call: derivatives.heldOut.bind(derivatives), good: [x, y], kinds: ["tensor", "tensor"] },
    ],
    neuralTangentKernel: [
      {
        call: library.neuralTangentKernel,
        good: [x, {}],
        kinds: ["tensor", "options"],
        options: {
          layers: [...WRONG.limited, 1],
          activation: "word",
          trainReadOut: "flag",
          stepSize: "positive",
          signal: "record",
        },
      },
    ],
    branchGap: [
      {
        call: library.branchGap,
        good: [{ weights: 1, output: ([w]: Float64Array) => w }, x, signs, { candidates: 9 }],
        kinds: ["model", "tensor", "tensor", "options"],
        options: {
          ...{ branches: "limited", budget: "positive", tau: "positive", span: "positive", candidates: "limited" },
          ...{ descents: "size", seed: "integer", signal: "record" },
        },
      },
    ],
    relaxedReLU: [
      {
        call: library.relaxedReLU,
        good: [x, y, {}],
        kinds: ["tensor", "tensor", "options"],
        options: {
          ...{ units: "limited", gradient: "word", steps: "limited", rate: "positive", seed: "integer" },
          ...{ timeLimit: "positive", signal: "record" },
        },
      },
    ],
    TangentKernel: [
      { call: tangent.steps.bind(tangent), good: [0.5], kinds: ["ratio"] },
      { call: tangent.errors.bind(tangent), good: [new Array(30).fill(1), 3], kinds: ["record", "limited"] },
    ],
    arrangementBound: [{ call: library.arrangementBound, good: [3, 2], kinds: ["size", "size"] }],
    gateSetBytes: [{ call: library.gateSetBytes, good: [1, 3, 2], kinds: ["size", "size", "size"] }],
    enumerateGates: [{ call: library.enumerateGates, good: [rows], kinds: ["matrix"] }],
    gatesFrom: [{ call: library.gatesFrom, good: [rows, rows], kinds: ["matrix", "matrix"] }],
    sampleGates: [
      {
        call: library.sampleGates,
        good: [rows, { count: 4 }],
        kinds: ["matrix", "args"],
        options: { count: "count", seed: "integer", written: [], read: [] },
        needed: { count: 4 },
      },
    ],
    gatedDense: [gated(library.gatedDense, { units: "limited" }, { units: 2 })],
    GatedDense: [gated((a: never) => new library.GatedDense(a), { units: "limited" }, { units: 2 })],
    gatedBranches: [branched(library.gatedBranches)],
    GatedBranches: [branched((a: never) => new library.GatedBranches(a))],
    gatedConv2D: [gated(library.gatedConv2D, { filters: "limited", ...kernel }, { filters: 2, kernelSize: 2 })],
    GatedConv2D: [
      gated((a: never) => new library.GatedConv2D(a), { filters: "limited", ...kernel }, { filters: 2, kernelSize: 2 }),
    ],
    patches: [
      {
        call: library.patches,
        good: [{ kernelSize: 2 }],
        kinds: ["args"],
        options: kernel,
        needed: { kernelSize: 2 },
        closed: false,
      },
    ],
    Patches: [
      {
        call: (a: never) => new library.Patches(a),
        good: [{ kernelSize: 2 }],
        kinds: ["args"],
        options: kernel,
        needed: { kernelSize: 2 },
        closed: false,
      },
    ],
    signLayer: [{ call: library.signLayer, good: [{}], kinds: ["options"] }],
    Sign: [{ call: (a: never) => new library.Sign(a), good: [{}], kinds: ["options"] }],
    show: [
      {
        call: library.show.certificate,
        good: [{ render: { table() {} } }, {}, result],
        kinds: ["model", "args", "model"].map((k, i) => (i === 1 ? "surface" : k)) as Kind[],
      },
    ],
    serveTrainer: [{ call: library.serveTrainer, good: [port], kinds: ["port"] }],
    WorkerTrainer: [
      {
        call: (p: never, o?: object) => new library.WorkerTrainer(p, o),
        good: [port, {}],
        kinds: ["port", "options"],
        options: trainerOptions,
      },
      { call: remote.fit.bind(remote), good: [...on, {}], kinds: [...onKinds, "options"] },
      {
        call: remote.train.bind(remote),
        good: [x, y, { loss: "meanSquaredError" }],
        kinds: ["tensor", "tensor", "args"],
      },
    ],
    onesColumn: [{ call: library.onesColumn, good: [{}], kinds: ["options"] }],
    OnesColumn: [{ call: (a: never) => new library.OnesColumn(a), good: [{}], kinds: ["options"] }],
    pairProducts: [{ call: library.pairProducts, good: [{}], kinds: ["options"] }],
    PairProducts: [{ call: (a: never) => new library.PairProducts(a), good: [{}], kinds: ["options"] }],
    polynomial: [{ call: library.polynomial, good: [1, 0, 0], kinds: ["finite", "finite", "finite"] }],
    PolynomialActivation: [
      {
        call: (a: never) => new library.PolynomialActivation(a),
        good: [{ a: 1, b: 0, c: 0 }],
        kinds: ["args"],
        options: { a: "finite", b: "finite", c: "finite" },
        needed: { a: 1, b: 0, c: 0 },
        closed: false,
      },
    ],
    trainClosedForm: [
      {
        call: library.trainClosedForm,
        good: [linear, x, y, {}],
        kinds: ["model", "tensor", "tensor", "options"],
        options: { tolerance: "tolerance", charge: [null, 7, "none", [], {}, { schatten: 0 }, { schatten: "1" }] },
      },
    ],
    trainPolynomial: [
      {
        call: library.trainPolynomial,
        good: [round, x, y, {}],
        kinds: ["model", "tensor", "tensor", "options"],
        options: {
          ...pick(trainerOptions, "tolerance", "maxIterations", "timeLimit", "signal", "engine", "threads", "width"),
          ...weighting,
        },
      },
    ],
    trainGenerator: [
      {
        call: library.trainGenerator,
        good: [x, x, {}],
        kinds: ["tensor", "tensor", "options"],
        options: {
          ...{ discriminator: "word", generator: "word", regularization: "positive", rank: "count", units: "count" },
          ...{ decay: "positive", tolerance: "tolerance", timeLimit: "positive", seed: "integer", signal: "record" },
          sides: [null, 7, "4", [], [0], [1.5], ["4"]],
        },
      },
    ],
    convexLayer: [program(library.convexLayer)],
    ConvexLayer: [program((a: never) => new library.ConvexLayer(a))],
    quadraticProgram: [
      {
        call: library.quadraticProgram,
        good: [{ P: square, q: sides }],
        kinds: ["args"],
        options: {
          ...{ P: WRONG_TERMS, q: WRONG_TERMS, A: WRONG_TERMS, b: WRONG_TERMS, G: WRONG_TERMS, h: WRONG_TERMS },
          cones: [null, 3, "2", {}, [0], [1.5], ["2"], [Number.NaN], [3], [2, 1]],
        },
        needed: { P: square, q: sides },
      },
    ],
    branchPower: [power(library.branchPower)],
    BranchPower: [power((a: never) => new library.BranchPower(a))],
    proximalAdam: [proximal(library.proximalAdam)],
    ProximalAdam: [proximal((a: never) => new library.ProximalAdam(a))],
    trainParallel: [{}, { units: "gated" }].map((units) => ({
      call: library.trainParallel,
      good: [x, y, { ...units, loss: "meanSquaredError", hidden: 1, regularization: 0.1 }],
      kinds: ["tensor", "tensor", "args"],
      needed: { ...units, loss: "meanSquaredError", hidden: 1, regularization: 0.1 },
      options: {
        ...pick(trainerOptions, "tolerance", "maxIterations", "timeLimit", "signal", "seed"),
        ...{ ...weighting, callbacks: "callbacks", verbose: [] },
        ...{ units: "word", loss: "word", hidden: "limited", branches: "limited", regularization: "positive" },
        ...{ charge: "word", arrangements: "record", ...modelArgs },
      } as NonNullable<Entry["options"]>,
    })),
    fitParallel: [
      {
        call: library.fitParallel,
        good: [parallel, x, y, {}],
        kinds: ["model", "tensor", "tensor", "options"],
        options: {
          ...pick(trainerOptions, "tolerance", "maxIterations", "timeLimit", "signal", "seed"),
          ...{ ...weighting, callbacks: "callbacks", verbose: [], arrangements: "record" },
        } as NonNullable<Entry["options"]>,
      },
    ],
    trainQuantized: [
      {
        call: library.trainQuantized,
        good: [x, y, { loss: "meanSquaredError", regularization: 0.1 }],
        kinds: ["tensor", "tensor", "args"],
        needed: { loss: "meanSquaredError", regularization: 0.1 },
        options: {
          ...pick(trainerOptions, "tolerance", "maxIterations", "timeLimit", "signal", "seed", "engine", "threads"),
          ...weighting,
          ...{ loss: "word", activation: "word", regularization: "positive", ...modelArgs },
          ...{ levels: "limited", samples: "limited", enumerate: "flag" },
        } as Record<string, Kind>,
      },
    ],
    registerLayers: [],
    // Made by the library, of what it has checked.
    FitResult: [],
    ParallelResult: [],
    ConvexError: [],
  };
};

/** One branch of one neuron, for the data of this file. */
function makeParallel(): tf.Sequential {
  const charge = (along: "outputs" | "inputs") => ({
    useBias: false,
    kernelRegularizer: library.branchPower({ factor: 0.1, branches: 1, along }),
  });
  const made = tf.sequential();
  made.add(tf.layers.dense({ units: 1, activation: "relu", inputShape: [3], ...charge("outputs") }));
  made.add(tf.layers.dense({ units: 1, activation: "relu", ...charge("outputs") }));
  made.add(tf.layers.dense({ units: 1, ...charge("inputs") }));
  made.compile({ optimizer: "sgd", loss: "meanSquaredError" });
  return made;
}

function program(call: (args: never) => unknown): Entry {
  const sizes = [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 1e9, "3", {}];
  return { call, good: [{}], kinds: ["options"], options: { inequalities: sizes, equalities: sizes }, closed: false };
}

function power(call: (args: never) => unknown): Entry {
  return {
    call,
    good: [{ factor: 1, branches: 1 }],
    kinds: ["args"],
    options: { factor: "decay", power: [...WRONG.decay, 0.5], branches: "count", along: "word" },
    needed: { factor: 1, branches: 1 },
    closed: false,
  };
}

function branched(call: (args: never) => unknown): Entry {
  return {
    call,
    good: [{ branches: 2, hidden: 2 }],
    kinds: ["args"],
    needed: { branches: 2, hidden: 2 },
    closed: false,
    options: { branches: "limited", hidden: "limited", seed: "integer" },
  };
}

function proximal(call: (args: never) => unknown): Entry {
  const share = [...WRONG.decay, 1];
  return {
    call,
    good: [{ beta: 1 }],
    kinds: ["args"],
    options: {
      ...{ beta: "decay", learningRate: "positive", decay: "decay", beta1: share, beta2: share, epsilon: "positive" },
      layers: ["hidden", 7, [7], {}],
    },
    needed: { beta: 1 },
  };
}

function gated(call: (args: never) => unknown, own: Record<string, Kind>, needed: object): Entry {
  return {
    call,
    good: [needed],
    kinds: ["args"],
    needed,
    closed: false,
    options: { useBias: WRONG.flag.slice(1), seed: "integer", ...own },
  };
}

const surfaces: readonly unknown[] = [null, undefined];
const wrongFor = (kind: Kind | "surface"): readonly unknown[] => (kind === "surface" ? surfaces : WRONG[kind]);

/** What a call threw, or what it answered. */
async function outcome(entry: Entry, args: readonly unknown[]): Promise<unknown> {
  try {
    return { answered: await entry.call(...(args as never[])) };
  } catch (error) {
    return error;
  }
}

/** All wrong calls of an entry: one place or one option at a time. */
function wrongCalls(entry: Entry): { said: string; args: unknown[] }[] {
  const { good, kinds, options = {}, needed = {} } = entry;
  const last = good.length - 1;
  const places = kinds.flatMap((kind, at) =>
    wrongFor(kind).map((value) => ({ said: `argument ${at}`, args: good.map((one, k) => (k === at ? value : one)) })),
  );
  const named = Object.entries(options).flatMap(([name, kind]) =>
    (typeof kind === "string" ? wrongFor(kind) : kind).map((value) => ({
      said: name,
      args: good.map((one, k) => (k === last ? { ...needed, [name]: value } : one)),
    })),
  );
  return [...places, ...named];
}

describe("bad calls", () => {
  test("every export has an entry", () => {
    expect(Object.keys(entries()).sort()).toEqual(Object.keys(library).sort());
  });

  test("every option has an entry", async () => {
    for (const [name, list] of Object.entries(entries())) {
      for (const entry of list) {
        if (entry.options === undefined || entry.closed === false) continue;
        const args = entry.good.map((one, k) => (k === entry.good.length - 1 ? { ...entry.needed, nonsense: 1 } : one));
        const error = (await outcome(entry, args)) as Error;
        const known = /among (.*), got "nonsense"/.exec(error.message)?.[1].split(", ").sort();
        expect([name, Object.keys(entry.options).sort()]).toEqual([name, known]);
      }
    }
  });

  test.each(Object.keys(library))("%s refuses each with a sentence, and changes and leaks nothing", async (name) => {
    const before = weightsIn(model);
    for (const entry of entries()[name] ?? []) {
      for (const { said, args } of wrongCalls(entry)) {
        const tensors = tf.memory().numTensors;
        const error = await outcome(entry, args);
        const label = `${name} ${said}: ${args.map((arg) => (typeof arg === "object" ? "{}" : String(arg))).join(", ")}`;
        expect(error, label).toBeInstanceOf(ConvexError);
        expect((error as Error).message, label).toMatch(/^\S[^:]*: .*expected .+, got .+\. .+/s);
        expect(tf.memory().numTensors, label).toBe(tensors);
      }
    }
    expect(weightsIn(model)).toEqual(before);
  });

  test("a sample of more gates than there are arrangements is all that it finds, at once", () => {
    const few = library.sampleGates(rows, { count: 1e7 });
    expect(few.count).toBe(library.enumerateGates(rows).count); // of these rows none has all switched off
    expect(library.sampleGates(rows, { count: Number.MAX_SAFE_INTEGER }).count).toBe(few.count);
  });

  test.each([
    ["rank beyond the columns", { rank: 1e9 }, /rank of at most 3, the columns of x, got 1000000000/],
    ["components beyond the columns", { pca: 4 }, /pca of at most 3, the columns of x, got 4/],
  ])("%s is refused", async (_said, options, says) => {
    await expect(new ConvexReLUTrainer(options).fit(model, x, y)).rejects.toThrow(says);
  });

  test("texts that look like numbers, in a tensor, are refused", async () => {
    const texts = tf.fill([30, 3], "1");
    await expect(new ConvexReLUTrainer().fit(model, texts, y)).rejects.toThrow(/x of numbers, got dtype "string"/);
    texts.dispose();
  });

  test("data without columns are refused as such", async () => {
    const tensors = tf.memory().numTensors;
    const none = tf.zeros([30, 0]);
    const train = new ConvexReLUTrainer().train(none, y, { loss: "meanSquaredError" });
    await expect(train).rejects.toMatchObject({ name: "ConvexError", code: "data/empty" });
    none.dispose();
    expect(tf.memory().numTensors).toBe(tensors);
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, -1])("an l2 of %s in a layer is refused", async (l2) => {
    const kernelRegularizer = tf.regularizers.l2({ l2 });
    const layers = [
      tf.layers.dense({ units: 60, activation: "relu", inputShape: [3], kernelRegularizer }),
      tf.layers.dense({ units: 1, kernelRegularizer }),
    ];
    const charged = tf.sequential({ layers });
    charged.compile({ optimizer: "sgd", loss: "meanSquaredError" });
    const fit = new ConvexReLUTrainer().fit(charged, x, y);
    await expect(fit).rejects.toMatchObject({ name: "ConvexError", code: "model/regularizer" });
    charged.dispose();
  });

  test("a callback that throws at the end of a fit leaves the weights as they were, and no tensor behind", async () => {
    const own = makeModel({ units: 60 });
    const [before, tensors] = [weightsIn(own), tf.memory().numTensors];
    const onTrainEnd = () => Promise.reject(new Error("mine"));
    const fit = new ConvexReLUTrainer({ tolerance: 1e-2 }).fit(own, x, y, { callbacks: { onTrainEnd } });
    await expect(fit).rejects.toThrow("mine");
    expect(weightsIn(own)).toEqual(before);
    expect(tf.memory().numTensors).toBe(tensors);
    own.dispose();
  });

  test.each(["interpolate", "max-margin"] as const)("certify refuses regularization %s", async (regularization) => {
    await expect(library.certify(model, x, y, { regularization })).rejects.toThrow(/takes the place of the loss/);
  });

  test.each([
    ["interpolate", "meanSquaredError", 3],
    ["max-margin", "hinge", -1],
    ["max-margin", "binaryCrossentropy", 1],
  ] as const)(
    "%s of targets that the bias alone meets (%s) is solved by the zero network",
    async (regularization, loss, value) => {
      const targets = tf.fill([30, 1], value);
      const fit = await new ConvexReLUTrainer({ regularization }).train(x, targets, { loss });
      expect(fit.certificate).toMatchObject({ primal: 0, dual: 0, relativeGap: 0, network: 0 });
      expect(fit.status).toBe("solved");
      fit.model.dispose();
      targets.dispose();
    },
  );

  test.each([
    ["interpolate", "meanSquaredError", 3],
    ["max-margin", "hinge", -1],
  ] as const)(
    "%s of equal targets without an output bias has its bound and its network at one value",
    async (regularization, loss, value) => {
      const targets = tf.fill([30, 1], value);
      const fit = await new ConvexReLUTrainer({ regularization }).train(x, targets, { loss, outputBias: false });
      expect(fit.certificate.network).toBeCloseTo(fit.certificate.dual, 5);
      expect(fit.certificate.dual).toBeGreaterThan(0);
      fit.model.dispose();
      targets.dispose();
    },
  );
});
