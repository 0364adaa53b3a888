/** Blocks of a splitting composed from public tf ops, in float32, on whatever backend is current. */

import * as tf from "@tensorflow/tfjs";
import { eachActive } from "../../linear/bits.js";
import type { GateSet, Matrix } from "../../types.js";
import { type ConeSizes, type DeviceCones, sumOfPairs } from "../device/index.js";
import type { ConeResiduals, ConeSystem } from "../types.js";
import type { ContextWatch } from "../webgl/context.js";
import { CHUNK_ENTRIES, currentContext, readAndDispose } from "./tensors.js";

/** Some gates: vectors of both signs, [2 x gates x C x d], and their slacks and multipliers, [2 x gates x C x n]; without cones [1 x ..], and none. */
interface Chunk {
  readonly gates: number;
  readonly signs: tf.Tensor4D; // S, [1 x gates x 1 x n]
  readonly masks: tf.Tensor4D; // D
  t: tf.Tensor4D;
  p: tf.Tensor4D;
  R: tf.Tensor4D;
  q: tf.Tensor4D | null;
}

/** What moves in an advance, and two sums. */
interface Advanced {
  readonly t: tf.Tensor4D;
  readonly p: tf.Tensor4D;
  readonly q: tf.Tensor4D | null;
  readonly sums: tf.Tensor1D | null; // missed and moved
}

export class TfjsCones implements DeviceCones {
  private readonly chunks: Chunk[] = [];
  private readonly context: ContextWatch | null = currentContext();
  private readonly X: tf.Tensor2D;
  private readonly Y: tf.Tensor2D; // X M^-1
  private readonly inverse: tf.Tensor2D | null;
  private readonly solution: tf.Tensor2D | null;
  private readonly weight: number;
  private readonly sides: tf.Tensor4D; // 1 and -1, or 1 alone

  constructor(
    X: Matrix,
    gates: GateSet,
    private readonly sizes: ConeSizes,
    { weight, inverse, Y, solution }: ConeSystem,
  ) {
    const { rows: n, width: d, outputs: C, sides } = sizes;
    this.weight = weight;
    this.X = tf.tensor2d(Float32Array.from(X.data), [n, d]);
    this.Y = tf.tensor2d(Float32Array.from(Y.data), [n, d]);
    this.inverse = sides === 1 ? null : tf.tensor2d(Float32Array.from(inverse), [d, d]);
    this.solution = solution === null ? null : tf.tensor2d(solution, [n, n]);
    this.sides = tf.tensor4d(sides === 1 ? [1] : [1, -1], [sides, 1, 1, 1]);
    const most = Math.max(1, Math.floor(CHUNK_ENTRIES / (sides * C * n)));
    for (let from = 0; from < gates.count; from += most) {
      const count = Math.min(most, gates.count - from);
      const open = new Float32Array(count * n);
      for (let i = 0; i < count; i++) {
        eachActive(gates, from + i, (row) => {
          open[i * n + row] = 1;
        });
      }
      const masks = tf.tensor4d(open, [1, count, 1, n]);
      const signs = tf.tidy(() => tf.sub(tf.mul(masks, 2), 1) as tf.Tensor4D);
      const zeros = (length: number): tf.Tensor4D => tf.zeros([sides, count, C, length]);
      const q = sides === 1 ? null : zeros(n);
      this.chunks.push({ gates: count, masks, signs, t: zeros(d), p: zeros(d), R: zeros(d), q });
    }
  }

  async gather(U: Float32Array): Promise<Float32Array> {
    const pull = this.perSample(U);
    for (const chunk of this.chunks) {
      const R = tf.tidy(() => {
        const { t, p, q, signs, masks } = chunk;
        const pulls = tf.mul(this.sides, tf.mul(masks, pull));
        const all = q === null ? pulls : tf.add(tf.mul(tf.mul(tf.abs(q), this.weight), signs), pulls);
        return tf.add(this.times(all, this.X), tf.sub(tf.mul(p, 2), t)) as tf.Tensor4D;
      });
      chunk.R.dispose();
      chunk.R = R;
    }
    pull.dispose();
    const Z = this.outputsOf(({ R, gates }) => {
      const signed = tf.sum(tf.mul(R, this.sides), 0);
      return signed.reshape([gates, this.sizes.outputs, this.sizes.width]);
    });
    if (this.solution === null) return this.read1(Z);
    const W = tf.matMul(Z, this.solution);
    Z.dispose();
    return this.read1(W);
  }

  async curvature(W: Float32Array): Promise<Float32Array> {
    const pull = this.perSample(W);
    const Z = this.outputsOf((chunk) => tf.mul(this.pulled(chunk, pull), this.sizes.sides));
    pull.dispose();
    return this.read1(Z);
  }

  async advance(
    W: Float32Array,
    relaxation: number,
    threshold: number,
    measured: boolean,
  ): Promise<ConeResiduals | null> {
    const pull = this.perSample(W);
    const sums: tf.Tensor1D[] = [];
    for (const chunk of this.chunks) {
      const { t, p, q, sums: mine } = this.moved(chunk, pull, relaxation, threshold, measured);
      tf.dispose([chunk.t, chunk.p]);
      chunk.q?.dispose();
      Object.assign(chunk, { t, p, q });
      if (mine !== null) sums.push(mine);
    }
    pull.dispose();
    if (!measured) return null;
    const all = tf.concat(sums);
    tf.dispose(sums);
    const values = await this.read1(all);
    return { missed: sumOfPairs(values, 0), moved: sumOfPairs(values, 1) };
  }

  async rescale(factor: number): Promise<void> {
    for (const chunk of this.chunks) {
      const { t, p, q } = chunk;
      chunk.t = tf.tidy(() => tf.add(p, tf.div(tf.sub(t, p), factor)));
      t.dispose();
      if (q === null) continue;
      chunk.q = tf.tidy(() => tf.add(tf.relu(q), tf.div(tf.minimum(q, 0), factor)) as tf.Tensor4D);
      q.dispose();
    }
  }

  async read(): Promise<Float32Array> {
    const all = tf.tidy(() =>
      tf.concat(
        this.chunks.map(({ p }) => p),
        1,
      ),
    );
    return this.read1(all);
  }

  async write(t: Float32Array, threshold: number): Promise<void> {
    const { gates: P, outputs: C, width: d, sides } = this.sizes;
    let from = 0;
    const all = tf.tensor4d(t, [sides, P, C, d]);
    for (const chunk of this.chunks) {
      const { gates } = chunk;
      tf.dispose([chunk.t, chunk.p]);
      chunk.t = tf.slice(all, [0, from, 0, 0], [sides, gates, C, d]);
      chunk.p = tf.tidy(() => shortened(chunk.t, threshold));
      if (chunk.q !== null) {
        chunk.q.dispose();
        chunk.q = tf.tidy(() => tf.mul(chunk.signs, this.onRows(chunk.p, this.X)) as tf.Tensor4D);
      }
      from += gates;
    }
    all.dispose();
  }

  dispose(): void {
    this.context?.dispose();
    tf.dispose([this.X, this.Y, this.sides]);
    for (const matrix of [this.inverse, this.solution]) matrix?.dispose();
    for (const { masks, signs, t, p, R, q } of this.chunks) {
      tf.dispose([masks, signs, t, p, R]);
      q?.dispose();
    }
  }

  private moved(chunk: Chunk, pull: tf.Tensor4D, relaxation: number, threshold: number, measured: boolean): Advanced {
    const moved = tf.tidy(() => {
      const G = tf.sub(chunk.R, tf.mul(this.sides, tf.expandDims(this.pulled(chunk, pull), 0))) as tf.Tensor4D;
      const slacks = chunk.q === null ? null : this.clamped(G, chunk.signs, chunk.q, relaxation);
      const x = this.inverse === null ? G : this.times(G, this.inverse);
      const t = tf.add(chunk.t, tf.mul(tf.sub(x, chunk.p), relaxation)) as tf.Tensor4D;
      const p = shortened(t, threshold);
      const made = { t, p, ...(slacks === null ? {} : { q: slacks.q }) };
      if (!measured) return made;
      const both = (blocks: tf.Tensor, ofSlacks: tf.Tensor | undefined) =>
        ofSlacks === undefined ? square(blocks) : tf.add(square(blocks), tf.mul(square(ofSlacks), this.weight));
      const missed = both(tf.sub(x, p), slacks?.missed);
      return { ...made, sums: tf.stack([missed, both(tf.sub(p, chunk.p), slacks?.moved)]) as tf.Tensor1D };
    }) as { t: tf.Tensor4D; p: tf.Tensor4D; q?: tf.Tensor4D; sums?: tf.Tensor1D };
    return { ...moved, q: moved.q ?? null, sums: moved.sums ?? null };
  }

  /** q after a step with h = S Y G, what that misses, and what it moved. */
  private clamped(G: tf.Tensor4D, signs: tf.Tensor4D, before: tf.Tensor4D, relaxation: number) {
    const h = tf.mul(signs, this.onRows(G, this.Y));
    const slack = tf.relu(before);
    const q = tf.add(tf.add(tf.mul(h, relaxation), tf.mul(slack, 1 - relaxation)), tf.minimum(before, 0));
    const next = tf.relu(q);
    return { q: q as tf.Tensor4D, missed: tf.sub(h, next), moved: tf.sub(next, slack) };
  }

  /** The sum over gates of D_i Y v_i, [C x n], for vectors [gates x C x d] of each chunk. */
  private outputsOf(vectors: (chunk: Chunk) => tf.Tensor): tf.Tensor2D {
    const { rows: n, outputs: C } = this.sizes;
    let sum: tf.Tensor2D = tf.zeros([C, n]);
    for (const chunk of this.chunks) {
      const before = sum;
      sum = tf.tidy(() => {
        const products = this.onRows(vectors(chunk).reshape([1, chunk.gates, C, -1]), this.Y);
        return tf.add(before, tf.sum(tf.mul(products, chunk.masks), [0, 1])) as tf.Tensor2D;
      });
      before.dispose();
    }
    return sum;
  }

  /** X' D_i W_c, [gates x C x d]. */
  private pulled({ masks }: Chunk, pull: tf.Tensor4D): tf.Tensor3D {
    return tf.squeeze(this.times(tf.mul(masks, pull), this.X), [0]);
  }

  /** The products of the last axis with a matrix. */
  private times(all: tf.Tensor, matrix: tf.Tensor2D): tf.Tensor4D {
    const [a, b, c, length] = all.shape;
    return tf.matMul(tf.reshape(all, [a * b * c, length]), matrix).reshape([a, b, c, matrix.shape[1]]);
  }

  /** The same with the transpose of a matrix. */
  private onRows(all: tf.Tensor, matrix: tf.Tensor2D): tf.Tensor4D {
    const [a, b, c, length] = all.shape;
    return tf.matMul(tf.reshape(all, [a * b * c, length]), matrix, false, true).reshape([a, b, c, matrix.shape[0]]);
  }

  private perSample(R: Float32Array): tf.Tensor4D {
    return tf.tensor4d(R, [1, 1, this.sizes.outputs, this.sizes.rows]);
  }

  private read1(tensor: tf.Tensor): Promise<Float32Array> {
    return readAndDispose(tensor, this.context);
  }
}

/** Each vector of the last axis, shortened by the threshold or to zero. */
function shortened(t: tf.Tensor4D, threshold: number): tf.Tensor4D {
  const length = tf.sqrt(tf.sum(tf.square(t), 3, true));
  return tf.mul(tf.sub(1, tf.minimum(1, tf.divNoNan(tf.scalar(threshold), length))), t);
}

function square(values: tf.Tensor): tf.Tensor {
  return tf.sum(tf.square(values));
}
