/** Blocks of a first-order solver in host memory, for engines whose products take and give host arrays. */

import type { GateSet, Matrix, Penalty, Pooling } from "../types.js";
import { nonzeroVectors } from "./nonzero.js";
import type { BlockIterate, GatedProducts, StepReport } from "./types.js";

export function hostIterate(
  products: GatedProducts,
  X: Matrix,
  gates: GateSet,
  outputs: number,
  penalty: Penalty,
  pooling: Pooling | null = null,
): BlockIterate {
  const width = X.cols;
  const perBlock = (pooling?.positions ?? 1) * outputs; // of a block
  const blockSize = perBlock * width;
  const size = gates.count * blockSize;
  const x = new Float64Array(size);
  const y = new Float64Array(size);
  const g = new Float64Array(size);
  const next = new Float64Array(size);

  const nonzero = () => nonzeroVectors(next, gates.count * perBlock, width);

  return {
    async gradient(R) {
      products.adjoint(R, outputs, null, g);
    },
    async step(step, threshold): Promise<StepReport> {
      let moved = 0;
      let turned = 0;
      let value = 0;
      for (let k = 0; k < size; k++) next[k] = y[k] - step * g[k];
      for (let i = 0; i < gates.count; i++) {
        const block = next.subarray(i * blockSize, (i + 1) * blockSize);
        value += penalty.prox(block, perBlock, width, threshold);
      }
      for (let k = 0; k < size; k++) {
        const change = next[k] - y[k];
        moved += change * change;
        turned -= change * (next[k] - x[k]);
      }
      return { moved, turned, penalty: value };
    },
    async forward(out) {
      const { index, vectors } = nonzero();
      const gate = Int32Array.from(index, (k) => Math.floor(k / perBlock));
      const output = Int32Array.from(index, (k) => k % perBlock);
      products.forward(gate, output, new Float64Array(index.length).fill(1), vectors, outputs, out);
    },
    async accept(momentum) {
      for (let k = 0; k < size; k++) {
        y[k] = next[k] + momentum * (next[k] - x[k]);
        x[k] = next[k];
      }
    },
    read: async () => nonzero(),
    async write(index, vectors) {
      x.fill(0);
      for (let k = 0; k < index.length; k++) x.set(vectors.subarray(k * width, (k + 1) * width), index[k] * width);
      y.set(x);
      next.set(x);
    },
    dispose() {},
  };
}
