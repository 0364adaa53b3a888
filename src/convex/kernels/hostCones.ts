/** Blocks of a splitting in host memory, in float64, for engines whose products take and give host arrays. */

import { wordsPerGate } from "../linear/bits.js";
import { dotAt } from "../linear/vectors.js";
import type { GateSet, Matrix } from "../types.js";
import { nonzeroVectors } from "./nonzero.js";
import type { ConeIterate, ConeSystem, GatedProducts, Kernels } from "./types.js";

/** `products` are those of X; products of another Y are bound here, and disposed. */
export function hostCones(
  kernels: Kernels,
  products: GatedProducts,
  X: Matrix,
  gates: GateSet,
  outputs: number,
  { sides, weight, inverse, Y, solution }: ConeSystem,
): ConeIterate {
  const { rows: n, cols: d } = X;
  const cones = sides === 2;
  const half = gates.count * outputs;
  const count = sides * half;
  const ahead = cones ? kernels.bind(Y, gates) : products;
  const vectors = () => new Float64Array(count * d);
  const [t, p, R, x] = [vectors(), vectors(), vectors(), vectors()];
  const slacks = () => new Float64Array(cones ? count * n : 0);
  const [q, T] = [slacks(), slacks()];
  const pull = new Float64Array(half * d); // A' of something, for positive neurons
  const gate = Int32Array.from({ length: half }, (_, k) => Math.floor(k / outputs));
  const output = Int32Array.from({ length: half }, (_, k) => k % outputs);
  const ones = new Float64Array(half).fill(1);
  const words = wordsPerGate(n);

  /** Calls with the place in [2 P C x n], the number of the row's sample and output in [n x C], and whether its gate is open. */
  const eachSlack = (use: (at: number, entry: number, open: boolean, sign: number) => void) => {
    if (!cones) return;
    for (let j = 0; j < count; j++) {
      const vector = j % half;
      const first = gate[vector] * words;
      for (let k = 0; k < n; k++) {
        const open = ((gates.bits[first + (k >>> 5)] >>> (k & 31)) & 1) === 1;
        use(j * n + k, k * outputs + output[vector], open, j < half ? 1 : -1);
      }
    }
  };
  /** p := t shortened; answers with how far p moved, squared, and how far x is from it. */
  const shrink = (threshold: number): [number, number] => {
    let [missed, moved] = [0, 0];
    for (let at = 0; at < t.length; at += d) {
      const length = Math.sqrt(dotAt(t, at, t, at, d));
      const share = length <= threshold ? 0 : 1 - threshold / length;
      for (let k = at; k < at + d; k++) {
        const next = share * t[k];
        missed += (x[k] - next) ** 2;
        moved += (next - p[k]) ** 2;
        p[k] = next;
      }
    }
    return [missed, moved];
  };
  /** T [2 P C x n] := V M^-1 X' for rows V, Y = X M^-1, or V X'. */
  const onRows = (V: Float64Array, rows: Matrix) => kernels.multiplyTransposed(V, rows.data, T, count, d, n);

  return {
    async gather(U, out) {
      if (cones) {
        eachSlack((at, entry, open, sign) => {
          const size = weight * Math.abs(q[at]);
          T[at] = open ? size + sign * U[entry] : -size;
        });
        kernels.multiply(T, X.data, R, count, n, d);
      } else products.adjoint(U, outputs, null, R);
      for (let k = 0; k < R.length; k++) R[k] += 2 * p[k] - t[k];
      for (let k = 0; k < pull.length; k++) pull[k] = cones ? R[k] - R[pull.length + k] : R[k];
      ahead.forward(gate, output, ones, pull, outputs, out);
      if (solution !== null) {
        const right = out.slice();
        kernels.multiply(Float64Array.from(solution), right, out, n, n, outputs);
      }
    },
    async curvature(W, out) {
      products.adjoint(W, outputs, null, pull);
      for (let k = 0; k < pull.length; k++) pull[k] *= sides;
      ahead.forward(gate, output, ones, pull, outputs, out);
    },
    async advance(W, relaxation, threshold, measured) {
      products.adjoint(W, outputs, null, pull);
      for (let k = 0; k < pull.length; k++) {
        R[k] -= pull[k];
        if (cones) R[pull.length + k] += pull[k];
      }
      if (cones) kernels.multiply(R, inverse, x, count, d, d);
      else x.set(R);
      let [missed, moved] = [0, 0];
      if (cones) onRows(R, Y);
      eachSlack((at, _, open) => {
        const h = open ? T[at] : -T[at];
        const slack = Math.max(0, q[at]);
        q[at] = relaxation * h + (1 - relaxation) * slack + Math.min(0, q[at]);
        const next = Math.max(0, q[at]);
        missed += (h - next) ** 2;
        moved += (next - slack) ** 2;
      });
      for (let k = 0; k < t.length; k++) t[k] += relaxation * (x[k] - p[k]);
      const [missedBlocks, movedBlocks] = shrink(threshold);
      return measured ? { missed: missedBlocks + weight * missed, moved: movedBlocks + weight * moved } : null;
    },
    async rescale(factor) {
      for (let k = 0; k < t.length; k++) t[k] = p[k] + (t[k] - p[k]) / factor;
      for (let k = 0; k < q.length; k++) q[k] = q[k] < 0 ? q[k] / factor : q[k];
    },
    read: async () => nonzeroVectors(p, count, d),
    async write(index, given, threshold) {
      t.fill(0);
      for (let k = 0; k < index.length; k++) t.set(given.subarray(k * d, (k + 1) * d), index[k] * d);
      shrink(threshold);
      if (cones) onRows(p, X);
      eachSlack((at, _, open) => {
        q[at] = open ? T[at] : -T[at];
      });
    },
    dispose: () => {
      if (cones) ahead.dispose();
    },
  };
}
