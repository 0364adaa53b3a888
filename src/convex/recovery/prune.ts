/** At most (n + 1) C neurons: surplus ones are traded against the others without a change on the data (Caratheodory). */

import { atOnce, type Pieces } from "../linear/pieces.js";
import { rowBlock } from "../linear/rowBlock.js";
import { norm } from "../linear/vectors.js";
import { type Neuron, ONE_PATCH, slopeOf } from "../network.js";
import type { Matrix, Pooling } from "../types.js";

/** A pivot of the elimination below this share of the largest entry of its column counts as zero. */
const SINGULAR = 1e-10;
const REFINEMENTS = 2;
/** What a trade may leave of the function on the data, against the terms that it moves. */
const EXACT = 1e-11;
/** Doubles of an inverse that are affordable: 256 MB. Beyond, surplus neurons stay: they do no harm. */
const ROOM = 2 ** 25;

/**
 * Removes neurons until none is left over: with contributions p_j = vec((x u_j)_+ o_j' / |o_j|) in R^{nC} and sizes
 * alpha_j = |o_j|, any null vector sum_j t_j p_j = 0 moves alpha along t, in the direction in which sum alpha does not grow,
 * until a size is zero (Wang, Lacotte and Pilanci 2021, section 4). Neurons that feed one output are treated output by output.
 */
export function pruneNeurons(neurons: readonly Neuron[], X: Matrix, pooling: Pooling | null = null): Neuron[] {
  return atOnce(pruning(neurons, X, pooling));
}

/** The same in pieces; where there is no time for it, all neurons stay. */
export function* pruning(neurons: readonly Neuron[], X: Matrix, pooling: Pooling | null = null): Pieces<Neuron[]> {
  const sums = pooling ?? ONE_PATCH;
  const n = X.rows / sums.patches;
  const C = (neurons[0]?.output.length ?? 1) / sums.positions;
  const single = neurons.every((neuron) => neuron.output.filter((value) => value !== 0).length === 1);
  if (!single) return neurons.length > (n + 1) * C ? yield* pruneGroup(neurons, X, sums) : [...neurons];
  const kept: Neuron[] = [];
  for (let c = 0; c < C; c++) {
    const group = neurons.filter((neuron) => neuron.output.some((value, k) => value !== 0 && k % C === c));
    kept.push(...(group.length > n + 1 ? yield* pruneGroup(group, X, sums) : group));
  }
  return kept;
}

function* pruneGroup(neurons: readonly Neuron[], X: Matrix, pooling: Pooling): Pieces<Neuron[]> {
  const columns: Float64Array[] = [];
  for (const neuron of neurons) {
    if (yield) return [...neurons];
    columns.push(contribution(neuron, X, pooling));
  }
  const used = Array.from(columns[0].keys()).filter((k) => columns.some((column) => column[k] !== 0));
  if (used.length ** 2 > ROOM) return [...neurons];
  const before = neurons.map(({ output }) => norm(output));
  const sizes = Float64Array.from(before);
  const trade = new Trade(columns.map((column) => Float64Array.from(used, (k) => column[k])));
  for (let j = 0; j < columns.length; j++) {
    if (yield) break;
    trade.enter(j, sizes);
  }
  // What has not entered stays as it is: the function is the same at every step.
  return neurons.flatMap((neuron, j) => {
    if (!(sizes[j] > 0)) return [];
    const scale = sizes[j] / before[j];
    return [{ ...neuron, output: neuron.output.map((value) => value * scale) }];
  });
}

/**
 * Columns one after another against a basis of those before, as in the simplex method: one that depends on them is traded until it
 * or one of the basis is gone. The inverse is updated, so that a column costs a product with it.
 */
class Trade {
  private readonly rows: number;
  private readonly basis: number[] = []; // columns
  private readonly pivots: number[] = []; // the row of each, in which it is one after the elimination
  /** E [rows x rows]: E column_b is the unit vector of its pivot for every column b of the basis. */
  private readonly E: Float64Array;
  private fresh = true; // made anew since the last exchange

  constructor(private readonly columns: readonly Float64Array[]) {
    this.rows = columns[0].length;
    this.E = new Float64Array(this.rows * this.rows);
    for (let i = 0; i < this.rows; i++) this.E[i * this.rows + i] = 1;
  }

  enter(j: number, sizes: Float64Array): void {
    if (this.entered(j, sizes) || this.fresh) return;
    for (const k of [j, ...this.renew()]) this.entered(k, sizes);
  }

  /** False for a column that is neither apart from the basis nor a sum of it beyond rounding: it stays as it is. */
  private entered(j: number, sizes: Float64Array): boolean {
    const column = this.eliminated(this.columns[j]);
    if (this.joined(j, column)) return true;
    const shares = this.combination(j, column);
    if (shares !== null) this.trade(j, shares, sizes);
    return shares !== null;
  }

  /** Takes a column that is apart from the basis into it. */
  private joined(j: number, column: Float64Array): boolean {
    const { basis, pivots, rows } = this;
    const used = new Set(pivots);
    let largest = 0;
    let free = -1;
    for (let i = 0; i < rows; i++) {
      largest = Math.max(largest, Math.abs(column[i]));
      if (!used.has(i) && (free < 0 || Math.abs(column[i]) > Math.abs(column[free]))) free = i;
    }
    if (free < 0 || !(Math.abs(column[free]) > SINGULAR * largest)) return false;
    basis.push(j);
    pivots.push(free);
    this.pivot(column, free);
    return true;
  }

  /** t_j = 1 and -shares over the basis is a null vector; so is its negative. */
  private trade(j: number, shares: Float64Array, sizes: Float64Array): void {
    const { basis, pivots, columns } = this;
    let total = 1;
    let largest = 0;
    for (const share of shares) {
      total -= share;
      largest = Math.max(largest, Math.abs(share));
    }
    const sign = total > 0 ? -1 : 1;
    let reach = sign < 0 ? sizes[j] : Number.POSITIVE_INFINITY;
    let leaving = -1; // the place in the basis, or j itself
    shares.forEach((share, k) => {
      const speed = -sign * share;
      const room = -sizes[basis[k]] / speed;
      if (speed < -SINGULAR * largest && room < reach) {
        reach = room;
        leaving = k;
      }
    });
    if (!Number.isFinite(reach)) return;
    sizes[j] = Math.max(0, sizes[j] + sign * reach);
    shares.forEach((share, k) => {
      sizes[basis[k]] = Math.max(0, sizes[basis[k]] - sign * reach * share);
    });
    if (leaving < 0) {
      sizes[j] = 0;
      return;
    }
    sizes[basis[leaving]] = 0;
    basis[leaving] = j;
    this.pivot(this.eliminated(columns[j]), pivots[leaving]);
  }

  /**
   * Column j as a sum of the basis, refined against the columns themselves, since the inverse gathers rounding from exchange to
   * exchange. Null where it is no such sum.
   */
  private combination(j: number, eliminated: Float64Array): Float64Array | null {
    const { pivots } = this;
    let shares = Float64Array.from(pivots, (row) => eliminated[row]);
    for (let refined = 0; ; refined++) {
      const { rest, exact } = this.restOf(j, shares);
      if (exact) return shares;
      if (refined === REFINEMENTS) return null;
      const more = this.eliminated(rest);
      shares = shares.map((share, k) => share + more[pivots[k]]);
    }
  }

  /** Column j less a sum of the basis. */
  private restOf(j: number, shares: Float64Array): { rest: Float64Array; exact: boolean } {
    const { columns, basis } = this;
    const rest = columns[j].slice();
    const terms = rest.map(Math.abs);
    basis.forEach((b, k) => {
      const share = shares[k];
      if (share === 0) return;
      const column = columns[b];
      for (let i = 0; i < rest.length; i++) {
        rest[i] -= share * column[i];
        terms[i] += Math.abs(share * column[i]);
      }
    });
    const most = terms.reduce((largest, term) => Math.max(largest, term), 0);
    return { rest, exact: rest.every((value) => Math.abs(value) <= EXACT * most) };
  }

  /** The inverse of the basis from its columns; those that hang together leave it, and are the answer. */
  private renew(): number[] {
    const { E, rows, basis, pivots, columns } = this;
    E.fill(0);
    for (let i = 0; i < rows; i++) E[i * rows + i] = 1;
    const before = basis.splice(0);
    pivots.splice(0);
    const left = before.filter((b) => !this.joined(b, this.eliminated(columns[b])));
    this.fresh = true;
    return left;
  }

  private eliminated(column: Float64Array): Float64Array {
    const { E, rows } = this;
    const out = new Float64Array(rows);
    for (let i = 0, at = 0; i < rows; i++) {
      let sum = 0;
      for (let k = 0; k < rows; k++, at++) sum += E[at] * column[k];
      out[i] = sum;
    }
    return out;
  }

  /** A step of Gauss and Jordan: `column`, as it was eliminated, becomes the unit vector of a row. */
  private pivot(column: Float64Array, row: number): void {
    const { E, rows } = this;
    this.fresh = false;
    const lead = E.subarray(row * rows, (row + 1) * rows);
    for (let k = 0; k < rows; k++) lead[k] /= column[row];
    for (let i = 0; i < rows; i++) {
      const factor = column[i];
      if (i === row || factor === 0) continue;
      const at = i * rows;
      for (let k = 0; k < rows; k++) E[at + k] -= factor * lead[k];
    }
  }
}

function contribution(neuron: Neuron, X: Matrix, pooling: Pooling): Float64Array {
  const { patches, positions, scale } = pooling;
  const closed = neuron.gate === null ? scale * slopeOf(pooling) : 0;
  const n = X.rows / patches;
  const C = neuron.output.length / positions;
  const size = norm(neuron.output);
  const column = new Float64Array(n * C);
  for (let j = 0; j < n; j++) {
    const rows = rowBlock(X, j * patches, patches);
    for (let k = 0; k < patches; k++) {
      let pre = 0;
      let gate = 0;
      for (let p = 0; p < X.cols; p++) {
        pre += rows[k * X.cols + p] * neuron.direction[p];
        if (neuron.gate !== null) gate += rows[k * X.cols + p] * neuron.gate[p];
      }
      const factor = (neuron.gate === null ? pre > 0 : gate >= 0) ? scale : closed;
      if (factor === 0) continue;
      const read = (k % positions) * C;
      for (let c = 0; c < C; c++) column[j * C + c] += (factor * pre * neuron.output[read + c]) / size;
    }
  }
  return column;
}
