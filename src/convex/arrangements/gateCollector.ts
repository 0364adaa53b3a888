/** Gathers generators with their patterns, each pattern once, into a gate set. */

import type { GateSet, Matrix } from "../types.js";
import { packPattern, wordsPerGate } from "./bits.js";
import { PatternSet } from "./patternSet.js";

const START_GATES = 16;

export class GateCollector {
  private readonly seen = new PatternSet();
  private readonly pattern: Uint32Array;
  private generators: Float64Array; // [capacity x d]

  constructor(private readonly X: Matrix) {
    this.pattern = new Uint32Array(wordsPerGate(X.rows));
    this.generators = new Float64Array(START_GATES * X.cols);
  }

  get count(): number {
    return this.seen.count;
  }

  /** Adds the gate of a generator; false when its pattern is there already, or has no active row and `dropEmpty` is set. */
  add(g: Float64Array, dropEmpty = false): boolean {
    packPattern(this.X, g, this.pattern);
    if (dropEmpty && this.pattern.every((word) => word === 0)) return false;
    return this.keep(g);
  }

  /** The place of a generator's gate in the order of adding; adds it when its pattern is new. -1 for one without active rows. */
  placeOf(g: Float64Array): number {
    packPattern(this.X, g, this.pattern);
    if (this.pattern.every((word) => word === 0)) return -1;
    return this.keep(g) ? this.count - 1 : this.seen.find(this.pattern);
  }

  private keep(g: Float64Array): boolean {
    if (!this.seen.add(this.pattern)) return false;
    const end = this.count * this.X.cols;
    if (end > this.generators.length) {
      const larger = new Float64Array(2 * this.generators.length);
      larger.set(this.generators);
      this.generators = larger;
    }
    this.generators.set(g, end - this.X.cols);
    return true;
  }

  /** The gates in the order of adding. */
  gateSet(complete: boolean): GateSet {
    const { count } = this;
    const data = this.generators.slice(0, count * this.X.cols);
    return {
      count,
      rows: this.X.rows,
      bits: this.seen.packed(),
      generators: { rows: count, cols: this.X.cols, data },
      complete,
    };
  }
}
