/** The tfjs engine: first-order work composed from public tf ops, in float32, on whatever backend is current. */

import * as tf from "@tensorflow/tfjs";
import { eachActive } from "../../linear/bits.js";
import { ONE_PATCH } from "../../network.js";
import type { GateSet, Matrix } from "../../types.js";
import {
  type BlockSizes,
  type DeviceBlocks,
  deviceKernels,
  gramOnRight,
  gramOrder,
  type OpenDevice,
} from "../device/index.js";
import type { StepReport } from "../types.js";
import type { ContextWatch } from "../webgl/context.js";
import { TfjsCones } from "./cones.js";
import { TfjsNeurons } from "./neurons.js";
import { CHUNK_ENTRIES, currentContext, readAndDispose } from "./tensors.js";

/** Some gates with their masks and their part of every vector; each tensor is kept until `dispose`. */
interface Chunk {
  readonly gates: number;
  readonly masks: tf.Tensor4D; // [A x gates x 1 x m], zeros and ones
  base: tf.Tensor3D; // [gates x A C x d], as x, y, g and next
  x: tf.Tensor3D; // as y and next, a difference from base
  y: tf.Tensor3D;
  g: tf.Tensor3D;
  next: tf.Tensor3D;
}

/** Works on any backend; masks take 4 n P bytes there, with pooling 4 n K P, and patches 4 n K d. */
export const openTfjs: OpenDevice = async (host) => {
  await tf.ready();
  const kernels = deviceKernels(
    "tfjs",
    host,
    async (X, gates, sizes) => new TfjsBlocks(X, gates, sizes),
    async (X, gates, sizes, system) => new TfjsCones(X, gates, sizes, system),
    async (X, outputs) => new TfjsNeurons(X, outputs),
  );
  return { kernels, device: `the tfjs backend "${tf.getBackend()}"`, emulated: false };
};

class TfjsBlocks implements DeviceBlocks {
  /** [A x m x d]: without pooling the rows, with it for each position its m = n K / A patches, sample by sample. */
  private readonly X: tf.Tensor3D;
  private readonly chunks: Chunk[] = [];
  private readonly context: ContextWatch | null; // of the tfjs backend "webgl", where that is current

  constructor(
    X: Matrix,
    gates: GateSet,
    private readonly sizes: BlockSizes,
  ) {
    const { rows: n, width: d, outputs: C, perGate } = sizes;
    const { patches: K, positions: A } = sizes.pooling ?? ONE_PATCH;
    const m = (n * K) / A;
    this.context = currentContext();
    this.X = tf.tidy(() => {
      const rows = tf.tensor4d(Float32Array.from(X.data), [n, K / A, A, d]);
      return tf.transpose(rows, [2, 0, 1, 3]).reshape([A, m, d]) as tf.Tensor3D;
    });
    // Of tensors [A x gates of a chunk x C x m].
    const most = Math.max(1, Math.floor(CHUNK_ENTRIES / (A * C * m)));
    for (let from = 0; from < gates.count; from += most) {
      const count = Math.min(most, gates.count - from);
      const open = new Float32Array(A * count * m);
      for (let i = 0; i < count; i++) {
        eachActive(gates, from + i, (row) => {
          open[((row % A) * count + i) * m + Math.floor(row / A)] = 1;
        });
      }
      const zeros = (): tf.Tensor3D => tf.zeros([count, perGate, d]);
      const masks = tf.tensor4d(open, [A, count, 1, m]);
      this.chunks.push({ gates: count, masks, base: zeros(), x: zeros(), y: zeros(), g: zeros(), next: zeros() });
    }
  }

  async gradient(R: Float32Array): Promise<void> {
    const { rows: n, width: d, outputs: C, perGate } = this.sizes;
    const [A, m] = this.X.shape;
    // Every patch of a sample has the residual of the sample.
    const residual = tf.tidy(() => tf.tile(tf.tensor3d(R, [C, n, 1]), [1, 1, m / n]).reshape([1, 1, C, m]));
    for (const chunk of this.chunks) {
      const g = tf.tidy(() => {
        const masked = tf.reshape(tf.mul(chunk.masks, residual), [A, chunk.gates * C, m]);
        const products = tf.reshape(tf.matMul(masked, this.X), [A, chunk.gates, C, d]);
        return tf.transpose(products, [1, 0, 2, 3]).reshape([chunk.gates, perGate, d]) as tf.Tensor3D;
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
        return gramOnRight(this.sizes) ? tf.matMul(U, U, true, false) : tf.matMul(U, U, false, true);
      });
      return tf.concat(parts);
    });
    return this.readAll(all);
  }

  async combine(step: number, factors: Float32Array): Promise<Omit<StepReport, "penalty">> {
    const { perGate } = this.sizes;
    const order = gramOrder(this.sizes);
    let from = 0;
    const sums = this.moveAll((chunk) => {
      const mine = factors.subarray(from * order ** 2, (from + chunk.gates) * order ** 2);
      from += chunk.gates;
      const change = tf.tensor3d(mine, [chunk.gates, order, order]);
      const factor = tf.add(change, tf.expandDims(tf.eye(order), 0));
      const times = (S: tf.Tensor, U: tf.Tensor) => (gramOnRight(this.sizes) ? tf.matMul(U, S) : tf.matMul(S, U));
      const next = tf.add(times(factor, descended(chunk, step)), times(change, chunk.base));
      return { next, norm: tf.zeros([chunk.gates, perGate, 1]) };
    });
    const [moved, turned] = await this.readSums(sums);
    return { moved, turned };
  }

  async forward(): Promise<Float32Array> {
    const { rows: n, width: d, outputs: C } = this.sizes;
    const [A, m] = this.X.shape;
    const Z = tf.tidy(() => {
      let sum: tf.Tensor = tf.zeros([C, n]);
      for (const { gates, masks, next } of this.chunks) {
        const before = sum;
        sum = tf.tidy(() => {
          const vectors = tf.transpose(tf.reshape(next, [gates, A, C, d]), [1, 0, 2, 3]);
          const products = tf.matMul(tf.reshape(vectors, [A, gates * C, d]), this.X, false, true);
          const masked = tf.mul(tf.reshape(products, [A, gates, C, m]), masks);
          return tf.add(before, tf.sum(tf.reshape(tf.sum(masked, [0, 1]), [C, n, m / n]), 2));
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
    const { perGate, width: d } = this.sizes;
    let from = 0;
    for (const chunk of this.chunks) {
      const to = from + chunk.gates * perGate * d;
      const part = (values: Float32Array) => tf.tensor3d(values.slice(from, to), [chunk.gates, perGate, d]);
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
  private readAll(tensor: tf.Tensor): Promise<Float32Array> {
    return readAndDispose(tensor, this.context);
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
        const vectors = chunk.gates * this.sizes.perGate;
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
