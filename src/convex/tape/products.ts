/** Products of what several ways of a network make, and features in another order. */

import { addTo, type Make } from "./operation.js";

/** The product of `count` inputs, entry by entry. */
export function multiplication(size: number, count: number): Make {
  return () => ({
    size,
    work: size * count,
    room: 0,
    forward(_n, inputs, _weights, out) {
      out.set(inputs[0]);
      for (const input of inputs.slice(1)) for (let k = 0; k < out.length; k++) out[k] *= input[k];
    },
    backward(_n, inputs, _weights, _out, pull, pulls) {
      for (const [own, below] of pulls.entries()) {
        if (below === null) continue;
        below.set(pull);
        for (const [k, input] of inputs.entries()) {
          if (k !== own) for (let p = 0; p < below.length; p++) below[p] *= input[p];
        }
      }
    },
  });
}

/** How a factor [.. x length], or a vector, is gone through: `count` vectors of `length` entries, and steps from one to the next. */
export interface Factor {
  readonly count: number;
  readonly length: number;
  readonly apart: number; // of the vectors
  readonly stride: number; // of the entries of one
}

/** The inner product of each vector of the first input with each of the second one, [first's count x second's]. */
export function contraction(first: Factor, second: Factor): Make {
  const { length } = first;
  const size = first.count * second.count;
  const eachPair = (n: number, use: (a: number, b: number, to: number) => void) => {
    for (let i = 0, to = 0; i < first.count; i++) {
      for (let j = 0; j < second.count; j++, to += n) {
        for (let p = 0; p < length; p++) {
          use((i * first.apart + p * first.stride) * n, (j * second.apart + p * second.stride) * n, to);
        }
      }
    }
  };
  return () => ({
    size,
    work: size * length,
    room: 0,
    forward(n, [a, b], _weights, out) {
      out.fill(0);
      eachPair(n, (i, j, to) => {
        for (let s = 0; s < n; s++) out[to + s] += a[i + s] * b[j + s];
      });
    },
    backward(n, [a, b], _weights, _out, pull, [belowA, belowB]) {
      belowA?.fill(0);
      belowB?.fill(0);
      eachPair(n, (i, j, from) => {
        if (belowA !== null) for (let s = 0; s < n; s++) belowA[i + s] += pull[from + s] * b[j + s];
        if (belowB !== null) for (let s = 0; s < n; s++) belowB[j + s] += pull[from + s] * a[i + s];
      });
    },
  });
}

/** The features of the input at these places, 0 where there is none: -1. */
export function selection(places: Int32Array): Make {
  return () => ({
    size: places.length,
    work: places.length,
    room: 0,
    forward(n, [h], _weights, out) {
      places.forEach((place, k) => {
        if (place < 0) out.fill(0, k * n, (k + 1) * n);
        else out.set(h.subarray(place * n, (place + 1) * n), k * n);
      });
    },
    backward(n, _inputs, _weights, _out, pull, [below]) {
      if (below === null) return;
      below.fill(0);
      places.forEach((place, k) => {
        if (place >= 0) addTo(below.subarray(place * n, (place + 1) * n), pull.subarray(k * n, (k + 1) * n));
      });
    },
  });
}
