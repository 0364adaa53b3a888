/** A vehicle's dynamics from recorded flights: networks that map a window of samples to accelerations, and flights that they foretell. */

import * as tf from "@tensorflow/tfjs";
import { ConvexReLUTrainer, type FitResult, gatedDense } from "../../src/index.js";
import { linearPredictor } from "../ecg/experiment.js";
import { fitOnClock, objectiveOf } from "../support/train.js";
import { type Choice, tune } from "../support/tune.js";
import { accelerations, advanced, featuresOf, recorded, type Sample } from "./vehicle.js";

export const WINDOW = 4; // samples, the present one last
export const INPUTS = 14 * WINDOW;
export const OUTPUTS = 6;

/** What foretells accelerations [6] of a window [56]. */
export type Rule = (windows: Float64Array, rows: number) => Float64Array;

/** Windows and accelerations of flights. */
export interface Windows {
  readonly rows: number;
  readonly x: Float64Array; // [rows x 56]
  readonly y: Float64Array; // [rows x 6]
}

/** Inputs as sensors see them, accelerations as they were. */
export function windowsOf(flights: readonly (readonly Sample[])[]): Windows {
  const [x, y]: [number[], number[]] = [[], []];
  flights.forEach((flight, number) => {
    const seen = recorded(flight, 1000 + number);
    for (let k = WINDOW - 1; k < flight.length - 1; k++) {
      x.push(...windowAt(seen, k));
      y.push(...accelerations(flight[k], flight[k + 1]));
    }
  });
  return { rows: y.length / OUTPUTS, x: Float64Array.from(x), y: Float64Array.from(y) };
}

const windowAt = (flight: readonly Sample[], k: number) => flight.slice(k - WINDOW + 1, k + 1).flatMap(featuresOf);

/** Means and spreads of columns. */
interface Scale {
  readonly mean: Float64Array;
  readonly spread: Float64Array;
}

function scaleOf(data: Float64Array, rows: number): Scale {
  const cols = data.length / rows;
  const mean = new Float64Array(cols);
  data.forEach((value, e) => {
    mean[e % cols] += value / rows;
  });
  const square = new Float64Array(cols);
  data.forEach((value, e) => {
    square[e % cols] += (value - mean[e % cols]) ** 2 / rows;
  });
  return { mean, spread: square.map((value) => Math.sqrt(value) || 1) };
}

const scaled = (data: Float64Array, { mean, spread }: Scale) =>
  data.map((value, e) => (value - mean[e % mean.length]) / spread[e % mean.length]);
const unscaled = (data: Float64Array, { mean, spread }: Scale) =>
  data.map((value, e) => value * spread[e % mean.length] + mean[e % mean.length]);

/**
 * Training data as networks take them: windows, and what the linear rule leaves of the accelerations, both standardised. A network's
 * rule is the linear one and the network on top, in the units of flights.
 */
export class Task {
  readonly x: tf.Tensor2D;
  readonly y: tf.Tensor2D;
  readonly linear: Rule;
  private readonly inputs: Scale;
  private readonly rest: Scale;
  private readonly outputs: Scale;

  constructor(readonly train: Windows) {
    const { rows, x, y } = train;
    this.linear = linearRule(train);
    const told = this.linear(x, rows);
    const left = y.map((value, e) => value - told[e]);
    [this.inputs, this.rest, this.outputs] = [scaleOf(x, rows), scaleOf(left, rows), scaleOf(y, rows)];
    this.x = tf.tensor2d(Float32Array.from(scaled(x, this.inputs)), [rows, INPUTS]);
    this.y = tf.tensor2d(Float32Array.from(scaled(left, this.rest)), [rows, OUTPUTS]);
  }

  ruleOf(model: tf.LayersModel): Rule {
    return (windows, rows) => {
      const x = tf.tensor2d(Float32Array.from(scaled(windows, this.inputs)), [rows, INPUTS]);
      const z = model.predict(x) as tf.Tensor;
      const left = unscaled(Float64Array.from(z.dataSync()), this.rest);
      tf.dispose([x, z]);
      const linear = this.linear(windows, rows);
      return left.map((value, e) => value + linear[e]);
    };
  }

  /** Mean squared error of accelerations, each over its variance in training: 1 for the mean. */
  error(rule: Rule, { rows, x, y }: Windows): number {
    const [told, wanted] = [scaled(rule(x, rows), this.outputs), scaled(y, this.outputs)];
    return told.reduce((sum, value, e) => sum + (value - wanted[e]) ** 2, 0) / wanted.length;
  }

  dispose(): void {
    tf.dispose([this.x, this.y]);
  }
}

/** Least squares on the window and a constant. */
function linearRule({ rows, x, y }: Windows): Rule {
  const rules = Array.from({ length: OUTPUTS }, (_, c) =>
    linearPredictor({
      ...{ x: Float32Array.from(x), rows, width: INPUTS },
      y: Float32Array.from({ length: rows }, (_, k) => y[OUTPUTS * k + c]),
    }),
  );
  return (windows, count) =>
    Float64Array.from({ length: count * OUTPUTS }, (_, e) => {
      const k = Math.floor(e / OUTPUTS);
      return rules[e % OUTPUTS](Float32Array.from(windows.subarray(k * INPUTS, (k + 1) * INPUTS)));
    });
}

/** As if nothing accelerated. */
export const restRule: Rule = (_, rows) => new Float64Array(rows * OUTPUTS);

export interface RollOut {
  readonly velocity: number; // m/s, root of the mean square over all roll-outs at their end
  readonly place: number; // m: of the path, which adds up what the velocity is off
  readonly tilt: number; // degrees between the two down axes
}

/**
 * Closed loop: from a real window on the rule's accelerations lead to the next sample, on which the rule goes on, with the recorded
 * controls alone; `steps` samples from every tenth sample of each flight.
 */
export function rollOut(rule: Rule, flights: readonly (readonly Sample[])[], steps: number): RollOut {
  const starts = flights.flatMap((flight) => {
    const firsts: { flight: readonly Sample[]; at: number }[] = [];
    for (let at = WINDOW - 1; at + steps < flight.length; at += 10) firsts.push({ flight, at });
    return firsts;
  });
  const told = starts.map(({ flight, at }) => flight.slice(at - WINDOW + 1, at + 1));
  const off = starts.map(() => [0, 0, 0]); // of the place, in the body's axes of each moment
  for (let step = 1; step <= steps; step++) {
    const z = rule(Float64Array.from(told.flatMap((samples) => windowAt(samples, WINDOW - 1))), told.length);
    starts.forEach(({ flight, at }, k) => {
      const real = flight[at + step];
      const next = advanced(told[k][WINDOW - 1], z.subarray(OUTPUTS * k, OUTPUTS * (k + 1)), real.controls);
      told[k] = [...told[k].slice(1), next];
      off[k] = off[k].map((value, j) => value + 0.05 * (earthly(next)[j] - earthly(real)[j]));
    });
  }
  const root = (of: (k: number) => number) =>
    Math.sqrt(starts.reduce((sum, _, k) => sum + of(k), 0) / Math.max(1, starts.length));
  const last = (k: number) => [told[k][WINDOW - 1], starts[k].flight[starts[k].at + steps]] as const;
  const square = (values: readonly number[]) => values.reduce((sum, value) => sum + value * value, 0);
  return {
    velocity: root((k) => square(last(k)[0].velocity.map((value, j) => value - last(k)[1].velocity[j]))),
    place: root((k) => square(off[k])),
    tilt: root((k) => {
      const [a, b] = last(k).map(({ attitude }) => attitude.slice(6, 9));
      const cosine = a.reduce((sum, value, j) => sum + value * b[j], 0);
      return ((Math.acos(Math.max(-1, Math.min(1, cosine))) * 180) / Math.PI) ** 2;
    }),
  };
}

/** The velocity in the earth's axes. */
function earthly({ attitude: R, velocity: v }: Sample): number[] {
  return [0, 3, 6].map((row) => R[row] * v[0] + R[row + 1] * v[1] + R[row + 2] * v[2]);
}

/** Hidden units are gated, a gate for as many of them as there are outputs: no network with these gates is wider. */
export function network(gates: number, decay: number, optimizer: tf.Optimizer | "sgd", seed: number): tf.Sequential {
  const kernelRegularizer = tf.regularizers.l2({ l2: decay });
  const kernelInitializer = tf.initializers.glorotNormal({ seed });
  const hidden = gatedDense({
    ...{ units: gates * OUTPUTS, inputShape: [INPUTS] },
    ...{ kernelRegularizer, biasRegularizer: kernelRegularizer, kernelInitializer },
  });
  const model = tf.sequential({
    layers: [hidden, tf.layers.dense({ units: OUTPUTS, kernelRegularizer, kernelInitializer })],
  });
  tf.tidy(() => {
    const gate = tf.tile(tf.randomNormal([INPUTS, gates], 0, 1, "float32", 7), [1, OUTPUTS]);
    const gateBias = tf.tile(tf.randomNormal([gates], 0, 1, "float32", 8), [OUTPUTS]);
    hidden.setWeights([...hidden.getWeights().slice(0, 2), gate, gateBias]);
  });
  model.compile({ optimizer, loss: "meanSquaredError" });
  return model;
}

export interface Fitted {
  readonly model: tf.Sequential;
  readonly objective: number;
  readonly seconds: number;
}

export async function fitConvex(
  task: Task,
  gates: number,
  decay: number,
  tolerance: number,
  timeLimit: number,
): Promise<Fitted & { readonly result: FitResult }> {
  const model = network(gates, decay, "sgd", 1);
  const result = await new ConvexReLUTrainer({ tolerance, timeLimit }).fit(model, task.x, task.y);
  return { model, result, objective: objectiveOf(model, task.x, task.y), seconds: result.seconds };
}

/** The best rate of trials, then a run of `seconds` with it. */
export async function fitByDescent(
  task: Task,
  gates: number,
  decay: number,
  rates: readonly number[],
  make: (rate: number) => tf.Optimizer,
  seconds: number,
): Promise<Fitted & { readonly rate: number }> {
  const run = async ({ rate, batchSize }: Choice, budget: number) => {
    const optimizer = make(rate);
    const model = network(gates, decay, optimizer, 2);
    const { seconds: spent } = await fitOnClock(model, task.x, task.y, { budget, batchSize });
    optimizer.dispose();
    const end = objectiveOf(model, task.x, task.y); // where a rate is too large, no number
    return { model, best: Number.isFinite(end) ? end : Number.POSITIVE_INFINITY, seconds: spent };
  };
  const choices = rates.map((rate) => ({ rate, batchSize: 64 }));
  const { choice } = await tune(choices, seconds / 20, async (one, budget) => {
    const { model, best, seconds: spent } = await run(one, budget);
    model.dispose();
    return { best, seconds: spent };
  });
  const { model, seconds: spent } = await run(choice, seconds);
  return { model, objective: objectiveOf(model, task.x, task.y), seconds: spent, rate: choice.rate };
}
