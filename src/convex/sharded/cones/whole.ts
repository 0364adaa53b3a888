/** Cones of a gated program: all of space for the positive vectors, and nothing but zero for the negative ones. */

import { largestOf, norm } from "../../linear/vectors.js";
import type { ConvexProgram } from "../../types.js";
import type { RowSums } from "../crew.js";
import type { ConeSet, Inside } from "./cones.js";
import type { KeptCuts } from "./cuts.js";

export class Whole implements ConeSet {
  readonly size: number; // [2 P x C x d], of which the second half is zero
  readonly kept: KeptCuts = { counts: [], rows: new Float64Array(0) };
  private readonly P: number;
  private readonly C: number;
  private readonly d: number;

  constructor({ gates, loss, X }: Pick<ConvexProgram, "gates" | "loss" | "X">) {
    [this.P, this.C, this.d] = [gates.count, loss.outputs, X.cols];
    this.size = 2 * this.P * this.C * this.d;
  }

  folded(blocks: Float64Array): Float64Array {
    return blocks.slice(0, this.size / 2);
  }

  prox(_gate: number, slot: number, z: Float64Array, threshold: number): void {
    const length = norm(z);
    const share = slot >= this.P * this.C || length <= threshold ? 0 : 1 - threshold / length;
    for (let k = 0; k < z.length; k++) z[k] *= share;
  }

  largestPrice(pull: Float64Array): number {
    return largestOf(this.prices(pull));
  }

  async exactPrice(_rows: RowSums, pull: Float64Array): Promise<number> {
    return this.largestPrice(pull);
  }

  /** Of each gate [P] the longest of its vectors. */
  prices(pull: Float64Array): Float64Array {
    const out = new Float64Array(this.P);
    this.eachLength(pull, (length, gate) => {
      out[gate] = Math.max(out[gate], length);
    });
    return out;
  }

  sizes(blocks: Float64Array): Float64Array {
    const out = new Float64Array(this.P);
    this.eachLength(blocks, (length, gate) => {
      out[gate] += length;
    });
    return out;
  }

  slotsOf(gate: number, output: number): readonly [number, number] {
    const slot = gate * this.C + output;
    return [slot, this.P * this.C + slot];
  }

  async inside(_rows: RowSums, blocks: Float64Array): Promise<Inside> {
    return { blocks, moved: false };
  }

  forget(): void {}

  restore(): void {}

  private eachLength(all: Float64Array, use: (length: number, gate: number) => void): void {
    for (let slot = 0; slot < this.P * this.C; slot++)
      use(norm(all.subarray(slot * this.d, (slot + 1) * this.d)), Math.floor(slot / this.C));
  }
}
