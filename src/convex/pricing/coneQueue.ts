/** The open cones, the one with the largest bound first: a binary heap. */

import type { Cone } from "./coneBound.js";

interface Entry {
  readonly upper: number;
  readonly index: number; // of the function that the bound is of
  readonly cone: Cone;
  readonly toward: Float64Array; // a vector of the cone where the bound may be attained
}

export class ConeQueue {
  private readonly heap: Entry[] = [];

  /** The largest bound; minus infinity when nothing is open. */
  get top(): number {
    return this.heap.length > 0 ? this.heap[0].upper : Number.NEGATIVE_INFINITY;
  }

  push(upper: number, index: number, cone: Cone, toward: Float64Array): void {
    const { heap } = this;
    let at = heap.length;
    const entry = { upper, index, cone, toward };
    heap.push(entry);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (heap[parent].upper >= upper) break;
      heap[at] = heap[parent];
      at = parent;
    }
    heap[at] = entry;
  }

  /** Takes out the cone with the largest bound; there must be one. */
  pop(): Entry {
    const { heap } = this;
    const first = heap[0];
    const last = heap.pop() as Entry;
    if (heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1].upper > heap[child].upper) child += 1;
      if (heap[child].upper <= last.upper) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = last;
    return first;
  }
}
