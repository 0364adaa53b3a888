/** Inputs of a model as a tape reads them. */

import type * as tf from "@tensorflow/tfjs";

/** The numbers of an input, `columns` of each row. */
export interface Input {
  readonly values: ArrayLike<number>;
  readonly columns: number;
}

export function readInputs(x: readonly tf.Tensor[]): Promise<Input[]> {
  return Promise.all(x.map(async (each) => ({ values: await each.data(), columns: each.size / each.shape[0] })));
}

/** Some rows by their numbers: the columns [n] of each input, one input behind the other. */
export function columnsOf(inputs: readonly Input[], rows: ArrayLike<number>): Float64Array {
  const n = rows.length;
  const all = new Float64Array(n * inputs.reduce((sum, { columns }) => sum + columns, 0));
  let at = 0;
  for (const { values, columns } of inputs) {
    for (let p = 0; p < columns; p++) for (let k = 0; k < n; k++) all[at++] = values[rows[k] * columns + p];
  }
  return all;
}
