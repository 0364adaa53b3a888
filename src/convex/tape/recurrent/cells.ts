/**
 * What the units of a recurrent layer do at one turn, in the forms of TensorFlow.js: simple ones (Elman 1990), with gates and a memory
 * (Hochreiter and Schmidhuber 1997; Gers, Schmidhuber and Cummins 2000), with gates alone (Cho et al. 2014).
 */

import type { Kernels } from "../../kernels/types.js";
import type { Activation } from "../activations.js";
import { dense } from "../dense.js";
import { addTo, type Make, type Operation, partOf, Scratch, type Values, type WeightPlace } from "../operation.js";

/** The units of a layer: turns forward, from the first, then turns backward, from the last, of the same block. */
export interface Cell {
  readonly size: number; // outputs of a turn
  readonly inputs: number; // numbers that a turn is given
  readonly work: number; // of a turn, as of an operation
  readonly room: number;
  /** Before the first turn forward. */
  begin?(weights: Float64Array): void;
  /** out [size x n] from z [inputs x n] and the outputs before, null: zero. */
  forward(turn: number, n: number, z: Values, before: Values | null, weights: Float64Array, out: Values): void;
  /**
   * given := the gradient of <pull, out> by z, earlier := that by the outputs before, where there are some, and gradient += that by
   * the weights. `earlier` may be `pull`.
   */
  backward(
    turn: number,
    n: number,
    before: Values | null,
    out: Values,
    pull: Values,
    weights: Float64Array,
    given: Values,
    earlier: Values,
    gradient: Float64Array,
  ): void;
  /** After the last turn backward. */
  end?(gradient: Float64Array): void;
}

export type MakeCell = (kernels: Kernels, turns: number) => Cell;

/** Units at each of some places, and their activations. */
export interface Units {
  readonly units: number;
  readonly places: number;
  readonly activation: Activation;
  /** Of gates. */
  readonly gate: Activation;
  readonly recurrent: WeightPlace;
  /** The product of the outputs before with a kernel that makes so many features at each place; it leaves pulls as they are. */
  readonly product: (kernel: WeightPlace, features: number) => Make;
}

/** h := a(z + U h). */
export function simpleCell({ units, places, activation, recurrent, product }: Units): MakeCell {
  const size = places * units;
  return (kernels, turns) => {
    const recur = products(product(recurrent, units), kernels, turns);
    const sums = scratches(turns);
    return {
      ...{ size, inputs: size, work: recur(0).work + size, room: recur(0).room + size },
      forward(turn, n, z, before, weights, out) {
        const Z = sums[turn].take(size * n);
        sumsInto(recur(turn), n, z, before, weights, Z);
        entries(activation, Z, out, 0, Z.length);
      },
      backward(turn, n, before, out, pull, weights, given, earlier, gradient) {
        const Z = sums[turn].take(size * n);
        for (let k = 0; k < Z.length; k++) given[k] = pull[k] * activation.slope(Z[k], out[k]);
        if (before !== null) recur(turn).backward(n, [before], weights, Z, given, [earlier], gradient);
      },
    };
  };
}

/** (i, f, g, o) := z + U h; c := gate(f) c + gate(i) a(g); h := gate(o) a(c). */
export function memoryCell({ units, places, activation, gate, recurrent, product }: Units): MakeCell {
  const size = places * units;
  return (kernels, turns) => {
    const recur = products(product(recurrent, 4 * units), kernels, turns);
    const [sums, gates, memories, shown] = [scratches(turns), scratches(turns), scratches(turns), scratches(turns)];
    const carried = new Scratch(); // the pull of the memory
    const held = (turn: number, n: number) => ({
      Z: sums[turn].take(4 * size * n),
      G: gates[turn].take(4 * size * n),
      C: memories[turn].take(size * n),
      A: shown[turn].take(size * n),
      before: turn === 0 ? null : memories[turn - 1].take(size * n),
    });
    return {
      ...{ size, inputs: 4 * size, work: recur(0).work + 9 * size, room: recur(0).room + 10 * size },
      forward(turn, n, z, outputs, weights, out) {
        const { Z, G, C, A, before } = held(turn, n);
        sumsInto(recur(turn), n, z, outputs, weights, Z);
        const block = units * n;
        for (let i = 0, at = 0; at < C.length; i += 4 * block) {
          const [f, g, o] = [i + block, i + 2 * block, i + 3 * block];
          entries(gate, Z, G, i, g);
          entries(activation, Z, G, g, o);
          entries(gate, Z, G, o, o + block);
          const end = at + block;
          for (let k = at, j = 0; k < end; k++, j++) {
            C[k] = G[i + j] * G[g + j] + (before === null ? 0 : G[f + j] * before[k]);
          }
          entries(activation, C, A, at, end);
          for (let k = at, j = o; k < end; k++, j++) out[k] = G[j] * A[k];
          at = end;
        }
      },
      backward(turn, n, outputs, _out, pull, weights, given, earlier, gradient) {
        const { Z, G, C, A, before } = held(turn, n);
        const D = carried.take(size * n);
        if (turn === turns - 1) D.fill(0);
        const block = units * n;
        for (let k = 0, i = 0; k < C.length; i += 3 * block) {
          for (const end = k + block; k < end; k++, i++) {
            const [f, g, o] = [i + block, i + 2 * block, i + 3 * block];
            const memory = D[k] + pull[k] * G[o] * activation.slope(C[k], A[k]);
            given[i] = memory * G[g] * gate.slope(Z[i], G[i]);
            given[f] = before === null ? 0 : memory * before[k] * gate.slope(Z[f], G[f]);
            given[g] = memory * G[i] * activation.slope(Z[g], G[g]);
            given[o] = pull[k] * A[k] * gate.slope(Z[o], G[o]);
            D[k] = memory * G[f];
          }
        }
        if (outputs !== null) recur(turn).backward(n, [outputs], weights, Z, given, [earlier], gradient);
      },
    };
  };
}

/** (s, r) := gate(z_1 + U_1 h); g := a(z_2 + U_2 (r h)); h := s h + (1 - s) g. At one place. */
export function gatedCell({ units, activation, gate, recurrent }: Units): MakeCell {
  const both = 2 * units;
  const split = both * units;
  const { trained } = recurrent;
  return (kernels, turns) => {
    // U_1 and U_2 are columns of one kernel; here they stand one behind the other.
    const own = new Float64Array(recurrent.size);
    const slopes = new Float64Array(recurrent.size);
    const gating = dense(units, both, { at: 0, size: split, trained }, null)(kernels);
    const making = dense(units, units, { at: split, size: units * units, trained }, null)(kernels);
    const [sums, made, opened] = [scratches(turns), scratches(turns), scratches(turns)];
    const pulled = new Scratch();
    const held = (turn: number, n: number) => ({
      Z: sums[turn].take(3 * units * n),
      G: made[turn].take(3 * units * n),
      R: opened[turn].take(units * n), // r h
    });
    return {
      ...{ size: units, inputs: 3 * units, work: gating.work + making.work + 7 * units, room: 7 * units },
      begin(weights) {
        eachColumn(partOf(weights, recurrent), units, (value, _, at) => {
          own[at] = value;
        });
        slopes.fill(0);
      },
      forward(turn, n, z, before, _weights, out) {
        const { Z, G, R } = held(turn, n);
        const [g, end] = [both * n, 3 * units * n];
        sumsInto(gating, n, z.subarray(0, g), before, own, Z.subarray(0, g));
        entries(gate, Z, G, 0, g);
        const r = units * n;
        if (before !== null) for (let k = 0; k < r; k++) R[k] = G[r + k] * before[k];
        sumsInto(making, n, z.subarray(g, end), before && R, own, Z.subarray(g, end));
        entries(activation, Z, G, g, end);
        for (let k = 0; k < r; k++) out[k] = G[g + k] + G[k] * ((before === null ? 0 : before[k]) - G[g + k]);
      },
      backward(turn, n, before, _out, pull, _weights, given, earlier, _gradient) {
        const { Z, G, R } = held(turn, n);
        const [r, g, end] = [units * n, both * n, 3 * units * n];
        for (let k = 0; k < r; k++) {
          const [s, made] = [G[k], G[g + k]];
          given[g + k] = pull[k] * (1 - s) * activation.slope(Z[g + k], made);
          given[k] = pull[k] * ((before === null ? 0 : before[k]) - made) * gate.slope(Z[k], s);
          earlier[k] = pull[k] * s;
        }
        if (before === null) {
          given.fill(0, r, g);
          return;
        }
        const D = pulled.take(r);
        making.backward(n, [R], own, Z.subarray(g, end), given.subarray(g, end), [D], slopes);
        for (let k = 0; k < r; k++) {
          given[r + k] = D[k] * before[k] * gate.slope(Z[r + k], G[r + k]);
          earlier[k] += D[k] * G[r + k];
        }
        gating.backward(n, [before], own, Z.subarray(0, g), given.subarray(0, g), [D], slopes);
        addTo(earlier, D);
      },
      end(gradient) {
        if (!trained) return;
        eachColumn(partOf(gradient, recurrent), units, (_, p, at, part) => {
          part[p] += slopes[at];
        });
      },
    };
  };
}

/** Calls `use` with each entry of [units x 3 units], its place, and that where the first two columns' blocks stand before the third. */
function eachColumn(
  kernel: Float64Array,
  units: number,
  use: (value: number, p: number, at: number, kernel: Float64Array) => void,
): void {
  const both = 2 * units;
  for (let i = 0, p = 0; i < units; i++) {
    for (let j = 0; j < 3 * units; j++, p++) {
      use(kernel[p], p, j < both ? i * both + j : both * units + i * units + j - both, kernel);
    }
  }
}

/** out := z, and the product of the outputs before. */
function sumsInto(
  product: Operation,
  n: number,
  z: Values,
  before: Values | null,
  weights: Float64Array,
  out: Values,
): void {
  if (before === null) {
    out.set(z);
    return;
  }
  product.forward(n, [before], weights, out);
  addTo(out, z);
}

function entries({ value }: Activation, from: Values, to: Values, begin: number, end: number): void {
  for (let k = begin; k < end; k++) to[k] = value(from[k]);
}

/** The operation of each turn: one for all, where it keeps nothing for its way back. */
function products(make: Make, kernels: Kernels, turns: number): (turn: number) => Operation {
  const first = make(kernels);
  const all = Array.from({ length: turns }, (_, k) => (k === 0 || first.room === 0 ? first : make(kernels)));
  return (turn) => all[turn];
}

function scratches(turns: number): Scratch[] {
  return Array.from({ length: turns }, () => new Scratch());
}
