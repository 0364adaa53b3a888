/**
 * All blocks of few rows, without a list of them: patterns D_2 are chosen on the rows of positive weight alone (pricing/price.ts), and tuples of
 * hidden neurons only looked at where a bound over all neurons together leaves room for them.
 *
 * At coefficients c one neuron z of pattern i and sign s is worth p_i(c) (`pieceWorth`), so a tuple is worth at most the largest, or the root of the
 * sum of squares, of its neurons' - at any c. A c that is good for all neurons is found with a few of them, those that are dearest.
 */

import { gaussianSource } from "../linear/random.js";
import { norm } from "../linear/vectors.js";
import type { GateSet, Matrix } from "../types.js";
import type { BlockClass, Priced } from "./blockClass.js";
import { type Block, type BranchCharge, type Piece, sumsOf } from "./branch.js";
import { middleOf } from "./cone.js";
import { type Price, pieceWorth, priceOf, type RowCoefficients } from "./pricing/index.js";
import { tuplesOf } from "./work.js";

/** Blocks that one choice of D_2 may bring a round. */
const TOGETHER = 4;
/** A branch steps off the walls of its cone by this share of its length. */
const ASIDE = 1e-7;
/** Neurons are taken into the common bound until it rises by less than this share. */
const SETTLED = 1e-9;
/** A neuron of less than this share of a branch's length plays no part. */
const IDLE = 1e-9;

/** The number of blocks: multisets of m patterns with signs that are not all -1, times D_2 other than zero, times q. */
export function countBlocks(patterns: number, n: number, m: number): number {
  return tuplesOf(patterns, m) * (2 ** m - 1) * (2 ** n - 1) * 2;
}

/** A tuple with a branch that is worth more than it costs. */
interface Found {
  readonly pieces: readonly Piece[];
  readonly price: Price;
}

export class AllBlocks implements BlockClass {
  readonly count: number;
  readonly complete: boolean;
  private readonly pieces: readonly Piece[];
  private readonly draw: () => number;

  constructor(
    private readonly X: Matrix,
    gates: GateSet,
    private readonly m: number,
    private readonly charge: BranchCharge,
    seed: number,
  ) {
    this.pieces = piecesOf(X, gates);
    this.draw = gaussianSource(seed);
    this.count = countBlocks(this.pieces.length / 2, X.rows, m);
    this.complete = gates.complete;
  }

  async price(weights: Float64Array, enough: number, pause: () => Promise<boolean>): Promise<Priced | null> {
    let upper = 0;
    const dearer: { block: Block; worth: number }[] = [];
    for (const sign of [1, -1] as const) {
      const w = weights.map((value) => sign * value);
      const positive = Array.from(w.keys()).filter((k) => w[k] > 0);
      for (let mask = 1; mask < 2 ** positive.length; mask++) {
        if (await pause()) return null;
        const found = this.priceRows(rowsOf(w, new Set(positive.filter((_, i) => (mask >>> i) & 1))), enough);
        upper = Math.max(upper, found.upper);
        for (const { pieces, price } of found.dearer) {
          dearer.push({ block: this.blockAt(pieces, price.Z, sign), worth: price.lower });
        }
      }
    }
    dearer.sort((a, b) => b.worth - a.worth);
    return { upper, dearer: dearer.map(({ block }) => block) };
  }

  /** All tuples at one choice of D_2. */
  private priceRows(rows: RowCoefficients, enough: number): { upper: number; dearer: Found[] } {
    const { X, m, charge } = this;
    const { worths, most, tuple, price } = this.together(rows, enough);
    if (charge === "sum" && tuple.length <= m && price.lower > enough) {
      return { upper: most, dearer: [this.filled(tuple, price, worths)] };
    }
    const dearer: Found[] = [];
    let upper = enough;
    // The likeliest first: where some are worth more, the others can wait for a later round, and are bounded by what is known.
    for (const { chosen, most } of this.tuplesAbove(worths, enough)) {
      if (dearer.length >= TOGETHER) return { upper: Math.max(upper, most), dearer };
      const pieces = chosen.map((i) => this.pieces[i]);
      const found = priceOf(X, pieces, rows, charge, enough);
      upper = Math.max(upper, found.upper);
      if (found.lower > enough) dearer.push({ pieces, price: found });
    }
    return { upper, dearer };
  }

  /**
   * Worths of all neurons at coefficients c that are good for all of them together, the largest of them, and the neurons that c was
   * found with, of which a branch of any number of neurons would be made.
   */
  private together(rows: RowCoefficients, enough: number) {
    const { X, pieces } = this;
    const d = X.cols;
    const all = (c: Float64Array) => Float64Array.from(pieces, (piece) => pieceWorth(X, piece, c));
    let worths = all(rows.base);
    let most = maximum(worths);
    let next = worths.indexOf(most);
    let tuple: number[] = [];
    let price: Price = { upper: most, lower: 0, Z: new Float64Array(0), c: rows.base };
    const each = this.charge === "sum" ? enough : enough / Math.sqrt(this.m);
    for (let size = 0; most > each && size <= X.rows + 1 && !tuple.includes(next); size++) {
      const idle = IDLE * norm(price.Z);
      tuple = [...tuple.filter((_, j) => norm(price.Z.subarray(j * d, (j + 1) * d)) > idle), next];
      price = priceOf(
        X,
        tuple.map((i) => pieces[i]),
        rows,
        "sum",
        0,
      );
      const at = all(price.c);
      const here = maximum(at);
      next = at.indexOf(here);
      if (here < most) {
        worths = at;
        most = here;
      }
      if (here <= price.lower * (1 + SETTLED)) break;
    }
    return { worths, most, tuple, price };
  }

  /** A tuple with as many neurons of length zero, the dearest, as make it one of m. */
  private filled(tuple: readonly number[], { Z, ...price }: Price, worths: Float64Array): Found {
    const others = Array.from(worths.keys()).filter((i) => !tuple.includes(i));
    others.sort((a, b) => worths[b] - worths[a]);
    const pieces = [...tuple, ...others].slice(0, this.m).map((i) => this.pieces[i]);
    const all = new Float64Array(pieces.length * this.X.cols);
    all.set(Z);
    return { pieces, price: { ...price, Z: all } };
  }

  /** Tuples whose bound at the worths is above `enough`, by falling bound. */
  private tuplesAbove(worths: Float64Array, enough: number) {
    const found: { chosen: readonly number[]; most: number }[] = [];
    // Two neurons of one cone and sign are as good as their sum, which costs no more under the charge that is a sum.
    const repeat = this.charge === "frobenius";
    const bound = (chosen: readonly number[]) =>
      repeat
        ? Math.sqrt(chosen.reduce((sum, i) => sum + worths[i] ** 2, 0))
        : chosen.reduce((most, i) => Math.max(most, worths[i]), 0);
    const visit = (chosen: readonly number[], from: number) => {
      if (chosen.length === this.m) {
        const most = bound(chosen);
        if (most > enough && chosen.some((i) => this.pieces[i].sign === 1)) found.push({ chosen, most });
        return;
      }
      for (let i = from; i < worths.length; i++) visit([...chosen, i], repeat ? i : i + 1);
    };
    visit([], 0);
    return found.sort((a, b) => b.most - a.most);
  }

  /** The block that has Z in its closure, with a point inside it next to Z. */
  private blockAt(pieces: readonly Piece[], Z: Float64Array, sign: 1 | -1): Block {
    const { X } = this;
    const d = X.cols;
    const length = Math.max(norm(Z), Number.MIN_VALUE);
    const inner = Z.map((value) => value / length);
    pieces.forEach((piece, j) => {
      const share = ASIDE * (1 + 0.5 * Math.abs(this.draw()));
      const size = norm(piece.inner);
      for (let p = 0; p < d; p++) inner[j * d + p] += (share * piece.inner[p]) / size;
    });
    const h = sumsOf(X, { Z: inner, signs: pieces.map((piece) => piece.sign) });
    const on = Uint8Array.from(h, (value) => Number(value >= 0));
    return { pieces, sign, on, inner: middleOf(X, { pieces, on }) ?? inner };
  }
}

/** Every pattern that is not zero, with both signs. */
function piecesOf(X: Matrix, { count, bits, generators }: GateSet): Piece[] {
  const { rows: n, cols: d } = X;
  const words = (n + 31) >>> 5;
  return Array.from({ length: count }, (_, i) => i).flatMap((i) => {
    const on = Uint8Array.from({ length: n }, (_, k) => (bits[i * words + (k >>> 5)] >>> (k & 31)) & 1);
    if (on.every((entry) => entry === 0)) return [];
    const inner = generators.data.slice(i * d, (i + 1) * d);
    return ([1, -1] as const).map((sign) => ({ on, inner, sign }));
  });
}

/** D_2 is 1 on the chosen rows of positive weight and 0 on the others; rows of negative weight have their interval. */
function rowsOf(w: Float64Array, chosen: ReadonlySet<number>): RowCoefficients {
  return {
    base: w.map((value, k) => (value < 0 || chosen.has(k) ? value : 0)),
    direction: new Int8Array(w.length).fill(1),
    upper: w.map((value) => Math.max(0, -value)),
  };
}

function maximum(values: Float64Array): number {
  return values.reduce((a, b) => Math.max(a, b), 0);
}
