/**
 * Batch normalisation between a dense layer and its ReLU, as data: the program of a network with it is that of one without it on
 * whitened rows (Ergen, Sahiner, Ozturkler, Pauly, Mardani and Pilanci 2021, theorem 3).
 *
 * With X less its mean = U S V' the rows are those of sqrt(n) U: of mean 0, variance 1 and without correlation, so that a normalised
 * unit gamma (x w - mean) / deviation + beta is a unit u, b on them with |u| = gamma, and what is charged is gamma, beta and the
 * read-out.
 */

import { reducedRows, rowSpaceOf } from "../../../convex/operators/axes/index.js";
import type { Dataset } from "../data.js";
import type { NetworkSpec } from "../model.js";

/** A spec on white rows, and what makes rows white; both as they were where nothing is normalised. */
export function whitened(spec: NetworkSpec, train: Dataset): NetworkSpec {
  const { normalization } = spec;
  if (normalization === null) return spec;
  const { basis, mean } = rowSpaceOf(train.x, "numerical", true);
  const { rows: n } = train.x;
  const { rows: d, cols: r } = basis;
  const scores = reducedRows(train.x, { basis, mean, largest: 1, tail: 0, share: null });
  const map = new Float64Array(d * r);
  for (let i = 0; i < r; i++) {
    let square = 0;
    for (let k = 0; k < n; k++) square += scores.data[k * r + i] ** 2;
    const scale = Math.sqrt(n / square);
    for (let p = 0; p < d; p++) map[p * r + i] = basis.data[p * r + i] * scale;
  }
  const whitening = { mean: mean ?? new Float64Array(d), map: { rows: d, cols: r, data: map }, ...normalization };
  return { ...spec, inputs: r, whitening };
}

/** Rows as the program of a spec has them. */
export function white(data: Dataset, { whitening }: Pick<NetworkSpec, "whitening">): Dataset {
  if (whitening === null) return data;
  const { mean, map } = whitening;
  return { ...data, x: reducedRows(data.x, { basis: map, mean, largest: 1, tail: 0, share: null }) };
}
