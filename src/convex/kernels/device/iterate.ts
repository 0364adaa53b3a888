/**
 * Blocks that a device keeps in float32: what its programs must do, and the BlockIterate made from them.
 *
 * Matrices cross the border transposed, [C x n], so that one output's column is contiguous on the device.
 */

import { orthogonaliseRows } from "../../linear/eigen/index.js";
import type { GateSet, Matrix, Penalty, Pooling } from "../../types.js";
import { nonzeroVectors } from "../nonzero.js";
import type { BlockIterate, StepReport } from "../types.js";

/** Sizes of a program, as the devices number them: vector i A C + a C + c is that of gate i, position a and output c. */
export interface BlockSizes {
  readonly rows: number; // n; with pooling the samples, of K patches each
  readonly width: number; // d
  readonly gates: number; // P
  readonly outputs: number; // C
  readonly perGate: number; // A C: vectors of a gate; C without pooling
  readonly pooling: Pooling | null; // its scale is no concern of the device
}

export function blockSizes(X: Matrix, gates: GateSet, outputs: number, pooling: Pooling | null): BlockSizes {
  const perGate = outputs * (pooling?.positions ?? 1);
  return { rows: X.rows / (pooling?.patches ?? 1), width: X.cols, gates: gates.count, outputs, perGate, pooling };
}

/** Order r = min(A C, d) of the Gram matrices of blocks, U U' or, where A C > d, U' U. */
export function gramOrder({ perGate, width }: Pick<BlockSizes, "perGate" | "width">): number {
  return Math.min(perGate, width);
}

/** Whether these matrices and the factors made from them stand on the right of blocks. */
export function gramOnRight({ perGate, width }: Pick<BlockSizes, "perGate" | "width">): boolean {
  return perGate > width;
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
 * Three float32 vectors x, y, g and the next point x+, each [P x A C x d], on a device; x, y and x+ as differences from `base`.
 *
 * With D = y - step g as such a difference, U = base + D, a step to x+ = S U is made as the difference S D + (S - I) base: what
 * is rounded is then as small as the move. In the same way for U S where A C > d.
 *
 * What is asked for takes effect in the order of the calls, whether or not they are awaited.
 */
export interface DeviceBlocks {
  /** g := A' R but for the pooling's scale, R [C x n]. */
  gradient(R: Float32Array): Promise<void>;
  /** x+ := each vector of y - step g, shortened by `threshold` or to zero. */
  shrink(step: number, threshold: number): Promise<StepReport>;
  /** [P x r x r]: for each gate U U', U [A C x d], or U' U where A C > d; r = `gramOrder`. */
  grams(step: number): Promise<Float32Array>;
  /** x+ := for each gate S U, or U S where A C > d, with S - I [r x r] from `factors` [P x r x r]. */
  combine(step: number, factors: Float32Array): Promise<Omit<StepReport, "penalty">>;
  /** Both with the prox of the nuclear norm between them, where the device finds it; asks for no more than `shrink` does. */
  readonly shrinkSingular?: ((step: number, threshold: number) => Promise<StepReport>) | undefined;
  /** A (x+ - base) as [C x n], but for the pooling's scale. */
  forward(): Promise<Float32Array>;
  /** y := x+ + momentum (x+ - x), then x := x+. */
  accept(momentum: number): Promise<void>;
  /** base and x+ - base, [P x A C x d] each. */
  read(): Promise<{ base: Float32Array; next: Float32Array }>;
  /** base and x = y = x+ as differences from it, [P x A C x d] each. */
  write(base: Float32Array, next: Float32Array): Promise<void>;
  /** base := x+ where that is x; the differences become the rounding errors. */
  rebase(): Promise<void>;
  dispose(): void;
}

/** Host matrices in, host matrices out; the singular values of the nuclear norm are found here, from the Gram matrices, where the device doesn't. */
export function deviceIterate(device: DeviceBlocks, sizes: BlockSizes, penalty: Penalty): BlockIterate {
  const { rows, width, gates, outputs, perGate } = sizes;
  const scale = sizes.pooling?.scale ?? 1;
  const byVector = penalty.separable || perGate === 1; // of one vector, the nuclear norm is the Euclidean one
  const turned = new Float32Array(rows * outputs);
  let stepping: Promise<unknown> = Promise.resolve(); // until x+ is what the last step asks for

  const combined = async (step: number, threshold: number): Promise<StepReport> => {
    const { factors, penalty: value } = nuclearFactors(await device.grams(step), gates, gramOrder(sizes), threshold);
    const report = device.combine(step, factors);
    return { ...(await report), penalty: value };
  };

  return {
    async gradient(R) {
      for (let j = 0; j < rows; j++)
        for (let c = 0; c < outputs; c++) turned[c * rows + j] = scale * R[j * outputs + c];
      await device.gradient(turned);
    },
    step(step, threshold) {
      if (byVector) return device.shrink(step, threshold);
      if (device.shrinkSingular !== undefined) return device.shrinkSingular(step, threshold);
      const report = combined(step, threshold);
      stepping = report.catch(() => undefined); // whoever awaits the report hears of it
      return report;
    },
    async forward(out) {
      if (!byVector) await stepping;
      const Z = await device.forward();
      for (let j = 0; j < rows; j++) for (let c = 0; c < outputs; c++) out[j * outputs + c] = scale * Z[c * rows + j];
    },
    accept: (momentum) => device.accept(momentum),
    rebase: () => device.rebase(),
    async read() {
      const { base, next } = await device.read();
      const blocks = Float64Array.from(base);
      for (let k = 0; k < blocks.length; k++) blocks[k] += next[k];
      return nonzeroVectors(blocks, gates * perGate, width);
    },
    async write(index, vectors) {
      const base = new Float32Array(gates * perGate * width);
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
 * S = I - Q diag(min(1, threshold / s)) Q'; with U' U it is U S. The factors are S - I [r x r]. Singular values from Gram matrices in float32 are good to
 * 1e-7 s_max^2 / s.
 */
export function nuclearFactors(
  grams: Float32Array,
  gates: number,
  order: number,
  threshold: number,
): { factors: Float32Array; penalty: number } {
  const size = order * order;
  const factors = new Float32Array(gates * size);
  const rows = new Float64Array(size);
  const Q = new Float64Array(size);
  const factor = new Float64Array(size);
  let penalty = 0;
  for (let i = 0; i < gates; i++) {
    const gram = grams.subarray(i * size, (i + 1) * size);
    factor.fill(0);
    let trace = 0;
    for (let c = 0; c < order; c++) trace += gram[c * order + c];
    if (trace <= threshold * threshold) {
      for (let c = 0; c < order; c++) factor[c * order + c] = -1; // no singular value exceeds the Frobenius norm
    } else {
      rows.set(gram);
      orthogonaliseRows(rows, order, order, Q).forEach((square, k) => {
        const value = Math.sqrt(square);
        const short = value <= threshold ? 1 : threshold / value; // NaN stays NaN
        penalty += (1 - short) * value;
        addSquare(Q, k, -short, order, factor);
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
