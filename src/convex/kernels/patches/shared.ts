/** What products over patches share: their sizes, and the Gram matrix of all patches. */

import type { GateSet, Matrix, Pooling } from "../../types.js";
import type { Kernels } from "../types.js";

/** The products of an engine that products over patches are made of. */
export type PatchKernels = Pick<Kernels, "multiply" | "multiplyTransposed" | "addOuter" | "poolPatches">;

export abstract class PatchProducts {
  protected readonly n: number; // samples
  protected readonly d: number;
  private square: Float64Array | null = null;

  constructor(
    protected readonly kernels: PatchKernels,
    protected readonly X: Matrix,
    protected readonly gates: GateSet,
    protected readonly pooling: Pooling,
  ) {
    this.n = X.rows / pooling.patches;
    this.d = X.cols;
  }

  /** X X' of all patches: only where there are few of them. */
  gram(): Float64Array {
    const { rows, cols, data } = this.X;
    if (this.square === null) {
      this.square = new Float64Array(rows * rows);
      this.kernels.multiplyTransposed(data, data, this.square, rows, cols, rows);
    }
    return this.square;
  }

  dispose(): void {
    this.square = null;
  }
}
