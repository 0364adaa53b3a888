/** Gathers generators with their patterns, each pattern once, into a gate set. */

import { packPatterns, type ReadPatterns, wordsPerGate } from "../linear/bits.js";
import type { GateSet, Matrix } from "../types.js";
import { PatternSet } from "./patternSet.js";

const START_GATES = 16;
/** Patterns that are read off together. */
const TOGETHER = 64;

export class GateCollector {
  private readonly seen: PatternSet;
  private readonly patterns: Uint32Array[] = [];
  private generators: Float64Array; // [capacity x d]

  /** With room for `expected` gates from the start; more are taken too. */
  constructor(
    private readonly X: Matrix,
    expected = START_GATES,
    private readonly read: ReadPatterns = packPatterns,
  ) {
    this.seen = new PatternSet(expected);
    this.generators = new Float64Array(expected * X.cols);
  }

  get count(): number {
    return this.seen.count;
  }

  /** Adds the gate of a generator; false when its pattern is there already, or has no active row and `dropEmpty` is set. */
  add(g: Float64Array, dropEmpty = false): boolean {
    return this.addAll([g], dropEmpty) === 1;
  }

  /** Adds those of several generators in turn, with one pass over the rows; says how many were new. */
  addAll(generators: readonly Float64Array[], dropEmpty = false): number {
    const patterns = this.patternsOf(generators);
    const before = this.count;
    generators.forEach((g, i) => {
      if (dropEmpty && isEmpty(patterns[i])) return;
      this.keep(g, patterns[i]);
    });
    return this.count - before;
  }

  /**
   * The place of a generator's gate in the order of adding; adds it when its pattern is new. -1 for one without active rows, unless
   * `keepEmpty` is set: a unit with a slope for negative sums does something there.
   */
  placeOf(g: Float64Array, keepEmpty = false): number {
    return this.placesOf([g], keepEmpty)[0];
  }

  /** The same for several in turn, with a pass over the rows for some of them at a time. */
  placesOf(generators: readonly Float64Array[], keepEmpty = false): number[] {
    const places: number[] = [];
    for (let from = 0; from < generators.length; from += TOGETHER) {
      const some = generators.slice(from, from + TOGETHER);
      const patterns = this.patternsOf(some);
      for (let i = 0; i < some.length; i++) {
        if (!keepEmpty && isEmpty(patterns[i])) places.push(-1);
        else places.push(this.keep(some[i], patterns[i]) ? this.count - 1 : this.seen.find(patterns[i]));
      }
    }
    return places;
  }

  private patternsOf(generators: readonly Float64Array[]): Uint32Array[] {
    while (this.patterns.length < generators.length) this.patterns.push(new Uint32Array(wordsPerGate(this.X.rows)));
    const patterns = this.patterns.slice(0, generators.length);
    this.read(this.X, generators, patterns);
    return patterns;
  }

  private keep(g: Float64Array, pattern: Uint32Array): boolean {
    if (!this.seen.add(pattern)) return false;
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

function isEmpty(pattern: Uint32Array): boolean {
  return pattern.every((word) => word === 0);
}
