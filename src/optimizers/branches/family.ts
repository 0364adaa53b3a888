/** A family of branches, and finitely many of it: weights, the loss of each while the hinge is linear, and its cost. */

import * as tf from "@tensorflow/tfjs";
import { count, isRecord, refuse, refuseAs } from "../../arguments.js";
import { gaussianSource, uniformSource } from "../../convex/linear/random.js";
import type { Matrix } from "../../convex/types.js";
import { readMatrix, refuseTensor } from "../read/data.js";

/** A branch that is written as a function. */
export interface BranchFunction {
  /** Numbers that are a branch's weights. */
  readonly weights: number;
  /** f(w; x) on one row of x. */
  output(weights: Float64Array, row: Float64Array): number;
  /** h(w) >= 0; default half the squared length of the weights. */
  cost?(weights: Float64Array): number;
}

export interface Wish {
  readonly candidates: number;
  readonly span: number;
  readonly descents: number;
  readonly seed: number;
}

/** Branches of which all that follows is told. */
export interface Candidates {
  readonly weights: Matrix; // [N x p]
  readonly gains: Float64Array; // [N]: y'f / n
  readonly costs: Float64Array; // [N]
  readonly largest: number; // |f| on any row
}

/** Up to so many weights all of a grid are tried. */
const MOST_GRID = 3;
const MOST_WEIGHTS = 1e6;
/** Weights of all candidates together, doubles. */
const MOST_NUMBERS = 5e7;
/** Steps of a descent, each of which is a candidate. */
const STEPS = 60;

type Evaluate = (weights: Float64Array) => Promise<{ readonly f: ArrayLike<number>; readonly cost: number }>;

/** Candidates of a family on the rows x with labels y of -1 and 1. */
export async function candidatesOf(
  branch: tf.LayersModel | BranchFunction,
  x: tf.Tensor,
  y: Float64Array,
  wish: Wish,
  pause: () => Promise<boolean>,
): Promise<Candidates> {
  return branch instanceof tf.LayersModel
    ? ofModel(branch, x, y, wish, pause)
    : judged(await ofFunction(branch, x, wish), y, pause);
}

/** Weights to try, made one candidate after the other, and what says what they do. */
interface Trial {
  readonly tried: Iterable<Float64Array> | AsyncIterable<Float64Array>;
  readonly most: number; // of them
  readonly weights: number; // of each
  readonly evaluate: Evaluate;
}

async function ofFunction(branch: BranchFunction, x: tf.Tensor, wish: Wish): Promise<Trial> {
  if (!isRecord(branch) || typeof branch.output !== "function") {
    refuse("branchGap: branch", "a tf.LayersModel, or { weights, output(weights, row) }", branch, "Give one of both.");
  }
  count("branchGap: branch.weights", branch.weights, MOST_WEIGHTS);
  if (branch.cost !== undefined && typeof branch.cost !== "function")
    refuse("branchGap: branch.cost", "a function of the weights", branch.cost);
  refuseMany(wish.candidates, branch.weights);
  refuseTensor("x", x, [null], "a table");
  const { rows, cols, data } = await readMatrix("x", x, x.shape.slice(1), "a table");
  const row = Array.from({ length: rows }, (_, k) => data.slice(k * cols, (k + 1) * cols));
  return {
    ...{ tried: drawn(branch.weights, wish), most: wish.candidates, weights: branch.weights },
    evaluate: async (weights) => ({
      f: row.map((values) => branch.output(weights, values)),
      cost: branch.cost === undefined ? halfSquare(weights) : branch.cost(weights),
    }),
  };
}

/** The trainable weights of a model are set to each candidate, and back at the end. */
async function ofModel(
  model: tf.LayersModel,
  x: tf.Tensor,
  y: Float64Array,
  wish: Wish,
  pause: () => Promise<boolean>,
): Promise<Candidates> {
  const shape = model.inputs.length === 1 && model.outputs.length === 1 ? model.outputs[0].shape : [];
  if (shape.length !== 2 || shape[1] !== 1) {
    refuseAs(
      "branchGap: branch",
      "a model of one input and one output a row",
      shape.length === 0 ? "one of several" : `outputs of shape [${shape.join(", ")}]`,
      "End it with a dense layer of one unit, without activation.",
      "model/kind",
    );
  }
  refuseTensor("x", x, model.inputs[0].shape.slice(1), "the model's input");
  const variables = model.trainableWeights.map((weight) => weight.read() as tf.Variable);
  const own = await Promise.all(variables.map((variable) => variable.data()));
  const start = Float64Array.from(own.flatMap((values) => Array.from(values)));
  if (start.length === 0)
    refuseAs("branchGap: branch", "a model with trainable weights", "none", "Unfreeze a layer.", "model/frozen");
  refuseMany(wish.candidates, start.length);
  const put = (weights: Float64Array) => {
    let at = 0;
    for (const variable of variables) {
      const values = tf.tensor(Float32Array.from(weights.subarray(at, at + variable.size)), variable.shape);
      variable.assign(values);
      values.dispose();
      at += variable.size;
    }
  };
  const outputs = () => tf.reshape(model.apply(x, { training: false }) as tf.Tensor, [-1]) as tf.Tensor1D;
  const evaluate: Evaluate = async (weights) => {
    put(weights);
    const made = tf.tidy(() => ({ f: outputs(), charge: charged(model) ?? tf.scalar(halfSquare(weights)) }));
    try {
      return { f: await made.f.data(), cost: (await made.charge.data())[0] };
    } finally {
      tf.dispose([made.f, made.charge]);
    }
  };
  const Y = tf.tensor1d(Float32Array.from(y));
  try {
    const fit = Math.floor((wish.candidates - 1) / (STEPS + 1)); // at least one is drawn
    const rises = start.length <= MOST_GRID ? 0 : Math.min(wish.descents, fit);
    const draw = gaussianSource(wish.seed + 1);
    const slopeAt = (weights: Float64Array) => {
      put(weights);
      return slopeOf(() => tf.mean(tf.mul(Y, outputs())) as tf.Scalar, variables);
    };
    const tried = async function* () {
      yield* drawn(start.length, { ...wish, candidates: wish.candidates - rises * (STEPS + 1) });
      for (let k = 0; k < rises; k++) yield* climb(k === 0 ? start : like(own, draw), slopeAt, wish.span);
    };
    return await judged({ tried: tried(), most: wish.candidates, weights: start.length, evaluate }, y, pause);
  } finally {
    Y.dispose();
    put(start);
  }
}

/** What the model's regularizers charge; null where it has none. */
function charged(model: tf.LayersModel): tf.Scalar | null {
  const terms = model.calculateLosses();
  return terms.length === 0 ? null : terms.reduce((sum, term) => tf.add(sum, term));
}

/** Gaussian weights, each tensor's as large as the model has it. */
function like(own: readonly ArrayLike<number>[], draw: () => number): Float64Array {
  const parts = own.map((values) => {
    const square = Array.from(values).reduce((sum, value) => sum + value * value, 0) / values.length;
    return Array.from(values, () => Math.sqrt(square) * draw());
  });
  return Float64Array.from(parts.flat());
}

/** Steps up y'f from a start, in the direction of the gradient and within the span: each point is a candidate. */
async function* climb(
  start: Float64Array,
  slopeAt: (weights: Float64Array) => Promise<Float64Array>,
  span: number,
): AsyncGenerator<Float64Array> {
  const within = (value: number) => Math.max(-span, Math.min(span, value));
  const length = (span * Math.sqrt(start.length)) / STEPS;
  let at = start.map(within);
  yield at;
  for (let step = 0; step < STEPS; step++) {
    const slope = await slopeAt(at);
    const size = Math.sqrt(slope.reduce((sum, entry) => sum + entry * entry, 0));
    if (!(size > 0)) return; // flat here, or no number
    at = at.map((entry, k) => within(entry + (length * slope[k]) / size));
    yield at;
  }
}

/** The gradient by all the variables, one after the other. */
async function slopeOf(f: () => tf.Scalar, variables: tf.Variable[]): Promise<Float64Array> {
  const { value, grads } = graded(f, variables);
  try {
    const parts = await Promise.all(variables.map((variable) => grads[variable.name].data()));
    return Float64Array.from(parts.flatMap((part) => Array.from(part)));
  } finally {
    tf.dispose([value, grads]);
  }
}

function graded(f: () => tf.Scalar, variables: tf.Variable[]) {
  try {
    return tf.tidy(() => tf.variableGrads(f, variables));
  } catch (error) {
    for (const { saved = [] } of tf.engine().state.activeTape ?? []) tf.dispose(saved); // what it kept for the way back
    return refuseAs(
      "branchGap: branch",
      "a model with a gradient by its weights, up which descents go",
      error instanceof Error ? error.message : String(error),
      "Set descents: 0, or take out the layer that has none.",
      "model/kind",
    );
  }
}

/** All of a grid where weights are few, else random ones of all lengths; the first is zero. */
function* drawn(p: number, { candidates, span, seed }: Wish): Generator<Float64Array> {
  if (p <= MOST_GRID && candidates >= pointsOf(p, 3)) {
    yield* grid(p, span, candidates);
    return;
  }
  const next = uniformSource(seed);
  for (let k = 0; k < candidates; k++) {
    const longest = k === 0 ? 0 : span * next();
    yield Float64Array.from({ length: p }, () => longest * (2 * next() - 1));
  }
}

/** Of a grid with so many values of each of p weights, p at most MOST_GRID. */
function pointsOf(p: number, side: number): number {
  return p === 1 ? side : p === 2 ? side ** 2 : side * side ** 2;
}

function* grid(p: number, span: number, candidates: number): Generator<Float64Array> {
  let half = 1; // values on either side of zero
  while (pointsOf(p, 2 * half + 3) <= candidates) half++;
  const side = 2 * half + 1;
  const total = pointsOf(p, side);
  for (let k = 0; k < total; k++) {
    let rest = k;
    yield Float64Array.from({ length: p }, () => {
      const value = span * ((rest % side) / half - 1);
      rest = Math.floor(rest / side);
      return value;
    });
  }
}

function refuseMany(candidates: number, weights: number): void {
  if (candidates * weights <= MOST_NUMBERS) return;
  refuseAs(
    "branchGap",
    `at most ${MOST_NUMBERS} weights in all candidates`,
    `${candidates} of ${weights}`,
    "Lower `candidates`.",
    "data/size",
  );
}

async function judged(
  { tried, most, weights: p, evaluate }: Trial,
  y: Float64Array,
  pause: () => Promise<boolean>,
): Promise<Candidates> {
  const data = new Float64Array(most * p);
  const [gains, costs] = [new Float64Array(most), new Float64Array(most)];
  let [largest, k] = [0, 0];
  for await (const one of tried) {
    data.set(one, k * p);
    const { f, cost } = await evaluate(one);
    let gain = 0;
    for (let row = 0; row < y.length; row++) {
      if (!Number.isFinite(f[row])) refuseOutput("a finite output of every branch", f[row], row, one);
      gain += y[row] * f[row];
      largest = Math.max(largest, Math.abs(f[row]));
    }
    if (!(cost >= 0 && Number.isFinite(cost))) refuseOutput("a cost of at least 0 of every branch", cost, null, one);
    [gains[k], costs[k]] = [gain / y.length, cost];
    k++;
    await pause();
  }
  const weights = { rows: k, cols: p, data: k < most ? data.slice(0, k * p) : data };
  return { weights, gains: gains.subarray(0, k), costs: costs.subarray(0, k), largest };
}

function refuseOutput(expected: string, value: unknown, row: number | null, weights: Float64Array): never {
  const shown = Array.from(weights.subarray(0, 3), (weight) => weight.toPrecision(3)).join(", ");
  const where = `${row === null ? "" : ` in row ${row}`} at weights ${shown}${weights.length > 3 ? ", .." : ""}`;
  return refuseAs(
    "branchGap: branch",
    expected,
    `${value}${where}`,
    "Lower `span`, or check the branch.",
    "data/nonFinite",
  );
}

function halfSquare(weights: Float64Array): number {
  return weights.reduce((sum, weight) => sum + weight * weight, 0) / 2;
}
