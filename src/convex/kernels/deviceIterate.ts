/**
 * Blocks that a device keeps in float32: what its programs must do, and the BlockIterate made from them.
 *
 * Matrices cross the border transposed, [C x n], so that one output's column is contiguous on the device.
 */

import { orthogonaliseRows } from "../penalties/jacobi.js";
import type { Penalty } from "../types.js";
import { nonzeroVectors } from "./nonzero.js";
import type { BlockIterate, StepReport } from "./types.js";

/** Sizes of a program, as the devices number them: vector i C + c is that of gate i and output c. */
export interface BlockSizes {
  readonly rows: number; // n
  readonly width: number; // d
  readonly gates: number; // P
  readonly outputs: number; // C
}

/** The sums of a step from those of its vectors, (moved, turned) one after the other, added up in float64. */
export function stepSums(pairs: Float32Array): Omit<StepReport, "penalty"> {
  let moved = 0;
  let turned = 0;
  for (let k = 0; k < pairs.length; k += 2) {
    moved += pairs[k];
    turned += pairs[k + 1];
  }
  return { moved, turned };
}

/**
 * Three float32 vectors x, y, g and the next point x+, each [P x C x d], on a device; x, y and x+ as differences from `base`.
 *
 * With D = y - step g as such a difference, U = base + D, a step to x+ = S U is made as the difference S D + (S - I) base: what
 * is rounded is then as small as the move.
 *
 * What is asked for takes effect in the order of the calls, whether or not they are awaited.
 */
export interface DeviceBlocks {
  /** g := A' R, R [C x n]. */
  gradient(R: Float32Array): Promise<void>;
  /** x+ := each vector of y - step g, shortened by `threshold` or to zero. */
  shrink(step: number, threshold: number): Promise<StepReport>;
  /** [P x C x C]: for each gate U U', U [C x d]. */
  grams(step: number): Promise<Float32Array>;
  /** x+ := for each gate S U, with S - I [C x C] from `factors` [P x C x C]. */
  combine(step: number, factors: Float32Array): Promise<Omit<StepReport, "penalty">>;
  /** A (x+ - base) as [C x n]. */
  forward(): Promise<Float32Array>;
  /** y := x+ + momentum (x+ - x), then x := x+. */
  accept(momentum: number): Promise<void>;
  /** base and x+ - base, [P x C x d] each. */
  read(): Promise<{ base: Float32Array; next: Float32Array }>;
  /** base and x = y = x+ as differences from it, [P x C x d] each. */
  write(base: Float32Array, next: Float32Array): Promise<void>;
  /** base := x+ where that is x; the differences become the rounding errors. */
  rebase(): Promise<void>;
  dispose(): void;
}

/** Host matrices in, host matrices out; the singular values of the nuclear norm are found here, from the Gram matrices. */
export function deviceIterate(device: DeviceBlocks, sizes: BlockSizes, penalty: Penalty): BlockIterate {
  const { rows, width, gates, outputs } = sizes;
  const byVector = penalty.separable || outputs === 1; // of one vector, the nuclear norm is the Euclidean one
  const turned = new Float32Array(rows * outputs);
  let stepping: Promise<unknown> = Promise.resolve(); // until x+ is what the last step asks for

  const combined = async (step: number, threshold: number): Promise<StepReport> => {
    const { factors, penalty: value } = nuclearFactors(await device.grams(step), gates, outputs, threshold);
    const report = device.combine(step, factors);
    return { ...(await report), penalty: value };
  };

  return {
    async gradient(R) {
      for (let j = 0; j < rows; j++) for (let c = 0; c < outputs; c++) turned[c * rows + j] = R[j * outputs + c];
      await device.gradient(turned);
    },
    step(step, threshold) {
      if (byVector) return device.shrink(step, threshold);
      const report = combined(step, threshold);
      stepping = report.catch(() => undefined); // whoever awaits the report hears of it
      return report;
    },
    async forward(out) {
      if (!byVector) await stepping;
      const Z = await device.forward();
      for (let j = 0; j < rows; j++) for (let c = 0; c < outputs; c++) out[j * outputs + c] = Z[c * rows + j];
    },
    accept: (momentum) => device.accept(momentum),
    rebase: () => device.rebase(),
    async read() {
      const { base, next } = await device.read();
      const blocks = Float64Array.from(base);
      for (let k = 0; k < blocks.length; k++) blocks[k] += next[k];
      return nonzeroVectors(blocks, gates * outputs, width);
    },
    async write(index, vectors) {
      const base = new Float32Array(gates * outputs * width);
      const rest = new Float32Array(base.length);
      for (let k = 0; k < vectors.length; k++) {
        const at = index[Math.floor(k / width)] * width + (k % width);
        base[at] = vectors[k];
        rest[at] = vectors[k] - base[at];
      }
      await device.write(base, rest);
    },
    dispose: () => device.dispose(),
  };
}

/**
 * The prox of the nuclear norm as products from the left: with U U' = Q diag(s^2) Q', the shrunk block is S U,
 * S = I - Q diag(min(1, threshold / s)) Q'. The factors are S - I. Singular values from Gram matrices in float32 are good to
 * 1e-7 s_max^2 / s.
 */
export function nuclearFactors(
  grams: Float32Array,
  gates: number,
  outputs: number,
  threshold: number,
): { factors: Float32Array; penalty: number } {
  const size = outputs * outputs;
  const factors = new Float32Array(gates * size);
  const rows = new Float64Array(size);
  const Q = new Float64Array(size);
  const factor = new Float64Array(size);
  let penalty = 0;
  for (let i = 0; i < gates; i++) {
    const gram = grams.subarray(i * size, (i + 1) * size);
    factor.fill(0);
    let trace = 0;
    for (let c = 0; c < outputs; c++) trace += gram[c * outputs + c];
    if (trace <= threshold * threshold) {
      for (let c = 0; c < outputs; c++) factor[c * outputs + c] = -1; // no singular value exceeds the Frobenius norm
    } else {
      rows.set(gram);
      orthogonaliseRows(rows, outputs, outputs, Q).forEach((square, k) => {
        const value = Math.sqrt(square);
        const short = value <= threshold ? 1 : threshold / value; // NaN stays NaN
        penalty += (1 - short) * value;
        addSquare(Q, k, -short, outputs, factor);
      });
    }
    factors.set(factor, i * size);
  }
  return { factors, penalty };
}

/** out [r x r] += weight q q', q being a column of Q [r x r]. */
function addSquare(Q: Float64Array, column: number, weight: number, r: number, out: Float64Array): void {
  for (let a = 0; a < r; a++) {
    for (let b = 0; b < r; b++) out[a * r + b] += weight * Q[a * r + column] * Q[b * r + column];
  }
}
