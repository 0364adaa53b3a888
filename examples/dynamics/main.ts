/**
 * The dynamics of a small helicopter from 1,620 recorded windows of 56 numbers: controls and what sensors see to six accelerations, by a
 * network of 498 units on top of the linear rule, trained convexly and by SGD and Adam; and flights that each foretells in closed loop.
 * The flights are simulated by the equations of vehicle.ts. Prints figures, and draws `out/dynamics.svg` and `.png` beside this file.
 *
 *     npm run demo:dynamics
 */

import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs";
import { plotColors, plotStyle, writePlot } from "../support/plot.js";
import { table } from "../support/table.js";
import { useFastBackend } from "../support/train.js";
import { fitByDescent, fitConvex, type Rule, restRule, rollOut, Task, windowsOf } from "./experiment.js";
import { fly, STEP } from "./vehicle.js";

const SAMPLES = 274; // of a flight: 270 windows
const TRAIN = [1, 2, 3, 4, 5, 6];
const TEST = [101, 102, 103];
const GATES = 83; // times six outputs: 498 units
const DECAY = 1e-2;
const STEPS = 40; // of the longest roll-out, two seconds
const TIMES = 3; // of the convex fit's seconds, for each descent
const DESCENTS = [
  { name: "SGD", rates: [0.01, 0.03, 0.1, 0.3], make: (rate: number) => tf.train.sgd(rate) },
  { name: "Adam", rates: [1e-4, 3e-4, 1e-3, 3e-3, 1e-2], make: (rate: number) => tf.train.adam(rate) },
];
const OUT = fileURLToPath(new URL("out/", import.meta.url));

await useFastBackend();
const flights = TEST.map((seed) => fly(SAMPLES, seed));
const train = windowsOf(TRAIN.map((seed) => fly(SAMPLES, seed)));
const test = windowsOf(flights);
const task = new Task(train);
console.log(`${train.rows} windows of ${task.x.shape[1]} numbers to train on, ${test.rows} of other flights to test\n`);

const heads = ["rule", "objective", "s", "error, one step", "in test", "velocity after 2 s", "place", "tilt"];
const printed = [heads];
const lines: { seconds: number; error: number; rule: string }[] = [];
const ends: Record<string, number> = {};
function judge(name: string, rule: Rule, objective = "", seconds = ""): void {
  for (let steps = 4; steps <= STEPS; steps += 4) {
    lines.push({ seconds: steps * STEP, error: rollOut(rule, flights, steps).velocity, rule: name });
  }
  const { velocity, place, tilt } = rollOut(rule, flights, STEPS);
  ends[name] = velocity;
  printed.push([
    ...[name, objective, seconds, task.error(rule, train).toExponential(2), task.error(rule, test).toExponential(2)],
    ...[`${velocity.toFixed(2)} m/s`, `${place.toFixed(2)} m`, `${tilt.toFixed(1)} degrees`],
  ]);
}

judge("no acceleration", restRule);
judge("linear, least squares", task.linear);
const convex = await fitConvex(task, GATES, DECAY, 1e-3, 120);
judge("convex", task.ruleOf(convex.model), convex.objective.toFixed(5), convex.seconds.toFixed(1));
console.log(`${convex.result.certificate.claim}\n`);
const lowest: string[] = [];
for (const { name, rates, make } of DESCENTS) {
  const run = await fitByDescent(task, GATES, DECAY, rates, make, TIMES * convex.seconds);
  judge(`${name}, rate ${run.rate}`, task.ruleOf(run.model), run.objective.toFixed(5), run.seconds.toFixed(1));
  lowest.push(`${name} ${(100 * (run.objective / convex.result.certificate.dual - 1)).toFixed(2)} %`);
  run.model.dispose();
}
console.log(table(printed));

mkdirSync(OUT, { recursive: true });
const rules = [...new Set(lines.map(({ rule }) => rule))].filter((rule) => rule !== "no acceleration");
await writePlot(`${OUT}dynamics`, {
  ...plotStyle,
  width: 560,
  height: 300,
  title: { text: "Flights foretold in closed loop from the controls alone", anchor: "start" },
  data: { values: lines.filter(({ rule }) => rules.includes(rule)) },
  mark: { type: "line", strokeWidth: 2, point: true },
  encoding: {
    x: { field: "seconds", type: "quantitative", title: "seconds ahead" },
    y: { field: "error", type: "quantitative", title: "error of the velocity, m/s (root mean square)" },
    color: { field: "rule", type: "nominal", title: null, scale: { domain: rules, range: plotColors } },
  },
});
console.log(
  `\nWhat it showed: the convex fit of six accelerations was proven to be within ${(100 * convex.result.certificate.relativeGap).toPrecision(2)} % of ` +
    `the best network with its gates in ${convex.seconds.toFixed(1)} s, where ${lowest.join(" and ")} above the bound is what ${TIMES} times as long led to; ` +
    `after two seconds of closed loop its velocity is off by ${ends.convex.toFixed(2)} m/s, that of the linear rule by ` +
    `${ends["linear, least squares"].toFixed(2)} m/s.`,
);
convex.model.dispose();
task.dispose();
