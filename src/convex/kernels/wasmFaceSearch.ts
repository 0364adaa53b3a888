/** Projections onto cones in WASM memory: one place for the work, faces go in and out by copies. */

import type { Matrix } from "../types.js";
import { type FaceSearch, type KeptFace, WORN } from "./types.js";
import type { WasmEngine } from "./wasmEngine.js";

export class WasmFaceSearch implements FaceSearch {
  private readonly place: number;
  private readonly z: number;
  private readonly rows: number;
  private readonly factor: number;

  constructor(
    private readonly engine: WasmEngine,
    private readonly X: Omit<Matrix, "data"> & { readonly at: number }, // in WASM memory, as all that follows
    private readonly bits: number,
    private readonly words: number, // of a gate
    private readonly gram: number, // X X' [n x n]; 0: products are made anew
  ) {
    const { at, rows: n, cols: d } = X;
    this.place = engine.heap.take(engine.calls.coneRoom(n, d));
    this.z = this.place + 8;
    this.rows = this.z + 8 * d;
    this.factor = this.rows + 8 * Math.min(n, d);
    engine.calls.prepareCones(this.place, at, n, d);
  }

  project(
    gate: number,
    _position: number,
    z: Float64Array,
    threshold: number,
    kept: KeptFace | undefined,
    room: number,
  ): { readonly norm: number; readonly face: KeptFace } {
    const { heap, calls } = this.engine;
    const { at, rows: n, cols: d } = this.X;
    const counts = heap.integers(this.place, 2); // of rows and rotations
    const shared = heap.view(this.z, d);
    shared.set(z);
    counts[0] = kept?.rows.length ?? 0;
    counts[1] = kept?.rotations ?? 0;
    const renew = kept === undefined || kept.factor === null || kept.rotations > WORN;
    if (kept !== undefined) {
      heap.integers(this.rows, kept.rows.length).set(kept.rows);
      if (kept.factor !== null && !renew) heap.view(this.factor, kept.factor.length).set(kept.factor);
    }
    const mask = this.bits + 4 * gate * this.words;
    const norm = calls.project(this.place, at, n, d, mask, this.gram, renew, threshold);
    z.set(shared);
    const size = counts[0];
    const entries = (size * (size + 1)) / 2;
    const rows = new Int32Array(size);
    rows.set(heap.integers(this.rows, size));
    const factor = entries <= room ? new Float64Array(entries) : null;
    factor?.set(heap.view(this.factor, entries));
    return { norm, face: { rows, factor, rotations: counts[1] } };
  }

  dispose(): void {
    this.engine.heap.release(this.place);
  }
}
