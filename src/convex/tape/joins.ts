/** What joins several ways of a network, and what scales each feature. */

import { type Make, partOf, type WeightPlace } from "./operation.js";

/** The sum of `count` inputs, times a factor. */
export function sum(size: number, count: number, factor = 1): Make {
  return () => ({
    size,
    work: size * count,
    room: 0,
    forward(_n, inputs, _weights, out) {
      out.set(inputs[0]);
      for (const input of inputs.slice(1)) for (let k = 0; k < out.length; k++) out[k] += input[k];
      if (factor !== 1) for (let k = 0; k < out.length; k++) out[k] *= factor;
    },
    backward(_n, _inputs, _weights, _out, pull, pulls) {
      if (factor !== 1) for (let k = 0; k < pull.length; k++) pull[k] *= factor;
      for (const below of pulls) below?.set(pull);
    },
  });
}

/** Features of several inputs, `sizes` of each at one place, one behind the other at each of so many places. */
export function concatenation(sizes: readonly number[], places = 1): Make {
  const together = sizes.reduce((all, each) => all + each, 0);
  const eachPart = (n: number, use: (input: number, from: number, to: number, length: number) => void) => {
    for (let place = 0, to = 0; place < places; place++) {
      for (let k = 0; k < sizes.length; k++) {
        const length = sizes[k] * n;
        use(k, place * length, to, length);
        to += length;
      }
    }
  };
  return () => ({
    size: places * together,
    work: places * together,
    room: 0,
    forward(n, inputs, _weights, out) {
      eachPart(n, (k, from, to, length) => out.set(inputs[k].subarray(from, from + length), to));
    },
    backward(n, _inputs, _weights, _out, pull, pulls) {
      eachPart(n, (k, from, to, length) => pulls[k]?.set(pull.subarray(to, to + length), from));
    },
  });
}

/** `size` features of the input, from one on. */
export function range(from: number, size: number): Make {
  return () => ({
    size,
    work: size,
    room: 0,
    forward(n, [input], _weights, out) {
      out.set(input.subarray(from * n, (from + size) * n));
    },
    backward(n, _inputs, _weights, _out, pull, [below]) {
      if (below === null) return;
      below.fill(0);
      below.set(pull, from * n);
    },
  });
}

/** The weights of a batch normalisation as it predicts. */
export interface Normalization {
  readonly gamma: WeightPlace | null;
  readonly beta: WeightPlace | null;
  readonly mean: WeightPlace;
  readonly variance: WeightPlace;
  readonly epsilon: number;
}

/** gamma (h - mean) / sqrt(variance + epsilon) + beta of each channel, which are last. */
export function normalization(size: number, { gamma, beta, mean, variance, epsilon }: Normalization): Make {
  return () => {
    const factors = (weights: Float64Array) => {
      const [means, variances] = [partOf(weights, mean), partOf(weights, variance)];
      const gammas = gamma && partOf(weights, gamma);
      const inverse = variances.map((value) => 1 / Math.sqrt(value + epsilon));
      return { means, inverse, gammas, betas: beta && partOf(weights, beta) };
    };
    return {
      size,
      work: size,
      room: 0,
      forward(n, [h], weights, out) {
        const { means, inverse, gammas, betas } = factors(weights);
        for (let j = 0, at = 0; j < size; j++) {
          const c = j % means.length;
          const factor = inverse[c] * (gammas?.[c] ?? 1);
          const shift = (betas?.[c] ?? 0) - factor * means[c];
          for (const end = at + n; at < end; at++) out[at] = factor * h[at] + shift;
        }
      },
      backward(n, [h], weights, _out, pull, [below], gradient) {
        const { means, inverse, gammas } = factors(weights);
        for (let j = 0, at = 0; j < size; j++) {
          const c = j % means.length;
          const factor = inverse[c] * (gammas?.[c] ?? 1);
          let [plain, with_h] = [0, 0];
          for (const end = at + n; at < end; at++) {
            plain += pull[at];
            with_h += pull[at] * h[at];
            if (below !== null) below[at] = factor * pull[at];
          }
          if (gamma?.trained) gradient[gamma.at + c] += inverse[c] * (with_h - means[c] * plain);
          if (beta?.trained) gradient[beta.at + c] += plain;
        }
      },
    };
  };
}
