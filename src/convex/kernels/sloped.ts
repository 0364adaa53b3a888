/**
 * Products with gates of units that have a slope a for negative sums, the masks D_i + a (I - D_i) = (1 - a) D_i + a I: from the
 * products of the gates, and those of one gate that is open on every row.
 */

import type { FaceSearch, GatedProducts, Kernels } from "./types.js";

/** Gates whose vectors are held together for their norms. */
const TOGETHER = 64;

/** What the products are of; over patches n counts samples. */
export interface SlopedShape {
  readonly slope: number; // a
  readonly positions: number; // A
  readonly n: number;
  readonly d: number;
}

export class SlopedProducts implements GatedProducts {
  readonly times?: (z: Float64Array, out: Float64Array) => void;
  readonly timesTransposed?: (z: Float64Array, out: Float64Array) => void;
  /** Cones are those of the patterns. */
  readonly faceSearch?: () => FaceSearch | null;
  private wide = new Float64Array(0);

  constructor(
    private readonly gated: GatedProducts,
    private readonly open: GatedProducts, // whose gate 0 is open on every row
    private readonly kernels: Pick<Kernels, "addOuter">,
    private readonly shape: SlopedShape,
    private readonly count: number, // P
  ) {
    const { times, timesTransposed, faceSearch } = gated;
    if (times !== undefined) this.times = times.bind(gated);
    if (timesTransposed !== undefined) this.timesTransposed = timesTransposed.bind(gated);
    if (faceSearch !== undefined) this.faceSearch = faceSearch.bind(gated);
  }

  forward(
    gate: Int32Array,
    output: Int32Array,
    sign: Float64Array,
    vectors: Float64Array,
    outputs: number,
    out: Float64Array,
  ): void {
    const { slope, n, d, positions } = this.shape;
    this.gated.forward(gate, output, sign, vectors, outputs, out);
    // Behind the open gate all vectors of an output are one.
    const C = positions * outputs;
    const sums = new Float64Array(C * d);
    output.forEach((c, k) => {
      for (let p = 0; p < d; p++) sums[c * d + p] += sign[k] * vectors[k * d + p];
    });
    const all = new Float64Array(n * outputs);
    this.open.forward(
      new Int32Array(C),
      Int32Array.from({ length: C }, (_, c) => c),
      ones(C),
      sums,
      outputs,
      all,
    );
    for (let k = 0; k < all.length; k++) out[k] = (1 - slope) * out[k] + slope * all[k];
  }

  adjoint(R: Float64Array, outputs: number, list: Int32Array | null, out: Float64Array): void {
    this.gated.adjoint(R, outputs, list, out);
    this.addOpen(this.openAdjoint(R, outputs), list?.length ?? this.count, out);
  }

  adjointNorms(R: Float64Array, outputs: number, out: Float64Array): void {
    const { positions, d } = this.shape;
    const perGate = positions * outputs;
    const open = this.openAdjoint(R, outputs);
    const G = new Float64Array(Math.min(TOGETHER, this.count) * perGate * d);
    for (let from = 0; from < this.count; from += TOGETHER) {
      const list = Int32Array.from({ length: Math.min(TOGETHER, this.count - from) }, (_, k) => from + k);
      this.gated.adjoint(R, outputs, list, G);
      this.addOpen(open, list.length, G);
      for (let k = 0; k < list.length * perGate; k++) {
        let square = 0;
        for (let p = k * d; p < (k + 1) * d; p++) square += G[p] * G[p];
        out[from * perGate + k] = Math.sqrt(square);
      }
    }
  }

  rows(gate: number, U: Float64Array, k: number, out: Float64Array, position = 0): void {
    const { slope, n } = this.shape;
    const size = k * n;
    if (this.wide.length < size) this.wide = new Float64Array(size);
    const all = this.wide;
    this.gated.rows(gate, U, k, out, position);
    this.open.rows(0, U, k, all, position);
    for (let j = 0; j < size; j++) out[j] = (1 - slope) * out[j] + slope * all[j];
  }

  /**
   * With A_i = D_i X of a position, A = X, B = sum_i w_i A_i and W = sum_i w_i:
   *   sum_i w_i ((1 - a) A_i + a A)((1 - a) A_i + a A)' = (1 - a)^2 sum_i w_i A_i A_i' + (M M' - (1 - a)^2 B B') / W,
   * M = a W A + (1 - a) B.
   */
  addMaskedGram(H: Float64Array, gate: Int32Array, weight: Float64Array): void {
    const { slope, positions, n, d } = this.shape;
    const left = (1 - slope) ** 2;
    const total = weight.reduce((sum, w) => sum + w, 0);
    if (!(total > 0)) return;
    this.gated.addMaskedGram(
      H,
      gate,
      weight.map((w) => left * w),
    );
    const identity = new Float64Array(d * d);
    for (let p = 0; p < d; p++) identity[p * d + p] = 1;
    const A = new Float64Array(d * n); // A', then M'
    const B = new Float64Array(d * n); // B'
    const part = new Float64Array(d * n);
    for (let position = 0; position < positions; position++) {
      B.fill(0);
      gate.forEach((i, k) => {
        this.gated.rows(i, identity, d, part, position);
        for (let at = 0; at < B.length; at++) B[at] += weight[k] * part[at];
      });
      this.open.rows(0, identity, d, A, position);
      for (let at = 0; at < A.length; at++) A[at] = slope * total * A[at] + (1 - slope) * B[at];
      this.kernels.addOuter(H, A, n, d, 1 / total);
      this.kernels.addOuter(H, B, n, d, -left / total);
    }
  }

  gram(): Float64Array {
    return this.gated.gram();
  }

  dispose(): void {
    this.gated.dispose();
    this.open.dispose();
  }

  /** X' R for each output, [A C x d]. */
  private openAdjoint(R: Float64Array, outputs: number): Float64Array {
    const { positions, d } = this.shape;
    const open = new Float64Array(positions * outputs * d);
    this.open.adjoint(R, outputs, Int32Array.of(0), open);
    return open;
  }

  /** out := (1 - a) out + a times the vectors of the open gate, for so many gates. */
  private addOpen(open: Float64Array, gates: number, out: Float64Array): void {
    const { slope } = this.shape;
    for (let i = 0, at = 0; i < gates; i++) {
      for (let p = 0; p < open.length; p++, at++) out[at] = (1 - slope) * out[at] + slope * open[p];
    }
  }
}

function ones(count: number): Float64Array {
  return new Float64Array(count).fill(1);
}
