/** The losses as TensorFlow.js defines them, of the outputs before the last activation, with their gradients. */

import type { LossName } from "../../../src/index.js";

export interface Targets {
  readonly loss: LossName;
  readonly rows: number;
  readonly outputs: number;
  readonly Y: Float64Array; // [n x C]
  readonly weights: Float64Array | null; // [n]
}

/** The mean over rows (and outputs) of weight times loss. Writes the gradient where `out` is given. */
export function lossOf({ loss, rows, outputs: C, Y, weights }: Targets, Z: Float64Array, out?: Float64Array): number {
  let sum = 0;
  const share = loss === "categoricalCrossentropy" ? 1 / rows : 1 / (rows * C);
  for (let k = 0; k < rows; k++) {
    const factor = share * (weights?.[k] ?? 1);
    if (factor === 0) {
      out?.fill(0, k * C, (k + 1) * C);
      continue;
    }
    if (loss === "categoricalCrossentropy") {
      sum += factor * softmaxRow(Y, Z, k, C, factor, out);
      continue;
    }
    for (let at = k * C; at < (k + 1) * C; at++) {
      const [value, slope] = entry(loss, Z[at], Y[at]);
      sum += factor * value;
      if (out !== undefined) out[at] = factor * slope;
    }
  }
  return sum;
}

function entry(loss: LossName, z: number, y: number): [number, number] {
  switch (loss) {
    case "meanSquaredError":
      return [(z - y) ** 2, 2 * (z - y)];
    case "meanAbsoluteError":
      return [Math.abs(z - y), Math.sign(z - y)];
    case "huberLoss": {
      const e = Math.abs(z - y);
      return e <= 1 ? [0.5 * e * e, z - y] : [e - 0.5, Math.sign(z - y)];
    }
    case "hinge":
      return y * z < 1 ? [1 - y * z, -y] : [0, 0];
    case "squaredHinge":
      return y * z < 1 ? [(1 - y * z) ** 2, -2 * y * (1 - y * z)] : [0, 0];
    case "binaryCrossentropy": {
      // -y log p - (1 - y) log(1 - p) with p = 1 / (1 + e^-z).
      const small = Math.log1p(Math.exp(-Math.abs(z)));
      const p = z >= 0 ? 1 / (1 + Math.exp(-z)) : Math.exp(z) / (1 + Math.exp(z));
      return [y * (Math.max(-z, 0) + small) + (1 - y) * (Math.max(z, 0) + small), p - y];
    }
    case "logcosh": {
      const e = Math.abs(z - y);
      return [e + Math.log1p(Math.exp(-2 * e)) - Math.LN2, Math.tanh(z - y)];
    }
    case "categoricalCrossentropy":
    case "kullbackLeiblerDivergence":
      throw new Error("a loss of rows");
  }
}

/** -sum_c y_c log p_c, p the softmax of the row. */
function softmaxRow(
  Y: Float64Array,
  Z: Float64Array,
  k: number,
  C: number,
  factor: number,
  out?: Float64Array,
): number {
  let top = Number.NEGATIVE_INFINITY;
  for (let c = 0; c < C; c++) top = Math.max(top, Z[k * C + c]);
  let sum = 0;
  for (let c = 0; c < C; c++) sum += Math.exp(Z[k * C + c] - top);
  const log = Math.log(sum);
  let value = 0;
  let whole = 0;
  for (let c = 0; c < C; c++) {
    value += Y[k * C + c] * (top - Z[k * C + c] + log);
    whole += Y[k * C + c];
  }
  if (out !== undefined) {
    for (let c = 0; c < C; c++) {
      out[k * C + c] = factor * ((whole * Math.exp(Z[k * C + c] - top)) / sum - Y[k * C + c]);
    }
  }
  return value;
}
