/** Blocks with cones that a device keeps in float32: what its programs must do, and the ConeIterate made from them. */

import type { GateSet, Matrix } from "../../types.js";
import { nonzeroVectors } from "../nonzero.js";
import type { ConeIterate, ConeResiduals } from "../types.js";

/** Sizes of a program with cones; vector (s P + i) C + c is that of sign s (0: positive), gate i and output c. */
export interface ConeSizes {
  readonly rows: number; // n
  readonly width: number; // d
  readonly gates: number; // P
  readonly outputs: number; // C
  readonly vectors: number; // 2 P C
}

export function coneSizes(X: Matrix, gates: GateSet, outputs: number): ConeSizes {
  return { rows: X.rows, width: X.cols, gates: gates.count, outputs, vectors: 2 * gates.count * outputs };
}

/** What `ConeIterate` asks for, in float32, with matrices [C x n]. */
export interface DeviceCones {
  gather(U: Float32Array): Promise<Float32Array>;
  curvature(W: Float32Array): Promise<Float32Array>;
  advance(W: Float32Array, relaxation: number, threshold: number, measured: boolean): Promise<ConeResiduals | null>;
  rescale(factor: number): Promise<void>;
  /** p [2 P C x d]. */
  read(): Promise<Float32Array>;
  /** t [2 P C x d]. */
  write(t: Float32Array, threshold: number): Promise<void>;
  dispose(): void;
}

/** Host matrices in, host matrices out. */
export function deviceCones(device: DeviceCones, { rows: n, width: d, outputs: C, vectors }: ConeSizes): ConeIterate {
  const turned = (M: Float64Array) => {
    const T = new Float32Array(n * C);
    for (let j = 0; j < n; j++) for (let c = 0; c < C; c++) T[c * n + j] = M[j * C + c];
    return T;
  };
  const put = (T: Float32Array, out: Float64Array) => {
    for (let j = 0; j < n; j++) for (let c = 0; c < C; c++) out[j * C + c] = T[c * n + j];
  };
  return {
    gather: async (U, out) => put(await device.gather(turned(U)), out),
    curvature: async (W, out) => put(await device.curvature(turned(W)), out),
    advance: (W, relaxation, threshold, measured) => device.advance(turned(W), relaxation, threshold, measured),
    rescale: (factor) => device.rescale(factor),
    read: async () => nonzeroVectors(await device.read(), vectors, d),
    async write(index, given, threshold) {
      const t = new Float32Array(vectors * d);
      for (let k = 0; k < index.length; k++) t.set(given.subarray(k * d, (k + 1) * d), index[k] * d);
      await device.write(t, threshold);
    },
    dispose: () => device.dispose(),
  };
}

/** The sum of the first (0) or the second (1) numbers of pairs, in float64. */
export function sumOfPairs(pairs: Float32Array, which: 0 | 1): number {
  let sum = 0;
  for (let k = which; k < pairs.length; k += 2) sum += pairs[k];
  return sum;
}
