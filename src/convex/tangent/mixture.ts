/**
 * Expectations of smooth activations over Gaussian pairs, in closed form for every length of rows.
 *
 * Logistic noise is normal noise of random variance p, 4 times the square of a variable of Kolmogorov's distribution (Andrews and Mallows
 * 1974; Stefanski 1991): the logistic function is E[Phi(z / sqrt(p))]. With U = u + sqrt(p) e and V = v + sqrt(t) e' of independent normal
 * e and e' that makes sigmoid P(U > 0), softplus E[U+] and swish u P(U > 0), whose expectations at given p and t are those of
 * half-planes (Sheppard), of ReLU (Cho and Saul 2009) and, by parts, of both; slopes are derivatives by the covariance of u
 * and v (Price). Poles near the axis, which long rows have, do no harm; a Gram matrix comes out positive semidefinite.
 */

import { arctan } from "../linear/elementary.js";

/**
 * Gauss's rule for the distribution of p, for polynomials in log p (Lanczos' steps on the density of Kolmogorov's distribution):
 * expectations within 1e-13, relative, at lengths of 1e-2 to 1e3 and correlations up to 1.
 */
const VARIANCES = [
  0.30785608864947117, 0.4593446421209805, 0.6770597775696178, 1.0083118533806503, 1.5283054417515731,
  2.3575729560594185, 3.676703584679108, 5.725997589628472, 8.80258298499328, 13.308833217055648, 19.90632838331153,
  30.12397796649978,
];
const WEIGHTS = [
  0.000006515686393949586, 0.0006346896914776451, 0.011054560374658412, 0.06680359136765845, 0.1863462048559022,
  0.28258267827015, 0.25666119288511086, 0.14306434553406408, 0.04549770993311501, 0.006963765643082067,
  0.0003809413256796946, 0.0000038044327067435384,
];

export type SmoothActivation = "tanh" | "sigmoid" | "softplus" | "swish";

/** E[s(u) s(v)] and E[s'(u) s'(v)], u of variance A, v of variance B, of correlation r. */
export type Expectations = (A: number, B: number, r: number) => readonly [number, number];

/** At one pair of variances of the noise. */
interface Pair {
  readonly size: number; // the root of the variances of U and V
  readonly xy: number; // shares of the variances that are u's and v's, multiplied
  readonly rest: number; // 1 - share, of both, summed
  readonly r: number; // of u and v
  readonly rho: number; // of U and V
  readonly sine: number; // sqrt(1 - rho^2)
}

const both = ({ rho, sine }: Pair) => 1 / 4 + angle(rho / sine) / (2 * Math.PI); // P(U > 0, V > 0)
const atZero = ({ size, sine }: Pair) => 1 / (2 * Math.PI * size * sine); // the density of (U, V)

export const expectations: Readonly<Record<SmoothActivation, Expectations>> = {
  // 2 logistic(2 z) - 1
  tanh: (A, B, r) => mixed(4 * A, 4 * B, r, (pair) => [(2 / Math.PI) * angle(pair.rho / pair.sine), 16 * atZero(pair)]),
  sigmoid: (A, B, r) => mixed(A, B, r, (pair) => [both(pair), atZero(pair)]),
  softplus: (A, B, r) =>
    mixed(A, B, r, (pair) => {
      const slope = both(pair);
      return [pair.size * (pair.sine / (2 * Math.PI) + pair.rho * slope), slope];
    }),
  swish: (A, B, r) =>
    mixed(A, B, r, (pair) => {
      const { xy, rest, rho, sine } = pair;
      const share = both(pair);
      const n = (1 - r) * (1 + r) + r * r * rest;
      const bend = 1 + (xy * n) / (sine * sine) + 2 * (rest - 1);
      return [
        Math.sqrt(A) * Math.sqrt(B) * (r * share + (Math.sqrt(xy) * n) / (2 * Math.PI * sine)),
        share + (rho * bend) / (2 * Math.PI * sine),
      ];
    }),
};

function mixed(A: number, B: number, r: number, at: (pair: Pair) => readonly [number, number]): [number, number] {
  let [value, slope] = [0, 0];
  for (let i = 0; i < VARIANCES.length; i++) {
    const P = A + VARIANCES[i];
    const [x, own] = [A / P, VARIANCES[i] / P];
    for (let j = A === B ? i : 0; j < VARIANCES.length; j++) {
      const T = B + VARIANCES[j];
      const [y, other] = [B / T, VARIANCES[j] / T];
      const xy = x * y;
      // 1 - r^2 xy, of positive terms: rho may be next to 1.
      const sine = Math.sqrt((1 - r) * (1 + r) * xy + own + x * other);
      const size = Math.sqrt(P) * Math.sqrt(T);
      const [s, ds] = at({ size, xy, rest: own + other, r, rho: r * Math.sqrt(xy), sine });
      const weight = WEIGHTS[i] * WEIGHTS[j] * (A === B && i !== j ? 2 : 1); // of one length: the same the other way round
      value += weight * s;
      slope += weight * ds;
    }
  }
  return [value, slope];
}

/** arctan t of either sign. */
function angle(t: number): number {
  return t < 0 ? -arctan(-t) : arctan(t);
}
