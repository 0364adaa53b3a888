/**
 * Networks built unit by unit: Bengio et al. (2006) on the double moon, d'Aspremont and Pilanci (2020) on planted networks,
 * against SGD and Adam on the same objectives.
 *
 *     npm run demo:frank-wolfe
 */

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs";
import { plotConvergence } from "../support/plot.js";
import { errorOf, tensorsOf } from "../support/points.js";
import { table } from "../support/table.js";
import { fitForSeconds, useFastBackend } from "../support/train.js";
import { alignmentOf, convexNetwork, growNetwork, makeMoons, makePlanted, plainModel } from "./experiment.js";

const SECONDS = 5; // of model.fit
const MOONS = 100;
const LAMBDA = 1; // of the paper, on sums over rows: beta = LAMBDA / n
const NEURONS = 10;
const BETA = 0.01;

const folder = fileURLToPath(new URL("out", import.meta.url));
mkdirSync(folder, { recursive: true });
console.log(`TensorFlow.js on ${await useFastBackend()}.\n`);

const train = makeMoons(MOONS, 1);
const test = makeMoons(1000, 2);
for (const loss of ["hinge", "meanSquaredError"] as const) {
  console.log(`Double moon, ${MOONS} points, loss ${loss} plus ${LAMBDA / MOONS} sum |a|:`);
  const rows = [
    ["method", "objective x n", "lower bound x n", "bound is for", "units", "train error", "test error", "seconds"],
  ];
  for (const activation of ["sign", "tanh"] as const) {
    const { model, certificate, units, seconds } = await convexNetwork(train, activation, loss, LAMBDA / MOONS);
    rows.push([
      `ConvexNN, ${activation}`,
      (MOONS * certificate.network).toFixed(4),
      (MOONS * certificate.dual).toFixed(4),
      certificate.scope,
      String(units),
      errorOf(model, train).toFixed(3),
      errorOf(model, test).toFixed(3),
      seconds.toFixed(1),
    ]);
    model.dispose();
  }
  const { x, y } = tensorsOf(train);
  const rivals: [string, () => tf.Optimizer][] = [
    ["SGD, rate 0.1", () => tf.train.sgd(0.1)],
    ["Adam, rate 0.01", () => tf.train.adam(0.01)],
  ];
  for (const [name, optimizer] of rivals) {
    const model = plainModel(train, 50, LAMBDA / MOONS, "tanh", loss, optimizer(), 1);
    const run = await fitForSeconds(name, model, x, y, SECONDS);
    rows.push([
      `${name}, 50 tanh`,
      (MOONS * run.objective).toFixed(4),
      "none",
      "",
      "50",
      errorOf(model, train).toFixed(3),
      errorOf(model, test).toFixed(3),
      run.seconds.toFixed(1),
    ]);
    model.dispose();
  }
  tf.dispose([x, y]);
  console.log(`${table(rows)}\n`);
}

const outcomes: { said: string; ours: number; rival: number }[] = [];
for (const [n, d] of [
  [20, 25],
  [25, 20],
] as const) {
  const points = makePlanted(n, d, NEURONS, 1);
  const grown = [await growNetwork("frank-wolfe", points, BETA), await growNetwork("moving-neurons", points, BETA)];
  // Bounds for some gates hold for no network with others: only those for all gates stand below every curve.
  const proven = grown.filter(({ certificate }) => certificate.scope === "all gates");
  const bound = proven.length === 0 ? null : Math.max(...proven.map(({ certificate }) => certificate.dual));
  const rows = [["method", "objective", "best gate outside / beta", "neurons", "cosine with the planted", "seconds"]];
  for (const { method, objective, certificate, neurons, alignment, seconds } of grown) {
    const ratio = certificate.evidence?.bestRatio.toFixed(5) ?? "";
    rows.push([method, objective.toFixed(6), ratio, String(neurons), alignment.toFixed(3), seconds.toFixed(1)]);
  }
  const { x, y } = tensorsOf(points);
  const curves: { method: string; points: readonly { seconds: number; objective: number }[] }[] = [...grown];
  for (const [name, units, optimizer] of [
    ["SGD", 50, () => tf.train.sgd(0.02)],
    ["Adam", 50, () => tf.train.adam(0.01)],
    ["Adam", NEURONS, () => tf.train.adam(0.01)],
  ] as const) {
    const model = plainModel(points, units, BETA, "relu", "meanSquaredError", optimizer(), 1);
    const run = await fitForSeconds(`${name}, ${units} neurons`, model, x, y, SECONDS);
    const kernel = model.layers[0].getWeights()[0];
    const weights = kernel.dataSync();
    const found = Array.from({ length: units }, (_, j) =>
      Float64Array.from({ length: d }, (_, p) => weights[p * units + j]),
    );
    rows.push([
      run.method,
      run.objective.toFixed(6),
      "",
      String(units),
      alignmentOf(points, found).toFixed(3),
      run.seconds.toFixed(1),
    ]);
    if (units > NEURONS) curves.push(run);
    model.dispose();
  }
  tf.dispose([x, y]);
  console.log(`Planted: ${NEURONS} neurons, n = ${n}, d = ${d}, beta = ${BETA}:\n${table(rows)}\n`);
  const path = join(folder, `planted-n${n}-d${d}`);
  await plotConvergence(path, curves, {
    solvedAt: grown[0].seconds,
    lowerBound: bound,
    title: `Planted network, n = ${n}, d = ${d}: objective over training time`,
  });
  console.log(`Plot: ${path}.svg and .png\n`);
  const rival = Math.min(
    ...curves.slice(grown.length).flatMap(({ points: seen }) => seen.map((look) => look.objective)),
  );
  const ours = Math.min(...grown.map(({ objective }) => objective));
  const said = `${ours.toFixed(6)} against ${rival.toFixed(6)} (n = ${n}, d = ${d})`;
  outcomes.push({ said, ours, rival });
}
const lower = outcomes.filter(({ ours, rival }) => ours < rival).length;
console.log(
  "What it showed: networks grown neuron by neuron, without a learning rate or a width to choose, ended with a lower objective than " +
    `the best run of SGD and Adam with 50 neurons on ${lower} of ${outcomes.length} planted networks: ` +
    `${outcomes.map(({ said }) => said).join(", ")}.`,
);
