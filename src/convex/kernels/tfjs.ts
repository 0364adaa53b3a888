/** The tfjs engine: first-order work composed from public tf ops, in float32, on whatever backend is current. */

import * as tf from "@tensorflow/tfjs";
import { isActive } from "../arrangements/bits.js";
import type { GateSet, Matrix } from "../types.js";
import type { BlockSizes, DeviceBlocks } from "./deviceIterate.js";
import { deviceKernels, type OpenDevice } from "./deviceKernels.js";
import type { StepReport } from "./types.js";
import { ContextWatch } from "./webglContext.js";

/** Entries of the largest tensor between two ops, [gates of a chunk x C x n]: 64 MB of float32. */
const CHUNK_ENTRIES = 2 ** 24;

/** Some gates with their masks and their part of every vector; each tensor is kept until `dispose`. */
interface Chunk {
  readonly gates: number;
  readonly masks: tf.Tensor3D; // [gates x 1 x n], zeros and ones
  base: tf.Tensor3D; // [gates x C x d], as x, y, g and next
  x: tf.Tensor3D; // as y and next, a difference from base
  y: tf.Tensor3D;
  g: tf.Tensor3D;
  next: tf.Tensor3D;
}

/** Works on any backend; masks take 4 n P bytes there. */
export const openTfjs: OpenDevice = async (host) => {
  await tf.ready();
  const kernels = deviceKernels("tfjs", host, async (X, gates, sizes) => new TfjsBlocks(X, gates, sizes));
  return { kernels, device: `the tfjs backend "${tf.getBackend()}"`, emulated: false };
};

class TfjsBlocks implements DeviceBlocks {
  private readonly X: tf.Tensor2D; // [n x d]
  private readonly chunks: Chunk[] = [];
  private readonly context: ContextWatch | null; // of the tfjs backend "webgl", where that is current

  constructor(
    X: Matrix,
    gates: GateSet,
    private readonly sizes: BlockSizes,
  ) {
    const { rows: n, width: d, outputs: C } = sizes;
    const { gpgpu } = tf.backend() as unknown as { gpgpu?: { gl: WebGL2RenderingContext } };
    this.context = gpgpu === undefined ? null : new ContextWatch(gpgpu.gl);
    this.X = tf.tensor2d(Float32Array.from(X.data), [n, d]);
    const most = Math.max(1, Math.floor(CHUNK_ENTRIES / (C * n)));
    for (let from = 0; from < gates.count; from += most) {
      const count = Math.min(most, gates.count - from);
      const open = new Float32Array(count * n);
      for (let i = 0; i < count; i++) {
        for (let j = 0; j < n; j++) if (isActive(gates, from + i, j)) open[i * n + j] = 1;
      }
      const zeros = (): tf.Tensor3D => tf.zeros([count, C, d]);
      const masks = tf.tensor3d(open, [count, 1, n]);
      this.chunks.push({ gates: count, masks, base: zeros(), x: zeros(), y: zeros(), g: zeros(), next: zeros() });
    }
  }

  async gradient(R: Float32Array): Promise<void> {
    const { rows: n, width: d, outputs: C } = this.sizes;
    const residual = tf.tensor3d(R, [1, C, n]);
    for (const chunk of this.chunks) {
      const g = tf.tidy(() => {
        const masked = tf.reshape(tf.mul(chunk.masks, residual), [chunk.gates * C, n]);
        return tf.reshape(tf.matMul(masked, this.X), [chunk.gates, C, d]) as tf.Tensor3D;
      });
      chunk.g.dispose();
      chunk.g = g;
    }
    residual.dispose();
  }

  async shrink(step: number, threshold: number): Promise<StepReport> {
    const sums = this.moveAll((chunk) => {
      const D = descended(chunk, step);
      const norm = tf.sqrt(tf.sum(tf.square(tf.add(chunk.base, D)), 2, true));
      const short = tf.minimum(1, tf.divNoNan(tf.scalar(threshold), norm));
      const share = tf.sub(1, short);
      return { next: tf.sub(tf.mul(share, D), tf.mul(short, chunk.base)), norm: tf.mul(share, norm) };
    });
    const [moved, turned, penalty] = await this.readSums(sums);
    return { moved, turned, penalty };
  }

  async grams(step: number): Promise<Float32Array> {
    const all = tf.tidy(() => {
      const parts = this.chunks.map((chunk) => {
        const U = tf.add(chunk.base, descended(chunk, step));
        return tf.matMul(U, U, false, true);
      });
      return tf.concat(parts);
    });
    return this.readAll(all);
  }

  async combine(step: number, factors: Float32Array): Promise<Omit<StepReport, "penalty">> {
    const { outputs: C } = this.sizes;
    let from = 0;
    const sums = this.moveAll((chunk) => {
      const mine = factors.subarray(from * C * C, (from + chunk.gates) * C * C);
      from += chunk.gates;
      const change = tf.tensor3d(mine, [chunk.gates, C, C]);
      const factor = tf.add(change, tf.expandDims(tf.eye(C), 0));
      const next = tf.add(tf.matMul(factor, descended(chunk, step)), tf.matMul(change, chunk.base));
      return { next, norm: tf.zeros([chunk.gates, C, 1]) };
    });
    const [moved, turned] = await this.readSums(sums);
    return { moved, turned };
  }

  async forward(): Promise<Float32Array> {
    const { rows: n, width: d, outputs: C } = this.sizes;
    const Z = tf.tidy(() => {
      let sum: tf.Tensor = tf.zeros([C, n]);
      for (const { gates, masks, next } of this.chunks) {
        const before = sum;
        sum = tf.tidy(() => {
          const product = tf.matMul(tf.reshape(next, [gates * C, d]), this.X, false, true);
          return tf.add(before, tf.sum(tf.mul(tf.reshape(product, [gates, C, n]), masks), 0));
        });
        before.dispose();
      }
      return sum;
    });
    return this.readAll(Z);
  }

  async accept(momentum: number): Promise<void> {
    for (const chunk of this.chunks) {
      const y = tf.tidy(() => tf.add(chunk.next, tf.mul(tf.sub(chunk.next, chunk.x), momentum)));
      const x = tf.clone(chunk.next);
      tf.dispose([chunk.x, chunk.y]);
      chunk.x = x;
      chunk.y = y as tf.Tensor3D;
    }
  }

  async read(): Promise<{ base: Float32Array; next: Float32Array }> {
    const all = (of: "base" | "next") => this.readAll(tf.tidy(() => tf.concat(this.chunks.map((chunk) => chunk[of]))));
    return { base: await all("base"), next: await all("next") };
  }

  async write(base: Float32Array, next: Float32Array): Promise<void> {
    const { outputs: C, width: d } = this.sizes;
    let from = 0;
    for (const chunk of this.chunks) {
      const to = from + chunk.gates * C * d;
      const part = (values: Float32Array) => tf.tensor3d(values.slice(from, to), [chunk.gates, C, d]);
      tf.dispose([chunk.base, chunk.x, chunk.y, chunk.next]);
      chunk.base = part(base);
      chunk.next = part(next);
      chunk.x = tf.clone(chunk.next);
      chunk.y = tf.clone(chunk.next);
      from = to;
    }
  }

  async rebase(): Promise<void> {
    for (const chunk of this.chunks) {
      const { base, next, x, y } = chunk;
      chunk.base = tf.add(base, next);
      const moved = tf.sub(chunk.base, base);
      chunk.next = tf.sub(next, moved);
      chunk.x = tf.clone(chunk.next);
      chunk.y = tf.sub(y, moved);
      tf.dispose([base, next, x, y, moved]);
    }
  }

  /** Reads and disposes. */
  private async readAll(tensor: tf.Tensor): Promise<Float32Array> {
    try {
      const values = tensor.data() as Promise<Float32Array>;
      return await (this.context === null ? values : this.context.whileThere(values));
    } finally {
      tensor.dispose();
    }
  }

  /** The sums of the rows of [3 x k], added up in float64. */
  private async readSums(rows: tf.Tensor): Promise<number[]> {
    const values = await this.readAll(rows);
    const length = values.length / 3;
    return [0, 1, 2].map((row) =>
      values.subarray(row * length, (row + 1) * length).reduce((sum, value) => sum + value, 0),
    );
  }

  dispose(): void {
    this.context?.dispose();
    this.X.dispose();
    for (const { masks, base, x, y, g, next } of this.chunks) tf.dispose([masks, base, x, y, g, next]);
  }

  /** Takes a step in every chunk; the sums of each vector, [3 x P C]: |x+ - y|^2, <y - x+, x+ - x>, norm of x+. */
  private moveAll(propose: (chunk: Chunk) => { next: tf.Tensor; norm: tf.Tensor }): tf.Tensor {
    const sums = this.chunks.map((chunk) => {
      const [next, rows] = tf.tidy(() => {
        const { next, norm } = propose(chunk);
        const change = tf.sub(next, chunk.y);
        const vectors = chunk.gates * this.sizes.outputs;
        const moved = tf.sum(tf.square(change), 2);
        const turned = tf.neg(tf.sum(tf.mul(change, tf.sub(next, chunk.x)), 2));
        return [next, tf.stack([moved, turned, tf.squeeze(norm, [2])]).reshape([3, vectors])];
      });
      chunk.next.dispose();
      chunk.next = next as tf.Tensor3D;
      return rows;
    });
    const all = tf.concat(sums, 1);
    tf.dispose(sums);
    return all;
  }
}

/** y - step g, as a difference from the base. */
function descended(chunk: Chunk, step: number): tf.Tensor3D {
  return tf.sub(chunk.y, tf.mul(chunk.g, step));
}
