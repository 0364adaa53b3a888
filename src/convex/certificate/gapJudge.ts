/** A judge of points: the price of every block at a dual point, and the gap of a point to that dual point, scaled until it is feasible. */

import type { GatedProducts } from "../kernels/types.js";
import { atOnce, type Pieces } from "../linear/pieces.js";
import { concatenated, largestOf, norm } from "../linear/vectors.js";
import { steepest } from "../network.js";
import { blockCount, blockOutputs, penaltyOf, predict } from "../operators/blocks.js";
import { type ConeProjector, coneProjector } from "../operators/coneProjection.js";
import { dualPointAtZero } from "../operators/dualPoint.js";
import type { ConvexProgram, Gap, SparseBlocks } from "../types.js";
import { bestScale } from "./dualScale.js";
import { relativeGap } from "./relativeGap.js";

/** Gates whose vectors are held at a time while pricing: bounds the memory, not the result. */
const CHUNK = 64;
/** Multiplications between two turns of the host, some 10 ms, and points that are projected in between: few at first, while none is known to be dear. */
const TURN = 1e7;
const FIRST_POINTS = 8;
const MOST_POINTS = 32;
/** The same where nothing is projected: some 20 ms of products, and gates from which on these lose nothing by being taken in parts. */
const PRICING_TURN = 2e8;
const FEWEST_TOGETHER = 128;
/** Doubles of the vectors of all blocks that are held meanwhile: 32 MB. */
const HELD = 2 ** 22;

/** Prices of all blocks: `prices[b * C + c]` is N_b for output c, or an upper bound of it that is at most beta. */
export interface Prices {
  readonly prices: Float64Array; // [B x C]; nuclear penalty: the price of block b stands at c = 0
  readonly largest: number;
}

export type Judged = Gap & { readonly prices: Prices; readonly scale: number };

/** Judges points of one program; remembers faces of cones between calls, nothing else. */
export class GapJudge {
  private readonly projector: ConeProjector | null;
  private judged = false;

  constructor(
    private readonly program: ConvexProgram,
    private readonly products: GatedProducts,
    projector: ConeProjector | null = null, // one that remembers faces, for programs with cones
    // When true, prices of cones stay upper bounds, which are prices too, if too high, and points after the first get no prices of
    // gated blocks.
    private readonly late: () => boolean = () => false,
  ) {
    this.projector = program.cones ? (projector ?? coneProjector(program, products)) : null;
  }

  /** Z [n x C] of a point: the network's outputs before the last activation. */
  predict(blocks: SparseBlocks, Z: Float64Array): void {
    predict(this.program, this.products, blocks, Z);
  }

  /** The dual norms of N [n x C] at every block; exact above `threshold`, upper bounds below it. */
  price(N: Float64Array, threshold: number): Prices {
    return atOnce(this.pricing(N, threshold));
  }

  /** The gap of a point, with the dual point made from N [n x C]; N is balanced in place where the bias is free. */
  gap(blocks: SparseBlocks, N: Float64Array): Judged {
    return atOnce(this.gapping(blocks, N));
  }

  /** The same in pieces. */
  *gapping(blocks: SparseBlocks, N: Float64Array): Pieces<Judged> {
    const primal = this.begin(blocks, N);
    if (this.program.penalty.name === "ridge") return { ...this.ridgeGap(primal, N, blocks), primal };
    yield;
    const unpriced = this.judged && this.projector === null && this.late();
    const prices = unpriced ? this.unknownPrices() : yield* this.pricing(N, this.program.beta);
    this.judged = true;
    return { ...this.end(primal, N, prices.largest), prices };
  }

  /** The same in pieces, and without the prices: these are not looked into further than the largest needs. */
  *gapAlone(blocks: SparseBlocks, N: Float64Array): Pieces<Gap & { readonly scale: number }> {
    const primal = this.begin(blocks, N);
    yield;
    const { beta } = this.program;
    return this.end(primal, N, yield* this.largestPrice(N, beta));
  }

  /** The largest of all prices of N [n x C] where it is above `threshold`, else a bound of it that is not; an upper bound when it is late. */
  *largestPrice(N: Float64Array, threshold: number): Pieces<number> {
    const { projector, program } = this;
    if (projector === null) return (yield* this.priceGated(N)).largest;
    const { gates, X } = program;
    const [C, P] = [blockOutputs(program), gates.count];
    const { norms: bounds, vectors } = yield* this.blockNorms(N);
    const order = Array.from(bounds.keys()).sort((a, b) => bounds[b] - bounds[a]);
    let largest = Math.min(threshold, bounds[order[0]]);
    for (let from = 0, points = FIRST_POINTS; from < order.length; points = Math.min(2 * points, MOST_POINTS)) {
      const next = bounds[order[from]];
      if (next <= largest) break;
      const late = yield;
      if (late === true) return next;
      const some = order.slice(from, from + points).filter((k) => bounds[k] > largest);
      from += points;
      const pulls = some.map((k) => vectors?.slice(k * X.cols, (k + 1) * X.cols) ?? this.adjointAt(N, k));
      const list = {
        gates: some.flatMap((k) => [Math.floor(k / C), Math.floor(k / C)]),
        slots: some.flatMap((k) => [k, P * C + k]),
        Z: concatenated(...pulls.flatMap((vector) => [vector.map((value) => -value), vector])),
      };
      largest = Math.max(largest, largestOf(projector.projectAll(list, largest, this.late).norms));
    }
    return largest;
  }

  /** X' D_i N_c for every gate and output, where there is room for them, and their norms, [P x C]: what prices are at most. */
  private *blockNorms(N: Float64Array): Pieces<{ norms: Float64Array; vectors: Float64Array | null }> {
    const { gates, loss, X } = this.program;
    const [C, d] = [blockOutputs(this.program), X.cols];
    const norms = new Float64Array(gates.count * C);
    const vectors = gates.count * C * d <= HELD ? new Float64Array(gates.count * C * d) : null;
    const together = Math.max(1, Math.floor(TURN / (X.rows * d * loss.outputs)));
    yield* this.pulls(N, together, (some, from) => {
      vectors?.set(some, from * C * d);
      for (let k = 0; k < some.length / d; k++) norms[from * C + k] = norm(some.subarray(k * d, (k + 1) * d));
    });
    return { norms, vectors };
  }

  /** Calls `use` with X' D_i N_c of so many gates `together`, [.. x C x d], which are overwritten then, and the first of them. */
  private *pulls(N: Float64Array, together: number, use: (some: Float64Array, from: number) => void): Pieces<void> {
    const { gates, loss, X } = this.program;
    const size = blockOutputs(this.program) * X.cols;
    const vectors = new Float64Array(Math.min(together, gates.count) * size);
    for (let from = 0; from < gates.count; from += together) {
      const list = Int32Array.from({ length: Math.min(together, gates.count - from) }, (_, k) => from + k);
      const some = vectors.subarray(0, list.length * size);
      this.products.adjoint(N, loss.outputs, list, some);
      use(some, from);
      yield;
    }
  }

  /** X' D_i N_c of one gate and output. */
  private adjointAt(N: Float64Array, block: number): Float64Array {
    const { loss, X } = this.program;
    const C = blockOutputs(this.program);
    const vectors = new Float64Array(C * X.cols);
    this.products.adjoint(N, loss.outputs, Int32Array.of(Math.floor(block / C)), vectors);
    return vectors.slice((block % C) * X.cols, ((block % C) + 1) * X.cols);
  }

  /** The objective of a point; N is balanced where the bias is free. */
  private begin(blocks: SparseBlocks, N: Float64Array): number {
    const { loss, outputBias } = this.program;
    const Z = new Float64Array(loss.rows * loss.outputs);
    this.predict(blocks, Z);
    if (outputBias !== null && outputBias.ridge === 0) loss.balance(N);
    return loss.value(Z) + penaltyOf(this.program, blocks);
  }

  private end(primal: number, N: Float64Array, largest: number): Gap & { readonly scale: number } {
    const { value: dual, scale } = bestScale(this.program, N, this.program.beta / largest);
    return { primal, dual, relative: relativeGap(primal, dual, this.program), scale };
  }

  /**
   * Of one layer: every N is feasible, and costs |X' N|^2 / (2 beta); without a beta the bound is for weights of at most `reachOf`,
   * and costs that times |X' N|.
   */
  private ridgeGap(primal: number, N: Float64Array, blocks: SparseBlocks) {
    const { beta, loss, X } = this.program;
    const vectors = new Float64Array(loss.outputs * X.cols);
    this.products.adjoint(N, loss.outputs, Int32Array.of(0), vectors);
    const size = norm(vectors);
    const reach = reachOf(blocks);
    const cost = (s: number) => (beta > 0 ? (s * size) ** 2 / (2 * beta) : s * size * reach);
    const { value: dual, scale } = bestScale(this.program, N, Number.POSITIVE_INFINITY, cost);
    const prices = { prices: new Float64Array(loss.outputs), largest: 0 };
    return { dual, relative: relativeGap(primal, dual, this.program), prices, scale };
  }

  /**
   * A lower bound of the same problem on data X' with |X' - X| <= tail in spectral norm, for any loss, from a dual point
   * N [n x C] on X, balanced where the bias is free.
   *
   * |(X'u)_+ - (Xu)_+| <= tail |u| (with a slope of more than 1, that times as much), so that X' prices N at most tail |N_c| dearer than X does: N, scaled by that much less, is
   * feasible there.
   */
  boundNear(N: Float64Array, tail: number): number {
    const { loss, beta, penalty } = this.program;
    const { largest } = this.price(N, beta);
    const dearer = largest + tail * steepest(this.program.pooling) * longestColumn(N, loss.outputs, penalty.separable);
    return bestScale(this.program, N, beta / dearer).value;
  }

  /** Of which only N = 0 is feasible. */
  private unknownPrices(): Prices {
    const prices = new Float64Array(this.program.gates.count * blockOutputs(this.program)).fill(
      Number.POSITIVE_INFINITY,
    );
    return { prices, largest: Number.POSITIVE_INFINITY };
  }

  private *pricing(N: Float64Array, threshold: number): Pieces<Prices> {
    return this.projector === null ? yield* this.priceGated(N) : this.priceCones(N, threshold, this.projector);
  }

  private *priceGated(N: Float64Array): Pieces<Prices> {
    const { gates, loss, penalty, X } = this.program;
    const [C, d] = [blockOutputs(this.program), X.cols];
    const prices = new Float64Array(gates.count * C);
    const together = Math.max(FEWEST_TOGETHER, Math.floor(PRICING_TURN / (X.rows * d * loss.outputs)));
    if (!penalty.separable) {
      const size = C * d;
      yield* this.pulls(N, Math.min(CHUNK, together), (some, from) => {
        for (let k = 0; k < some.length / size; k++)
          prices[(from + k) * C] = penalty.dualNorm(some.subarray(k * size, (k + 1) * size), C, d);
      });
    } else if (together >= gates.count) {
      this.products.adjointNorms(N, loss.outputs, prices);
    } else {
      yield* this.pulls(N, together, (some, from) => {
        for (let k = 0; k < some.length / d; k++) prices[from * C + k] = norm(some.subarray(k * d, (k + 1) * d));
      });
    }
    return { prices, largest: largestOf(prices) };
  }

  private priceCones(N: Float64Array, threshold: number, projector: ConeProjector): Prices {
    const { gates, loss, X } = this.program;
    const C = blockOutputs(this.program);
    const d = X.cols;
    const P = gates.count;
    const bounds = new Float64Array(P * C);
    this.products.adjointNorms(N, loss.outputs, bounds);
    const prices = new Float64Array(blockCount(this.program) * C);
    prices.set(bounds);
    prices.set(bounds, P * C);
    const open: number[] = [];
    for (let i = 0; i < P; i++) {
      let needed = false;
      for (let c = 0; c < C; c++) needed ||= bounds[i * C + c] > threshold;
      if (needed) open.push(i);
    }
    const vectors = new Float64Array(CHUNK * C * d);
    for (let from = 0; from < open.length; from += CHUNK) {
      const list = Int32Array.from(open.slice(from, from + CHUNK));
      this.products.adjoint(N, loss.outputs, list, vectors);
      const gates: number[] = [];
      const slots: number[] = [];
      const points: Float64Array[] = [];
      for (let k = 0; k < list.length * C; k++) {
        const gate = list[Math.floor(k / C)];
        const output = k % C;
        if (bounds[gate * C + output] <= threshold) continue;
        const vector = vectors.slice(k * d, (k + 1) * d);
        gates.push(gate, gate);
        slots.push(gate * C + output, (gate + P) * C + output);
        points.push(
          vector.map((value) => -value),
          vector,
        );
      }
      const { norms } = projector.projectAll({ gates, slots, Z: concatenated(...points) }, threshold, this.late);
      slots.forEach((slot, k) => {
        prices[slot] = norms[k];
      });
    }
    return { prices, largest: largestOf(prices) };
  }
}

/**
 * The smallest beta at which the network with all blocks zero is optimal: the largest price of the gradient at zero.
 *
 * For a loss with kinks the gradient at zero is not unique; the answer is then an upper bound of the smallest.
 */
export function smallestTrivialBeta(program: Omit<ConvexProgram, "beta">, products: GatedProducts): number {
  return atOnce(trivialBeta(program, products));
}

/** The same in pieces; too large where it is told to come to an end. */
export function trivialBeta(program: Omit<ConvexProgram, "beta">, products: GatedProducts): Pieces<number> {
  return new GapJudge({ ...program, beta: 0 }, products).largestPrice(dualPointAtZero(program), 0);
}

/** The length of weights up to which a bound without weight decay holds: this many times that of the weights at hand. */
export const REACH = 100;

function reachOf({ vectors }: SparseBlocks): number {
  return REACH * (norm(vectors) || 1);
}

/** The longest column of N [n x C], or the length of all of them together. */
export function longestColumn(N: Float64Array, C: number, separate: boolean): number {
  const squares = new Float64Array(separate ? C : 1);
  for (let k = 0; k < N.length; k++) squares[separate ? k % C : 0] += N[k] ** 2;
  return Math.sqrt(largestOf(squares));
}
