/** Rows of a model of any inputs and outputs, as tensors in the order of these: finite, of its shapes, with targets that fit the losses. */

import * as tf from "@tensorflow/tfjs";
import { refuseAs } from "../../../arguments.js";
import {
  firstUnclassed,
  type ModelTensors,
  refuseClass,
  refuseNonFiniteRows,
  refuseTargets,
  refuseTensor,
  tensorsOf,
} from "../../read/data.js";
import { refuseUnlisted } from "../../read/layers/embedding.js";
import { givenLosses, knownLoss } from "../../read/loss.js";
import { combine, readClassWeight, readSampleWeight, refuseWeight, type Weighting } from "../../read/sampleWeights.js";
import { type HeldOut, pairOf, rowsBefore } from "../../read/split.js";
import type { HeldRows } from "../rows.js";

/** Inputs and targets in the order of the model's, [n, ..] each. */
export interface Pair {
  readonly x: readonly tf.Tensor[];
  readonly y: readonly tf.Tensor[];
}

/** Rows for training, by their numbers, and rows that are held out. The caller disposes. */
export interface AloneRows extends Pair {
  readonly train: { readonly rows: Float64Array; readonly weights: Float64Array | null };
  readonly validation: HeldRows | null;
  dispose(): void;
}

/** @throws ConvexError "data/..." naming the tensor, the row and the column; "options/value" for rows held out that are none. */
export async function readAloneRows(
  model: tf.LayersModel,
  x: ModelTensors,
  y: ModelTensors,
  args: HeldOut & Weighting,
): Promise<AloneRows> {
  const made: tf.Tensor[] = [];
  const dispose = () => tf.dispose(made);
  try {
    const all = await readPair(model, ["x", x], ["y", y], made);
    const n = all.x[0].shape[0];
    const pair = pairOf<ModelTensors>(args);
    const held = pair && (await readPair(model, ["validationData[0]", pair[0]], ["validationData[1]", pair[1]], made));
    const count = held === null ? rowsBefore(n, args) : n;
    const weights = combine(
      await readSampleWeight(args.sampleWeight, n),
      await classWeights(args.classWeight, all.y),
    )?.slice(0, count);
    await refuseDegenerate(all.x, count);
    if (weights?.every((weight) => weight === 0))
      refuseWeight("a sample weight above 0 on some row that is trained on", "zeros only");
    const cut = count < n ? { ...all, rows: numbers(count, n) } : null;
    return {
      ...all,
      train: { rows: numbers(0, count), weights: weights ?? null },
      validation: held === null ? cut : { ...held, rows: numbers(0, held.x[0].shape[0]) },
      dispose,
    };
  } catch (error) {
    dispose();
    throw error;
  }
}

function numbers(from: number, to: number): Float64Array {
  return Float64Array.from({ length: to - from }, (_, k) => from + k);
}

type Called = readonly [name: string, given: ModelTensors];

async function readPair(model: tf.LayersModel, x: Called, y: Called, made: tf.Tensor[]): Promise<Pair> {
  const losses = givenLosses(model);
  const inputs = await readAll(model, x, model.inputs, model.inputNames, "input", made);
  const sparse = (k: number) => losses[k] === "sparseCategoricalCrossentropy";
  const outputs = model.outputs.map(({ shape }, k) => ({ shape: sparse(k) ? [...shape.slice(0, -1), 1] : shape }));
  const targets = await readAll(model, y, outputs, model.outputNames, "output", made);
  for (const [k, target] of targets.entries()) {
    await refuseTarget(target, losses[k], model.outputs[k].shape);
    if (!sparse(k) || target.dtype === "float32") continue;
    targets[k] = tf.cast(target, "float32"); // which is all that the loss takes
    made.push(targets[k]);
  }
  const [first, ...others] = [...inputs, ...targets].map(({ shape }) => shape[0]);
  const other = others.find((rows) => rows !== first);
  if (other !== undefined) {
    refuseAs(
      "readData",
      `as many rows of ${y[0]} as of ${x[0]}, ${first}`,
      `${other}`,
      "Check how they were cut.",
      "data/shape",
    );
  }
  return { x: inputs, y: targets };
}

/** The tensors of one side, [n] as [n, 1]. */
async function readAll(
  model: tf.LayersModel,
  [name, given]: Called,
  places: readonly { readonly shape: readonly (number | null)[] }[],
  names: readonly string[],
  side: "input" | "output",
  made: tf.Tensor[],
): Promise<tf.Tensor[]> {
  const list = tensorsOf(name, given, names, side);
  const read: tf.Tensor[] = [];
  for (const [k, tensor] of list.entries()) {
    const called = names.length === 1 ? name : `${name} of ${side} "${names[k]}"`;
    refuseTensor(called, tensor, places[k].shape.slice(1), `the model's ${side}`);
    await refuseNonFiniteRows(called, tensor);
    if (side === "input") await refuseUnlisted(called, tensor, model, k);
    if (tensor.rank === places[k].shape.length) read.push(tensor);
    else {
      const column = tf.reshape(tensor, [-1, 1]);
      made.push(column);
      read.push(column);
    }
  }
  return read;
}

/** Targets outside of what their loss is about. */
async function refuseTarget(target: tf.Tensor, given: unknown, shape: readonly (number | null)[]): Promise<void> {
  const C = shape[shape.length - 1] ?? 1;
  const known = knownLoss(given);
  if (known?.labels === "classes") {
    const classes = await target.data();
    const at = firstUnclassed(classes, C);
    if (at < 0) return;
    refuseClass(C, `${classes[at]} (entry ${at})`, "Number the classes from 0.");
  }
  if (known === null || known.labels !== "as the loss has them") return;
  const data = Float64Array.from(await target.data());
  refuseTargets(known.loss, { rows: data.length / C, cols: C, data });
}

async function classWeights(
  given: Weighting["classWeight"],
  targets: readonly tf.Tensor[],
): Promise<Float64Array | null> {
  if (given === undefined || given === null) return null;
  const [{ shape, rank }] = targets;
  if (targets.length > 1 || rank > 2) refuseWeight("no classWeight for targets that are not a class a row", "one");
  return readClassWeight(given, {
    rows: shape[0],
    cols: shape[1] ?? 1,
    data: Float64Array.from(await targets[0].data()),
  });
}

/** As of rows for a program: more than one, and something that varies. */
async function refuseDegenerate(x: readonly tf.Tensor[], count: number): Promise<void> {
  if (count < 2) {
    const todo = "One sample has nothing to compare with: give more data.";
    refuseAs("readData", "at least 2 rows", `${count}`, todo, "data/empty");
  }
  for (const tensor of x) {
    const [values, columns] = [await tensor.data(), tensor.size / tensor.shape[0]];
    for (let k = columns; k < count * columns; k++) if (values[k] !== values[k % columns]) return;
  }
  const todo = "There is nothing to learn from: check x.";
  refuseAs("readData", "a column of x that varies", "constant columns only", todo, "data/constant");
}
