/** The dearest tanh or sign units at a dual point: all sign patterns where they can be enumerated, else ascent from many starts. */

import type { Kernels } from "../kernels/types.js";
import { gaussianSource } from "../linear/random.js";
import { norm } from "../linear/vectors.js";
import { columnsOf, type DearUnits, type UnitOracle } from "./oracle.js";
import type { UnitOptions, UnitProblem } from "./problem.js";
import { SignPatterns } from "./signUnits.js";
import { searchUnits } from "./unitSearch.js";

export class BoundedOracle implements UnitOracle {
  private readonly patterns: SignPatterns | null;
  private readonly draw: () => number;

  constructor(
    private readonly problem: UnitProblem & { readonly activation: "tanh" | "sign" },
    private readonly kernels: Kernels,
    private readonly options: UnitOptions,
  ) {
    this.patterns = SignPatterns.of(problem.X);
    this.draw = gaussianSource(options.seed);
  }

  /** True when all sign patterns are known. */
  get exact(): boolean {
    return this.patterns !== null && this.problem.activation === "sign";
  }

  /** The largest worth of any unit, or an upper bound of it; null where none is known. */
  ceiling(N: Float64Array): number | null {
    if (this.patterns === null) return null;
    let largest = 0;
    // tanh(z) is an average of signs of z - t, so that no tanh unit is worth more than the dearest sign unit.
    for (const column of columnsOf(N, this.problem.loss.outputs)) {
      largest = Math.max(largest, this.patterns.dearest(column, 1)[0]?.value ?? 0);
    }
    return largest;
  }

  /** The dearest units at N [n x C], the dearest first, and what the first is worth. */
  async dearest(
    N: Float64Array,
    known: readonly Float64Array[] = [],
    pause: () => Promise<boolean> = async () => false,
  ): Promise<DearUnits> {
    const { together } = this.options;
    const found: DearUnit[] = [];
    for (const column of columnsOf(N, this.problem.loss.outputs)) {
      found.push(...(await this.forColumn(column, known, pause)));
    }
    found.sort((a, b) => b.value - a.value);
    return { largest: found[0]?.value ?? 0, units: found.slice(0, together).map(({ weights }) => weights()) };
  }

  private async forColumn(
    N: Float64Array,
    known: readonly Float64Array[],
    pause: () => Promise<boolean>,
  ): Promise<DearUnit[]> {
    const { patterns, kernels } = this;
    const { X, activation, radius } = this.problem;
    if (patterns !== null && activation === "sign") {
      return patterns
        .dearest(N, this.options.together)
        .map(({ value, gate }) => ({ value, weights: () => patterns.weightsOf(gate) }));
    }
    const found = known.length === 0 ? [] : searchUnits(kernels, X, N, known, activation, radius);
    for (let left = this.options.starts; left > 0; left -= TOGETHER) {
      const random = Array.from({ length: Math.min(TOGETHER, left) }, () => {
        const w = Float64Array.from({ length: X.cols }, this.draw);
        const length = norm(w);
        return w.map((value) => (radius * value) / (2 * length));
      });
      found.push(...searchUnits(kernels, X, N, random, activation, radius));
      if (await pause()) break;
    }
    return found.map(({ value, weights }) => ({ value, weights: () => weights }));
  }
}

/** Starts of a search between two looks at the clock. */
const TOGETHER = 60;

interface DearUnit {
  readonly value: number;
  readonly weights: () => Float64Array;
}
