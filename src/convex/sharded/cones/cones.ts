/**
 * Blocks with cones whose rows are with the shards: v_j, w_j in K_i, of which shards multiply v_j - w_j as if it had no cone.
 *
 * The driver projects onto the cones of the rows that it knows, at first those nearest to the boundaries of the gates. At the end of a
 * round shards say how far outside its whole cone a block is, and by which rows: these are known from then on. A generator is inside
 * its cone, so that v + t g is for some t: that point is one of the program, whose objective is the primal value.
 */

import { norm } from "../../linear/vectors.js";
import type { ConvexProgram } from "../../types.js";
import type { RowSums } from "../crew.js";
import { Cuts, type KeptCuts } from "./cuts.js";

/** Rows of each gate that are asked for at first: so many times d, and more. */
const NEAREST = 2;
const NEAREST_MORE = 8;
/** Rows of a block that is outside that are asked for at once: a share of d, and more. */
const MISSED = 0.5;
const MISSED_MORE = 4;
/** Numbers of one answer. */
const ANSWER = 2 ** 20;
/** Prices that are looked into together, and how often, where the largest is to be exact. */
const LOOKED = 16;
const LOOKS = 60;

/** Whether to stop. */
type Pause = () => Promise<boolean>;

const never: Pause = async () => false;

type ConeProgram = Pick<ConvexProgram, "gates" | "loss" | "X">;

/** A point of the program, near another one that may be none. */
export interface Inside {
  readonly blocks: Float64Array;
  readonly moved: boolean; // false: it is the same
}

/** A vector of some gate. */
interface Member {
  readonly gate: number;
  readonly vector: Float64Array; // [d]
}

/** What steps ask of the cones of a program. */
export interface ConeSet
  extends Pick<
    Cones,
    | "size"
    | "folded"
    | "prox"
    | "largestPrice"
    | "prices"
    | "sizes"
    | "slotsOf"
    | "exactPrice"
    | "inside"
    | "forget"
    | "kept"
    | "restore"
  > {}

export class Cones implements ConeSet {
  readonly size: number; // of all blocks [2 P x C x d], in numbers
  private readonly cuts: Cuts;
  private readonly P: number;
  private readonly C: number;
  private readonly d: number;

  private constructor(private readonly program: ConeProgram) {
    const { gates, loss, X } = program;
    [this.P, this.C, this.d] = [gates.count, loss.outputs, X.cols];
    this.size = 2 * this.P * this.C * this.d;
    this.cuts = new Cuts(this.P, this.d);
  }

  /** Those of a program: knows the rows nearest to the boundaries of the gates that the shards are bound to, or fewer where a pause says stop. */
  static async of(rows: RowSums, program: ConeProgram, pause: Pause = never): Promise<Cones> {
    const cones = new Cones(program);
    const { P, d } = cones;
    const each = NEAREST * d + NEAREST_MORE;
    const shards = rows.facts.length;
    const together = Math.max(1, Math.floor(ANSWER / (each * d)));
    for (let from = 0; from < P; from += together) {
      if (await pause()) break;
      const list = Array.from({ length: Math.min(together, P - from) }, (_, k) => from + k);
      const members = list.map((gate) => ({ gate, vector: cones.generator(gate) }));
      const owners = list.flatMap(() => Array.from({ length: each }, (_, slot) => slot % shards));
      await cones.learn(rows, members, owners, each);
    }
    return cones;
  }

  /** What shards multiply, [P x C x d]. */
  folded(blocks: Float64Array): Float64Array {
    const half = this.size / 2;
    return Float64Array.from({ length: half }, (_, k) => blocks[k] - blocks[half + k]);
  }

  /** The gradient over blocks of one over what shards multiply. */
  private lifted(pull: Float64Array): Float64Array {
    const out = new Float64Array(this.size);
    out.set(pull);
    for (let k = 0; k < pull.length; k++) out[pull.length + k] = -pull[k];
    return out;
  }

  /** z [d] := argmin threshold |u| + |u - z|^2 / 2 over the cone of a gate, as far as its rows are known. */
  prox(gate: number, slot: number, z: Float64Array, threshold: number): void {
    if (norm(z) <= threshold) {
      z.fill(0);
      return;
    }
    const { norm: length, below } = this.cuts.project(gate, slot, z, threshold);
    const share = below || length <= threshold ? 0 : 1 - threshold / length;
    for (let k = 0; k < z.length; k++) z[k] *= share;
  }

  /** The largest price of all blocks for X'D_i N [P x C x d] where it is above `threshold`, else a bound of it that is not. Never too low. */
  largestPrice(pull: Float64Array, threshold: number): number {
    let largest = 0;
    this.eachVector(this.lifted(pull), (z, gate, slot) => {
      const bound = norm(z);
      const enough = Math.max(largest, threshold);
      largest = Math.max(largest, bound <= enough ? bound : this.priceOf(z, gate, slot, enough));
    });
    return largest;
  }

  /** The price of each gate [P] where it is above `threshold`, else a bound of it that is not. */
  prices(pull: Float64Array, threshold: number): Float64Array {
    const out = new Float64Array(this.P);
    this.eachVector(this.lifted(pull), (z, gate, slot) => {
      const bound = norm(z);
      const enough = Math.max(out[gate], threshold);
      out[gate] = Math.max(out[gate], bound <= enough ? bound : this.priceOf(z, gate, slot, enough));
    });
    return out;
  }

  /** The length of the vectors of each gate, added up [P]. */
  sizes(blocks: Float64Array): Float64Array {
    const out = new Float64Array(this.P);
    this.eachVector(blocks, (vector, gate) => {
      out[gate] += norm(vector);
    });
    return out;
  }

  /** The numbers of the positive and the negative vector of a gate and output. */
  slotsOf(gate: number, output: number): readonly [number, number] {
    const slot = gate * this.C + output;
    return [slot, this.P * this.C + slot];
  }

  /** The largest price, as exactly as the shards can tell until a pause says stop; never too low. */
  async exactPrice(rows: RowSums, pull: Float64Array, pause: Pause = never): Promise<number> {
    const prices: { readonly gate: number; readonly slot: number; readonly z: Float64Array; price: number }[] = [];
    this.eachVector(this.lifted(pull), (z, gate, slot) => {
      prices.push({ gate, slot, z: z.slice(), price: norm(z) });
    });
    let exact = 0;
    for (let look = 0; look < LOOKS; look++) {
      if (await pause()) break;
      const some = prices.sort((a, b) => b.price - a.price).slice(0, LOOKED);
      const members = some.map((entry) => {
        const vector = entry.z.map((value) => -value);
        this.cuts.project(entry.gate, this.slotOfPrice(entry.slot), vector, -1);
        entry.price = norm(vector);
        return { gate: entry.gate, vector };
      });
      const allowed = await this.reach(rows, members);
      some.forEach(({ price }, k) => {
        if (allowed[k] === 0) exact = Math.max(exact, price);
      });
      if (prices.every(({ price }) => price <= exact)) break;
    }
    return prices.reduce((most, { price }) => Math.max(most, price), 0);
  }

  /** Forgets where projections began, so that a driver that goes on from here ends where this one does. */
  forget(): void {
    this.cuts.forget();
  }

  /** Asks whether all rows allow these blocks, and answers with some that they do; what it learns holds from now on. */
  async inside(rows: RowSums, blocks: Float64Array): Promise<Inside> {
    const members: Member[] = [];
    const places: number[] = [];
    this.eachVector(blocks, (vector, gate, slot) => {
      if (vector.every((value) => value === 0)) return;
      members.push({ gate, vector });
      places.push(slot * this.d);
    });
    const reach = await this.reach(rows, members);
    if (reach.every((t) => t === 0)) return { blocks, moved: false };
    const out = blocks.slice();
    members.forEach(({ gate, vector }, k) => {
      const generator = this.generator(gate);
      const block = out.subarray(places[k], places[k] + this.d);
      // What would take more than it has is better left out: zero is in every cone.
      if (!(reach[k] * norm(generator) <= norm(vector))) block.fill(0);
      else for (let p = 0; p < block.length; p++) block[p] += reach[k] * generator[p];
    });
    return { blocks: out, moved: true };
  }

  get kept(): KeptCuts {
    return this.cuts.kept;
  }

  restore(kept: KeptCuts | null): void {
    if (kept !== null) this.cuts.restore(kept);
  }

  /** The length of the projection of -z. */
  private priceOf(z: Float64Array, gate: number, slot: number, threshold: number): number {
    const point = z.map((value) => -value);
    return this.cuts.project(gate, this.slotOfPrice(slot), point, threshold).norm;
  }

  private slotOfPrice(slot: number): number {
    return 2 * this.P * this.C + slot;
  }

  private generator(gate: number): Float64Array {
    return this.program.gates.generators.data.subarray(gate * this.d, (gate + 1) * this.d);
  }

  /** Calls with each vector [d] of all blocks, its gate, and its number. */
  private eachVector(blocks: Float64Array, use: (vector: Float64Array, gate: number, slot: number) => void): void {
    const { P, C, d } = this;
    for (let slot = 0; slot < 2 * P * C; slot++)
      use(blocks.subarray(slot * d, (slot + 1) * d), Math.floor(slot / C) % P, slot);
  }

  /** Of each member t such that it and t times its generator is allowed by all rows: 0 where it is. Learns rows that are missed. */
  private async reach(rows: RowSums, members: readonly Member[]): Promise<Float64Array> {
    const shards = rows.facts.length;
    const out = new Float64Array(members.length);
    const together = Math.max(1, Math.floor(ANSWER / Math.max(2 * shards, this.d * this.missed)));
    for (let from = 0; from < members.length; from += together) {
      const some = members.slice(from, from + together);
      const told = await rows.ask({ op: "reach", count: some.length }, payloadOf(some, []));
      const outside: Member[] = [];
      const owners: number[] = [];
      some.forEach((member, k) => {
        const each = Array.from({ length: shards }, (_, shard) => ({
          shard,
          t: told[2 * (k * shards + shard)],
          worst: told[2 * (k * shards + shard) + 1],
        }));
        out[from + k] = each.reduce((most, { t }) => Math.max(most, t), 0);
        const missed = each.filter(({ worst }) => worst > 0).sort((a, b) => b.worst - a.worst);
        if (missed.length === 0) return;
        outside.push(member);
        for (let slot = 0; slot < this.missed; slot++) owners.push(missed[slot % missed.length].shard);
      });
      if (outside.length > 0) await this.learn(rows, outside, owners, this.missed);
    }
    return out;
  }

  private get missed(): number {
    return Math.ceil(MISSED * this.d) + MISSED_MORE;
  }

  /** Asks for `each` rows of each member, each of the shard that owns its place. */
  private async learn(
    rows: RowSums,
    members: readonly Member[],
    owners: readonly number[],
    each: number,
  ): Promise<void> {
    const size = each * this.d;
    const found = await rows.ask({ op: "rows", count: members.length, each }, payloadOf(members, owners));
    members.forEach(({ gate }, k) => {
      this.cuts.add(gate, found.subarray(k * size, (k + 1) * size));
    });
  }
}

/** Gates, vectors, and whatever else. */
function payloadOf(members: readonly Member[], owners: readonly number[]): Float64Array {
  const d = members.length === 0 ? 0 : members[0].vector.length;
  const out = new Float64Array(members.length * (1 + d) + owners.length);
  members.forEach(({ gate, vector }, k) => {
    out[k] = gate;
    out.set(vector, members.length + k * d);
  });
  out.set(owners, members.length * (1 + d));
  return out;
}
