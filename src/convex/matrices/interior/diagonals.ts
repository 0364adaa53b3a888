/** The equations <diag(g_j), W> = 0 of a matrix, of whose g_j most entries are zero, or of which there is one. */

export class Diagonals {
  readonly count: number; // q
  private readonly starts: Int32Array; // [q + 1]
  private readonly at: Int32Array;
  private readonly values: Float64Array;

  /** Rows g_j of `dense` [q x D]. */
  constructor(
    dense: Float64Array,
    private readonly D: number,
  ) {
    this.count = dense.length / D;
    this.starts = new Int32Array(this.count + 1);
    const places: number[] = [];
    for (let j = 0; j < this.count; j++) {
      for (let i = 0; i < D; i++) if (dense[j * D + i] !== 0) places.push(j * D + i);
      this.starts[j + 1] = places.length;
    }
    this.at = Int32Array.from(places, (place) => place % D);
    this.values = Float64Array.from(places, (place) => dense[place]);
  }

  /** K += sum_j multipliers_j diag(g_j). */
  addTo(K: Float64Array, multipliers: Float64Array): void {
    const { D, starts, at, values } = this;
    for (let j = 0; j < this.count; j++) {
      for (let e = starts[j]; e < starts[j + 1]; e++) K[at[e] * (D + 1)] += multipliers[j] * values[e];
    }
  }

  /** <diag(g_j), W> [q]. */
  ends(W: Float64Array): Float64Array {
    const { D, starts, at, values } = this;
    const out = new Float64Array(this.count);
    for (let j = 0; j < out.length; j++) {
      for (let e = starts[j]; e < starts[j + 1]; e++) out[j] += values[e] * W[at[e] * (D + 1)];
    }
    return out;
  }

  /** T G' [n x q], T [n x D]. */
  times(T: Float64Array): Float64Array {
    const { D, count: q, starts, at, values } = this;
    const n = T.length / D;
    const out = new Float64Array(n * q);
    for (let k = 0; k < n; k++) {
      for (let j = 0; j < q; j++) {
        let sum = 0;
        for (let e = starts[j]; e < starts[j + 1]; e++) sum += values[e] * T[k * D + at[e]];
        out[k * q + j] = sum;
      }
    }
    return out;
  }

  /** g_i' (W o V) g_j [q x q], o entry by entry. */
  weighted(W: Float64Array, V: Float64Array): Float64Array {
    const { D, count: q, starts, at, values } = this;
    const out = new Float64Array(q * q);
    for (let i = 0; i < q; i++) {
      for (let j = 0; j <= i; j++) {
        let sum = 0;
        for (let e = starts[i]; e < starts[i + 1]; e++) {
          const row = at[e] * D;
          for (let f = starts[j]; f < starts[j + 1]; f++) {
            sum += values[e] * values[f] * W[row + at[f]] * V[row + at[f]];
          }
        }
        out[i * q + j] = sum;
        out[j * q + i] = sum;
      }
    }
    return out;
  }
}
