/**
 * Models of the official examples of TensorFlow.js, as they stand: the optimizer, epochs and batches of each beside `fit`: the full
 * objective, the metric on rows held out, seconds of processor time. `npm run bench:adoption -- --help`.
 */

import * as tf from "@tensorflow/tfjs";
import { accuracyOf, lossOf, objectiveOf, useFastBackend } from "../examples/support/train.js";
import { ConvexReLUTrainer } from "../src/index.js";
import { type Adopted, adoptedSources, DECAY } from "./data/adoptionCases.js";
import { readFlags } from "./support/flags.js";
import { describeMachine } from "./support/machine.js";
import { processorSeconds } from "./support/measure.js";
import { type AdoptionRow, plotAdoption } from "./support/plots.js";
import { above, echo, objective, publish, seconds } from "./support/report.js";

const flags = readFlags("adoption", {
  cases: { default: "", help: "only cases whose names contain this" },
  tolerance: { default: 1e-2, help: "relative duality gap of fit" },
  limit: { default: 20, help: "seconds of a fit by the clock, at most" },
  starts: { default: 2, help: "starts of model.fit" },
});

await useFastBackend();
const rows: AdoptionRow[] = [];
for (const { name, make } of adoptedSources.filter(({ name }) => name.includes(flags.cases))) {
  const row = await measure(name, await make());
  rows.push(row);
  echo(cells([row]));
}
publish(
  {
    name: "adoption",
    title: "Models of the official TensorFlow.js examples, as they stand",
    command: "npm run bench:adoption",
    machine: describeMachine(["@tensorflow/tfjs"]),
    about: [
      `Both methods train the same model: that of the example with l2 terms of ${DECAY} on kernels and hidden biases, which the examples lack. model.fit has the example's optimizer, epochs and batches, and ${flags.starts} starts; fit has a tolerance of ${flags.tolerance} and at most ${flags.limit} s by the clock.`,
      "Objective: loss over all training rows and l2 terms, by model.evaluate and calculateLosses. Bound: what no network of the kinds that the certificate names is below. Test: share of right classes, or mean loss of numbers. Seconds: processor time of all threads, the trunk with it; of one start.",
      "The examples' epochs are meant for their own data, which is larger: on these few rows they are few steps and little time, so that this compares what a user gets by the example's arguments, and not methods with equal time.",
    ],
    sections: [
      {
        title: "Both methods",
        cells: cells(rows),
        notes: [verdict(), ...adoptedSources.map(({ name, about }) => `${name}: ${about}.`)],
      },
    ],
    data: { settings: flags, rows },
  },
  flags,
);
if (!flags.dry) await plotAdoption(rows);

async function measure(name: string, adopted: Adopted): Promise<AdoptionRow> {
  const { train, test, build, loss, epochs, batchSize } = adopted;
  const metric = /entropy/.test(loss) ? accuracyOf : lossOf;
  const compiled = () => {
    const model = build();
    model.compile({ optimizer: adopted.optimizer(), loss });
    return model;
  };
  const model = compiled();
  const [result, spent] = await timed(() =>
    new ConvexReLUTrainer({ tolerance: flags.tolerance, timeLimit: flags.limit }).fit(model, train.x, train.y),
  );
  const ours = { objective: objectiveOf(model, train.x, train.y), test: metric(model, test.x, test.y), seconds: spent };
  const theirs: AdoptionRow["ours"][] = [];
  for (let start = 0; start < flags.starts; start++) {
    const rival = compiled();
    const [, seconds] = await timed(() => rival.fit(train.x, train.y, { epochs, batchSize, verbose: 0 }));
    theirs.push({ objective: objectiveOf(rival, train.x, train.y), test: metric(rival, test.x, test.y), seconds });
  }
  theirs.sort((a, b) => a.objective - b.objective);
  const { certificate, status } = result;
  tf.dispose([train.x, train.y, test.x, test.y]);
  return {
    ...{ name, samples: result.problem.program.X.rows, metric: metric === accuracyOf ? "accuracy" : loss },
    ...{ bound: certificate.dual, scope: certificate.scope, status, ours, theirs },
  };
}

async function timed<T>(run: () => Promise<T>): Promise<[value: T, seconds: number]> {
  const began = processorSeconds();
  return [await run(), processorSeconds() - began];
}

function cells(found: readonly AdoptionRow[]): string[][] {
  return [
    [
      "example",
      "n",
      "fit",
      "bound",
      "status",
      "scope",
      "model.fit, best",
      "above ours",
      "metric",
      "fit",
      "model.fit",
      "s, fit",
      "s, model.fit",
    ],
    ...found.map(({ name, samples, bound, status, scope, metric, ours, theirs: [best] }) => [
      ...[name, String(samples), objective(ours.objective), objective(bound), status, scope],
      ...[objective(best.objective), above(best.objective, ours.objective), metric],
      ...[ours.test.toPrecision(3), best.test.toPrecision(3), seconds(ours.seconds), seconds(best.seconds)],
    ]),
  ];
}

function verdict(): string {
  const lower = rows.filter(({ ours, theirs }) => ours.objective <= theirs[0].objective).length;
  const better = rows.filter(({ metric, ours, theirs: [best] }) =>
    metric === "accuracy" ? ours.test >= best.test : ours.test <= best.test,
  ).length;
  const faster = rows.filter(({ ours, theirs }) => ours.seconds <= theirs[0].seconds).length;
  return `fit's objective is no higher than the best start's in ${lower} of ${rows.length} examples, its metric no worse in ${better}, its seconds no more than one start's in ${faster}.`;
}
