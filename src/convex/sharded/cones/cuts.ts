/**
 * Cones K_i = {v : s_j x_j'v >= 0} of rows that are elsewhere, by those rows that the driver has been told of: few, since a projection
 * rests on at most d.
 *
 * What contains a cone prices no gate too low, so that a bound stays one whatever rows are missing.
 */

import { type ConeProjection, ConeProjector } from "../../operators/coneProjection.js";
import { HostFaceSearch } from "../../operators/faceSearch.js";
import type { GateSet, Matrix } from "../../types.js";

/** What is kept of cuts, gate by gate. */
export interface KeptCuts {
  readonly counts: readonly number[]; // [P]
  readonly rows: Float64Array; // [sum of counts x d]
}

export class Cuts {
  private readonly rows: Float64Array[][];
  private readonly projectors: (ConeProjector | null)[];

  constructor(
    gates: number, // P
    private readonly d: number,
  ) {
    this.rows = Array.from({ length: gates }, () => []);
    this.projectors = new Array(gates).fill(null);
  }

  /** Adds rows s x [k x d] of a gate; zeros, and rows that are there, are left out. Answers how many were new. */
  add(gate: number, some: Float64Array): number {
    const { d } = this;
    const mine = this.rows[gate];
    let added = 0;
    for (let at = 0; at < some.length; at += d) {
      const row = some.slice(at, at + d);
      if (row.every((value) => value === 0) || mine.some((other) => same(other, row))) continue;
      mine.push(row);
      added += 1;
    }
    if (added > 0) this.projectors[gate] = null;
    return added;
  }

  /** Projects z [d] in place, as `ConeProjector.project`; a slot names the memory of a face. */
  project(gate: number, slot: number, z: Float64Array, threshold: number): ConeProjection {
    return this.projectorOf(gate).project(0, slot, z, threshold);
  }

  /** Forgets all faces, so that who goes on from here ends, to the last digit, where another does that begins here. */
  forget(): void {
    this.projectors.fill(null);
  }

  get kept(): KeptCuts {
    const { d, rows } = this;
    const all = rows.flat();
    const numbers = new Float64Array(all.length * d);
    all.forEach((row, k) => {
      numbers.set(row, k * d);
    });
    return { counts: rows.map((mine) => mine.length), rows: numbers };
  }

  /** In the place of those that are there. */
  restore({ counts, rows }: KeptCuts): void {
    let at = 0;
    counts.forEach((count, gate) => {
      this.rows[gate] = [];
      for (let k = 0; k < count; k++, at += this.d) this.rows[gate].push(rows.slice(at, at + this.d));
    });
    this.forget();
  }

  private projectorOf(gate: number): ConeProjector {
    const known = this.projectors[gate];
    if (known !== null) return known;
    const { d } = this;
    const mine = this.rows[gate];
    const X: Matrix = { rows: mine.length, cols: d, data: new Float64Array(mine.length * d) };
    mine.forEach((row, k) => {
      X.data.set(row, k * d);
    });
    // Rows have their signs already: as if the gate were open on each.
    const bits = new Uint32Array(Math.ceil(mine.length / 32)).fill(0xffffffff);
    const open: GateSet = { count: 1, rows: X.rows, bits, generators: { ...X, rows: 0 }, complete: false };
    const made = new ConeProjector(new HostFaceSearch(X, open, null, 1, null));
    this.projectors[gate] = made;
    return made;
  }
}

function same(a: Float64Array, b: Float64Array): boolean {
  return a.every((value, k) => value === b[k]);
}
