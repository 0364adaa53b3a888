/**
 * Models with several hidden layers: `depth: "alternate"` beside the best of several runs of Adam and of SGD with other rates, on the
 * same full objective and for the same seconds of processor time. `npm run bench:deep -- --help`.
 */

import * as tf from "@tensorflow/tfjs";
import "@tensorflow/tfjs-backend-wasm";
import { accuracyOf, lossOf, objectiveOf } from "../examples/support/train.js";
import { ConvexReLUTrainer } from "../src/index.js";
import { DECAY, type DeepCase, deepCases } from "./data/deepCases.js";
import { readFlags } from "./support/flags.js";
import { describeMachine } from "./support/machine.js";
import { processorSeconds } from "./support/measure.js";
import { above, echo, objective, publish, seconds } from "./support/report.js";

const flags = readFlags("deep", {
  cases: { default: "", help: "only cases whose names contain this" },
  limit: { default: 15, help: "seconds of processor time of each run, about" },
  starts: { default: 1, help: "starts of every rival and rate; ours has one" },
});

/** Rivals with the rates that are tried; each run is from first weights of its own. */
const RIVALS: readonly (readonly [
  name: string,
  optimizer: (rate: number) => tf.Optimizer,
  rates: readonly number[],
])[] = [
  ["Adam", (rate) => tf.train.adam(rate), [1e-3, 3e-3, 1e-2, 3e-2]],
  ["SGD", (rate) => tf.train.momentum(rate, 0.9), [3e-3, 1e-2, 3e-2]],
];
const BATCH = 32;

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

const rows: Row[] = [];
for (const each of deepCases.filter(({ name }) => name.includes(flags.cases))) {
  await tf.setBackend(each.backend);
  const row = await measure(each);
  rows.push(row);
  echo(cells([row]));
}
publish(
  {
    name: "deep",
    title: "Models with several hidden layers",
    command: "npm run bench:deep",
    machine: describeMachine(["@tensorflow/tfjs"]),
    about: [
      `Every model has l2 terms of ${DECAY} on its kernels. fit has depth "alternate", one start and a time limit of ${flags.limit} s by the clock; each rival then has the seconds of processor time that fit took, in batches of ${BATCH}: ${RIVALS.map(([name, , rates]) => `${name} with rates ${rates.join(", ")}`).join("; ")} (SGD with momentum 0.9), ${flags.starts} start${flags.starts === 1 ? "" : "s"} of each, and the lowest objective after any epoch counts.`,
      "Objective: loss over all training rows and l2 terms, by model.evaluate and calculateLosses. Gap: of the head, given its features; nothing is proven of the layers below. Test: share of right classes, or mean loss of numbers, on rows held out.",
    ],
    sections: [
      {
        title: "Objective after the same seconds",
        cells: cells(rows),
        notes: [verdict(), ...deepCases.map(({ name, about }) => `${name}: ${about}.`)],
      },
    ],
    data: { settings: flags, rows },
  },
  flags,
);

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
  const result = await new ConvexReLUTrainer({ depth: "alternate", timeLimit: flags.limit }).fit(
    model,
    train.x,
    train.y,
  );
  const spent = processorSeconds() - began;
  const run = (name: string, of: tf.Sequential, lowest: number, seconds: number): Run => {
    return { name, objective: lowest, test: metric(of, test.x, test.y), seconds };
  };
  const ours = run("alternate", model, objectiveOf(model, train.x, train.y), spent);
  const theirs: Run[] = [];
  let seed = 1;
  for (const [name, optimizer, rates] of RIVALS) {
    for (const rate of rates) {
      for (let start = 0; start < flags.starts; start++, seed++) {
        const rival = compiled(seed, optimizer(rate));
        const { lowest, seconds } = await descended(rival, train.x, train.y, spent);
        theirs.push(run(`${name} ${rate}`, rival, lowest, seconds));
        rival.dispose();
      }
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

/** Epochs until the seconds are spent; their judgement costs a rival nothing. */
async function descended(model: tf.Sequential, x: tf.Tensor, y: tf.Tensor, limit: number) {
  let spent = 0;
  let lowest = Number.POSITIVE_INFINITY;
  while (spent < limit) {
    const began = processorSeconds();
    await model.fit(x, y, { epochs: 1, batchSize: BATCH, verbose: 0, yieldEvery: "never" });
    spent += processorSeconds() - began;
    const value = objectiveOf(model, x, y);
    if (value < lowest) lowest = value;
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

function verdict(): string {
  const lower = rows.filter(({ ours, theirs }) => ours.objective <= theirs[0].objective).length;
  const close = rows.filter(({ ours, theirs }) => ours.objective <= 1.01 * theirs[0].objective).length;
  const better = rows.filter(({ metric, ours, theirs: [best] }) =>
    metric === "accuracy" ? ours.test >= best.test : ours.test <= best.test,
  ).length;
  return `No rival is lower in ${lower} of ${rows.length} cases; ours is at most 1 % above the best in ${close}; its test metric is no worse in ${better}.`;
}
