/** Activations entry by entry, by the names of tfjs, with its choice of slope at a kink. */

import { exp, expm1, log1p } from "../linear/elementary.js";
import type { Make } from "./operation.js";

/** a(h), and a'(h) of h and a(h). */
interface Activation {
  readonly value: (h: number) => number;
  readonly slope: (h: number, a: number) => number;
}

/** Of Klambauer et al. 2017. */
const SELU_SCALE = 1.0507009873554805;
const SELU_ALPHA = 1.6732632423543772;

const sigmoid = (h: number) => 1 / (1 + exp(-h));
const softplus = (h: number) => Math.max(h, 0) + log1p(exp(-Math.abs(h)));

const BY_NAME: Readonly<Record<string, Activation>> = {
  relu6: { value: (h) => Math.min(Math.max(h, 0), 6), slope: (h) => (h > 0 && h <= 6 ? 1 : 0) },
  tanh: { value: Math.tanh, slope: (_, a) => 1 - a * a },
  sigmoid: { value: sigmoid, slope: (_, a) => a * (1 - a) },
  elu: { value: (h) => (h >= 0 ? h : expm1(h)), slope: (h, a) => (h >= 0 ? 1 : a + 1) },
  selu: {
    value: (h) => SELU_SCALE * (h >= 0 ? h : SELU_ALPHA * expm1(h)),
    slope: (h, a) => (h > 0 ? SELU_SCALE : a + SELU_SCALE * SELU_ALPHA),
  },
  softplus: { value: softplus, slope: sigmoid },
  softsign: { value: (h) => h / (1 + Math.abs(h)), slope: (h) => 1 / (1 + Math.abs(h)) ** 2 },
  swish: { value: (h) => h * sigmoid(h), slope: (h, a) => a + sigmoid(h) * (1 - a) },
};

/** Null for a name that is none of these; "leakyRelu" has its factor of negative numbers. */
export function activation(name: string, size: number, negativeSlope = 0): Make | null {
  if (name === "leakyRelu") {
    return () =>
      entrywise(size, {
        value: (h) => (h > 0 ? h : negativeSlope * h),
        slope: (h) => (h > 0 ? 1 : negativeSlope),
      });
  }
  if (name === "relu") return () => relu(size);
  const own = Object.hasOwn(BY_NAME, name) ? BY_NAME[name] : null;
  return own && (() => entrywise(size, own));
}

/** Without a branch, which no processor foresees. */
function relu(size: number): ReturnType<Make> {
  return {
    size,
    work: size,
    room: 0,
    forward(_n, [h], _weights, out) {
      for (let k = 0; k < out.length; k++) out[k] = 0.5 * (h[k] + Math.abs(h[k]));
    },
    backward(_n, _inputs, _weights, out, pull, [below]) {
      if (below === null) return;
      const words = new Int32Array(out.buffer, out.byteOffset, 2 * out.length);
      // The upper half of a number above 0 is one above 0.
      for (let k = 0; k < out.length; k++) below[k] = pull[k] * (-words[2 * k + 1] >>> 31);
    },
  };
}

function entrywise(size: number, { value, slope }: Activation): ReturnType<Make> {
  return {
    size,
    work: size,
    room: 0,
    forward(_n, [h], _weights, out) {
      for (let k = 0; k < out.length; k++) out[k] = value(h[k]);
    },
    backward(_n, [h], _weights, out, pull, [below]) {
      if (below === null) return;
      for (let k = 0; k < out.length; k++) below[k] = pull[k] * slope(h[k], out[k]);
    },
  };
}
