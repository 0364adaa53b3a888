/** How much each row counts: sample weights and class weights, as model.fit takes them. */

import * as tf from "@tensorflow/tfjs";
import { refuseAs, shown } from "../../arguments.js";
import type { Matrix } from "../../convex/types.js";

/** How samples are weighted; both together multiply. */
export interface Weighting {
  readonly sampleWeight?: tf.Tensor1D | ArrayLike<number> | null;
  readonly classWeight?: Readonly<Record<number, number>> | null;
}

export async function readSampleWeight(given: Weighting["sampleWeight"], rows: number): Promise<Float64Array | null> {
  const weights = await numbersOf(given);
  if (weights === null) return null;
  if (weights.length !== rows) {
    refuseWeight(`one sampleWeight a row, ${rows}`, `${weights.length}`);
  }
  weights.forEach((weight, k) => {
    if (!(weight >= 0 && Number.isFinite(weight)))
      refuseWeight("finite sample weights of at least 0", `${weight} in row ${k}`);
  });
  return weights;
}

/** A copy of the numbers, as many as there are; null for none. */
export async function numbersOf(given: Weighting["sampleWeight"]): Promise<Float64Array | null> {
  if (given === undefined || given === null) return null;
  if (given instanceof tf.Tensor && given.isDisposed) {
    refuseAs(
      "readData",
      "sampleWeight to be alive",
      "a disposed tensor",
      "Keep it until fit has returned.",
      "data/disposed",
    );
  }
  const values: unknown = given instanceof tf.Tensor ? await given.data() : given;
  if (!Array.isArray(values) && !ArrayBuffer.isView(values))
    refuseWeight("sampleWeight as a tensor or an array", shown(given));
  return Float64Array.from(values as ArrayLike<number>);
}

/** The weight of each row's class: the largest entry of a one-hot row, or the value of a single column, as in model.fit. */
export function readClassWeight(given: Weighting["classWeight"], Y: Matrix): Float64Array | null {
  if (given === undefined || given === null) return null;
  if (typeof given !== "object") refuseWeight("classWeight as an object { class: weight }", shown(given));
  return Float64Array.from({ length: Y.rows }, (_, k) => {
    const row = Y.data.subarray(k * Y.cols, (k + 1) * Y.cols);
    const label = Y.cols === 1 ? row[0] : row.indexOf(Math.max(...row));
    const weight = given[label];
    if (weight === undefined) refuseWeight("a classWeight for every class of y", `none for class ${label} (row ${k})`);
    if (!(weight >= 0 && Number.isFinite(weight))) refuseWeight("finite class weights of at least 0", `${weight}`);
    return weight;
  });
}

/** The products of both, row by row. */
export function combine(a: Float64Array | null, b: Float64Array | null): Float64Array | null {
  if (a === null || b === null) return a ?? b;
  return a.map((value, k) => value * b[k]);
}

export function refuseWeight(expected: string, came: string): never {
  refuseAs("fit", expected, came, "Correct the weights or leave them out.", "data/weight");
}
