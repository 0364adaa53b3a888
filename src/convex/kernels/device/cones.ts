/** Blocks of a splitting that a device keeps in float32: what its programs must do, and the ConeIterate made from them. */

import type { GateSet, Matrix } from "../../types.js";
import { nonzeroVectors } from "../nonzero.js";
import type { ConeIterate, ConeResiduals, ConeSystem, OuterNumbers, OuterState, OuterSystem } from "../types.js";

/** Sizes of a splitting; vector (s P + i) C + c is that of sign s (0: positive), gate i and output c. */
export interface ConeSizes {
  readonly rows: number; // n
  readonly width: number; // d
  readonly gates: number; // P
  readonly outputs: number; // C
  readonly sides: 1 | 2; // 1: without cones
  readonly vectors: number; // sides P C
}

export function coneSizes(X: Matrix, gates: GateSet, outputs: number, sides: 1 | 2): ConeSizes {
  return { rows: X.rows, width: X.cols, gates: gates.count, outputs, sides, vectors: sides * gates.count * outputs };
}

/** What `ConeIterate` asks for, in float32, with matrices [C x n]. */
export interface DeviceCones {
  gather(U: Float32Array): Promise<Float32Array>;
  curvature(W: Float32Array): Promise<Float32Array>;
  advance(W: Float32Array, relaxation: number, threshold: number, measured: boolean): Promise<ConeResiduals | null>;
  /** Where the system has what it takes. Leaves what the last step left and moved of blocks and slacks, and r times that of outputs. */
  readonly steps?: ((count: number, numbers: OuterNumbers, state: DeviceOuter) => Promise<DeviceSteps>) | undefined;
  rescale(factor: number): Promise<void>;
  /** p [sides P C x d]. */
  read(): Promise<Float32Array>;
  /** t [sides P C x d]. */
  write(t: Float32Array, threshold: number): Promise<void>;
  dispose(): void;
}

/** Outputs z and their multipliers c, [C x n], and of the bias [4 x C]: e, te, x and e before that. */
export interface DeviceOuter {
  readonly z: Float32Array;
  readonly c: Float32Array;
  readonly bias: Float32Array;
}

export interface DeviceSteps extends DeviceOuter {
  readonly left: ConeResiduals;
}

/** What the loss's terms are to a device: targets and weights as [C x n], the weights of rows as [n]. */
export function outerArrays({ terms }: OuterSystem, n: number, C: number): { Y: Float32Array; a: Float32Array } {
  const { targets, weights } = terms;
  return { Y: turned(targets, n, C), a: weights.length === n ? Float32Array.from(weights) : turned(weights, n, C) };
}

/** [n x C] as [C x n], in float32. */
function turned(M: Float64Array, n: number, C: number): Float32Array {
  const T = new Float32Array(n * C);
  for (let j = 0; j < n; j++) for (let c = 0; c < C; c++) T[c * n + j] = M[j * C + c];
  return T;
}

/** Host matrices in, host matrices out. */
export function deviceCones(
  device: DeviceCones,
  { rows: n, width: d, outputs: C, vectors }: ConeSizes,
  { outer }: Pick<ConeSystem, "outer">,
): ConeIterate {
  const put = (T: Float32Array, out: Float64Array) => {
    for (let j = 0; j < n; j++) for (let c = 0; c < C; c++) out[j * C + c] = T[c * n + j];
  };
  const steps = async (count: number, numbers: OuterNumbers, { z, c, e, te }: OuterState): Promise<ConeResiduals> => {
    const state = { z: turned(z, n, C), c: turned(c, n, C), bias: Float32Array.from([...e, ...te, ...e, ...e]) };
    const after = await device.steps?.(count, numbers, state);
    if (after === undefined) throw new Error("cones: the engine makes no steps of its own.");
    let { missed, moved } = after.left;
    for (let o = 0; o < C; o++) {
      const [next, t, x, before] = [0, 1, 2, 3].map((row) => after.bias[row * C + o]);
      [e[o], te[o]] = [next, t];
      if (outer == null || outer.biasScale === 0) continue;
      missed += (x - next) ** 2 / outer.biasScale;
      moved += (next - before) ** 2 / outer.biasScale;
    }
    for (let j = 0; j < n; j++) for (let o = 0; o < C; o++) z[j * C + o] = after.z[o * n + j] + after.c[o * n + j];
    return { missed, moved };
  };
  return {
    steps: device.steps === undefined ? undefined : steps,
    gather: async (U, out) => put(await device.gather(turned(U, n, C)), out),
    curvature: async (W, out) => put(await device.curvature(turned(W, n, C)), out),
    advance: (W, relaxation, threshold, measured) => device.advance(turned(W, n, C), relaxation, threshold, measured),
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

/** Scales of neurons as a matrix [C x m], zero but in the column that each feeds, in rows of some length. */
export function scalesByOutput(
  scales: Float64Array,
  columns: Int32Array,
  C: number,
  row = scales.length,
): Float32Array {
  const S = new Float32Array(C * row);
  scales.forEach((value, j) => {
    S[columns[j] * row + j] = value;
  });
  return S;
}

/** The sum of the first (0) or the second (1) numbers of pairs, in float64. */
export function sumOfPairs(pairs: Float32Array, which: 0 | 1): number {
  let sum = 0;
  for (let k = which; k < pairs.length; k += 2) sum += pairs[k];
  return sum;
}
