/** Every sign unit there is on given rows, so that the dearest is found by asking all: the exact algorithm of Bengio et al. */

import { arrangementBound, enumerateGates } from "../arrangements/index.js";
import { isActive } from "../linear/bits.js";
import { dot, norm } from "../linear/vectors.js";
import type { GateSet, Matrix } from "../types.js";

/** Sign patterns that are enumerated at most. */
const MOST_PATTERNS = 50_000;
/** Steps that move a unit's hyperplane away from the nearest row. */
const CENTRING = 300;

/** The dearest pattern for a column of the dual point. */
export interface DearPattern {
  readonly value: number; // |sum_k N_k s_k|
  readonly gate: number;
}

export class SignPatterns {
  private constructor(
    private readonly X: Matrix,
    private readonly gates: GateSet,
  ) {}

  /** All patterns of the rows of X, whose last column is a constant; null where they are too many to enumerate. */
  static of(X: Matrix): SignPatterns | null {
    if (arrangementBound(X.rows, Math.min(X.rows, X.cols)) > MOST_PATTERNS) return null;
    return new SignPatterns(X, enumerateGates(X));
  }

  /** The patterns with the largest |N' s|, N [n], the dearest first. */
  dearest(N: Float64Array, most: number): DearPattern[] {
    const { count, rows, bits } = this.gates;
    const words = Math.ceil(rows / 32);
    const total = N.reduce((sum, value) => sum + value, 0);
    const priced: DearPattern[] = [];
    for (let gate = 0; gate < count; gate++) {
      let on = 0;
      for (let word = 0; word < words; word++) {
        for (let rest = bits[gate * words + word]; rest !== 0; rest &= rest - 1) {
          on += N[word * 32 + 31 - Math.clz32(rest & -rest)];
        }
      }
      const value = Math.abs(2 * on - total);
      if (priced.length === most && value <= priced[most - 1].value) continue;
      let at = priced.length;
      while (at > 0 && priced[at - 1].value < value) at--;
      priced.splice(at, 0, { value, gate });
      if (priced.length > most) priced.pop();
    }
    return priced;
  }

  /** Weights [d] of a unit with this pattern, its hyperplane moved away from the rows so that float32 decides them alike. */
  weightsOf(gate: number): Float64Array {
    const { data, cols: d, rows: n } = this.X;
    const signs = Float64Array.from({ length: n }, (_, k) => (isActive(this.gates, gate, k) ? 1 : -1));
    const lengths = Float64Array.from({ length: n }, (_, k) => norm(data.subarray(k * d, (k + 1) * d)));
    const w = this.gates.generators.data.slice(gate * d, (gate + 1) * d);
    let best = scaled(w, 1 / norm(w));
    let widest = Number.NEGATIVE_INFINITY;
    // The perceptron that learns its worst row: with shrinking steps it comes to the widest margin.
    for (let step = 0; step < CENTRING; step++) {
      const length = norm(w);
      let margin = Number.POSITIVE_INFINITY;
      let worst = 0;
      for (let k = 0; k < n; k++) {
        if (lengths[k] === 0) continue;
        const value = (signs[k] * dot(data.subarray(k * d, (k + 1) * d), w)) / (lengths[k] * length);
        if (value < margin) [margin, worst] = [value, k];
      }
      if (margin > widest) [widest, best] = [margin, scaled(w, 1 / length)];
      const pace = (signs[worst] * length) / (lengths[worst] * (step + 2));
      for (let p = 0; p < d; p++) w[p] += pace * data[worst * d + p];
    }
    return best;
  }
}

function scaled(w: Float64Array, by: number): Float64Array {
  return w.map((value) => by * value);
}
