/** Blocks with cones in textures of the tfjs WebGL backend: products fused with signs, clamps and relaxation, in float32. */

import type * as tf from "@tensorflow/tfjs";
import type { GateSet, Matrix } from "../../types.js";
import { blockSizes, type ConeSizes, type DeviceCones, sumOfPairs } from "../device/index.js";
import type { ConeResiduals, ConeSystem } from "../types.js";
import * as cones from "./conePrograms.js";
import { evenUp, type ProductPrograms, productPrograms, SPLIT_ITEMS, splitsFor } from "./products.js";
import * as programs from "./programs.js";
import { Textures, type WebglBackend } from "./textures.js";

type Slot = "X" | "Y" | "masks" | "inverse" | "solution" | "t" | "p" | "G" | "q";

/** What an advance misses and moves, of slacks: h is what q moved by. */
const SLACK_SUMS = ["(b - (1. - m) * max(a, 0.) - min(a, 0.)) / m - max(b, 0.)", "max(b, 0.) - max(a, 0.)"] as const;
const BLOCK_SUMS = ["a - b", "b - c"] as const;

export class WebglCones extends Textures<Slot> implements DeviceCones {
  private readonly even: programs.PackedSizes;
  private readonly vectors: number; // rows of the textures of blocks
  private readonly products: Omit<ProductPrograms, "data" | "masks" | "places">;
  private readonly slackSplits: number;
  private readonly slack: programs.PackedProgram;
  private readonly weight: number;
  private readonly solved: boolean;

  constructor(
    backend: WebglBackend,
    X: Matrix,
    gates: GateSet,
    private readonly sizes: ConeSizes,
    { weight, inverse, Y, solution }: ConeSystem,
  ) {
    super(backend);
    const { rows: n, width: d, gates: P, outputs: C } = sizes;
    const [rows, width, most] = [evenUp(n), evenUp(d), evenUp(P)];
    const order = { order: C, orderColumns: evenUp(C) }; // of no use here
    this.even = { rows, width, gates: most, outputs: C, columns: evenUp(C), perGate: C, ...order };
    this.vectors = 2 * C * most;
    this.weight = weight;
    this.solved = solution !== null;
    const { data, masks, places: _, ...products } = productPrograms(X, gates, blockSizes(X, gates, C, null), this.even);
    this.products = products;
    const words = masks.shape[1];
    this.slackSplits = splitsFor((this.vectors * width) / 4, words, SPLIT_ITEMS);
    this.slack = cones.slackProgram(this.even, words, this.slackSplits);
    this.hold("X", this.matrix(data.values, data.shape));
    this.hold("masks", this.matrix(masks.values, masks.shape));
    this.hold("Y", this.matrix(padded(Y.data, n, d, rows, width), [rows, width]));
    this.hold("inverse", this.matrix(padded(inverse, d, d, width, width), [width, width]));
    if (solution !== null) this.hold("solution", this.matrix(padded(solution, n, n, rows, rows), [rows, rows]));
    for (const slot of ["t", "p", "G"] as const) this.hold(slot, this.blocks(null));
    this.hold("q", this.matrix(new Float32Array(this.vectors * rows), [this.vectors, rows]));
  }

  async gather(U: Float32Array): Promise<Float32Array> {
    const { even, slackSplits, vectors } = this;
    const pull = this.perSample(U);
    const [X, q, t, p] = [this.get("X"), this.get("q"), this.get("t"), this.get("p")];
    const parts = this.run(this.slack, [X, q, pull, t, p, this.get("masks")], [this.weight]);
    this.free(pull);
    this.hold("G", this.summed(parts, vectors, even.width, slackSplits));
    return this.outputsOf(this.run(cones.halvesProgram(even, "a - b"), [this.get("G")]), this.solved);
  }

  async curvature(W: Float32Array): Promise<Float32Array> {
    const pull = this.pulled(W);
    const doubled = this.run(programs.entryProgram(this.even, "2. * a"), [pull, pull, pull], [0]);
    this.free(pull);
    return this.outputsOf(doubled, false);
  }

  async advance(
    W: Float32Array,
    relaxation: number,
    threshold: number,
    measured: boolean,
  ): Promise<ConeResiduals | null> {
    const { even, vectors } = this;
    const both = { ...even, perGate: 2 * even.outputs };
    const pull = this.pulled(W);
    this.hold("G", this.run(cones.pulledProgram(even), [this.get("G"), pull]));
    this.free(pull);
    const [G, q, t, p] = [this.get("G"), this.get("q"), this.get("t"), this.get("p")];
    const inputs = [this.get("Y"), G, q, this.get("masks")];
    const nextSlacks = this.run(cones.clampProgram(even), inputs, [relaxation, 1]);
    const x = this.run(cones.productProgram(vectors, even.width, even.width), [G, this.get("inverse")]);
    const next = this.run(programs.entryProgram(both, "a + m * (b - c)"), [t, x, p], [relaxation]);
    const nextBlocks = this.shortened(next, threshold);
    const sums = measured
      ? [
          this.run(cones.squareSumsProgram(vectors, even.rows, ...SLACK_SUMS), [q, nextSlacks, q], [relaxation]),
          this.run(cones.squareSumsProgram(vectors, even.width, ...BLOCK_SUMS), [x, nextBlocks, p], [0]),
        ]
      : [];
    this.free(x);
    this.hold("q", nextSlacks);
    this.hold("t", next);
    this.hold("p", nextBlocks);
    if (!measured) return null;
    const [slacks, blocks] = await Promise.all(sums.map((info) => this.take(info)));
    const total = (k: 0 | 1) => sumOfPairs(blocks, k) + this.weight * sumOfPairs(slacks, k);
    return { missed: total(0), moved: total(1) };
  }

  async rescale(factor: number): Promise<void> {
    const { even } = this;
    const both = { ...even, perGate: 2 * even.outputs };
    const [t, p, q] = [this.get("t"), this.get("p"), this.get("q")];
    this.hold("t", this.run(programs.entryProgram(both, "b + (a - b) / m"), [t, p, p], [factor]));
    const slacks = programs.entryProgram({ ...both, width: even.rows }, "max(a, 0.) + min(a, 0.) / m");
    this.hold("q", this.run(slacks, [q, q, q], [factor]));
  }

  async read(): Promise<Float32Array> {
    const { width: d, vectors } = this.sizes;
    const rows = await this.fetch(this.get("p"));
    const values = new Float32Array(vectors * d);
    this.eachVector((packed, plain) => {
      values.set(rows.subarray(packed, packed + d), plain);
    });
    return values;
  }

  async write(t: Float32Array, threshold: number): Promise<void> {
    this.hold("t", this.blocks(t));
    this.hold("p", this.shortened(this.get("t"), threshold));
    const inputs = [this.get("X"), this.get("p"), this.get("q"), this.get("masks")];
    this.hold("q", this.run(cones.clampProgram(this.even), inputs, [1, 0]));
  }

  /** X' D_i W_c, [C P x d]; to be freed. */
  private pulled(W: Float32Array): tf.TensorInfo {
    const { even, products } = this;
    const pull = this.perSample(W);
    const parts = this.run(products.adjoint, [this.get("X"), pull, this.get("masks")]);
    this.free(pull);
    return this.summed(parts, even.outputs * even.gates, even.width, products.adjointSplits);
  }

  /** The sum over gates of D_i Y v_i, [C x n], or the solution times that; frees the vectors [C P x d]. */
  private async outputsOf(vectors: tf.TensorInfo, solved: boolean): Promise<Float32Array> {
    const { even, products } = this;
    const { rows: n, outputs: C } = this.sizes;
    const parts = this.run(products.forward, [this.get("Y"), vectors, this.get("masks")]);
    this.free(vectors);
    let all = this.summed(parts, even.rows, even.columns, products.forwardSplits);
    if (solved) {
      const right = all;
      all = this.run(cones.productProgram(even.rows, even.rows, even.columns), [this.get("solution"), right]);
      this.free(right);
    }
    const values = await this.take(all);
    const Z = new Float32Array(C * n);
    for (let c = 0; c < C; c++) for (let j = 0; j < n; j++) Z[c * n + j] = values[j * even.columns + c];
    return Z;
  }

  private shortened(t: tf.TensorInfo, threshold: number): tf.TensorInfo {
    const { even, vectors } = this;
    const squares = this.run(cones.squareSumsProgram(vectors, even.width, "a", "a"), [t, t, t], [0]);
    const p = this.run(cones.shortenProgram(even), [t, squares], [threshold]);
    this.free(squares);
    return p;
  }

  /** The sum of splits that stand side by side, which it frees. */
  private summed(parts: tf.TensorInfo, rows: number, columns: number, splits: number): tf.TensorInfo {
    if (splits === 1) return parts;
    const sum = this.run(cones.splitsProgram(rows, columns, splits), [parts]);
    this.free(parts);
    return sum;
  }

  private perSample(U: Float32Array): tf.TensorInfo {
    const { rows: n, outputs: C } = this.sizes;
    const { rows, columns } = this.even;
    return this.matrix(padded(U, C, n, columns, rows), [columns, rows]);
  }

  /** Vectors [2 P C x d] as rows of a matrix, zeros for null. */
  private blocks(values: Float32Array | null): tf.TensorInfo {
    const { width } = this.even;
    const rows = new Float32Array(this.vectors * width);
    if (values !== null) {
      this.eachVector((packed, plain) => {
        rows.set(values.subarray(plain, plain + this.sizes.width), packed);
      });
    }
    return this.matrix(rows, [this.vectors, width]);
  }

  /** Where each vector begins, in the matrix and in [2 P C x d]. */
  private eachVector(use: (packed: number, plain: number) => void): void {
    const { gates: P, outputs: C, width: d } = this.sizes;
    const { gates, width } = this.even;
    for (let side = 0; side < 2; side++) {
      for (let i = 0; i < P; i++) {
        for (let c = 0; c < C; c++) use(((side * C + c) * gates + i) * width, ((side * P + i) * C + c) * d);
      }
    }
  }
}

/** A matrix [m x n] in a larger one, in float32. */
function padded(data: Float64Array | Float32Array, m: number, n: number, rows: number, columns: number): Float32Array {
  const out = new Float32Array(rows * columns);
  for (let i = 0; i < m; i++) out.set(data.subarray(i * n, (i + 1) * n), i * columns);
  return out;
}
