/**
 * exp, log, log(1 + x), tanh and powers, of + - * / alone: the same to the last bit on every JavaScript engine.
 *
 * The standard leaves Math.exp and its kin to the engine: V8 and JavaScriptCore differ in last bits, and Math.pow does from one
 * V8 to the next. A solver that branches on such a bit ends with other weights. Errors here are below three units in the last place.
 */

/** ln 2 in two parts: multiples up to 2^11 of the first are exact. */
const LN2_HIGH = 0.6931471803691238;
const LN2_LOW = 1.9082149292705877e-10;
const NORMAL = 2.2250738585072014e-308; // the least number with all its bits
const TWO_POW_54 = 2 ** 54;
const LARGEST = 709.782712893384; // exp of more is beyond the numbers
const SMALLEST = -745.1332191019412; // exp of less is 0
/** Where tanh is by its fraction. */
const NEAR_ZERO = 0.5;
/** tanh of more is 1 in float64. */
const SATURATED = 22;

const double = new Float64Array(1);
const halves = new Int32Array(double.buffer); // low word first: every host of WebAssembly is little-endian

/** e^x: x = k ln 2 + r with |r| <= ln 2 / 2, and e^r = 1 + 2 r / (r coth(r / 2) - r), whose r coth(r / 2) is even (Remez). */
export function exp(x: number): number {
  if (!(x <= LARGEST)) return x > LARGEST ? Number.POSITIVE_INFINITY : Number.NaN;
  if (x < SMALLEST) return 0;
  const k = Math.round(x / Math.LN2);
  const high = x - k * LN2_HIGH;
  const low = k * LN2_LOW;
  const r = high - low;
  const t = r * r;
  // The coefficients of fdlibm's e_exp.c: within 2^-59 of the even function on this interval.
  const even =
    t *
    (0.16666666666666602 +
      t *
        (-0.0027777777777015593 +
          t * (0.00006613756321437934 + t * (-0.0000016533902205465252 + t * 4.1381367970572385e-8))));
  const c = r - even;
  const y = 1 - (low - (r * c) / (2 - c) - high);
  // Two factors: 2^k alone may lie beyond the numbers where y 2^k does not.
  const half = k >> 1;
  return y * powerOfTwo(half) * powerOfTwo(k - half);
}

/** ln x: x = m 2^e with m in [1/sqrt 2, sqrt 2), and ln m = 2 artanh(s), s = (m - 1) / (m + 1). */
export function log(x: number): number {
  if (!(x > 0)) return x === 0 ? Number.NEGATIVE_INFINITY : Number.NaN;
  if (x === Number.POSITIVE_INFINITY) return x;
  let m = x;
  let e = 0;
  // Most arguments are near 1, where reading the exponent off the bits would be the dearest part.
  if (x < Math.SQRT1_2 || x > 2) {
    double[0] = x < NORMAL ? x * TWO_POW_54 : x;
    e = (halves[1] >>> 20) - 1023 - (x < NORMAL ? 54 : 0);
    halves[1] = (halves[1] & 0xfffff) | 0x3ff00000;
    m = double[0]; // in [1, 2)
  }
  if (m > Math.SQRT2) {
    m /= 2;
    e += 1;
  }
  const f = m - 1; // exact
  const s = f / (2 + f);
  const t = s * s;
  // The coefficients of fdlibm's e_log.c: 2 artanh(s) / s - 2 to 2^-58 on this interval.
  const tail =
    0.6666666666666735 +
    t *
      (0.3999999999940942 +
        t *
          (0.2857142874366239 +
            t *
              (0.22222198432149784 + t * (0.1818357216161805 + t * (0.15313837699209373 + t * 0.14798198605116586)))));
  // ln m = f - f^2 / 2 + s (f^2 / 2 + t tail), in an order that keeps f exact.
  const square = 0.5 * f * f;
  const series = s * (square + t * tail);
  return e * LN2_HIGH - (square - (series + e * LN2_LOW) - f);
}

/** ln(1 + x) for x > -1, accurate relative to itself near 0: the rounding of 1 + x cancels in the ratio (Higham 2002, section 1.14.1). */
export function log1p(x: number): number {
  const u = 1 + x;
  if (u === 1) return x;
  return u === Number.POSITIVE_INFINITY ? u : log(u) * (x / (u - 1));
}

/**
 * tanh z: near 0 by Lambert's continued fraction z / (1 + z^2 / (3 + z^2 / (5 + ... z^2 / 17))) as one quotient, what is left out being
 * under 1e-19 of the whole; else by e^-2|z|.
 */
export function tanh(z: number): number {
  const size = Math.abs(z);
  if (size > SATURATED) return Math.sign(z);
  if (size < NEAR_ZERO) {
    const s = z * z;
    const above = 34459425 + s * (4729725 + s * (135135 + s * (990 + s)));
    return (z * above) / (34459425 + s * (16216200 + s * (945945 + s * (13860 + 45 * s))));
  }
  const e = exp(-2 * size);
  const value = (1 - e) / (1 + e);
  return z < 0 ? -value : value;
}

/** sin z for |z| <= 1, by its series: the first term left out is below 4e-23. */
export function sinNearZero(z: number): number {
  return oddSeries(z, -z * z);
}

/** sinh z for |z| <= 1, by its series. */
export function sinhNearZero(z: number): number {
  return oddSeries(z, z * z);
}

/** z (1 + s / (2 3) (1 + s / (4 5) (1 + ...))). */
function oddSeries(z: number, s: number): number {
  let value = 1;
  for (let k = 10; k >= 1; k--) value = 1 + (value * s) / (2 * k * (2 * k + 1));
  return z * value;
}

/** x^k for an integer k of at least 0: Math.pow differs in last bits from one V8 to the next. */
export function power(x: number, k: number): number {
  let value = 1;
  for (let i = 0; i < k; i++) value *= x;
  return value;
}

/** 2^k for -1022 <= k <= 1023. */
function powerOfTwo(k: number): number {
  halves[0] = 0;
  halves[1] = (k + 1023) << 20;
  return double[0];
}

/** x^p for x >= 0 and any p, by logarithm and exponential. */
export function realPower(x: number, p: number): number {
  if (x > 0) return exp(p * log(x));
  return p === 0 ? 1 : p > 0 ? 0 : Number.POSITIVE_INFINITY;
}

/** e^x - 1, accurate relative to itself near 0: 2 e^(x/2) sinh(x/2). */
export function expm1(x: number): number {
  return Math.abs(x) <= 2 ? 2 * exp(x / 2) * sinhNearZero(x / 2) : exp(x) - 1;
}

/** arctan t for t >= 0: halved by t / (1 + sqrt(1 + t^2)) until the series converges fast. */
export function arctan(t: number): number {
  if (t > 1) return Math.PI / 2 - arctan(1 / t);
  let [small, factor] = [t, 1];
  while (small > 0.1) {
    small /= 1 + Math.sqrt(1 + small * small);
    factor *= 2;
  }
  const square = small * small;
  let value = 0;
  for (let k = ARCTAN.length - 1; k >= 0; k--) value = ARCTAN[k] - square * value;
  return factor * small * value;
}

/** Terms of the series of arctan up to 0.1: what is left out is below 1e-18. */
const ARCTAN = Float64Array.from({ length: 9 }, (_, k) => 1 / (2 * k + 1));
