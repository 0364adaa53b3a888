/**
 * The dearest units with weights in {-1, 1}: all of them by a Gray code where they are few, else ascent that flips signs.
 *
 * Of bilinear units max over u, v of u'Qv is max over u of |Qu|_1, so that 2^(d - 1) vectors u stand for 2^(2d - 2) pairs. In
 * general it is NP-hard (MAXCUT), and what the ascent finds is a lower bound.
 */

import { gaussianSource } from "../linear/random.js";
import { columnsOf, type DearUnits, type UnitOracle } from "../units/index.js";
import { formMatrix, type SignForms } from "./signForms.js";

/** Sign vectors that are gone through at most, for one output. */
const MOST = 2 ** 19;
const STARTS = 60;

interface Found {
  readonly value: number;
  readonly p: Float64Array; // [D]
}

export class SignOracle implements UnitOracle {
  readonly exact: boolean;
  private last: { readonly N: Float64Array; readonly found: readonly Found[] } | null = null;
  private readonly draw: () => number;

  constructor(
    private readonly forms: SignForms,
    private readonly outputs: number,
    private readonly together: number,
    enumerate: boolean,
    seed: number,
  ) {
    this.exact = enumerate && vectorsOf(forms) <= MOST;
    this.draw = gaussianSource(seed);
  }

  ceiling(N: Float64Array): number | null {
    if (!this.exact) return null;
    // Sums of D^2 products, each rounded.
    const rounding = 1 + 4 * this.forms.size ** 2 * Number.EPSILON;
    return (this.found(N)[0]?.value ?? 0) * rounding;
  }

  dearest(N: Float64Array): DearUnits {
    const found = this.found(N);
    return { largest: Math.max(0, found[0].value), units: found.slice(0, this.together).map(({ p }) => p) };
  }

  private found(N: Float64Array): readonly Found[] {
    if (this.last?.N === N) return this.last.found;
    const { forms, together } = this;
    const found = columnsOf(N, this.outputs).flatMap((column) => {
      const S = formMatrix(forms, column);
      const list = new Dearest(together);
      if (!this.exact) this.ascend(S, list);
      else if (forms.kind === "bilinear") everyPair(S, forms.X.cols, list);
      else everyVector(S, forms.size, list);
      return list.found;
    });
    this.last = { N, found: [...found].sort((a, b) => b.value - a.value) };
    return this.last.found;
  }

  /** Flips the sign that gains most, from random vectors, for p'Sp and for -p'Sp. */
  private ascend(S: Float64Array, list: Dearest): void {
    const D = this.forms.size;
    for (let start = 0; start < STARTS; start++) {
      const p = Float64Array.from({ length: D }, () => (this.draw() < 0 ? -1 : 1));
      list.offer(climb(S, p, start % 2 === 0 ? 1 : -1), p);
    }
  }
}

/** Sign vectors that stand for all units. */
function vectorsOf({ kind, X }: SignForms): number {
  return 2 ** (kind === "bilinear" ? X.cols - 1 : X.cols);
}

/** The few dearest, each once. */
class Dearest {
  readonly found: Found[] = [];

  constructor(private readonly most: number) {}

  offer(value: number, p: Float64Array): void {
    const { found, most } = this;
    if (found.length === most && value <= found[most - 1].value) return;
    let at = found.length;
    while (at > 0 && found[at - 1].value < value) at--;
    const sign = p[p.length - 1];
    const own = p.map((entry) => entry * sign);
    if (found.some((other) => other.value === value && other.p.every((entry, i) => entry === own[i]))) return;
    found.splice(at, 0, { value, p: own });
    if (found.length > most) found.pop();
  }
}

/** sign p'Sp after flips that help; p is changed. */
function climb(S: Float64Array, p: Float64Array, sign: 1 | -1): number {
  const D = p.length;
  const Sp = new Float64Array(D);
  for (let i = 0; i < D; i++) for (let j = 0; j < D; j++) Sp[i] += S[i * D + j] * p[j];
  for (;;) {
    let best = -1;
    let most = 0;
    for (let i = 0; i < D; i++) {
      const gain = -4 * sign * (p[i] * Sp[i] - S[i * D + i]);
      if (gain > most) [best, most] = [i, gain];
    }
    if (best < 0) break;
    p[best] = -p[best];
    for (let i = 0; i < D; i++) Sp[i] += 2 * p[best] * S[i * D + best];
    // Rounding may promise gains for ever: one that is nothing to the whole ends it.
    if (most <= Number.EPSILON * D * Math.abs(Sp[best])) break;
  }
  let value = 0;
  for (let i = 0; i < D; i++) for (let j = 0; j < D; j++) value += p[i] * S[i * D + j] * p[j];
  return sign * value;
}

/** Every u with u_0 = 1 in the order of the Gray code, each with its best v: sign(Qu). */
function everyPair(S: Float64Array, d: number, list: Dearest): void {
  const D = 2 * d;
  const p = new Float64Array(D).fill(1);
  const Qu = new Float64Array(d); // half of it: S holds Q / 2
  for (let j = 0; j < d; j++) for (let i = 0; i < d; i++) Qu[j] += S[i * D + d + j];
  for (let step = 1; ; step++) {
    let value = 0;
    for (let j = 0; j < d; j++) value += Math.abs(Qu[j]);
    const floor = list.found.length > 0 ? list.found[list.found.length - 1].value : -1;
    if (2 * value > floor || list.found.length === 0) {
      for (let j = 0; j < d; j++) p[d + j] = Qu[j] < 0 ? -1 : 1;
      list.offer(2 * value, p);
    }
    if (step === 2 ** (d - 1)) return;
    const i = 1 + lowestBit(step);
    p[i] = -p[i];
    for (let j = 0; j < d; j++) Qu[j] += 2 * p[i] * S[i * D + d + j];
  }
}

/** Every p whose last entry is 1, in the order of the Gray code. */
function everyVector(S: Float64Array, D: number, list: Dearest): void {
  const p = new Float64Array(D).fill(1);
  const Sp = new Float64Array(D);
  let value = 0;
  for (let i = 0; i < D; i++) {
    for (let j = 0; j < D; j++) Sp[i] += S[i * D + j];
    value += Sp[i];
  }
  for (let step = 1; ; step++) {
    list.offer(Math.abs(value), p);
    if (step === 2 ** (D - 1)) return;
    const i = lowestBit(step);
    value -= 4 * (p[i] * Sp[i] - S[i * D + i]);
    p[i] = -p[i];
    for (let j = 0; j < D; j++) Sp[j] += 2 * p[i] * S[j * D + i];
  }
}

function lowestBit(step: number): number {
  return 31 - Math.clz32(step & -step);
}
