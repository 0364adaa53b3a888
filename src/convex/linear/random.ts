/**
 * Seeded Gaussian numbers, the same to the last bit on every JavaScript engine.
 *
 * The standard leaves Math.log, Math.cos and Math.exp to the engine, so they may differ in the last bit, and a sign pattern
 * with them. Only + - * / and Math.sqrt are exact; the polar method needs one logarithm, which is made of those here.
 */

import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";

const TWO_POW_26 = 2 ** 26;
const TWO_POW_53 = 2 ** 53;

/** A source of numbers uniform in [0, 1): 53 random bits each, 26 high bits of one draw and 27 of the next. */
export function uniformSource(seed: number): () => number {
  const generator = xoroshiro128plus(seed);
  return () => {
    const high = (generator.next() >>> 0) >>> 6;
    const low = (generator.next() >>> 0) >>> 5;
    return (high * 2 * TWO_POW_26 + low) / TWO_POW_53;
  };
}

/** A source of standard Gaussian numbers. */
export function gaussianSource(seed: number): () => number {
  const uniform = uniformSource(seed);
  let spare: number | null = null;
  return () => {
    if (spare !== null) {
      const value = spare;
      spare = null;
      return value;
    }
    for (;;) {
      const a = 2 * uniform() - 1;
      const b = 2 * uniform() - 1;
      const s = a * a + b * b;
      if (s >= 1 || s === 0) continue;
      const scale = Math.sqrt((-2 * logarithm(s)) / s);
      spare = b * scale;
      return a * scale;
    }
  };
}

/** ln(x) for 0 < x < 1: x = m 2^e with m in [1/sqrt 2, sqrt 2), and ln m = 2 artanh((m - 1) / (m + 1)) by its series. */
export function logarithm(x: number): number {
  let m = x;
  let e = 0;
  while (m < Math.SQRT1_2) {
    m *= 2;
    e -= 1;
  }
  const t = (m - 1) / (m + 1); // |t| < 0.172, so 12 terms reach 1e-17
  const square = t * t;
  let sum = 0;
  for (let k = 23; k >= 1; k -= 2) sum = sum * square + 1 / k;
  return 2 * t * sum + e * Math.LN2;
}
