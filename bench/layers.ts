/**
 * Convex programs as layers: `quadraticProgram` forward and back beside cvxpylayers on the same batch in one run.
 * `npm run bench:layers -- --help` lists the flags; without a Python that has cvxpylayers only our own side is measured.
 */

import * as tf from "@tensorflow/tfjs";
import { gaussianSource } from "../src/convex/linear/random.js";
import { quadraticProgram } from "../src/index.js";
import { type Batch, findCvxpylayers, type LayerRun, runCvxpylayers } from "./peers/cvxpylayers.js";
import { readFlags } from "./support/flags.js";
import { describeMachine } from "./support/machine.js";
import { echo, publish, seconds } from "./support/report.js";

const flags = readFlags("layers", {
  batch: { default: 64, help: "programs in a batch" },
  repeats: { default: 3, help: "passes, of which the median is taken" },
  warm: { default: 2, help: "passes of ours before, which compile it" },
});

/** A batch with room around a random point: P of eigenvalues 1 to n, random rows, h that leaves them a Gaussian's length free. */
function made(name: string, n: number, numbers: number, cones: readonly number[], seed: number): Batch {
  const draw = gaussianSource(seed);
  const many = (count: number) => Array.from({ length: count }, () => Math.fround(draw()));
  const m = numbers + cones.reduce((sum, size) => sum + size, 0);
  const root = many(n * n);
  const P = Array.from({ length: n * n }, (_, e) => {
    const [i, j] = [Math.floor(e / n), e % n];
    let sum = i === j ? 1 : 0;
    for (let k = 0; k < n; k++) sum += (root[i * n + k] * root[j * n + k]) / n;
    return Math.fround(sum);
  });
  const [G, inside] = [many(m * n), many(n)];
  const h = Array.from({ length: m }, (_, k) => inside.reduce((sum, value, j) => sum + G[k * n + j] * value, 0));
  for (let k = 0; k < numbers; k++) h[k] += Math.abs(draw());
  let from = numbers;
  for (const size of cones) {
    h[from] += 1 + Math.abs(draw());
    from += size;
  }
  const B = flags.batch;
  return { name, n, m, B, cones, P, q: many(B * n).map((v) => 2 * v), G, h: h.map(Math.fround), dz: many(B * n) };
}

function simplex(n: number): Batch {
  const { q, dz, B } = made("", n, 1, [], 9);
  const rows = [...Array.from({ length: n }, (_, i) => Array.from({ length: n }, (_, j) => (i === j ? -1 : 0)))];
  const G = [...rows.flat(), ...new Array<number>(n).fill(1)];
  const P = Array.from({ length: n * n }, (_, e) => (Math.floor(e / n) === e % n ? 1 : 0));
  const h = [...new Array<number>(n).fill(0), 1];
  return { name: `nearest point of z >= 0, sum z <= 1`, n, m: n + 1, B, cones: [], P, q, G, h, dz };
}

const batches = [
  simplex(20),
  made("quadratic program", 10, 10, [], 1),
  made("quadratic program", 30, 30, [], 2),
  made("quadratic program", 50, 100, [], 3),
  made("with second-order cones", 10, 4, [4, 4], 4),
  made("with second-order cones", 30, 10, [8, 8, 8], 5),
];

function ours(batch: Batch): LayerRun {
  const { n, m, B, cones } = batch;
  const P = tf.tensor2d([...batch.P], [n, n]);
  const dz = tf.tensor2d([...batch.dz], [B, n]);
  const given = [tf.tensor2d([...batch.q], [B, n]), tf.tensor2d([...batch.G], [m, n]), tf.tensor1d([...batch.h])];
  const solve = (q: tf.Tensor, G: tf.Tensor, h: tf.Tensor) =>
    quadraticProgram({ P, q, G, h, ...(cones.length > 0 ? { cones } : {}) });
  const ahead = () => solve(given[0], given[1], given[2]);
  const both = () => tf.grads(((...at: tf.Tensor[]) => tf.sum(tf.mul(dz, solve(at[0], at[1], at[2])))) as never)(given);
  const forward: number[] = [];
  const whole: number[] = [];
  for (let k = 0; k < flags.warm + flags.repeats; k++) {
    const [one, two] = [spent(() => ahead().dispose()), spent(() => tf.dispose(both()))];
    if (k < flags.warm) continue;
    forward.push(one);
    whole.push(two);
  }
  const z = ahead();
  const [q, G, h] = both().map((gradient) => Array.from(gradient.dataSync()));
  return {
    ...{ forward: median(forward), both: median(whole) },
    ...{ z: Array.from(z.dataSync()), q, G, h },
  };
}

function spent(run: () => void): number {
  const before = process.cpuUsage();
  run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)];
}

/** The largest difference, as a share of the largest entry of the second. */
function apart(a: readonly number[], b: readonly number[]): number {
  const size = Math.max(...b.map(Math.abs)) || 1;
  return Math.max(...a.map((value, k) => Math.abs(value - b[k]))) / size;
}

await tf.setBackend("cpu");
const python = findCvxpylayers();
const mine = batches.map(ours);
const peer = python === null ? null : runCvxpylayers(python, batches, flags.repeats);
const head = ["program", "n", "rows", "our forward s", "our both s", "its forward s", "its both s"];
const more = ["ratio of both", "our z off", "its z off", "gradients apart", "its set-up s"];
const cells: string[][] = [[...head, ...more]];
const runs = batches.map(({ name, n, m, cones }, k) => {
  const own = mine[k];
  const row = [name, `${n}`, `${m}`, seconds(own.forward), seconds(own.both)];
  const facts = { name, n, m, cones, forward: own.forward, both: own.both };
  const theirs = peer?.results[k];
  if (theirs === undefined) {
    cells.push([...row, "", "", "", "", "", "", ""]);
    return facts;
  }
  const off = Math.max(...(["q", "G", "h"] as const).map((key) => apart(own[key], theirs[key])));
  const [zOff, peerOff] = [own.z, theirs.z].map((z) => apart(z.slice(0, theirs.exact.length), theirs.exact));
  const ratio = theirs.both / own.both;
  cells.push([
    ...row,
    ...[seconds(theirs.forward), seconds(theirs.both), ratio.toFixed(1)],
    ...[zOff.toExponential(0), peerOff.toExponential(0), off.toExponential(0), seconds(theirs.setup)],
  ]);
  echo([[], cells[cells.length - 1]]);
  const { forward, both, setup } = theirs;
  return { ...facts, zOff, peerOff, gradientsApart: off, peer: { forward, both, setup } };
});

publish(
  {
    name: "layers",
    title: "Convex programs as layers, beside cvxpylayers",
    command: "npm run bench:layers",
    machine: describeMachine(),
    about: [
      `Batches of ${flags.batch} programs min 1/2 z'P z + q'z with h - G z >= 0 or in cones, which differ in q; gradients by q, G and h.`,
      `Seconds are of the processor, one thread, a whole batch, medians of ${flags.repeats} passes after ${flags.warm} (1 of cvxpylayers) that warm up.`,
      `"Off" is the largest distance of z from Clarabel's at 1e-9, of the first programs, relative to the largest entry (ours leaves in float32);`,
      `"apart" that of the two sides' gradients, which is the larger for what z is off.`,
      peer === null
        ? "No Python with cvxpylayers was found."
        : `${Object.entries(peer.versions)
            .map((pair) => pair.join(" "))
            .join(", ")}, with its default solver and settings.`,
    ],
    sections: [{ title: "A batch forward and back", cells }],
    data: { settings: flags, peer: peer?.versions ?? null, runs },
  },
  flags,
);
