/**
 * Vectors of integers with a float64 shadow: the sign of a product is read off the floats where their error bound allows it,
 * and off the integers elsewhere. So signs are exact, and nearly as fast as floats are.
 */

/** `near` is `whole` / 2^exponent, each entry correctly rounded, the largest in [1, 2); NaN where float64 has no room for that. */
export interface ExactVector {
  readonly whole: readonly bigint[];
  readonly near: Float64Array;
  readonly exponent: number;
}

/** Relative error of one rounding. */
const ROUNDING = 2 ** -53;
/** Above what underflow can take from a sum of products of entries below 2. */
const UNDERFLOW = 1e-300;
/** Integers from here on are not turned into float64. */
const LARGEST = 2 ** 1000;

export function exactVector(whole: readonly bigint[]): ExactVector {
  const near = Float64Array.from(whole, Number);
  let largest = 0;
  for (const value of near) largest = Math.max(largest, Math.abs(value));
  if (largest === 0) return { whole, near, exponent: 0 };
  if (!(largest < LARGEST)) return { whole, near: near.fill(Number.NaN), exponent: bitLength(whole) };
  const exponent = exponentOf(largest);
  const scale = 2 ** -exponent;
  for (let p = 0; p < near.length; p++) near[p] *= scale;
  return { whole, near, exponent };
}

/** The sign of a'b: -1, 0 or 1, exactly. */
export function signOfProduct(a: ExactVector, b: ExactVector): -1 | 0 | 1 {
  let sum = 0;
  let size = 0;
  const { near: x } = a;
  const { near: y } = b;
  for (let p = 0; p < x.length; p++) {
    const term = x[p] * y[p];
    sum += term;
    size += Math.abs(term);
  }
  // Two roundings an entry, one a product, d of the sum (Higham 2002, section 3.1); half as many again for higher orders.
  const error = 1.5 * (x.length + 3) * ROUNDING * size + UNDERFLOW;
  if (Math.abs(sum) > error) return sum > 0 ? 1 : -1;
  return signOf(product(a.whole, b.whole));
}

export function product(a: readonly bigint[], b: readonly bigint[]): bigint {
  let sum = 0n;
  for (let p = 0; p < a.length; p++) sum += a[p] * b[p];
  return sum;
}

export function signOf(value: bigint): -1 | 0 | 1 {
  return value > 0n ? 1 : value < 0n ? -1 : 0;
}

export function magnitude(value: bigint): bigint {
  return value < 0n ? -value : value;
}

/** Divided by the greatest common divisor of its entries; zeros stay. */
export function primitive(whole: readonly bigint[]): readonly bigint[] {
  let divisor = 0n;
  for (const value of whole) {
    divisor = greatestCommonDivisor(divisor, magnitude(value));
    if (divisor === 1n) return whole;
  }
  return divisor === 0n ? whole : whole.map((value) => value / divisor);
}

/** The integer m and exponent e of a finite float64 that is m 2^e, m odd; 0 and 0 for zero. */
export function parts(value: number): { readonly mantissa: bigint; readonly exponent: number } {
  if (value === 0) return { mantissa: 0n, exponent: 0 };
  let exponent = exponentOf(Math.abs(value)) - 52;
  // In two steps, since 2^-exponent of a subnormal number is beyond the range.
  const half = Math.trunc(exponent / 2);
  let mantissa = value * 2 ** -half * 2 ** (half - exponent);
  while (mantissa % 2 === 0) {
    mantissa /= 2;
    exponent += 1;
  }
  return { mantissa: BigInt(mantissa), exponent };
}

/** e with 2^e <= value < 2^(e + 1), for a finite value above zero. */
export function exponentOf(value: number): number {
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, value);
  const biased = (bits.getUint32(0) >>> 20) & 0x7ff;
  if (biased > 0) return biased - 1023;
  return exponentOf(value * 2 ** 52) - 52; // subnormal
}

function bitLength(whole: readonly bigint[]): number {
  return whole.reduce((most, value) => Math.max(most, 4 * magnitude(value).toString(16).length), 0);
}

function greatestCommonDivisor(a: bigint, b: bigint): bigint {
  let [x, y] = [a, b];
  while (y > 0n) [x, y] = [y, x % y];
  return x;
}
