/** Losses of predictions, by the names of tfjs and with its clipping: those that are no loss of ours on the sums before them. */

import { log, log1p } from "../linear/elementary.js";
import type { Loss, Matrix } from "../types.js";

/** Of the predictions p at one place, C numbers from `at` on. */
interface PlaceLoss {
  value(p: Float64Array, y: Float64Array, at: number, C: number): number;
  /** out := factor times the derivative. */
  slope(p: Float64Array, y: Float64Array, at: number, C: number, factor: number, out: Float64Array): void;
}

/** Where tfjs clips. */
const EPSILON = 1e-7;

/** In float32 what is less may be 0, by which nothing can be divided. */
const LEAST_SUM = 1e-30;

/** The mean over the outputs of one function. */
function entrywise(value: (p: number, y: number) => number, slope: (p: number, y: number) => number): PlaceLoss {
  return {
    value(p, y, at, C) {
      let sum = 0;
      for (let k = at; k < at + C; k++) sum += value(p[k], y[k]);
      return sum / C;
    },
    slope(p, y, at, C, factor, out) {
      for (let k = at; k < at + C; k++) out[k] = (factor / C) * slope(p[k], y[k]);
    },
  };
}

const clipped = (value: number, most: number) => Math.min(Math.max(value, EPSILON), most);
const isInside = (value: number, most: number) => value >= EPSILON && value <= most;

/** Of p over their sum, clipped; `first`: of p clipped before that, too. */
function crossentropy(first: boolean): PlaceLoss {
  const most = 1 - EPSILON;
  const own = (p: number) => (first ? clipped(p, most) : p);
  const sumOf = (p: Float64Array, at: number, C: number) => {
    let sum = 0;
    for (let k = at; k < at + C; k++) sum += own(p[k]);
    return sum > LEAST_SUM ? sum : Number.NaN;
  };
  return {
    value(p, y, at, C) {
      const sum = sumOf(p, at, C);
      let total = 0;
      for (let k = at; k < at + C; k++) if (y[k] !== 0) total -= y[k] * log(clipped(own(p[k]) / sum, most));
      return total;
    },
    slope(p, y, at, C, factor, out) {
      const sum = sumOf(p, at, C);
      let mean = 0;
      for (let k = at; k < at + C; k++) {
        const share = own(p[k]) / sum;
        out[k] = isInside(share, most) ? -y[k] / share : 0;
        mean += out[k] * share;
      }
      for (let k = at; k < at + C; k++) out[k] = first && !isInside(p[k], most) ? 0 : (factor * (out[k] - mean)) / sum;
    },
  };
}

/** The length of C numbers, and that which they are divided by. */
function lengthOf(values: Float64Array, at: number, C: number): { readonly length: number; readonly clipped: boolean } {
  let square = 0;
  for (let k = at; k < at + C; k++) square += values[k] * values[k];
  return { length: Math.sqrt(Math.max(square, EPSILON)), clipped: square < EPSILON };
}

const cosine: PlaceLoss = {
  value(p, y, at, C) {
    const size = lengthOf(p, at, C).length * lengthOf(y, at, C).length;
    let sum = 0;
    for (let k = at; k < at + C; k++) sum += p[k] * y[k];
    return -sum / size;
  },
  slope(p, y, at, C, factor, out) {
    const own = lengthOf(p, at, C);
    const goal = lengthOf(y, at, C).length;
    const along = own.clipped ? 0 : -this.value(p, y, at, C) / own.length;
    for (let k = at; k < at + C; k++) out[k] = (-factor * (y[k] / goal - along * p[k])) / own.length;
  },
};

const categoricalHinge: PlaceLoss = {
  value: (p, y, at, C) => Math.max(0, marginOf(p, y, at, C).miss),
  slope(p, y, at, C, factor, out) {
    const { miss, worst } = marginOf(p, y, at, C);
    const share = miss > 0 ? factor : 0;
    for (let k = at; k < at + C; k++) out[k] = -share * y[k];
    out[worst] += share * (1 - y[worst]);
  },
};

/** By how much the largest of the wrong ones is not one below the right one, and where it is. */
function marginOf(p: Float64Array, y: Float64Array, at: number, C: number) {
  let [right, wrong, worst] = [0, Number.NEGATIVE_INFINITY, at];
  for (let k = at; k < at + C; k++) {
    right += y[k] * p[k];
    if ((1 - y[k]) * p[k] <= wrong) continue;
    wrong = (1 - y[k]) * p[k];
    worst = k;
  }
  return { miss: 1 + wrong - right, worst };
}

const BY_NAME: Readonly<Record<string, PlaceLoss>> = {
  meanAbsolutePercentageError: entrywise(
    (p, y) => (100 * Math.abs(p - y)) / Math.max(Math.abs(y), EPSILON),
    (p, y) => (100 * Math.sign(p - y)) / Math.max(Math.abs(y), EPSILON),
  ),
  meanSquaredLogarithmicError: entrywise(
    (p, y) => (log1p(Math.max(p, EPSILON)) - log1p(Math.max(y, EPSILON))) ** 2,
    (p, y) => (p < EPSILON ? 0 : (2 * (log1p(p) - log1p(Math.max(y, EPSILON)))) / (1 + p)),
  ),
  poisson: entrywise(
    (p, y) => p - y * log(EPSILON + p),
    (p, y) => 1 - y / (EPSILON + p),
  ),
  binaryCrossentropy: entrywise(
    (p, y) => -y * log(clipped(p, 1 - EPSILON)) - (1 - y) * log(1 - clipped(p, 1 - EPSILON)),
    (p, y) => (isInside(p, 1 - EPSILON) ? (p - y) / (p * (1 - p)) : 0),
  ),
  kullbackLeiblerDivergence: {
    value(p, y, at, C) {
      let sum = 0;
      for (let k = at; k < at + C; k++) if (y[k] !== 0) sum += y[k] * log(clipped(y[k], 1) / clipped(p[k], 1));
      return sum;
    },
    slope(p, y, at, C, factor, out) {
      for (let k = at; k < at + C; k++) out[k] = isInside(p[k], 1) ? (-factor * y[k]) / p[k] : 0;
    },
  },
  categoricalCrossentropy: crossentropy(false),
  sparseCategoricalCrossentropy: crossentropy(true),
  cosineProximity: cosine,
  categoricalHinge,
};

/** The names of the losses that there are here. */
export const predictionLosses: readonly string[] = Object.keys(BY_NAME);

/**
 * The mean over samples and the places of each, of predictions [n x places C] with targets likewise (of class numbers as one-hot rows);
 * null for a name that is none of these.
 *
 * @param weights sample weights [n], or null for ones
 */
export function predictionLoss(
  name: string,
  { rows: n, cols, data: y }: Matrix,
  C: number,
  weights: Float64Array | null,
): Pick<Loss, "value" | "gradient"> | null {
  if (!Object.hasOwn(BY_NAME, name)) return null;
  const loss = BY_NAME[name];
  const factor = (at: number) => ((weights?.[Math.floor(at / cols)] ?? 1) * C) / (n * cols);
  return {
    value(p) {
      let sum = 0;
      for (let at = 0; at < y.length; at += C) sum += factor(at) * loss.value(p, y, at, C);
      return sum;
    },
    gradient(p, out) {
      for (let at = 0; at < y.length; at += C) loss.slope(p, y, at, C, factor(at), out);
    },
  };
}
