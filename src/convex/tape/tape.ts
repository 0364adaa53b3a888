/** A network as a list of operations: its outputs on a block of samples, and the gradient of what they are worth. */

import type { Kernels } from "../kernels/types.js";
import { addTo, type Make, type Operation, Scratch, type Values } from "./operation.js";

/** An operation and the places that it reads: 0 the rows, k what step k - 1 makes. */
export interface Step {
  readonly make: Make;
  readonly reads: readonly number[];
}

/** Blocks of one size. */
interface Blocks {
  readonly values: readonly Values[]; // of each step
  readonly pulls: readonly (Values | null)[]; // null where no weight that is trained comes before
}

export class Tape {
  /** Multiplications a sample, of the way there. */
  readonly work: number;
  /** Numbers a sample that are held. */
  readonly room: number;
  readonly outputs: number;
  private readonly operations: readonly Operation[];
  private readonly readers: Int32Array; // of each place
  private readonly blocks = new Map<number, Blocks>();
  private readonly extra = new Scratch();
  private rows: Values = new Float64Array(0);

  constructor(
    kernels: Kernels,
    private readonly steps: readonly Step[],
    /** Of each place, whether a weight that is trained comes before. */
    private readonly depends: readonly boolean[],
  ) {
    this.operations = steps.map(({ make }) => make(kernels));
    this.work = this.operations.reduce((sum, { work }) => sum + work, 0);
    this.room = this.operations.reduce((sum, { size, room }) => sum + 2 * size + room, 0);
    this.outputs = this.operations[steps.length - 1].size;
    this.readers = new Int32Array(steps.length + 1);
    for (const place of steps.flatMap(({ reads }) => reads)) this.readers[place] += 1;
  }

  /** The outputs [C x n] of rows [d x n]; valid until the next block. */
  forward(rows: Values, n: number, weights: Float64Array): Values {
    this.rows = rows;
    const { values } = this.blocksOf(n);
    this.operations.forEach((operation, k) => {
      operation.forward(n, this.inputs(k, values), weights, values[k]);
    });
    return values[values.length - 1];
  }

  /** gradient += that of <pull, outputs> by the weights, after `forward` of the same block. */
  backward(pull: Values, n: number, weights: Float64Array, gradient: Float64Array): void {
    const { values, pulls } = this.blocksOf(n);
    const last = this.operations.length - 1;
    pulls[last]?.set(pull);
    const reached = new Set<number>(); // places that have a pull, of those with several readers
    for (let k = last; k >= 0; k--) {
      const own = pulls[k];
      if (own === null) continue;
      const { reads } = this.steps[k];
      const later: [to: Values, from: Values][] = [];
      const below = reads.map((place) => {
        const to = place === 0 ? null : pulls[place - 1];
        if (to === null || this.readers[place] === 1 || !reached.has(place)) {
          reached.add(place);
          return to;
        }
        const from = later.length === 0 ? this.extra.take(to.length) : new Float64Array(to.length);
        later.push([to, from]);
        return from;
      });
      this.operations[k].backward(n, this.inputs(k, values), weights, values[k], own, below, gradient);
      for (const [to, from] of later) addTo(to, from);
    }
  }

  private inputs(k: number, values: readonly Values[]): Values[] {
    return this.steps[k].reads.map((place) => (place === 0 ? this.rows : values[place - 1]));
  }

  private blocksOf(n: number): Blocks {
    const known = this.blocks.get(n);
    if (known !== undefined) return known;
    if (this.blocks.size > MOST_SIZES) this.blocks.clear();
    const values = this.operations.map(({ size }) => new Float64Array(size * n));
    const pulls = values.map(({ length }, k) => (this.depends[k + 1] ? new Float64Array(length) : null));
    const blocks = { values, pulls };
    this.blocks.set(n, blocks);
    return blocks;
  }
}

/** Sizes of blocks that are held: parts of the rows and the rest of them, for descents and for small steps. */
const MOST_SIZES = 6;
