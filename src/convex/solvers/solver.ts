/** What a solver is: it refuses or starts a run, and a run makes rounds; it never decides to stop. */

import type { GatedProducts, Kernels } from "../kernels/types.js";
import type { ConvexProgram, Gap, SparseBlocks } from "../types.js";
import type { PartMemory } from "./workbench.js";

/** Everything a run works with; the products are bound to the program's data and gates. */
export interface Setting {
  readonly program: ConvexProgram;
  readonly kernels: Kernels;
  readonly products: GatedProducts;
  readonly memory: PartMemory;
  /** The relative gap that the caller wants: a run may spend less effort on a round when it is far from it. */
  readonly tolerance: number;
  /** Lets the host breathe; true when the run should end its round early (time is up, or someone asked to stop). */
  readonly pause: () => Promise<boolean>;
  /** True when also a long piece that no turn of the host can interrupt should be cut short. */
  readonly late: () => boolean;
}

/** A point and the gap that proves how good it is. */
export interface Point {
  readonly blocks: SparseBlocks;
  readonly gap: Gap;
  readonly dualPoint: Float64Array; // [n x C]: the N whose objective the gap's dual is
}

export interface Run {
  /**
   * One round: some iterations and one judgement. `resting` says that another round would change nothing, `onHost` that it was made on
   * the host after others on a device, `steps` how many of an inner iteration it took, where that differs from round to round.
   */
  round(): Promise<Point & { readonly resting: boolean; readonly onHost?: boolean; readonly steps?: number }>;
  dispose(): void;
}

export interface Solver {
  readonly name: string;
  /** True when its work is that of a BlockIterate, which engines may keep on a device. */
  readonly firstOrder: boolean;
  /** True when all outputs share what is dear, so that a program without cones is not split into those of single outputs. */
  readonly joint?: boolean;
  /** True when it is taken unasked only where blocks are kept on a device. */
  readonly forDevices?: boolean;
  /** Null when the solver fits the program, else for the user what the solver needs, a sentence that its name goes before. */
  refuses(program: ConvexProgram): string | null;
  /** Whether to take it when none is asked for by name; without it, always. */
  suits?(program: ConvexProgram): boolean;
  /** `N` [n x C]: a dual point near the optimum that no block prices above beta, for solvers that make use of it. */
  start(setting: Setting, from: SparseBlocks | null, N?: Float64Array): Run;
}
