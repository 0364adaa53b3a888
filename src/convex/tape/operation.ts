/** What a network is made of, as far as its outputs and its gradient go: operations on blocks of samples, in float64. */

import type { Kernels } from "../kernels/types.js";

/** A block of n samples at one place of a network: [size x n], a row of n numbers for each feature; images have their channels last. */
export type Values = Float64Array;

/** A weight's numbers among all: trained ones come first, and only they have a gradient. */
export interface WeightPlace {
  readonly at: number;
  readonly size: number;
  readonly trained: boolean;
}

/** A step of a network. It may keep from `forward` what its `backward`, of the same block, wants. */
export interface Operation {
  readonly size: number; // features of what it makes
  /** Multiplications a sample, about. */
  readonly work: number;
  /** Numbers a sample that it keeps beside its values. */
  readonly room: number;
  /** out [size x n] := the operation of its inputs. */
  forward(n: number, inputs: readonly Values[], weights: Float64Array, out: Values): void;
  /**
   * pulls_k := the gradient of <pull, out> by input k (null: nobody asks), and gradient += that by the weights; after `forward` of
   * the same block. `pull` may be spoilt.
   */
  backward(
    n: number,
    inputs: readonly Values[],
    weights: Float64Array,
    out: Values,
    pull: Values,
    pulls: readonly (Values | null)[],
    gradient: Float64Array,
  ): void;
}

/** Makes an operation for an engine. */
export type Make = (kernels: Kernels) => Operation;

/** The part of a vector that a weight has; null without it. */
export function partOf(all: Float64Array, place: WeightPlace): Float64Array {
  return all.subarray(place.at, place.at + place.size);
}

/** to += from. */
export function addTo(to: Float64Array, from: Float64Array): void {
  for (let k = 0; k < to.length; k++) to[k] += from[k];
}

/** Room that grows. */
export class Scratch {
  private held = new Float64Array(0);

  take(length: number): Float64Array {
    if (this.held.length < length) this.held = new Float64Array(length);
    return this.held.length === length ? this.held : this.held.subarray(0, length);
  }
}
