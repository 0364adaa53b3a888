/** The module's jobs on a number of threads: starts helpers when work has come together, and counts who worked. */

import type { ThreadUse } from "../types.js";
import type { WasmCore } from "./core.js";
import type { WasmHeap } from "./heap.js";

/** The module's product without its first argument. */
export type Product = (...args: Tail<Parameters<WasmCore["calls"]["multiply"]>>) => void;
type Tail<T extends readonly unknown[]> = T extends readonly [unknown, ...infer Rest] ? Rest : never;

/** Multiplications after which helpers are started: some 50 milliseconds, about what a helper needs to come up. */
const START_WORK = 5e8;
/** Multiplications from which a job is shared out at all. */
const LEAST_WORK = 2e5;
/** Times that a projection looks at all rows, about. */
const LOOKS = 4;
/** Neurons of a group of `neurons`, multiplied together and all of one output (assembly/neurons.ts). */
export const GROUP = 8;
/** Jobs that are done alone after helpers have cost more than they saved. */
const JOBS_ALONE = 32;
/** How much of what was saved counts one job later. */
const MEMORY = 0.8;

export class WasmEngine {
  readonly heap: WasmHeap;
  /** What is done on the caller's thread. */
  readonly calls: Pick<
    WasmCore["calls"],
    | "choleskySmall"
    | "coneRoom"
    | "inverseSmall"
    | "lift"
    | "nullspace"
    | "pairProduct"
    | "prepareCones"
    | "recordRoom"
    | "sharedRoom"
    | "twoLoops"
  >;
  private ran = 1; // bit t: thread t took part
  private work = 0;
  // On a busy machine a helper may lose its core in the middle of a task, and then the caller waits.
  private saved = 0; // milliseconds, the last jobs most
  private alone = 0; // jobs to come

  constructor(
    private readonly core: WasmCore,
    private readonly limit: number, // threads
  ) {
    this.heap = core.heap;
    this.calls = core.calls;
    core.helpers?.joined(); // by an engine before this one
  }

  readonly multiply: Product = (...args) => {
    const [m, n, k] = args;
    this.share(m * n * k, (threads) => this.core.calls.multiply(threads, ...args));
  };

  forward(...args: Tail<Parameters<WasmCore["calls"]["forward"]>>): void {
    const [, n, d, , , count] = args;
    this.share(n * d * count, (threads) => this.core.calls.forward(threads, ...args));
  }

  adjoint(...args: Tail<Parameters<WasmCore["calls"]["adjoint"]>>): void {
    const [, n, d, , , count] = args;
    this.share(n * d * count, (threads) => this.core.calls.adjoint(threads, ...args));
  }

  maskedGram(...args: Tail<Parameters<WasmCore["calls"]["maskedGram"]>>): void {
    const [, , count, , , , n] = args;
    this.share((n * n * count) / 2, (threads) => this.core.calls.maskedGram(threads, ...args));
  }

  timesCounts(...args: Tail<Parameters<WasmCore["calls"]["timesCounts"]>>): void {
    const [, , rows, columns, further, , , words] = args;
    this.share(rows * (columns + rows * further) * words, (threads) => this.core.calls.timesCounts(threads, ...args));
  }

  project(...args: Tail<Parameters<WasmCore["calls"]["project"]>>): void {
    const [, n, d, , , count] = args;
    this.share(LOOKS * n * d * count, (threads) => this.core.calls.project(threads, ...args));
  }

  /** Doubles that threads want as places for projections. */
  roomForCones(n: number, d: number): number {
    return this.limit * this.core.calls.coneRoom(n, d);
  }

  pool(...args: Tail<Parameters<WasmCore["calls"]["pool"]>>): void {
    const [, samples, K, , d, , , , g] = args;
    this.share(samples * K * d * g, (threads) => this.core.calls.pool(threads, ...args));
  }

  signs(...args: Tail<Parameters<WasmCore["calls"]["signs"]>>): void {
    const [, n, d, , g] = args;
    this.share(n * d * g, (threads) => this.core.calls.signs(threads, ...args));
  }

  layer(...args: Tail<Parameters<WasmCore["calls"]["layer"]>>): void {
    const [, n, d, , m, , C] = args;
    this.share(2 * n * m * (d + C), (threads) => this.core.calls.layer(threads, ...args));
  }

  /** Doubles that threads want as places for a layer of m neurons. */
  roomForLayer(m: number): number {
    return this.limit * this.core.calls.layerPlace(m);
  }

  neurons(...args: Tail<Parameters<WasmCore["calls"]["neurons"]>>): void {
    const [, rows, groups, columns] = args;
    this.share(GROUP * rows * groups * columns, (threads) => this.core.calls.neurons(threads, ...args));
  }

  /** Doubles that threads want as places for neurons. */
  roomForNeurons(rows: number, stride: number): number {
    return this.limit * this.core.calls.neuronPlace(rows, stride);
  }

  /** Rows of G that `adjoint` wants as room for the norms of `count` vectors. */
  roomForNorms(count: number): number {
    return this.limit * this.core.calls.adjointPart(this.limit, count);
  }

  threads(): ThreadUse {
    const { helpers, note } = this.core;
    this.ran |= helpers?.joined() ?? 0;
    let ran = 0;
    for (let bits = this.ran; bits > 0; bits >>>= 1) ran += bits & 1;
    const wanted = this.limit > 1 && this.work > START_WORK;
    return { ran, note: wanted ? (helpers?.failure ?? note) : null };
  }

  private share(work: number, run: (threads: number) => number): void {
    const { helpers, calls } = this.core;
    this.work += work;
    const shared = helpers !== null && this.limit > 1 && work >= LEAST_WORK;
    if (!shared || this.alone > 0) {
      if (shared) this.alone -= 1;
      run(1);
      return;
    }
    if (this.work > START_WORK) helpers.ask(this.limit - 1);
    const start = performance.now();
    const part = run(this.limit);
    if (part > 1) return;
    const own = performance.now() - start;
    calls.finish();
    const all = performance.now() - start;
    this.saved = MEMORY * this.saved + own / Math.max(part, LEAST_PART) - all;
    if (this.saved >= 0) return;
    this.alone = JOBS_ALONE;
    this.saved = 0;
  }
}

/** Of the tasks: the caller may come too late for any. */
const LEAST_PART = 0.1;
