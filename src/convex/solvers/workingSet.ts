/**
 * The gates that a second-order solver works on: a few at first, then those that the dual point prices above beta.
 *
 * Slot order: gate of the list, then sign (with cones), then output; every slot has a vector of d entries.
 */

import { blockOutputs, columnsOf } from "../operators/blocks.js";
import type { ConvexProgram, SparseBlocks } from "../types.js";

/** Gates to begin with, and the least number to add when some are missing. */
const FIRST = 96;
/** With cones as many as this share of the rows, if that is more: most narrow cones are active, and too small a set costs rounds. */
const FIRST_OF_ROWS = 0.5;

export class WorkingSet {
  gates: Int32Array; // [g]
  centers: Float64Array; // [slots x d]: the proximal centers
  readonly halves: number; // blocks of a gate: with cones one for each sign
  private readonly outputs: number; // vectors of a block
  private readonly at: Int32Array; // position of a gate in the list, -1 outside

  constructor(
    private readonly program: ConvexProgram,
    prices: Float64Array, // [B x C], any ranking of the blocks
    start: SparseBlocks | null,
    first = 0, // gates to begin with, if more than usual
  ) {
    const P = program.gates.count;
    const C = blockOutputs(program);
    this.outputs = C;
    this.halves = program.cones ? 2 : 1;
    this.at = new Int32Array(P).fill(-1);
    const wanted = new Set<number>();
    const columns = start === null ? null : columnsOf(program, start.index);
    if (columns !== null) for (const gate of columns.gate) wanted.add(gate);
    const best = new Float64Array(P);
    for (let k = 0; k < prices.length; k++) {
      const gate = Math.floor(k / C) % P;
      best[gate] = Math.max(best[gate], prices[k]);
    }
    const order = Array.from({ length: P }, (_, i) => i).sort((a, b) => best[b] - best[a]);
    const rows = program.cones && start === null ? FIRST_OF_ROWS * program.loss.rows : 0;
    for (const gate of order) {
      if (wanted.size >= Math.max(FIRST, first, rows, (columns?.gate.length ?? 0) + FIRST / 2)) break;
      wanted.add(gate);
    }
    this.gates = Int32Array.from(wanted).sort();
    this.gates.forEach((gate, k) => {
      this.at[gate] = k;
    });
    this.centers = new Float64Array(this.slots * program.X.cols);
    if (start !== null && columns !== null) {
      const d = program.X.cols;
      for (let k = 0; k < start.index.length; k++) {
        const half = columns.sign[k] > 0 ? 0 : 1;
        const slot = (this.at[columns.gate[k]] * this.halves + half) * C + columns.output[k];
        this.centers.set(start.vectors.subarray(k * d, (k + 1) * d), slot * d);
      }
    }
  }

  get slots(): number {
    return this.gates.length * this.halves * this.outputs;
  }

  /** In place: scale X' D_i R for gates of the list, at the front, becomes scale A' R in all their slots. */
  spread(all: Float64Array, scale: number): void {
    if (this.halves === 1) return;
    const size = this.outputs * this.program.X.cols;
    for (let from = all.length / 2 - size; from >= 0; from -= size) {
      for (let p = from, to = 2 * from; p < from + size; p++, to++) {
        const value = scale * all[p];
        all[to] = value;
        all[to + size] = -value;
      }
    }
  }

  /** Gate, sign and output of a slot, and its number among all (block, output) pairs. */
  gateOf(slot: number): number {
    return this.gates[Math.floor(slot / (this.halves * this.outputs))];
  }

  signOf(slot: number): 1 | -1 {
    return Math.floor(slot / this.outputs) % this.halves === 0 ? 1 : -1;
  }

  outputOf(slot: number): number {
    return slot % this.outputs;
  }

  indexOf(slot: number): number {
    const half = this.signOf(slot) > 0 ? 0 : this.program.gates.count;
    return (this.gateOf(slot) + half) * this.outputs + this.outputOf(slot);
  }

  /** Gate, output and sign of each slot: what the kernels want to know. */
  columns(slots: ArrayLike<number>): { gate: Int32Array; output: Int32Array; sign: Float64Array } {
    return {
      gate: Int32Array.from(slots, (slot) => this.gateOf(slot)),
      output: Int32Array.from(slots, (slot) => this.outputOf(slot)),
      sign: Float64Array.from(slots, (slot) => this.signOf(slot)),
    };
  }

  /** A point of the program with these vectors [slots x d] in the slots and nothing elsewhere. */
  point(slots: ArrayLike<number>, vectors: Float64Array, bias: Float64Array): SparseBlocks {
    const d = this.program.X.cols;
    const order = Array.from(slots, (slot, k) => ({ index: this.indexOf(slot), k })).sort((a, b) => a.index - b.index);
    const sorted = new Float64Array(order.length * d);
    order.forEach(({ k }, to) => {
      sorted.set(vectors.subarray(k * d, (k + 1) * d), to * d);
    });
    return { index: Int32Array.from(order, ({ index }) => index), vectors: sorted, bias: Float64Array.from(bias) };
  }

  /** Adds the dearest gates outside the set that cost more than beta, at most as many as there are; says how many. */
  grow(prices: Float64Array, beta: number, slack: number): number {
    const P = this.program.gates.count;
    const C = this.outputs;
    const dear: { gate: number; price: number }[] = [];
    for (let gate = 0; gate < P; gate++) {
      if (this.at[gate] >= 0) continue;
      let price = 0;
      for (let half = 0; half < this.halves; half++) {
        for (let c = 0; c < C; c++) price = Math.max(price, prices[(half * P + gate) * C + c]);
      }
      if (price > beta * (1 + slack)) dear.push({ gate, price });
    }
    if (dear.length === 0) return 0;
    dear.sort((a, b) => b.price - a.price);
    const added = dear.slice(0, Math.max(FIRST, this.gates.length)).map((entry) => entry.gate);
    const size = this.halves * C * this.program.X.cols;
    const centers = new Float64Array(this.centers.length + added.length * size);
    centers.set(this.centers);
    const gates = new Int32Array(this.gates.length + added.length);
    gates.set(this.gates);
    added.forEach((gate, k) => {
      this.at[gate] = this.gates.length + k;
      gates[this.gates.length + k] = gate;
    });
    this.gates = gates;
    this.centers = centers;
    return added.length;
  }
}
