/** Activations entry by entry, by the names of tfjs, with its choice of slope at a kink. */

import { exp, expm1, log1p, tanh } from "../linear/elementary.js";
import { type Make, partOf, type WeightPlace } from "./operation.js";

/** a(h), and a'(h) of h and a(h). */
export interface Activation {
  readonly value: (h: number) => number;
  readonly slope: (h: number, a: number) => number;
}

/** Of Klambauer et al. 2017. */
const SELU_SCALE = 1.0507009873554805;
const SELU_ALPHA = 1.6732632423543772;

/** erf x = 1 - (a1 t + .. + a5 t^5) exp(-x^2), t = 1 / (1 + p x), for x >= 0 (Abramowitz and Stegun 1964, 7.1.26): tfjs's own. */
const ERF_P = 0.3275911;
const ERF = [0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429] as const;
const HALF_ROOT = Math.sqrt(0.5);

/** Of Hendrycks and Gimpel 2016, by tanh. */
const GELU_ROOT = Math.sqrt(2 / Math.PI);
const GELU_CUBE = 0.044715;

/** The polynomial of erf and its slope, both of |x|. */
function erfParts(size: number): { readonly left: number; readonly slope: number } {
  const t = 1 / (1 + ERF_P * size);
  let [sum, rise] = [0, 0];
  for (let k = ERF.length - 1; k >= 0; k--) {
    rise = rise * t + sum;
    sum = sum * t + ERF[k];
  }
  const bell = exp(-size * size);
  return { left: sum * t * bell, slope: bell * (2 * size * sum * t + ERF_P * t * t * (rise * t + sum)) };
}

/** (1 + erf(h / sqrt 2)) / 2. */
function below(h: number): number {
  const { left } = erfParts(Math.abs(h) * HALF_ROOT);
  return h < 0 ? 0.5 * left : 1 - 0.5 * left;
}

/** tanh(softplus(h)). */
function mishFactor(h: number): number {
  const e = exp(-Math.abs(h));
  return h < 0 ? (e * (e + 2)) / (e * (e + 2) + 2) : (1 + 2 * e) / (1 + 2 * e + 2 * e * e);
}

const sigmoid = (h: number) => 1 / (1 + exp(-h));
const softplus = (h: number) => Math.max(h, 0) + log1p(exp(-Math.abs(h)));

const BY_NAME: Readonly<Record<string, Activation>> = {
  linear: { value: (h) => h, slope: () => 1 },
  relu: clipped(Number.POSITIVE_INFINITY),
  relu6: clipped(6),
  tanh: { value: tanh, slope: (_, a) => 1 - a * a },
  sigmoid: { value: sigmoid, slope: (_, a) => a * (1 - a) },
  elu: { value: (h) => (h >= 0 ? h : expm1(h)), slope: (h, a) => (h >= 0 ? 1 : a + 1) },
  selu: {
    value: (h) => SELU_SCALE * (h >= 0 ? h : SELU_ALPHA * expm1(h)),
    slope: (h, a) => (h > 0 ? SELU_SCALE : a + SELU_SCALE * SELU_ALPHA),
  },
  softplus: { value: softplus, slope: sigmoid },
  softsign: { value: (h) => h / (1 + Math.abs(h)), slope: (h) => 1 / (1 + Math.abs(h)) ** 2 },
  swish: { value: (h) => h * sigmoid(h), slope: (h, a) => a + sigmoid(h) * (1 - a) },
  hardSigmoid: {
    value: (h) => Math.min(Math.max(0.2 * h + 0.5, 0), 1),
    slope: (h) => (Math.abs(h) <= 2.5 ? 0.2 : 0),
  },
  gelu: {
    value: (h) => h * below(h),
    slope: (h) => below(h) + 0.5 * h * HALF_ROOT * erfParts(Math.abs(h) * HALF_ROOT).slope,
  },
  gelu_new: {
    value: (h) => 0.5 * h * (1 + tanh(GELU_ROOT * (h + GELU_CUBE * h * h * h))),
    slope(h) {
      const t = tanh(GELU_ROOT * (h + GELU_CUBE * h * h * h));
      return 0.5 * (1 + t) + 0.5 * h * (1 - t * t) * GELU_ROOT * (1 + 3 * GELU_CUBE * h * h);
    },
  },
  mish: {
    value: (h) => h * mishFactor(h),
    slope(h) {
      const factor = mishFactor(h);
      return factor + h * (1 - factor * factor) * sigmoid(h);
    },
  },
};

/** Activations with a number of their own, by the names of tfjs's layers. */
const WITH_NUMBER = {
  LeakyReLU: (slope: number) => ({ value: (h) => (h > 0 ? h : slope * h), slope: (h) => (h > 0 ? 1 : slope) }),
  ReLU: clipped,
  /** The jump has no slope. */
  ThresholdedReLU: (theta: number) => ({ value: (h) => (h > theta ? h : 0), slope: (h) => (h > theta ? 1 : 0) }),
} satisfies Readonly<Record<string, (given: number) => Activation>>;

function clipped(most: number): Activation {
  return { value: (h) => Math.min(Math.max(h, 0), most), slope: (h) => (h > 0 && h <= most ? 1 : 0) };
}

/** Null for a name that is none of these. */
export function activation(name: string, size: number): Make | null {
  if (name === "relu") return () => relu(size);
  const own = entryActivation(name);
  return own && (() => entrywise(size, own));
}

/** As a function of one number; null likewise. */
export function entryActivation(name: string): Activation | null {
  return Object.hasOwn(BY_NAME, name) ? BY_NAME[name] : null;
}

/** "LeakyReLU" with its factor of negative numbers, "ReLU" with the most that it lets through, "ThresholdedReLU" with its theta. */
export function activationWith(name: keyof typeof WITH_NUMBER, size: number, given: number): Make {
  return () => entrywise(size, WITH_NUMBER[name](given));
}

/** Factors of negative numbers that are weights: feature j has `factor[shared[j]]`. */
export function parametric(factor: WeightPlace, shared: Int32Array): Make {
  return () => ({
    size: shared.length,
    work: shared.length,
    room: 0,
    forward(n, [h], weights, out) {
      const factors = partOf(weights, factor);
      for (let j = 0, at = 0; j < shared.length; j++)
        for (const end = at + n; at < end; at++) out[at] = h[at] > 0 ? h[at] : factors[shared[j]] * h[at];
    },
    backward(n, [h], weights, _out, pull, [below], gradient) {
      const factors = partOf(weights, factor);
      for (let j = 0, at = 0; j < shared.length; j++) {
        let sum = 0;
        for (const end = at + n; at < end; at++) {
          if (h[at] <= 0) sum += pull[at] * h[at];
          if (below !== null) below[at] = h[at] > 0 ? pull[at] : factors[shared[j]] * pull[at];
        }
        if (factor.trained) gradient[factor.at + shared[j]] += sum;
      }
    },
  });
}

/** Of the features at each place, as many as there are classes. */
export function softmax(places: number, classes: number): Make {
  const size = places * classes;
  return () => ({
    size,
    work: size,
    room: 0,
    forward(n, [h], _weights, out) {
      for (let from = 0; from < size * n; from += classes * n) {
        for (let k = from; k < from + n; k++) {
          const end = k + classes * n;
          let [largest, sum] = [Number.NEGATIVE_INFINITY, 0];
          for (let at = k; at < end; at += n) largest = Math.max(largest, h[at]);
          for (let at = k; at < end; at += n) {
            out[at] = exp(h[at] - largest);
            sum += out[at];
          }
          for (let at = k; at < end; at += n) out[at] /= sum;
        }
      }
    },
    backward(n, _inputs, _weights, out, pull, [below]) {
      if (below === null) return;
      for (let from = 0; from < size * n; from += classes * n) {
        for (let k = from; k < from + n; k++) {
          const end = k + classes * n;
          let mean = 0;
          for (let at = k; at < end; at += n) mean += out[at] * pull[at];
          for (let at = k; at < end; at += n) below[at] = out[at] * (pull[at] - mean);
        }
      }
    },
  });
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
