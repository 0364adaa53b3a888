/** A dense layer before its activation: W'h + b of each sample, W [d x m] as tfjs has it. */

import { transpose } from "../linear/vectors.js";
import { addTo, type Make, partOf, Scratch, type WeightPlace } from "./operation.js";

export function dense(d: number, m: number, kernel: WeightPlace, bias: WeightPlace | null): Make {
  return (kernels) => {
    const turned = new Float64Array(d * m);
    const product = new Scratch();
    return {
      size: m,
      work: d * m,
      room: 0,
      forward(n, [h], weights, out) {
        transpose(partOf(weights, kernel), d, m, turned);
        kernels.multiply(turned, h, out, m, d, n);
        if (bias !== null) addToRows(partOf(weights, bias), n, out);
      },
      backward(n, [h], weights, _out, pull, [below], gradient) {
        if (kernel.trained) {
          const part = product.take(d * m);
          kernels.multiplyTransposed(h, pull, part, d, n, m);
          addTo(partOf(gradient, kernel), part);
        }
        if (bias?.trained) addRowSums(pull, n, partOf(gradient, bias));
        if (below !== null) kernels.multiply(partOf(weights, kernel), pull, below, d, m, n);
      },
    };
  };
}

/** Adds a number to each row [n] of out. */
export function addToRows(numbers: Float64Array, n: number, out: Float64Array): void {
  for (let j = 0, at = 0; j < numbers.length; j++) {
    const value = numbers[j];
    for (const end = at + n; at < end; at++) out[at] += value;
  }
}

/** sums += the sums of the rows [n]. */
export function addRowSums(values: Float64Array, n: number, sums: Float64Array): void {
  for (let j = 0, at = 0; j < sums.length; j++) {
    let sum = 0;
    for (const end = at + n; at < end; at++) sum += values[at];
    sums[j] += sum;
  }
}
