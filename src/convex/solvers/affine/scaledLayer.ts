/** One affine layer over columns that are scaled to length one, and centred where a free bias takes up the mean. */

import type { GatedProducts } from "../../kernels/types.js";
import type { ConvexProgram, SparseBlocks } from "../../types.js";

/** Weights [C x d] and biases [C] in one vector, over scaled and centred columns. */
export class ScaledLayer {
  readonly n: number;
  readonly C: number;
  readonly d: number;
  readonly scale: Float64Array; // [d]
  readonly mean: Float64Array; // [d]
  private readonly gate: Int32Array;
  private readonly output: Int32Array;
  private readonly sign: Float64Array;
  private readonly one = Int32Array.of(0);
  private readonly hasBias: boolean;

  constructor(
    { X, loss, outputBias }: ConvexProgram,
    private readonly products: GatedProducts,
  ) {
    [this.n, this.C, this.d] = [loss.rows, loss.outputs, X.cols];
    const { scale, mean } = columnsOf(X.data, this.n, this.d, outputBias?.ridge === 0);
    this.scale = scale;
    this.mean = mean;
    this.gate = new Int32Array(this.C);
    this.output = Int32Array.from({ length: this.C }, (_, c) => c);
    this.sign = new Float64Array(this.C).fill(1);
    this.hasBias = outputBias !== null;
  }

  /** X W + 1 c' [n x C] of a point. */
  predict(point: Float64Array): Float64Array {
    const { n, C } = this;
    const { weights, bias } = this.plain(point);
    const A = new Float64Array(n * C);
    this.products.forward(this.gate, this.output, this.sign, weights, C, A);
    for (let k = 0; k < A.length; k++) A[k] += bias[k % C];
    return A;
  }

  /** The adjoint of `predict` at R [n x C]. */
  back(R: Float64Array): Float64Array {
    const { n, C, d } = this;
    const out = new Float64Array(C * (d + 1));
    const weights = new Float64Array(C * d);
    this.products.adjoint(R, C, this.one, weights);
    const sums = new Float64Array(C);
    for (let k = 0; k < n * C; k++) sums[k % C] += R[k];
    for (let p = 0; p < C * d; p++)
      out[p] = (weights[p] - this.mean[p % d] * sums[Math.floor(p / d)]) / this.scale[p % d];
    if (this.hasBias) out.set(sums, C * d);
    return out;
  }

  /** Weights [C x d] and biases [C] for the data as they are. */
  private plain(point: Float64Array): { weights: Float64Array; bias: Float64Array } {
    const { C, d } = this;
    const weights = new Float64Array(C * d);
    const bias = point.slice(C * d);
    for (let p = 0; p < C * d; p++) {
      weights[p] = point[p] / this.scale[p % d];
      bias[Math.floor(p / d)] -= this.mean[p % d] * weights[p];
    }
    return { weights, bias };
  }

  blocksOf(point: Float64Array): SparseBlocks {
    const { weights, bias } = this.plain(point);
    return { index: this.output.slice(), vectors: weights, bias };
  }

  /** The point of blocks, or zero. */
  pointOf(blocks: SparseBlocks | null): Float64Array {
    const { C, d } = this;
    const point = new Float64Array(C * (d + 1));
    if (blocks === null) return point;
    const { index, vectors, bias } = blocks;
    point.set(bias, C * d);
    index.forEach((c, k) => {
      for (let p = 0; p < d; p++) {
        const value = vectors[k * d + p];
        point[c * d + p] = value * this.scale[p];
        point[C * d + c] += this.mean[p] * value;
      }
    });
    return point;
  }
}

/** The lengths of the columns less their mean (0 unless `centred`); 1 for one that is zero. */
function columnsOf(
  data: Float64Array,
  n: number,
  d: number,
  centred: boolean,
): { scale: Float64Array; mean: Float64Array } {
  const mean = new Float64Array(d);
  if (centred) for (let k = 0; k < n * d; k++) mean[k % d] += data[k] / n;
  const square = new Float64Array(d);
  const size = new Float64Array(d);
  for (let k = 0; k < n * d; k++) {
    square[k % d] += (data[k] - mean[k % d]) ** 2;
    size[k % d] = Math.max(size[k % d], Math.abs(data[k]));
  }
  // What is left of a constant column is rounding.
  const scale = square.map((value, p) => (Math.sqrt(value / n) > 1e-12 * size[p] ? Math.sqrt(value) : 1));
  return { scale, mean };
}
