/**
 * Models with several hidden layers: `depth: "alternate"` beside the best of several runs of Adam and of SGD at tuned rates, on the same
 * full objective and for the same seconds of processor time; and layer-wise training by depth. `npm run bench:deep -- --help`.
 */

import * as tf from "@tensorflow/tfjs";
import "@tensorflow/tfjs-backend-wasm";
import { accuracyOf, lossOf, objectiveOf } from "../examples/support/train.js";
import { ConvexReLUTrainer } from "../src/index.js";
import { DECAY, type DeepCase, deepCases, depthCases } from "./data/deepCases.js";
import { keeping, readFlags } from "./support/flags.js";
import { describeMachine } from "./support/machine.js";
import { onProcessorClock, processorSeconds } from "./support/measure.js";
import { above, echo, objective, publish, seconds } from "./support/report.js";

const flags = readFlags("deep", {
  cases: { default: "", help: "only cases whose names contain this, or one of several with | between them" },
  limit: { default: 15, help: "seconds of processor time of each run, about" },
  starts: { default: 10, help: "runs of every rival at its tuned rate; ours has one" },
  processor: {
    default: false,
    help: "time limits count seconds of processors, not the clock's: for machines with other work",
  },
  keep: {
    default: "",
    help: "folder in which all that was found stays, so that a run takes what others found (empty it when the source has changed)",
  },
});

/** Rivals with the rates that are tried, in runs of their own; each run is from first weights of its own. */
const RIVALS: readonly (readonly [
  name: string,
  optimizer: (rate: number) => tf.Optimizer,
  rates: readonly number[],
])[] = [
  ["Adam", (rate) => tf.train.adam(rate), [1e-3, 3e-3, 1e-2, 3e-2]],
  ["SGD", (rate) => tf.train.momentum(rate, 0.9), [3e-3, 1e-2, 3e-2]],
];
const BATCH = 32;
/** Of the seconds: what a rate is judged by. */
const TUNED = 0.25;
/** Looks at a rival, spread over its seconds, and one at its end. */
const LOOKS = 20;
/** Seeds of first weights for tuning, apart from those of the runs that count. */
const TUNING_SEED = 101;

/** What a run came to. */
interface Run {
  readonly name: string;
  readonly objective: number;
  readonly test: number;
  readonly seconds: number;
}

interface Row {
  readonly name: string;
  readonly samples: number;
  readonly metric: string;
  readonly weights: number;
  readonly status: string;
  readonly gap: number; // of the head
  readonly ours: Run;
  readonly theirs: readonly Run[]; // from the lowest
}

/** Of one depth: how layer-wise training, and a model that ends there trained as a whole, do on rows held out. */
interface DepthRow {
  readonly name: string;
  readonly depth: number;
  readonly samples: number;
  readonly layerwise: { readonly objective: number; readonly test: number; readonly seconds: number };
  readonly whole: { readonly name: string; readonly objective: number; readonly test: number };
}

const { cases, keep, ...settings } = flags;
const asked = <T extends { readonly name: string }>(all: readonly T[]) =>
  all.filter(({ name }) => cases.split("|").some((part) => name.includes(part)));
console.error(`At most about ${Math.ceil(secondsAtMost() / 60)} minutes of the processor, looks at rivals apart.`);
const rows: Row[] = [];
for (const each of asked(deepCases)) {
  await tf.setBackend(each.backend);
  const row = await kept(each.name, () => measure(each));
  rows.push(row);
  echo(cells([row]));
}
const depthRows: DepthRow[] = [];
for (const each of asked(depthCases)) {
  await tf.setBackend(each.backend);
  depthRows.push(...(await kept(`${each.name} by depth`, () => byDepth(each))));
}
publish(
  {
    name: "deep",
    title: "Models with several hidden layers",
    command: "npm run bench:deep",
    machine: describeMachine(["@tensorflow/tfjs"]),
    about: [
      `Every model has l2 terms of ${DECAY} on its kernels. fit has depth "alternate", one start and a time limit of ${flags.limit} s ${flags.processor ? "of processors" : "by the clock"}; each rival then has the seconds of processor time that fit took, in batches of ${BATCH}: the best of ${flags.starts} runs of each, from other first weights, at the rate that was lowest in a run of its own for ${TUNED} of these seconds: ${RIVALS.map(([name, , rates]) => `${name} of rates ${rates.join(", ")}`).join("; ")} (SGD with momentum 0.9). The lowest objective of some twenty looks, the last of them at the end, counts. Tuning, and looks, cost a rival nothing.`,
      "Objective: loss over all training rows and l2 terms, by model.evaluate and calculateLosses. Gap: of the head, given its features; nothing is proven of the layers below. Test: share of right classes, or mean loss of numbers, on rows held out.",
    ],
    sections: [
      {
        title: "Objective after the same seconds",
        cells: cells(rows),
        notes: [verdict(), ...deepCases.map(({ name, about }) => `${name}: ${about}.`)],
      },
      {
        title: "Layer by layer",
        cells: depthCells(),
        notes: [
          'depth "layerwise", each stage a layer and a read-out on what the layers below compute, by descents and their convex program, beside a model that ends after as many hidden layers, trained as a whole by Adam (tuned as above, one run) for the seconds of processor time that layer-wise training had taken up to there. Accuracy on rows held out, after the last epoch.',
        ],
      },
    ],
    data: { settings: { cases, ...settings }, rows, depthRows },
  },
  flags,
);

/** What a run before found with the same settings, where there is a folder of such. */
function kept<T>(name: string, find: () => Promise<T>): Promise<T> {
  const { limit, starts, processor } = settings;
  return keeping(keep, name.replace(/[^\w.-]+/g, "-"), { limit, starts, processor }, find);
}

/** Ours, and rivals of as many seconds, where no fit ends before its limit. */
function secondsAtMost(): number {
  const tuning = TUNED * RIVALS.reduce((sum, [, , rates]) => sum + rates.length, 0);
  const oneCase = flags.limit * (1 + tuning + RIVALS.length * flags.starts);
  const [[, , rates]] = RIVALS;
  const byDepths = asked(depthCases).map(({ depths }) => {
    const shares = (depths + 1) / 2; // of the limit, by the ends of all stages
    return flags.limit * (1 + shares * (1 + TUNED * rates.length));
  });
  return byDepths.reduce((sum, seconds) => sum + seconds, oneCase * asked(deepCases).length);
}

async function measure(each: DeepCase): Promise<Row> {
  const { train, test } = each.make();
  const metric = /entropy/.test(each.loss) ? accuracyOf : lossOf;
  const compiled = (seed: number, optimizer: tf.Optimizer) => {
    const model = each.build(seed) as tf.Sequential;
    model.compile({ optimizer, loss: each.loss });
    return model;
  };
  const model = compiled(1, tf.train.sgd(0.01));
  const began = processorSeconds();
  const trainer = new ConvexReLUTrainer({ depth: "alternate", timeLimit: flags.limit });
  const result = await timed(() => trainer.fit(model, train.x, train.y));
  const spent = processorSeconds() - began;
  const run = (name: string, of: tf.Sequential, lowest: number, seconds: number): Run => {
    return { name, objective: lowest, test: metric(of, test.x, test.y), seconds };
  };
  const ours = run("alternate", model, objectiveOf(model, train.x, train.y), spent);
  const theirs: Run[] = [];
  for (const [name, optimizer, rates] of RIVALS) {
    const rate = await tunedRate(rates, (given) => compiled(TUNING_SEED, optimizer(given)), train, spent);
    for (let seed = 1; seed <= flags.starts; seed++) {
      const rival = compiled(seed, optimizer(rate));
      const { lowest, seconds } = await descended(rival, train.x, train.y, spent);
      theirs.push(run(`${name} ${rate}`, rival, lowest, seconds));
      rival.dispose();
    }
  }
  theirs.sort((a, b) => a.objective - b.objective);
  const weights = model.countParams();
  tf.dispose([train.x, train.y, test.x, test.y]);
  model.dispose();
  const samples = train.x.shape[0];
  const { status, certificate } = result;
  return {
    ...{ name: each.name, samples, metric: metric === accuracyOf ? "accuracy" : each.loss, weights, status },
    ...{ gap: certificate.relativeGap, ours, theirs },
  };
}

/** A fit whose time limit counts what it is to count. */
function timed<T>(work: () => Promise<T>): Promise<T> {
  return flags.processor ? onProcessorClock(work) : work();
}

/** The rate whose run for a share of the seconds ends lowest. */
async function tunedRate(
  rates: readonly number[],
  make: (rate: number) => tf.Sequential,
  { x, y }: { readonly x: tf.Tensor; readonly y: tf.Tensor },
  seconds: number,
): Promise<number> {
  let [best, least] = [rates[0], Number.POSITIVE_INFINITY];
  for (const rate of rates) {
    const model = make(rate);
    const { lowest } = await descended(model, x, y, TUNED * seconds);
    if (lowest < least) [best, least] = [rate, lowest];
    model.dispose();
  }
  return best;
}

/** Layer-wise training of the deepest model, and whole ones of each depth. */
async function byDepth(each: (typeof depthCases)[number]): Promise<DepthRow[]> {
  const { train, test } = each.make();
  const compiled = (depth: number, optimizer: tf.Optimizer, seed = 1) => {
    const model = each.build(seed, depth);
    model.compile({ optimizer, loss: "categoricalCrossentropy", metrics: ["accuracy"] });
    return model;
  };
  const model = compiled(each.depths, tf.train.sgd(0.01));
  const began = processorSeconds();
  const spent: number[] = [];
  const callbacks = { onEpochEnd: async () => void spent.push(processorSeconds() - began) };
  const fit = new ConvexReLUTrainer({ depth: "layerwise", timeLimit: flags.limit });
  const args = { validationData: [test.x, test.y] as [tf.Tensor, tf.Tensor], callbacks };
  const { history } = await timed(() => fit.fit(model, train.x, train.y, args));
  const [, optimizer, rates] = RIVALS[0];
  const found: DepthRow[] = [];
  for (let depth = 1; depth <= history.loss.length; depth++) {
    const seconds = spent[depth - 1];
    const rate = await tunedRate(rates, (given) => compiled(depth, optimizer(given), TUNING_SEED), train, seconds);
    const whole = compiled(depth, optimizer(rate));
    const { lowest } = await descended(whole, train.x, train.y, seconds);
    found.push({
      ...{ name: each.name, depth, samples: train.x.shape[0] },
      layerwise: {
        objective: history.loss[depth - 1] as number,
        test: history.val_acc[depth - 1] as number,
        seconds,
      },
      whole: { name: `Adam ${rate}`, objective: lowest, test: accuracyOf(whole, test.x, test.y) },
    });
    whole.dispose();
  }
  model.dispose();
  tf.dispose([train.x, train.y, test.x, test.y]);
  echo([[], ...found.map((row) => depthCell(row))]);
  return found;
}

/** Epochs until the seconds are spent; looks at them cost a rival nothing. */
async function descended(model: tf.Sequential, x: tf.Tensor, y: tf.Tensor, limit: number) {
  let spent = 0;
  let looked = 0;
  let lowest = Number.POSITIVE_INFINITY;
  while (spent < limit) {
    const began = processorSeconds();
    await model.fit(x, y, { epochs: 1, batchSize: BATCH, verbose: 0, yieldEvery: "never" });
    spent += processorSeconds() - began;
    if (spent < limit && spent < looked + limit / LOOKS) continue;
    looked = spent;
    const value = objectiveOf(model, x, y);
    if (value < lowest) lowest = value; // one that diverged is none
  }
  return { lowest, seconds: spent };
}

function cells(found: readonly Row[]): string[][] {
  return [
    [
      "case",
      "n",
      "weights",
      "alternate",
      "status",
      "gap of the head",
      "best rival",
      "its objective",
      "above ours",
      "test",
      "alternate",
      "best rival",
      "s",
    ],
    ...found.map(({ name, samples, weights, status, gap, metric, ours, theirs: [best] }) => [
      ...[name, String(samples), String(weights), objective(ours.objective), status, gap.toExponential(1)],
      ...[best.name, objective(best.objective), above(best.objective, ours.objective), metric],
      ...[ours.test.toPrecision(3), best.test.toPrecision(3), seconds(ours.seconds)],
    ]),
  ];
}

function depthCells(): string[][] {
  return [
    ["case", "n", "hidden layers", "layer-wise", "accuracy", "s", "as a whole", "its objective", "accuracy"],
    ...depthRows.map(depthCell),
  ];
}

function depthCell({ name, depth, samples, layerwise, whole }: DepthRow): string[] {
  return [
    ...[name, String(samples), String(depth), objective(layerwise.objective), layerwise.test.toPrecision(3)],
    ...[seconds(layerwise.seconds), whole.name, objective(whole.objective), whole.test.toPrecision(3)],
  ];
}

function verdict(): string {
  const lower = rows.filter(({ ours, theirs }) => ours.objective <= theirs[0].objective).length;
  const close = rows.filter(({ ours, theirs }) => ours.objective <= 1.01 * theirs[0].objective).length;
  const better = rows.filter(({ metric, ours, theirs: [best] }) =>
    metric === "accuracy" ? ours.test >= best.test : ours.test <= best.test,
  ).length;
  return `No rival is lower in ${lower} of ${rows.length} cases; ours is at most 1 % above the best in ${close}; its test metric is no worse in ${better}.`;
}
