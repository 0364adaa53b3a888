/**
 * Whether a convex program of a lower layer pays: gates of that layer's neurons and of all above are held, so that the outputs are linear in its
 * weights, the program is solved, and as much of the step is taken as lowers the model's own objective; beside L-BFGS over all
 * weights from the same point for the same seconds of processor time. `npm run bench:held-gates -- --help`.
 */

import * as tf from "@tensorflow/tfjs";
import { objectiveOf } from "../examples/support/train.js";
import { chooseEngine } from "../src/convex/kernels/index.js";
import { descend } from "../src/convex/linear/lbfgs.js";
import { transpose } from "../src/convex/linear/vectors.js";
import { bindLoss } from "../src/convex/losses/index.js";
import { dense, type Step, Tape, type WeightPlace } from "../src/convex/tape/index.js";
import type { Loss, LossName } from "../src/convex/types.js";
import { ConvexReLUTrainer } from "../src/index.js";
import { DECAY, type DeepCase, deepCases } from "./data/deepCases.js";
import { readFlags } from "./support/flags.js";
import { describeMachine } from "./support/machine.js";
import { onProcessorClock, processorSeconds } from "./support/measure.js";
import { above, echo, objective, publish } from "./support/report.js";

const flags = readFlags("heldGates", {
  before: {
    default: "0,2",
    help: "seconds of fit before, which lead to the points that both begin at; 0: first weights",
  },
  seconds: { default: 3, help: "of processor time that each of both goes on" },
  solve: { default: 200, help: "steps of L-BFGS that solve a program, at most" },
});

const { kernels } = await chooseEngine("auto");
/** Halvings on the way to a step that helps. */
const HALVINGS = 20;

/** ReLUs, whose gates can be held: those of one layer, in all tapes. */
class Gates {
  private mask = new Float64Array(0);

  constructor(
    private readonly units: number,
    private readonly held: () => boolean,
  ) {}

  make: Step["make"] = () => ({
    ...{ size: this.units, work: this.units, room: 0 },
    forward: (_n, [h], _weights, out) => {
      if (!this.held()) this.mask = Float64Array.from(h, (value) => Number(value > 0));
      for (let k = 0; k < h.length; k++) out[k] = this.mask[k] * h[k];
    },
    backward: (_n, _inputs, _weights, _out, pull, [below]) => {
      if (below !== null) for (let k = 0; k < pull.length; k++) below[k] = this.mask[k] * pull[k];
    },
  });
}

/** A dense network whose objective is asked for over some of its weights. */
class Network {
  readonly size: number;
  private held = false;
  private readonly tapes: readonly Tape[];
  private readonly places: readonly (readonly [kernel: WeightPlace, bias: WeightPlace])[];

  constructor(
    private readonly X: Float64Array, // [d x n]
    private readonly loss: Loss,
    shapes: readonly (readonly [inputs: number, units: number])[],
  ) {
    let at = 0;
    const place = (size: number): WeightPlace => {
      at += size;
      return { at: at - size, size, trained: true };
    };
    this.places = shapes.map(([d, m]) => [place(d * m), place(m)] as const);
    this.size = at;
    const gates = shapes.map(([, m]) => new Gates(m, () => this.held));
    // The last tape has the gradient of all weights, the one of layer l that of its own.
    this.tapes = [...shapes.keys(), -1].map((own) => {
      const steps: Step[] = [];
      const depends = [false];
      shapes.forEach(([d, m], l) => {
        const [kernel, bias] = this.places[l].map((each) => ({ ...each, trained: own < 0 || own === l }));
        steps.push({ make: dense(d, m, kernel, bias), reads: [steps.length] });
        depends.push(own < 0 || l >= own);
        if (l === shapes.length - 1) return;
        steps.push({ make: gates[l].make, reads: [steps.length] });
        depends.push(own < 0 || l >= own);
      });
      return new Tape(kernels, steps, depends);
    });
  }

  /** Loss and decay, with the gradient by all weights, or by those of layer l alone. */
  at(weights: Float64Array, gradient: Float64Array, layer = this.tapes.length - 1): number {
    const { rows: n, outputs: C } = this.loss;
    const tape = this.tapes[layer];
    const Z = new Float64Array(n * C);
    const N = new Float64Array(n * C);
    transpose(tape.forward(this.X, n, weights), C, n, Z);
    this.loss.gradient(Z, N);
    const value = this.loss.value(Z);
    transpose(N, n, C, Z);
    gradient.fill(0);
    tape.backward(Z, n, weights, gradient);
    let charge = 0;
    this.places.forEach(([{ at, size }], l) => {
      const own = layer === this.tapes.length - 1 || l === layer;
      for (let p = at; p < at + size; p++) {
        charge += DECAY * weights[p] ** 2;
        if (own) gradient[p] += 2 * DECAY * weights[p];
      }
    });
    return value + charge;
  }

  /** One program of layer l: how much of its step was taken. */
  async solveLayer(weights: Float64Array, layer: number, over: () => Promise<boolean>): Promise<number> {
    const gradient = new Float64Array(this.size);
    const before = this.at(weights, gradient, layer);
    this.held = true;
    const { x: solved } = await descend((x, g) => this.at(x, g, layer), weights, flags.solve, over);
    this.held = false;
    for (let k = 0, t = 1; k < HALVINGS; k++, t /= 2) {
      const trial = weights.map((value, p) => value + t * (solved[p] - value));
      if (!(this.at(trial, gradient, layer) < before)) continue;
      weights.set(trial);
      return t;
    }
    return 0;
  }
}

interface Row {
  readonly name: string;
  readonly before: number; // seconds
  readonly start: number;
  readonly all: number; // objective after L-BFGS over all weights
  readonly layers: number; // objective after programs of layers
  readonly programs: number;
  readonly whole: number; // share of programs whose step was taken as a whole
  readonly taken: number; // mean share of a step
}

const rows: Row[] = [];
for (const each of deepCases.filter(({ name }) => name.startsWith("table") || name.startsWith("bags"))) {
  for (const before of flags.before.split(",").map(Number)) {
    rows.push(await measure(each, before));
    echo([[], ...cells([rows[rows.length - 1]]).slice(1)]);
  }
}
const lower = rows.filter((row) => row.layers < row.all).length;
publish(
  {
    name: "held-gates",
    title: "Convex programs of lower layers, gates held",
    command: "npm run bench:held-gates",
    machine: describeMachine(["@tensorflow/tfjs"]),
    about: [
      `Dense models with l2 terms of ${DECAY}, from weights that fit with depth "alternate" has after so many seconds ("before"; 0: first weights). Then, for ${flags.seconds} s of processor time each: L-BFGS over all weights; or rounds over all layers below the read-out, from the first on and back, each solved with the gates of its own neurons and of all above held (at most ${flags.solve} steps of L-BFGS on the convex program), of whose step the largest of 1, 1/2, 1/4 .. is taken that lowers the objective.`,
    ],
    sections: [
      {
        title: "Objective after the same seconds",
        cells: cells(rows),
        notes: [`Programs of layers end lower in ${lower} of ${rows.length}.`],
      },
    ],
    data: { settings: flags, rows },
  },
  flags,
);

async function measure(each: DeepCase, before: number): Promise<Row> {
  await tf.setBackend("cpu");
  const { x, y } = each.make().train;
  const model = each.build(1) as tf.Sequential;
  model.compile({ optimizer: tf.train.sgd(0.01), loss: each.loss });
  if (before > 0) {
    const trainer = new ConvexReLUTrainer({ depth: "alternate", timeLimit: before });
    await onProcessorClock(() => trainer.fit(model, x, y));
  }
  const [n, d] = x.shape as [number, number];
  const X = new Float64Array(n * d);
  transpose(Float64Array.from(await x.data()), n, d, X);
  const Y = { rows: n, cols: y.shape[1] as number, data: Float64Array.from(await y.data()) };
  const kernelsOf = model.layers.map((layer) => layer.getWeights()[0].shape as [number, number]);
  const network = new Network(X, bindLoss(each.loss as LossName, Y), kernelsOf);
  const parts = await Promise.all(model.getWeights().map((weight) => weight.data()));
  const first = Float64Array.from(parts.flatMap((part) => Array.from(part)));
  const own = objectiveOf(model, x, y);
  const start = network.at(first, new Float64Array(network.size));
  if (Math.abs(start - own) > 1e-3 * own)
    throw new Error(`${each.name}: objective ${start}, of the model itself ${own}`);
  const limit = () => {
    const began = processorSeconds();
    return async () => processorSeconds() - began > flags.seconds;
  };
  const { value: all } = await descend((w, g) => network.at(w, g), first, 1e6, limit());
  const weights = first.slice();
  const over = limit();
  const steps: number[] = [];
  const hidden = kernelsOf.length - 1;
  const ways = [...Array(hidden).keys(), ...[...Array(hidden).keys()].reverse()];
  for (let k = 0; !(await over()); k++) steps.push(await network.solveLayer(weights, ways[k % ways.length], over));
  const layers = network.at(weights, new Float64Array(network.size));
  tf.dispose([x, y]);
  model.dispose();
  return {
    ...{ name: each.name, before, start, all, layers, programs: steps.length },
    whole: steps.filter((t) => t === 1).length / steps.length,
    taken: steps.reduce((sum, t) => sum + t, 0) / steps.length,
  };
}

function cells(found: readonly Row[]): string[][] {
  return [
    [
      "case",
      "s before",
      "start",
      "L-BFGS of all",
      "programs of layers",
      "above",
      "programs",
      "whole steps",
      "mean step",
    ],
    ...found.map(({ name, before, start, all, layers, programs, whole, taken }) => [
      ...[name, String(before), objective(start), objective(all), objective(layers), above(layers, all)],
      ...[String(programs), `${Math.round(100 * whole)} %`, taken.toPrecision(2)],
    ]),
  ];
}
