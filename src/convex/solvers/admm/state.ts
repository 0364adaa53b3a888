/** What an iteration of `admm` moves, and what it keeps to make that cheap; new gates and other weights leave V and xi as they are. */

import type { GatedProducts } from "../../kernels/types.js";
import { Anderson } from "../../linear/anderson.js";
import type { Pieces } from "../../linear/pieces.js";
import { addColumnSums, columnSums, dotAt } from "../../linear/vectors.js";
import type { WorkingSet } from "../workingSet.js";
import type { GraphWeights } from "./weights.js";

/** Gates that tell how long a step is: Anderson's method needs no more than a sketch. */
const ENOUGH_GATES = 100;

/** S [slots x d], Q [n x C], T [n x C] and s [C], or what an iteration adds to them. */
export interface Moving {
  readonly S: Float64Array;
  readonly Q: Float64Array;
  readonly T: Float64Array;
  readonly s: Float64Array;
}

export class GraphState {
  now: Moving;
  step: Moving;
  readonly H: Float64Array; // [n x C]
  readonly image: Float64Array; // (A A' + g^2 1 1') H
  B = new Float64Array(0); // A' H
  private all: Float64Array; // `now`, part behind part
  private steps: Float64Array;
  private readonly anderson = new Anderson();

  /** At V, which are the centers of the working set, c, Z = A V + 1 c' and xi; `entering` makes the rest. */
  constructor(
    private readonly products: GatedProducts,
    private readonly working: WorkingSet,
    private readonly weights: GraphWeights,
    private readonly biasScale: number, // g^2
    c: Float64Array,
    Z: Float64Array,
    xi: Float64Array,
  ) {
    const size = Z.length;
    const p = weights.blocks;
    this.H = xi.map((value) => value / p);
    this.image = new Float64Array(size);
    addColumnSums(biasScale, this.H, this.image, c.length);
    const sums = columnSums(this.H, c.length);
    this.all = new Float64Array(2 * size + c.length);
    this.steps = this.all;
    for (let k = 0; k < size; k++) {
      this.all[k] = Z[k] + xi[k] / weights.outputs;
      this.all[size + k] = Z[k] - this.image[k];
    }
    for (let o = 0; o < c.length; o++) this.all[2 * size + o] = c[o] - biasScale * sums[o];
    this.now = this.step = this.partsOf(this.all, c.length);
  }

  /** Takes in the gates of the working set that are new, whose V is in its centers; all of them before the first iteration. */
  *entering(): Pieces<void> {
    const { working, now, B: before, H, image } = this;
    const C = now.s.length;
    const width = working.centers.length / working.gates.length;
    const size = working.centers.length;
    const all = new Float64Array(size + 2 * H.length + C);
    all.set(working.centers);
    all.set(now.S);
    all.set(this.all.subarray(now.S.length), size);
    this.all = all;
    this.steps = new Float64Array(all.length);
    this.now = this.partsOf(all, C);
    this.step = this.partsOf(this.steps, C);
    const B = new Float64Array(size);
    B.set(before);
    this.B = B;
    const first = before.length / width;
    const entered = B.subarray(before.length);
    this.pull(working.gates.subarray(first), entered);
    yield;
    for (let k = before.length; k < size; k++) all[k] -= B[k];
    const sum = this.push(first * (working.slots / working.gates.length), entered);
    for (let k = 0; k < sum.length; k++) {
      image[k] += sum[k];
      this.now.T[k] -= sum[k];
    }
    this.anderson.forget();
  }

  /** Goes on by `step`; further where it is `exact`: what a rough step lacks leads Anderson's method astray. */
  advance(exact: boolean): void {
    const { all, steps, weights, biasScale, now } = this;
    if (!exact) {
      for (let k = 0; k < all.length; k++) all[k] += steps[k];
      return;
    }
    const { blocks: p, outputs: r } = weights;
    const q = now.S.length;
    const size = now.Q.length;
    const bias = all.length - now.s.length;
    const ofBias = biasScale > 0 ? p / biasScale : 0;
    // The product in which the iteration is nonexpansive.
    this.anderson.move(
      all,
      steps,
      (a, b) => p * this.overGates(a, b) + r * dotAt(a, q, b, q, size) + ofBias * dotAt(a, bias, b, bias, now.s.length),
    );
  }

  /** The product over the blocks, as some of the gates tell it where there are many. */
  private overGates(a: Float64Array, b: Float64Array): number {
    const gates = this.working.gates.length;
    const width = this.now.S.length / gates;
    const every = Math.max(1, Math.floor(gates / ENOUGH_GATES));
    if (every === 1) return dotAt(a, 0, b, 0, gates * width);
    let sum = 0;
    for (let gate = 0; gate < gates; gate += every) sum += dotAt(a, gate * width, b, gate * width, width);
    return every * sum;
  }

  /** To be called when the weights, p and r before, have become others. */
  reweigh(p: number, r: number): void {
    const { weights, now, H, B, image, biasScale } = this;
    const f = p / weights.blocks;
    const moved = p / weights.outputs - p / r;
    if (f === 1 && moved === 0) return;
    const sums = columnSums(H, now.s.length);
    for (let k = 0; k < B.length; k++) {
      now.S[k] += (1 - f) * B[k];
      B[k] *= f;
    }
    for (let o = 0; o < sums.length; o++) now.s[o] += (1 - f) * biasScale * sums[o];
    for (let k = 0; k < H.length; k++) {
      now.Q[k] += moved * H[k];
      now.T[k] += (1 - f) * image[k];
      H[k] *= f;
      image[k] *= f;
    }
    this.anderson.forget();
  }

  /** B and the image of H anew, without what rough products have left in them; T follows by itself. */
  *renewing(): Pieces<void> {
    const { working, biasScale, B, H, image, now } = this;
    this.pull(working.gates, B);
    yield;
    image.set(this.push(0, B));
    addColumnSums(biasScale, H, image, now.s.length);
  }

  /** out := A' H for some gates. */
  private pull(gates: Int32Array, out: Float64Array): void {
    const { products, working, H, now } = this;
    products.adjoint(H, now.s.length, gates, out.subarray(0, out.length / working.halves));
    working.spread(out, 1);
  }

  /** A V for vectors in the slots from one on. */
  private push(from: number, vectors: Float64Array): Float64Array {
    const { products, working, H, now } = this;
    const { gate, output, sign } = working.columns(
      Int32Array.from({ length: working.slots - from }, (_, k) => from + k),
    );
    const out = new Float64Array(H.length);
    products.forward(gate, output, sign, vectors, now.s.length, out);
    return out;
  }

  private partsOf(all: Float64Array, C: number): Moving {
    const size = this.H.length;
    const q = all.length - 2 * size - C;
    return {
      S: all.subarray(0, q),
      Q: all.subarray(q, q + size),
      T: all.subarray(q + size, q + 2 * size),
      s: all.subarray(q + 2 * size),
    };
  }
}
