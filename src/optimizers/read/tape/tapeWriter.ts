/** A tape under construction: its steps, and which weights they read. */

import type { Step, WeightPlace } from "../../../convex/tape/index.js";
import type { Weight } from "../graph.js";

/** A place of the tape under construction. */
export interface Place {
  readonly index: number; // 0: the rows
  readonly shape: readonly number[]; // of a sample
}

/** Grows a tape; layers add their steps. */
export class TapeWriter {
  readonly steps: Step[] = [];
  readonly depends: boolean[] = [false];
  readonly fixed: Weight[] = [];
  private readonly places: Map<unknown, WeightPlace>;
  private size: number;

  constructor(trained: ReadonlyMap<Weight, number>, size: number) {
    this.places = new Map(
      [...trained].map(([weight, at]) => [weight, { at, size: weight.read().size, trained: true }] as const),
    );
    this.size = size;
  }

  /** Where the numbers of a weight are. */
  weight(weight: Weight): WeightPlace {
    const known = this.places.get(weight);
    if (known !== undefined) return known;
    const place = { at: this.size, size: weight.read().size, trained: false };
    this.places.set(weight, place);
    this.fixed.push(weight);
    this.size += place.size;
    return place;
  }

  add(make: Step["make"], reads: readonly Place[], shape: readonly number[], weights: readonly WeightPlace[]): Place {
    this.steps.push({ make, reads: reads.map(({ index }) => index) });
    this.depends.push(weights.some(({ trained }) => trained) || reads.some(({ index }) => this.depends[index]));
    return { index: this.steps.length, shape };
  }
}
