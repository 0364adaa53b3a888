/**
 * All blocks of few rows, without a list of them: what the neurons above the first layer do is chosen row by row, among few options
 * (pricing/rowOptions.ts; of three layers patterns D_2 on the rows of positive weight alone), and tuples of hidden neurons only looked at where a
 * bound over all neurons together leaves room for them.
 *
 * At coefficients c one neuron z of pattern i and sign s is worth p_i(c) (`pieceWorth`), so a tuple is worth at most the largest, or the root of the
 * sum of squares, of its neurons' - at any c. A c that is good for all neurons is found with a few of them, those that are dearest.
 */

import { gaussianSource } from "../linear/random.js";
import { norm } from "../linear/vectors.js";
import type { GateSet, Matrix } from "../types.js";
import type { BlockClass, Priced } from "./blockClass.js";
import { type Block, type BranchCharge, type Piece, type Sign, tailCount } from "./branch.js";
import { middleOf, patternsAbove } from "./cone.js";
import {
  type Coefficients,
  chosenOptions,
  type Price,
  pieceWorth,
  priceOf,
  type RowOption,
  rowOptions,
  type Tree,
  treesOf,
} from "./pricing/index.js";
import { tuplesOf } from "./work.js";

/** Blocks that one choice of D_2 may bring a round. */
const TOGETHER = 4;
/** Coefficients that tuples are bounded at, those of tuples that were priced, for one choice. */
const CUTS = 20;
/** A branch steps off the walls of its cone by this share of its length. */
const ASIDE = 1e-7;
/** How near the common bound comes to what its neurons are worth: it is the price where the charge is a sum, and else only says which tuples to look at. */
const SETTLED = { sum: 1e-9, frobenius: 1e-2 } satisfies Record<BranchCharge, number>;
/** A neuron of less than this share of a branch's length plays no part. */
const IDLE = 1e-9;

/**
 * The number of blocks. Of three layers it is multisets of m patterns with signs that are not all -1, times D_2 other than zero, times q; above them
 * multisets of such neurons in place of patterns.
 */
export function countBlocks(patterns: number, n: number, hidden: readonly number[]): number {
  return 2 * hidden.reduce((below, m) => tuplesOf(below, m) * (2 ** m - 1) * (2 ** n - 1), patterns);
}

/** A tuple with a branch that is worth more than it costs. */
interface Found {
  readonly pieces: readonly Piece[];
  readonly price: Price;
}

/** Such a tuple below neurons of given signs. */
interface FoundBelow extends Found {
  readonly tree: Tree;
  readonly sign: Sign; // q
}

export class AllBlocks implements BlockClass {
  readonly count: number;
  readonly complete: boolean;
  private readonly trees: readonly Tree[];
  private readonly groups: number; // neurons of the second layer
  private readonly pieces: readonly Piece[]; // every one for each of them, one group behind the other
  private readonly draw: () => number;

  constructor(
    private readonly X: Matrix,
    gates: GateSet,
    private readonly hidden: readonly number[],
    private readonly charge: BranchCharge,
    seed: number,
  ) {
    this.trees = treesOf(hidden);
    this.groups = tailCount(hidden);
    const pieces = piecesOf(X, gates);
    this.pieces = Array.from({ length: this.groups }, (_, of) => pieces.map((piece) => ({ ...piece, of }))).flat();
    this.draw = gaussianSource(seed);
    this.count = countBlocks(pieces.length / 2, X.rows, hidden);
    this.complete = gates.complete;
  }

  async price(weights: Float64Array, enough: number, pause: () => Promise<boolean>): Promise<Priced | null> {
    let upper = 0;
    const dearer: FoundBelow[] = [];
    for (const sign of [1, -1] as const) {
      const w = weights.map((value) => sign * value);
      for (const tree of this.trees) {
        for (const options of choicesOn(w, tree)) {
          if (await pause()) return null;
          const found = this.priceRows(chosenOptions(options, w), enough);
          upper = Math.max(upper, found.upper);
          for (const each of found.dearer) dearer.push({ ...each, tree, sign });
        }
      }
    }
    dearer.sort((a, b) => b.price.lower - a.price.lower);
    return { upper, dearer: this.blocksAt(dearer) };
  }

  /** Blocks are made as they are asked for: most wait for a later round. */
  private *blocksAt(found: readonly FoundBelow[]): Generator<Block> {
    for (const { pieces, price, tree, sign } of found) yield this.blockAt(pieces, price.Z, tree, sign);
  }

  /** All tuples at one choice of what the neurons above do. */
  private priceRows(rows: Coefficients, enough: number): { upper: number; dearer: Found[] } {
    const { X, charge } = this;
    const { worths, most, tuple, price } = this.together(rows, enough);
    if (charge === "sum" && tuple.length <= this.hidden[0] && price.lower > enough) {
      return { upper: most, dearer: [this.filled(tuple, price, worths)] };
    }
    const dearer: Found[] = [];
    let upper = enough;
    const above = this.tuplesAbove(worths, enough);
    const cuts: Float64Array[] = [];
    // The likeliest first: where some are worth more, the others can wait for a later round, and are bounded by what is known.
    for (const [at, { chosen, most }] of above.entries()) {
      if (dearer.length >= TOGETHER) return { upper: Math.max(upper, most), dearer };
      if (cuts.some((cut) => this.boundOf(cut, chosen) <= enough)) continue;
      const pieces = chosen.map((i) => this.pieces[i]);
      const found = priceOf(X, pieces, rows, charge, enough);
      upper = Math.max(upper, found.upper);
      if (found.lower > enough) dearer.push({ pieces, price: found });
      else if (cuts.length < CUTS && above.length - at > this.pieces.length) cuts.push(this.worthsAt(found.c));
    }
    return { upper, dearer };
  }

  private worthsAt(c: readonly Float64Array[]): Float64Array {
    return Float64Array.from(this.pieces, (piece) => pieceWorth(this.X, piece, c));
  }

  /**
   * Worths of all neurons at coefficients c that are good for all of them together, the largest of them, and the neurons that c was
   * found with, of which a branch of any number of neurons would be made.
   */
  private together(rows: Coefficients, enough: number) {
    const { X, pieces, groups } = this;
    const d = X.cols;
    const settled = SETTLED[this.charge];
    let worths = this.worthsAt(rows.base);
    let most = maximum(worths);
    let next = worths.indexOf(most);
    let tuple: number[] = [];
    let price: Price = { upper: most, lower: 0, Z: new Float64Array(0), c: rows.base };
    const each = this.charge === "sum" ? enough : enough / Math.sqrt(this.hidden[0] * groups);
    for (let size = 0; most > each && size <= groups * X.rows + 1 && !tuple.includes(next); size++) {
      const idle = IDLE * norm(price.Z);
      tuple = [...tuple.filter((_, j) => norm(price.Z.subarray(j * d, (j + 1) * d)) > idle), next];
      price = priceOf(
        X,
        tuple.map((i) => pieces[i]),
        rows,
        "sum",
        0,
        settled,
      );
      const at = this.worthsAt(price.c);
      const here = maximum(at);
      next = at.indexOf(here);
      if (here < most) {
        worths = at;
        most = here;
      }
      if (here <= price.lower * (1 + settled)) break;
    }
    return { worths, most, tuple, price };
  }

  /** A tuple with as many neurons of length zero, the dearest, as make it one of m. */
  private filled(tuple: readonly number[], { Z, ...price }: Price, worths: Float64Array): Found {
    const others = Array.from(worths.keys()).filter((i) => !tuple.includes(i));
    others.sort((a, b) => worths[b] - worths[a]);
    const pieces = [...tuple, ...others].slice(0, this.hidden[0]).map((i) => this.pieces[i]);
    const all = new Float64Array(pieces.length * this.X.cols);
    all.set(Z);
    return { pieces, price: { ...price, Z: all } };
  }

  /** What a tuple is worth at most, by its neurons' worths. */
  private boundOf(worths: Float64Array, chosen: readonly number[]): number {
    const { charge } = this;
    let bound = 0;
    for (const i of chosen) bound = jointly(charge, bound, worths[i]);
    return bound;
  }

  /** Tuples, m_1 neurons for each of the second layer, whose bound at the worths is above `enough`, by falling bound. */
  private tuplesAbove(worths: Float64Array, enough: number) {
    const { groups, pieces, charge } = this;
    const [m] = this.hidden;
    const each = pieces.length / groups;
    const found: { chosen: readonly number[]; most: number }[] = [];
    // The dearest of a group first, so that those behind them are bounded by the next.
    const order = Array.from({ length: groups }, (_, g) =>
      Array.from({ length: each }, (_, i) => g * each + i).sort((a, b) => worths[b] - worths[a]),
    );
    const times = charge === "sum" ? 1 : Math.sqrt(m);
    const later = new Float64Array(groups);
    for (let g = groups - 1; g > 0; g--) later[g - 1] = jointly(charge, later[g], times * worths[order[g][0]]);
    // Two neurons of one cone and sign are as good as their sum, which costs no more under the charge that is a sum.
    const step = charge === "sum" ? 1 : 0;
    const chosen: number[] = [];
    const visit = (g: number, from: number, bound: number, isOn: boolean) => {
      const left = (g + 1) * m - chosen.length;
      if (left === 0) {
        if (!isOn) return; // the neuron above would never be on
        if (g + 1 < groups) visit(g + 1, 0, bound, false);
        else found.push({ chosen: chosen.slice(), most: bound });
        return;
      }
      const rest = charge === "sum" ? 1 : Math.sqrt(left);
      for (let i = from; i < each; i++) {
        const at = order[g][i];
        if (jointly(charge, jointly(charge, bound, rest * worths[at]), later[g]) <= enough) break;
        chosen.push(at);
        visit(g, i + step, jointly(charge, bound, worths[at]), isOn || pieces[at].sign === 1);
        chosen.pop();
      }
    };
    visit(0, 0, 0, false);
    return found.sort((a, b) => b.most - a.most);
  }

  /** The block that has Z in its closure, with a point inside it next to Z. */
  private blockAt(pieces: readonly Piece[], Z: Float64Array, tree: Tree, q: Sign): Block {
    const { X } = this;
    const d = X.cols;
    const length = Math.max(norm(Z), Number.MIN_VALUE);
    const inner = Z.map((value) => value / length);
    pieces.forEach((piece, j) => {
      const share = ASIDE * (1 + 0.5 * Math.abs(this.draw()));
      const size = norm(piece.inner);
      for (let p = 0; p < d; p++) inner[j * d + p] += (share * piece.inner[p]) / size;
    });
    const signs = [pieces.map((piece) => piece.sign), ...signsOf(tree, q)];
    const above = patternsAbove(X, { Z: inner, signs });
    return { pieces, above, inner: middleOf(X, { pieces, above }) ?? inner };
  }
}

/** What neurons together are worth at most, for the worths of parts of them. */
function jointly(charge: BranchCharge, one: number, other: number): number {
  return charge === "sum" ? Math.max(one, other) : Math.sqrt(one * one + other * other);
}

/** Signs of layers 2, .., L - 1. */
function signsOf(tree: Tree, q: Sign): Sign[][] {
  const layers: Sign[][] = [[q]];
  for (let layer = tree.children; layer.length > 0; layer = layer.flatMap(({ children }) => children)) {
    layers.unshift(layer.map(({ sign }) => sign));
  }
  return layers;
}

/** Every choice of an option for each row, but for those that add nothing on rows of positive weight. */
function* choicesOn(w: Float64Array, tree: Tree): Generator<RowOption[]> {
  const each = ([1, -1] as const).map((sign) => rowOptions(tree, sign));
  const options = Array.from(w, (value) => (value === 0 ? each[0].slice(0, 1) : each[value > 0 ? 0 : 1]));
  const at = new Array<number>(w.length).fill(0);
  for (;;) {
    const row = at.findIndex((option, k) => option + 1 < options[k].length);
    if (row < 0) return;
    at.fill(0, 0, row);
    at[row] += 1;
    if (at.some((option, k) => w[k] > 0 && option > 0)) yield at.map((option, k) => options[k][option]);
  }
}

/** Every pattern that is not zero, with both signs. */
function piecesOf(X: Matrix, { count, bits, generators }: GateSet): Omit<Piece, "of">[] {
  const { rows: n, cols: d } = X;
  const words = (n + 31) >>> 5;
  return Array.from({ length: count }, (_, i) => i).flatMap((i) => {
    const on = Uint8Array.from({ length: n }, (_, k) => (bits[i * words + (k >>> 5)] >>> (k & 31)) & 1);
    if (on.every((entry) => entry === 0)) return [];
    const inner = generators.data.slice(i * d, (i + 1) * d);
    return ([1, -1] as const).map((sign) => ({ on, inner, sign }));
  });
}

function maximum(values: Float64Array): number {
  return values.reduce((a, b) => Math.max(a, b), 0);
}
