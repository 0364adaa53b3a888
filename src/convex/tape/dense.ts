/** Dense layers. */

import { transpose } from "../linear/vectors.js";
import { addTo, type Make, partOf, Scratch, type Values, type WeightPlace } from "./operation.js";

/** A dense layer before its activation: W'h + b of each sample, W [d x m] as tfjs has it; at each of so many places, one behind the other. */
export function dense(d: number, m: number, kernel: WeightPlace, bias: WeightPlace | null, places = 1): Make {
  return (kernels) => {
    const turned = new Float64Array(d * m);
    const product = new Scratch();
    const at = (place: number, values: Values, length: number) =>
      places === 1 ? values : values.subarray(place * length, (place + 1) * length);
    return {
      size: places * m,
      work: places * d * m,
      room: 0,
      forward(n, [h], weights, out) {
        transpose(partOf(weights, kernel), d, m, turned);
        for (let place = 0; place < places; place++) {
          const made = at(place, out, m * n);
          kernels.multiply(turned, at(place, h, d * n), made, m, d, n);
          if (bias !== null) addToRows(partOf(weights, bias), n, made);
        }
      },
      backward(n, [h], weights, _out, pull, [below], gradient) {
        for (let place = 0; place < places; place++) {
          const own = at(place, pull, m * n);
          if (kernel.trained) {
            const part = product.take(d * m);
            kernels.multiplyTransposed(at(place, h, d * n), own, part, d, n, m);
            addTo(partOf(gradient, kernel), part);
          }
          if (bias?.trained) addRowSums(own, n, partOf(gradient, bias));
          if (below !== null) kernels.multiply(partOf(weights, kernel), own, at(place, below, d * n), d, m, n);
        }
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
