/**
 * A layer that learns constraints: the solutions z of min 1/2 |z|^2 - x'z subject to G z <= h are seen for 60 points x, the constraints
 * are not. `convexLayer` begins at random ones and is trained by model.fit. Prints how well it solves new programs and how well its
 * feasible set agrees with the hidden one, and draws both sets into `out/convex-layer.svg` and `.png` beside this file.
 *
 *     npx tsx examples/convex-layer/main.ts
 */

import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs";
import { gaussianSource } from "../../src/convex/linear/random.js";
import { convexLayer, quadraticProgram } from "../../src/index.js";
import { plotColors, plotStyle, writePlot } from "../support/plot.js";
import { table } from "../support/table.js";

const POINTS = 60;
const EPOCHS = 200;
const GUESSED = 12; // inequalities of the layer, more than are needed
const OUT = fileURLToPath(new URL("out/", import.meta.url));
/** The hidden set: four sides, G z <= h. */
const G = [
  [1, 0.3],
  [-0.2, 1],
  [-1, -0.4],
  [0.3, -1],
];
const h = [0.8, 0.7, 0.9, 0.6];

await tf.setBackend("cpu");

/** Points x, and the solutions there. */
function solved(seed: number): { x: tf.Tensor2D; z: tf.Tensor2D } {
  const draw = gaussianSource(seed);
  const x = tf.tensor2d(Array.from({ length: POINTS }, () => [1.5 * draw(), 1.5 * draw()]));
  const z = tf.tidy(() => quadraticProgram({ P: tf.eye(2), q: x.neg(), G: tf.tensor2d(G), h: tf.tensor1d(h) }));
  return { x, z: z as tf.Tensor2D };
}

const [seen, fresh] = [solved(1), solved(2)];
const layer = convexLayer({ inequalities: GUESSED, seed: 1, inputShape: [2] });
const model = tf.sequential({ layers: [layer] });
model.compile({ optimizer: tf.train.adam(0.05), loss: "meanSquaredError" });

/** The constraints that the layer has now. */
function learned(): { G: number[][]; h: number[] } {
  const weights = Object.fromEntries(layer.getWeights().map((weight, k) => [layer.weights[k].originalName, weight]));
  const find = (name: string) => {
    const [, found] = Object.entries(weights).find(([key]) => key.endsWith(`/${name}`)) ?? [];
    if (found === undefined) throw new Error(`The layer has no weight "${name}".`);
    return found;
  };
  const rows = find("G").arraySync() as number[][];
  const [px, py] = find("point").arraySync() as number[];
  const slack = find("slack").arraySync() as number[];
  return { G: rows, h: rows.map(([a, b], k) => a * px + b * py + Math.log1p(Math.exp(slack[k]))) };
}

const SIDE = 81;
const GRID = Array.from({ length: SIDE }, (_, k) => -2 + (4 * k) / (SIDE - 1));
const isInside = (set: { G: number[][]; h: number[] }, [u, v]: number[]) =>
  set.G.every(([a, b], k) => a * u + b * v <= set.h[k]);

/** The area that two sets share, over the area that either has, on a grid. */
function agreement(a: { G: number[][]; h: number[] }, b: { G: number[][]; h: number[] }): number {
  let [both, either] = [0, 0];
  for (const u of GRID) {
    for (const v of GRID) {
      const [p, q] = [isInside(a, [u, v]), isInside(b, [u, v])];
      if (p && q) both++;
      if (p || q) either++;
    }
  }
  return both / either;
}

const error = () => (model.evaluate(fresh.x, fresh.z) as tf.Scalar).dataSync()[0];
const before = { error: error(), set: learned() };
await model.fit(seen.x, seen.z, { epochs: EPOCHS, batchSize: 20, shuffle: true, verbose: 0 });
const after = { error: error(), set: learned() };
const truth = { G, h };
const rows = [before, after].map(({ error: mean, set }, k) => [
  ["before", "after"][k],
  mean.toExponential(2),
  `${(100 * agreement(set, truth)).toFixed(1)} %`,
]);
console.log(table([["training", "mean squared error, new programs", "feasible sets agree"], ...rows]));

const areas = [
  { what: "hidden", set: truth },
  { what: "before training", set: before.set },
  { what: "learned", set: after.set },
];
const corners = areas.flatMap(({ what, set }) => outlineOf(set).map(([u, v], order) => ({ what, u, v, order })));

/** Around the set by angle: where rays from its middle leave it. */
function outlineOf(set: { G: number[][]; h: number[] }): number[][] {
  const inside = GRID.flatMap((u) => GRID.filter((v) => isInside(set, [u, v])).map((v) => [u, v]));
  const middle = [0, 1].map((p) => inside.reduce((sum, point) => sum + point[p], 0) / inside.length);
  return Array.from({ length: 361 }, (_, degree) => {
    const ray = [Math.cos((degree * Math.PI) / 180), Math.sin((degree * Math.PI) / 180)];
    const reach = set.G.reduce((least, [a, b], k) => {
      const along = a * ray[0] + b * ray[1];
      return along > 0 ? Math.min(least, (set.h[k] - a * middle[0] - b * middle[1]) / along) : least;
    }, 3);
    return [middle[0] + reach * ray[0], middle[1] + reach * ray[1]];
  });
}

mkdirSync(OUT, { recursive: true });
const axis = { type: "quantitative" as const, scale: { domain: [-2, 2] } };
await writePlot(`${OUT}convex-layer`, {
  ...plotStyle,
  width: 340,
  height: 340,
  title: { text: "Feasible sets: hidden, and of the layer before and after training", anchor: "start" },
  data: { values: corners },
  encoding: {
    x: { field: "u", ...axis, title: "z1" },
    y: { field: "v", ...axis, title: "z2" },
    order: { field: "order" },
    color: {
      field: "what",
      type: "nominal",
      title: null,
      scale: { domain: areas.map(({ what }) => what), range: ["#9ecae1", "#9ca3af", plotColors[1]] },
    },
  },
  // The hidden set lies under the learned one.
  layer: [
    { transform: [{ filter: "datum.what === 'hidden'" }], mark: { type: "line", strokeWidth: 9, clip: true } },
    { transform: [{ filter: "datum.what !== 'hidden'" }], mark: { type: "line", strokeWidth: 2, clip: true } },
  ],
});
console.log(
  `\nWhat it showed: from ${POINTS} solutions the layer learned constraints whose feasible set agrees with the hidden one on ` +
    `${(100 * agreement(after.set, truth)).toFixed(1)} % of the area of either (${(100 * agreement(before.set, truth)).toFixed(1)} % before), and ` +
    `its mean squared error on new programs fell from ${before.error.toExponential(1)} to ${after.error.toExponential(1)}.`,
);
tf.dispose([seen.x, seen.z, fresh.x, fresh.z]);
