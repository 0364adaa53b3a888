/** Blocks of a splitting in textures of the tfjs WebGL backend, with cones their products fused with signs, clamps and relaxation, in float32. */

import type * as tf from "@tensorflow/tfjs";
import type { GateSet, Matrix } from "../../types.js";
import {
  blockSizes,
  type ConeSizes,
  type DeviceCones,
  type DeviceOuter,
  type DeviceSteps,
  outerArrays,
  sumOfPairs,
} from "../device/index.js";
import type { ConeResiduals, ConeSystem, OuterNumbers, OuterSystem } from "../types.js";
import * as cones from "./conePrograms.js";
import * as outer from "./outerPrograms.js";
import { evenUp, type ProductPrograms, productPrograms, SPLIT_ITEMS, splitsFor } from "./products.js";
import * as programs from "./programs.js";
import { padded, Textures, type WebglBackend } from "./textures.js";

type Slot = "X" | "Y" | "masks" | "inverse" | "solution" | "t" | "p" | "G" | "q" | OuterSlot;
/** Of whole steps: targets, weights and Q^-1 1, then what they move. */
type OuterSlot = "targets" | "weights" | "ofBias" | "z" | "c" | "bias";

/** What an advance misses and moves, of slacks: h is what q moved by. */
const SLACK_SUMS = ["(b - (1. - m) * max(a, 0.) - min(a, 0.)) / m - max(b, 0.)", "max(b, 0.) - max(a, 0.)"] as const;
const BLOCK_SUMS = ["a - b", "b - c"] as const;

/** The largest of its matrices. */
export function coneShapes({ rows, width, gates, outputs, sides }: ConeSizes): [number, number][] {
  const vectors = sides * outputs * evenUp(gates);
  const shapes: [number, number][] = [
    [rows, width],
    [vectors, width],
  ];
  if (sides === 2) shapes.push([vectors, rows]);
  return shapes;
}

export class WebglCones extends Textures<Slot> implements DeviceCones {
  private readonly even: programs.PackedSizes;
  private readonly both: programs.PackedSizes; // of vectors of both signs
  private readonly vectors: number; // rows of the textures of blocks
  private readonly products: Omit<ProductPrograms, "data" | "masks" | "places">;
  private readonly slackSplits: number;
  private readonly weight: number;
  private readonly solved: boolean;
  readonly steps?: (count: number, numbers: OuterNumbers, state: DeviceOuter) => Promise<DeviceSteps>;

  constructor(
    backend: WebglBackend,
    X: Matrix,
    gates: GateSet,
    private readonly sizes: ConeSizes,
    { weight, inverse, Y, solution, outer: own = null }: ConeSystem,
  ) {
    super(backend);
    const { rows: n, width: d, gates: P, outputs: C, sides } = sizes;
    const [rows, width, most] = [evenUp(n), evenUp(d), evenUp(P)];
    const order = { order: C, orderColumns: evenUp(C) }; // of no use here
    this.even = { rows, width, gates: most, outputs: C, columns: evenUp(C), perGate: C, ...order };
    this.vectors = sides * C * most;
    this.both = { ...this.even, perGate: sides * C };
    this.weight = weight;
    this.solved = solution !== null;
    const { data, masks, places: _, ...products } = productPrograms(X, gates, blockSizes(X, gates, C, null), this.even);
    this.products = products;
    const words = masks.shape[1];
    this.slackSplits = splitsFor((this.vectors * width) / 4, words, SPLIT_ITEMS);
    this.hold("X", this.matrix(data.values, data.shape));
    this.hold("masks", this.matrix(masks.values, masks.shape));
    if (sides === 2) {
      this.hold("Y", this.matrix(padded(Y.data, n, d, rows, width), [rows, width]));
      this.hold("inverse", this.matrix(padded(inverse, d, d, width, width), [width, width]));
      this.hold("q", this.matrix(new Float32Array(this.vectors * rows), [this.vectors, rows]));
    }
    if (solution !== null) this.hold("solution", this.matrix(padded(solution, n, n, rows, rows), [rows, rows]));
    for (const slot of ["t", "p", "G"] as const) this.hold(slot, this.blocks(null));
    if (solution !== null && own !== null) {
      const { Y: targets, a } = outerArrays(own, n, C);
      const perEntry = a.length === n ? Float32Array.from({ length: n * C }, (_, k) => a[k % n]) : a;
      this.hold("targets", this.perOutput(targets));
      this.hold("weights", this.perOutput(perEntry));
      this.hold("ofBias", this.matrix(padded(own.ofBias, n, 1, rows, 2), [rows, 2]));
      this.steps = (count, numbers, state) => this.stepped(own, count, numbers, state);
    }
  }

  async gather(U: Float32Array): Promise<Float32Array> {
    const pull = this.perSample(U);
    const all = this.gathered(pull);
    this.free(pull);
    return this.perColumn(await this.take(all));
  }

  async curvature(W: Float32Array): Promise<Float32Array> {
    const sums = this.perSample(W);
    const pull = this.pulled(sums);
    this.free(sums);
    const doubled = this.run(programs.entryProgram(this.even, `${this.sizes.sides}. * a`), [pull, pull, pull], [0]);
    this.free(pull);
    const all = this.outputsOf(doubled, false);
    this.free(doubled);
    return this.perColumn(await this.take(all));
  }

  async advance(
    W: Float32Array,
    relaxation: number,
    threshold: number,
    measured: boolean,
  ): Promise<ConeResiduals | null> {
    const pull = this.perSample(W);
    const sums = this.advanced(pull, relaxation, threshold, measured);
    this.free(pull);
    return measured ? this.residuals(sums) : null;
  }

  async rescale(factor: number): Promise<void> {
    const { even, both } = this;
    const [t, p] = [this.get("t"), this.get("p")];
    this.hold("t", this.run(programs.entryProgram(both, "b + (a - b) / m"), [t, p, p], [factor]));
    if (this.sizes.sides === 1) return;
    const q = this.get("q");
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
    if (this.sizes.sides === 1) return;
    const inputs = [this.get("X"), this.get("p"), this.get("q"), this.get("masks")];
    this.hold("q", this.run(cones.clampProgram(this.even), inputs, [1, 0]));
  }

  /** Steps whose outputs, bias and multipliers stay here from one to the next. */
  private async stepped(
    { outputWeight: r, biasScale, terms }: OuterSystem,
    count: number,
    { relaxation, threshold, tau, biasShare }: OuterNumbers,
    state: DeviceOuter,
  ): Promise<DeviceSteps> {
    const { even, sizes } = this;
    const C = sizes.outputs;
    this.hold("z", this.perOutput(state.z));
    this.hold("c", this.perOutput(state.c));
    this.hold("bias", this.matrix(padded(state.bias, 4, C, 4, even.columns), [4, even.columns]));
    let sums: tf.TensorInfo[] = [];
    for (let step = 1; step <= count; step++) {
      const [z, c] = [this.get("z"), this.get("c")];
      const U = this.run(outer.turnedProgram(even, ["A", "B"]), [z, c], [r]);
      let W = this.gathered(U);
      this.free(U);
      if (biasScale > 0) {
        const pulls = this.run(outer.pullsProgram(even), [z, c, this.get("bias")], [r, biasScale]);
        const all = this.run(outer.pulledOutputsProgram(even), [W, pulls, this.get("ofBias")]);
        this.free(W);
        W = all;
        const inputs = [W, pulls, this.get("bias")];
        this.hold("bias", this.run(outer.biasProgram(even), inputs, [biasScale, relaxation, biasShare]));
        this.free(pulls);
      }
      const turned = this.run(outer.turnedProgram(even, ["A"]), [W]);
      sums = this.advanced(turned, relaxation, threshold, step === count);
      this.free(turned);
      const near = this.outputsAfter(terms.kind, W, relaxation, r, tau);
      if (step === count)
        sums.push(
          this.run(cones.squareSumsProgram(even.rows, even.columns, "m * a - b", "b - c"), [W, near, z], [1 / r]),
        );
      this.free(W);
      this.hold("z", near);
    }
    const [left, z, c, bias] = await Promise.all([
      this.residuals(sums, r),
      this.fetch(this.get("z")),
      this.fetch(this.get("c")),
      this.fetch(this.get("bias")),
    ]);
    const rows = [0, 1, 2, 3].flatMap((row) => [...bias.subarray(row * even.columns, row * even.columns + C)]);
    return { left, z: this.perColumn(z), c: this.perColumn(c), bias: Float32Array.from(rows) };
  }

  /** The next z, and c in its place. */
  private outputsAfter(
    kind: OuterSystem["terms"]["kind"],
    W: tf.TensorInfo,
    relaxation: number,
    r: number,
    tau: number,
  ): tf.TensorInfo {
    const { even } = this;
    const q = this.run(outer.relaxedProgram(even), [W, this.get("z"), this.get("c")], [relaxation, r]);
    const inputs = [q, this.get("targets"), this.get("weights")];
    const levels = kind === "categoricalCrossentropy" ? [this.run(outer.levelProgram(even), inputs, [tau])] : [];
    const c = this.run(outer.pullProgram(even, kind), [...inputs, ...levels], [tau]);
    for (const level of levels) this.free(level);
    const entries = { ...even, gates: even.rows, perGate: 1, width: even.columns };
    const z = this.run(programs.entryProgram(entries, "a - b"), [q, c, c], [0]);
    this.free(q);
    this.hold("c", c);
    return z;
  }

  /** R, and of it A M^-1 R or Q^-1 times that, [n x C]; to be freed. */
  private gathered(pull: tf.TensorInfo): tf.TensorInfo {
    const { even, both } = this;
    const sum = this.sizes.sides === 1 ? this.pulled(pull) : this.pulledWithSlacks(pull);
    this.hold("G", this.run(programs.entryProgram(both, "a + 2. * b - c"), [sum, this.get("p"), this.get("t")], [0]));
    this.free(sum);
    const G = this.get("G");
    if (this.sizes.sides === 1) return this.outputsOf(G, this.solved);
    const halves = this.run(cones.halvesProgram(even, "a - b"), [G]);
    const all = this.outputsOf(halves, this.solved);
    this.free(halves);
    return all;
  }

  /** weight X'(S |q|) + A'U, [2 C P x d]; to be freed. */
  private pulledWithSlacks(pull: tf.TensorInfo): tf.TensorInfo {
    const { even, slackSplits, vectors } = this;
    const slacks = this.run(cones.slackProgram(even), [this.get("q"), pull, this.get("masks")], [this.weight]);
    const product = cones.backProgram(vectors, even.rows, even.width, slackSplits);
    const parts = this.run(product, [slacks, this.get("X")]);
    this.free(slacks);
    return this.summed(parts, vectors, even.width, slackSplits);
  }

  /** Moves slacks and blocks; where it is measured, sums of what that left and moved: of slacks, and of blocks. */
  private advanced(W: tf.TensorInfo, relaxation: number, threshold: number, measured: boolean): tf.TensorInfo[] {
    const { even, both, vectors } = this;
    const pull = this.pulled(W);
    const sums: tf.TensorInfo[] = [];
    let x: tf.TensorInfo;
    if (this.sizes.sides === 1) {
      x = this.run(programs.entryProgram(both, "a - b"), [this.get("G"), pull, pull], [0]);
    } else {
      this.hold("G", this.run(cones.pulledProgram(even), [this.get("G"), pull]));
      const [G, q] = [this.get("G"), this.get("q")];
      const nextSlacks = this.run(cones.clampProgram(even), [this.get("Y"), G, q, this.get("masks")], [relaxation, 1]);
      x = this.run(cones.productProgram(vectors, even.width, even.width), [G, this.get("inverse")]);
      const ofSlacks = cones.squareSumsProgram(vectors, even.rows, ...SLACK_SUMS);
      if (measured) sums.push(this.run(ofSlacks, [q, nextSlacks, q], [relaxation]));
      this.hold("q", nextSlacks);
    }
    this.free(pull);
    const [t, p] = [this.get("t"), this.get("p")];
    const next = this.run(programs.entryProgram(both, "a + m * (b - c)"), [t, x, p], [relaxation]);
    const nextBlocks = this.shortened(next, threshold);
    const ofBlocks = cones.squareSumsProgram(vectors, even.width, ...BLOCK_SUMS);
    if (measured) sums.push(this.run(ofBlocks, [x, nextBlocks, p], [0]));
    this.free(x);
    this.hold("t", next);
    this.hold("p", nextBlocks);
    return sums;
  }

  /** Of the sums of slacks, where there are any, of blocks and of outputs, by their weights. */
  private async residuals(sums: readonly tf.TensorInfo[], ofOutputs = 0): Promise<ConeResiduals> {
    const all = await Promise.all(sums.map((info) => this.take(info)));
    const weights = [...(this.sizes.sides === 2 ? [this.weight] : []), 1, ofOutputs];
    const total = (which: 0 | 1) => all.reduce((sum, pairs, k) => sum + weights[k] * sumOfPairs(pairs, which), 0);
    return { missed: total(0), moved: total(1) };
  }

  /** X' D_i W_c, [C P x d]; to be freed. */
  private pulled(W: tf.TensorInfo): tf.TensorInfo {
    const { even, products } = this;
    const parts = this.run(products.adjoint, [this.get("X"), W, this.get("masks")]);
    return this.summed(parts, even.outputs * even.gates, even.width, products.adjointSplits);
  }

  /** The sum over gates of D_i Y v_i, [n x C], or the solution times that, of vectors [C P x d]; to be freed. */
  private outputsOf(vectors: tf.TensorInfo, solved: boolean): tf.TensorInfo {
    const { even, products } = this;
    const data = this.get(this.sizes.sides === 1 ? "X" : "Y");
    const parts = this.run(products.forward, [data, vectors, this.get("masks")]);
    const all = this.summed(parts, even.rows, even.columns, products.forwardSplits);
    if (!solved) return all;
    const W = this.run(cones.productProgram(even.rows, even.rows, even.columns), [this.get("solution"), all]);
    this.free(all);
    return W;
  }

  /** Values of a matrix [n x C] as [C x n]. */
  private perColumn(values: Float32Array): Float32Array {
    const { rows: n, outputs: C } = this.sizes;
    const Z = new Float32Array(C * n);
    for (let c = 0; c < C; c++) for (let j = 0; j < n; j++) Z[c * n + j] = values[j * this.even.columns + c];
    return Z;
  }

  /** [C x n] as a matrix [n x C]. */
  private perOutput(values: Float32Array): tf.TensorInfo {
    const { rows: n, outputs: C } = this.sizes;
    const { rows, columns } = this.even;
    const matrix = new Float32Array(rows * columns);
    for (let c = 0; c < C; c++) for (let j = 0; j < n; j++) matrix[j * columns + c] = values[c * n + j];
    return this.matrix(matrix, [rows, columns]);
  }

  private shortened(t: tf.TensorInfo, threshold: number): tf.TensorInfo {
    const { even, vectors } = this;
    const squares = this.run(cones.squareSumsProgram(vectors, even.width, "a", "a"), [t, t, t], [0]);
    const p = this.run(cones.shortenProgram(vectors, even.width), [t, squares], [threshold]);
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

  /** Vectors [sides P C x d] as rows of a matrix, zeros for null. */
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

  /** Where each vector begins, in the matrix and in [sides P C x d]. */
  private eachVector(use: (packed: number, plain: number) => void): void {
    const { gates: P, outputs: C, width: d, sides } = this.sizes;
    const { gates, width } = this.even;
    for (let side = 0; side < sides; side++) {
      for (let i = 0; i < P; i++) {
        for (let c = 0; c < C; c++) use(((side * C + c) * gates + i) * width, ((side * P + i) * C + c) * d);
      }
    }
  }
}
