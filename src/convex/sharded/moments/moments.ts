/** All that squared loss has to know of some rows and the gates on them, whatever beta and the point. */

import type { Frame } from "./frame.js";
import { momentsSize, pairsOf, productsOf } from "./layout.js";

/** A [n x P d] has the columns of D_1 X .. D_P X, y is [n x C]: X and y in the frame, and d its width. */
export interface Moments {
  readonly frame: Frame;
  readonly rows: number; // n
  readonly gates: number; // P
  readonly width: number; // d
  readonly outputs: number; // C
  readonly squares: Float64Array; // [C]: y'y
  readonly targets: Float64Array; // [C]: 1'y
  readonly sums: Float64Array; // [P x d]: A'1
  readonly pull: Float64Array; // [P x C x d]: A'y
  readonly pairs: Float64Array; // [P (P + 1) / 2 x d (d + 1) / 2]: upper triangles of X' D_i D_j X, j <= i
}

/** Of every fold, from what the shards added up: `linear`, and `parts` for gates of the ranges one after another. */
export function momentsOf(
  linear: Float64Array,
  parts: readonly Float64Array[],
  {
    folds,
    gates,
    width,
    outputs,
    frame,
  }: Pick<Moments, "gates" | "width" | "outputs" | "frame"> & { readonly folds: number },
): Moments[] {
  const size = momentsSize(gates, outputs, width);
  return Array.from({ length: folds }, (_, fold) => {
    const mine = linear.subarray(fold * size, (fold + 1) * size);
    const pairs = new Float64Array(pairsOf(gates) * productsOf(width));
    let at = 0;
    for (const part of parts) {
      const each = part.length / folds;
      pairs.set(part.subarray(fold * each, (fold + 1) * each), at);
      at += each;
    }
    const head = 1 + 2 * outputs;
    const sums = head + gates * width;
    return {
      ...{ rows: mine[0], gates, width, outputs, frame },
      squares: mine.slice(1, 1 + outputs),
      targets: mine.slice(1 + outputs, head),
      sums: mine.slice(head, sums),
      pull: mine.slice(sums),
      pairs,
    };
  });
}

/** Of the rows of all of them. */
export function together([first, ...rest]: readonly Moments[]): Moments {
  return rest.reduce((sum, one) => combined(sum, one, 1), first);
}

/** Of the rows of `all` that are none of `part`. */
export function without(all: Moments, part: Moments): Moments {
  return combined(all, part, -1);
}

function combined(a: Moments, b: Moments, sign: 1 | -1): Moments {
  const add = (name: "squares" | "targets" | "sums" | "pull" | "pairs") => {
    const other = b[name];
    return a[name].map((value, k) => value + sign * other[k]);
  };
  return {
    ...{ ...a, rows: a.rows + sign * b.rows },
    ...{ squares: add("squares"), targets: add("targets"), sums: add("sums"), pull: add("pull"), pairs: add("pairs") },
  };
}

/** A'A v [P x C x d], for the same of every output. */
export function gramTimes({ gates, width: d, outputs: C, pairs }: Moments, v: Float64Array): Float64Array {
  const out = new Float64Array(v.length);
  const size = C * d;
  const used = Array.from({ length: gates }, (_, i) =>
    v.subarray(i * size, (i + 1) * size).some((value) => value !== 0),
  );
  const each = productsOf(d);
  let at = 0;
  for (let i = 0; i < gates; i++) {
    for (let j = 0; j <= i; j++, at += each) {
      if (!used[i] && !used[j]) continue;
      for (let c = 0; c < C; c++) {
        const [a, b] = [i * size + c * d, j * size + c * d];
        if (i !== j && used[i] && used[j]) bothTimes(pairs, at, d, v, out, a, b);
        else if (used[j]) blockTimes(pairs, at, d, v, b, out, a);
        else blockTimes(pairs, at, d, v, a, out, b);
      }
    }
  }
  return out;
}

/** out [d] from `to` += S v [d] from `from`, S symmetric, its upper triangle from `at`. */
function blockTimes(
  S: Float64Array,
  at: number,
  d: number,
  v: Float64Array,
  from: number,
  out: Float64Array,
  to: number,
): void {
  for (let p = 0, k = at; p < d; p++) {
    const mine = v[from + p];
    let sum = S[k++] * mine;
    for (let q = p + 1; q < d; q++, k++) {
      sum += S[k] * v[from + q];
      out[to + q] += S[k] * mine;
    }
    out[to + p] += sum;
  }
}

/** The same both ways between two blocks, so that S is read once. */
function bothTimes(
  S: Float64Array,
  at: number,
  d: number,
  v: Float64Array,
  out: Float64Array,
  i: number,
  j: number,
): void {
  for (let p = 0, k = at; p < d; p++) {
    const [mine, other] = [v[i + p], v[j + p]];
    let sum = S[k] * other;
    let back = S[k++] * mine;
    for (let q = p + 1; q < d; q++, k++) {
      const value = S[k];
      sum += value * v[j + q];
      back += value * v[i + q];
      out[i + q] += value * other;
      out[j + q] += value * mine;
    }
    out[i + p] += sum;
    out[j + p] += back;
  }
}
