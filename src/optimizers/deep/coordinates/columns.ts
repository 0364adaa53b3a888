/**
 * Weights in coordinates in which the columns that a layer sees are standard: x W + b = ((x - mean) / scale) U + c with U = scale W and
 * c = b + mean W. A descent over U and c does not feel in what units a column is; what is charged stays a charge of W.
 */

/** A layer that sees columns far from standard, and where its numbers stand among all. */
export interface Columns {
  readonly at: number; // of W [inputs x units]
  readonly bias: number | null; // of b [units]; without one nothing is taken off the columns
  readonly units: number;
  readonly mean: Float64Array; // [inputs]
  readonly scale: Float64Array; // [inputs]
}

/** In place: W and b become U and c. */
export function intoColumns(packed: Float64Array, all: readonly Columns[]): Float64Array {
  eachWeight(all, ({ bias, mean, scale }, place, input, unit) => {
    if (bias !== null) packed[bias + unit] += mean[input] * packed[place];
    packed[place] *= scale[input];
  });
  return packed;
}

/** In place: U and c become W and b. */
export function outOfColumns(packed: Float64Array, all: readonly Columns[]): Float64Array {
  eachWeight(all, ({ bias, mean, scale }, place, input, unit) => {
    packed[place] /= scale[input];
    if (bias !== null) packed[bias + unit] -= mean[input] * packed[place];
  });
  return packed;
}

/** In place: the slopes along W and b become those along U and c. */
export function slopesInColumns(gradient: Float64Array, all: readonly Columns[]): void {
  eachWeight(all, ({ bias, mean, scale }, place, input, unit) => {
    if (bias !== null) gradient[place] -= mean[input] * gradient[bias + unit];
    gradient[place] /= scale[input];
  });
}

function eachWeight(
  all: readonly Columns[],
  use: (columns: Columns, place: number, input: number, unit: number) => void,
): void {
  for (const columns of all) {
    const { at, units, mean } = columns;
    for (let input = 0, place = at; input < mean.length; input++) {
      for (let unit = 0; unit < units; unit++, place++) use(columns, place, input, unit);
    }
  }
}
