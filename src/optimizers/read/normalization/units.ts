/** A dense layer and the batch normalisation after it, as predict computes them -> units of the program on white rows, or on x. */

import { ConvexError } from "../../../errors.js";
import type { Whitening } from "../layers/batchNormalization.js";

/** What both layers hold. */
export interface NormalizedLayers {
  readonly kernel: Float64Array; // [d x m]
  readonly bias: Float64Array | null; // [m]
  readonly gamma: Float64Array; // [m]
  readonly beta: Float64Array | null; // [m]
  readonly mean: Float64Array; // [m], moving
  readonly variance: Float64Array; // [m], moving
  readonly epsilon: number;
}

/** Units x w + b before the activation. */
export interface Units {
  readonly kernel: Float64Array; // [r x m]
  readonly bias: Float64Array; // [m]
}

/** The weights of both layers, in the order in which tfjs keeps them. */
export function normalizedLayersOf(
  [kernel, bias]: readonly Float64Array[],
  normalization: readonly Float64Array[],
  epsilon: number,
): NormalizedLayers {
  const [mean, variance] = normalization.slice(-2);
  const [gamma, beta] = normalization.slice(0, -2);
  return { kernel, bias: bias ?? null, gamma, beta: beta ?? null, mean, variance, epsilon };
}

/** gamma (x w + b - mean) / sqrt(variance + epsilon) + beta as x w' + b'. */
export function foldedUnits({ kernel, bias, gamma, beta, mean, variance, epsilon }: NormalizedLayers): Units {
  const m = gamma.length;
  const scale = gamma.map((value, j) => value / Math.sqrt(variance[j] + epsilon));
  return {
    kernel: kernel.map((value, k) => value * scale[k % m]),
    bias: gamma.map((_, j) => (beta?.[j] ?? 0) + scale[j] * ((bias?.[j] ?? 0) - mean[j])),
  };
}

/** Of a bias, against the units: what is the rounding of float32. */
const ROUNDING = 1e-4;

/**
 * The same on white rows z = (x - mean) map: x w = z u + mean w with u = back w.
 *
 * @throws ConvexError "model/weights" where the units have offsets on white rows, and layers without a bias cannot have them.
 */
export function whiteUnits({ kernel, bias }: Units, { mean, back }: Whitening, hasBias: boolean): Units {
  const { rows: r, cols: d } = back;
  const m = bias.length;
  const u = new Float64Array(r * m);
  const offset = bias.slice();
  for (let i = 0; i < r; i++) {
    for (let p = 0; p < d; p++) {
      const share = back.data[i * d + p];
      for (let j = 0; j < m; j++) u[i * m + j] += share * kernel[p * m + j];
    }
  }
  for (let p = 0; p < d; p++) for (let j = 0; j < m; j++) offset[j] += mean[p] * kernel[p * m + j];
  if (!hasBias && offset.some((value, j) => Math.abs(value) > ROUNDING * lengthOf(u, j, m))) {
    throw new ConvexError(
      "model/weights",
      "certify: expected batch normalisation whose moving means are those of these rows where it has no beta (center: false), got " +
        "others. Give it a beta, or certify it on the rows that it was trained on.",
    );
  }
  return { kernel: u, bias: offset };
}

function lengthOf(kernel: Float64Array, j: number, m: number): number {
  let square = 0;
  for (let k = j; k < kernel.length; k += m) square += kernel[k] ** 2;
  return Math.sqrt(square);
}
