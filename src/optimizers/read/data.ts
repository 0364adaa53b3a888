/** Tensors -> float64 matrices on the host: finite, of the right shapes, with targets that fit the loss. */

import * as tf from "@tensorflow/tfjs";
import { counted, isRecord, refuse, refuseAs } from "../../arguments.js";
import { targetRefusal } from "../../convex/losses/index.js";
import type { LossName, Matrix } from "../../convex/types.js";
import { ConvexError } from "../../errors.js";
import type { Labels } from "./loss.js";
import type { NetworkSpec } from "./model.js";
import { combine, readClassWeight, readSampleWeight, refuseWeight, type Weighting } from "./sampleWeights.js";

/** Rows of data with their targets and sample weights. */
export interface Dataset {
  readonly x: Matrix; // [n x inputs], or [n x pixels]
  readonly y: Matrix; // [n x C]
  readonly weights: Float64Array | null; // [n], above 0 where the rows are those that count
}

/** Tensors by the inputs or outputs of a model: one, in their order, or by their names. */
export type ModelTensors = tf.Tensor | readonly tf.Tensor[] | Readonly<Record<string, tf.Tensor>>;

/** The tensor of a model's one input or output; what is none, or more, stays for others to refuse. */
export function onlyOf(given: ModelTensors, names: readonly string[]): tf.Tensor {
  if (given instanceof tf.Tensor || !isRecord(given)) {
    return Array.isArray(given) && given.length === 1 ? (given[0] as tf.Tensor) : (given as tf.Tensor);
  }
  const record = given as Readonly<Record<string, tf.Tensor>>;
  return names.length === 1 && record[names[0]] instanceof tf.Tensor
    ? record[names[0]]
    : (given as unknown as tf.Tensor);
}

/** The same of data that are held out; what is no pair stays. */
export function onlyHeldOf<A extends { readonly validationData?: unknown }>(args: A, model: tf.LayersModel): A {
  const { validationData } = args;
  if (!Array.isArray(validationData) || validationData.length !== 2) return args;
  const [x, y] = validationData as [ModelTensors, ModelTensors];
  return { ...args, validationData: [onlyOf(x, model.inputNames), onlyOf(y, model.outputNames)] };
}

/** The tensors of a model's inputs or outputs in their order. */
export function tensorsOf(
  name: string,
  given: ModelTensors,
  names: readonly string[],
  side: "input" | "output",
): readonly tf.Tensor[] {
  const list: readonly unknown[] =
    given instanceof tf.Tensor
      ? [given]
      : Array.isArray(given)
        ? given
        : isRecord(given)
          ? names.map((each) => (given as Readonly<Record<string, unknown>>)[each])
          : refuse("fit", `${name} as a tensor, or one for each ${side}`, given, undefined, "data/shape");
  if (list.length === names.length && list.every((each) => each !== undefined)) return list as readonly tf.Tensor[];
  const wanted = names.map((each) => `"${each}"`).join(", ");
  return refuseAs(
    "fit",
    `${counted(names.length, "tensor")} in ${name}, one for each ${side} (${wanted})`,
    counted(list.filter((each) => each !== undefined).length, "tensor"),
    "Pass an array in this order, or an object by these names.",
    "data/shape",
  );
}

type Spec = Pick<NetworkSpec, "inputShape" | "convolution" | "outputs" | "loss" | "hiddenBias"> & {
  readonly labels?: Labels;
};

/**
 * Reads x [n x inputShape] and y [n x C] (or [n] for one output); rows of weight 0 are left out, as `rowsThatCount` says.
 *
 * @throws ConvexError "data/..." naming the tensor, the row and the column.
 */
export async function readData(
  x: tf.Tensor | Matrix,
  y: tf.Tensor,
  spec: Spec,
  weighting: Weighting = {},
): Promise<Dataset> {
  return rowsThatCount(await readRows(x, y, spec, weighting));
}

/** The same with the rows of weight 0. */
export async function readRows(
  x: tf.Tensor | Matrix,
  y: tf.Tensor,
  spec: Spec,
  weighting: Weighting = {},
): Promise<Dataset> {
  const X = await readMatrix("x", x, spec.inputShape, "the model's input");
  const Y = await readTargets(y, spec);
  if (X.rows !== Y.rows) {
    refuseAs(
      "readData",
      `as many rows of y as of x, ${X.rows}`,
      `${Y.rows}`,
      "Check how the two were cut.",
      "data/shape",
    );
  }
  refuseTargets(spec.loss, Y);
  const weights = combine(
    await readSampleWeight(weighting.sampleWeight, X.rows),
    readClassWeight(weighting.classWeight, Y),
  );
  return { x: X, y: Y, weights };
}

/** y as the loss has it: one column an output, whatever the labels. */
async function readTargets(y: tf.Tensor, { outputs: C, labels = "as the loss has them" }: Spec): Promise<Matrix> {
  if (labels !== "classes") {
    const Y = await readMatrix("y", y, [C], "the model's last layer");
    return labels === "zero or one" ? { ...Y, data: Y.data.map(asSign) } : Y;
  }
  const numbers = await readMatrix("y", y, [1], "sparseCategoricalCrossentropy");
  const row = firstUnclassed(numbers.data, C);
  if (row >= 0) {
    const todo = `Number the classes from 0, or give the last layer more units than ${C}.`;
    refuseClass(C, `${numbers.data[row]} in row ${row}`, todo);
  }
  return oneHot(numbers, C);
}

/** Where the first label is that numbers none of C classes; -1 without. */
export function firstUnclassed(labels: ArrayLike<number>, C: number): number {
  for (let k = 0; k < labels.length; k++) if (!Number.isInteger(labels[k]) || labels[k] < 0 || labels[k] >= C) return k;
  return -1;
}

/** @throws ConvexError "data/target". */
export function refuseClass(C: number, got: string, todo: string): never {
  const expected = `class numbers from 0 to ${C - 1} in y, the last layer having ${counted(C, "unit")}`;
  return refuseAs("readData", expected, got, todo, "data/target");
}

/** C columns in place of each, 1 in that of its class. */
export function oneHot({ rows, cols, data }: Matrix, C: number): Matrix {
  const hot = new Float64Array(data.length * C);
  data.forEach((label, k) => {
    hot[k * C + label] = 1;
  });
  return { rows, cols: cols * C, data: hot };
}

/** @throws ConvexError "data/target" for targets that are outside of what the loss is about. */
export function refuseTargets(loss: LossName, Y: Matrix): void {
  const refusal = targetRefusal(loss, Y);
  if (refusal === null) return;
  throw new ConvexError("data/target", `y: ${refusal}. The loss ${loss} needs it: change y or the loss.`);
}

export function asSign(label: number, k: number): number {
  if (label === 0 || label === 1) return 2 * label - 1;
  return refuseAs(
    "readData",
    "labels 0 or 1 in y, as tf.losses.hingeLoss has them",
    `${label} (entry ${k})`,
    "Change y.",
    "data/target",
  );
}

/**
 * The data without the rows of weight 0, which say nothing: gates, scales and prices are made of the others. tfjs's mean is over
 * all n rows, so that the weights of the m that stay come down to m / n: their mean is the same loss.
 *
 * @throws ConvexError "data/weight" where none stays.
 */
export function rowsThatCount(data: Dataset): Dataset {
  const { x, y, weights } = data;
  if (weights === null || weights.every((weight) => weight > 0)) return data;
  const rows = Array.from(weights.keys()).filter((k) => weights[k] > 0);
  if (rows.length === 0) refuseWeight("a sample weight above 0 on some row that is trained on", "zeros only");
  const share = rows.length / x.rows;
  return { x: pick(x, rows), y: pick(y, rows), weights: Float64Array.from(rows, (k) => share * weights[k]) };
}

/** Some rows of the data, in the order of their numbers. */
export function rowsOf({ x, y, weights }: Dataset, rows: readonly number[]): Dataset {
  return {
    x: pick(x, rows),
    y: pick(y, rows),
    weights: weights === null ? null : Float64Array.from(rows, (k) => weights[k]),
  };
}

/** Some rows of a matrix, in the order of their numbers. */
export function pick({ cols, data }: Matrix, rows: readonly number[] | Float64Array): Matrix {
  const picked = new Float64Array(rows.length * cols);
  rows.forEach((from, to) => {
    picked.set(data.subarray(from * cols, (from + 1) * cols), to * cols);
  });
  return { rows: rows.length, cols, data: picked };
}

/** What training needs beyond what prediction does: more than one row, and a column that varies. */
export function refuseDegenerate(data: Dataset): void {
  const { x } = data;
  if (x.rows < 2) {
    refuseAs(
      "readData",
      "at least 2 rows",
      `${x.rows} (of weight above 0)`,
      "One sample has nothing to compare with: give more data.",
      "data/empty",
    );
  }
  if (x.data.every((value, k) => value === x.data[k % x.cols])) {
    refuseAs(
      "readData",
      "a column of x that varies",
      "constant columns only",
      "There is nothing to learn from: check x.",
      "data/constant",
    );
  }
}

/** The rows after the first so many as validation data; null where none come after. */
export function splitData(data: Dataset, rows: number): { train: Dataset; validation: Dataset | null } {
  const { x, y, weights } = data;
  if (rows === x.rows) return { train: data, validation: null };
  const cut = (matrix: Matrix, from: number, to: number): Matrix => ({
    rows: to - from,
    cols: matrix.cols,
    data: matrix.data.slice(from * matrix.cols, to * matrix.cols),
  });
  return {
    train: { x: cut(x, 0, rows), y: cut(y, 0, rows), weights: weights?.slice(0, rows) ?? null },
    validation: { x: cut(x, rows, x.rows), y: cut(y, rows, x.rows), weights: null },
  };
}

/** X with a last column of a constant, for the hidden bias. */
export function withColumn(x: Matrix, value: number): Matrix {
  const cols = x.cols + 1;
  const data = new Float64Array(x.rows * cols);
  for (let k = 0; k < x.rows; k++) {
    data.set(x.data.subarray(k * x.cols, (k + 1) * x.cols), k * cols);
    data[k * cols + x.cols] = value;
  }
  return { rows: x.rows, cols, data };
}

/** A tensor of so many rows of `sample` shape, or what a trunk made of one, as a matrix [rows x columns]; [n] counts as [n, 1]. */
export async function readMatrix(
  name: string,
  given: tf.Tensor | Matrix,
  sample: readonly number[],
  owner: string,
): Promise<Matrix> {
  const columns = sample.reduce((product, size) => product * size, 1);
  if (!(given instanceof tf.Tensor) && isMatrix(given)) return finite(name, given);
  const rows = refuseTensor(name, given, sample, owner);
  return finite(name, { rows, cols: columns, data: Float64Array.from(await given.data()) });
}

/** Refuses what is no tensor, alive and with numbers in it. */
export function livingTensor(name: string, tensor: unknown): tf.Tensor {
  if (!(tensor instanceof tf.Tensor)) {
    return refuseAs(
      "readData",
      `${name} to be a tf.Tensor`,
      Array.isArray(tensor) ? "an array" : tensor === null ? "null" : typeof tensor,
      "Use tf.tensor2d.",
      "data/shape",
    );
  }
  if (tensor.dtype === "string" || tensor.dtype === "complex64") {
    refuseAs(
      "readData",
      `${name} of numbers`,
      `dtype "${tensor.dtype}"`,
      "Parse them: tf.tensor2d(rows.map(Number)).",
      "data/shape",
    );
  }
  if (tensor.isDisposed) {
    refuseAs(
      "readData",
      `${name} to be alive`,
      "a disposed tensor",
      "Keep it until fit has returned (see tf.keep, tf.tidy).",
      "data/disposed",
    );
  }
  return tensor;
}

/** Refuses what is no tensor of rows of `sample` shape (null: any size), alive and with numbers in it; answers the rows. */
export function refuseTensor(name: string, given: unknown, sample: readonly (number | null)[], owner: string): number {
  const tensor = livingTensor(name, given);
  const single = sample.length === 1 && sample[0] === 1;
  const shape = tensor.rank === 1 && single ? [tensor.shape[0], 1] : tensor.shape;
  if (sample.includes(0) && shape.length === sample.length + 1) {
    refuseAs(
      "readData",
      `columns in ${name}`,
      `shape [${tensor.shape.join(", ")}]`,
      "Check how the data were loaded.",
      "data/empty",
    );
  }
  if (shape.length !== sample.length + 1 || sample.some((size, k) => size !== null && shape[k + 1] !== size)) {
    refuseAs(
      "readData",
      `${name} of shape [rows, ${sample.map((size) => size ?? "any").join(", ")}], as ${owner} has it`,
      `[${tensor.shape.join(", ")}]`,
      "Reshape it, or change the model.",
      "data/shape",
    );
  }
  if (shape[0] === 0) refuseAs("readData", `rows in ${name}`, "none", "Check how the data were loaded.", "data/empty");
  return shape[0];
}

function isMatrix(given: unknown): given is Matrix {
  return (given as Matrix | null)?.data instanceof Float64Array;
}

/** Refuses rows that hold what is no finite number, where they are not read as a matrix. */
export async function refuseNonFiniteRows(name: string, tensor: tf.Tensor): Promise<void> {
  const data = await tensor.data();
  finite(name, { rows: tensor.shape[0], cols: tensor.size / tensor.shape[0], data });
}

function finite<M extends Omit<Matrix, "data"> & { readonly data: ArrayLike<number> }>(name: string, matrix: M): M {
  const { data, cols } = matrix;
  for (let k = 0; k < data.length; k++) {
    if (Number.isFinite(data[k])) continue;
    const place = `${data[k]} in row ${Math.floor(k / cols)}, column ${k % cols}`;
    refuseAs("readData", `finite numbers in ${name}`, place, "Impute or drop such rows first.", "data/nonFinite");
  }
  return matrix;
}
