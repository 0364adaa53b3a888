/** Projections onto cones in WASM memory, several at a time on several threads; the faces stay there, one record a slot. */

import type { Matrix } from "../../types.js";
import type { ConePoints, FaceSearch } from "../types.js";
import type { WasmEngine } from "./engine.js";

/** Doubles of factors and near rows that are kept: 64 MB. */
const MAX_KEPT = 2 ** 23;
/** Rows for whose factor a new record has room. */
const FIRST_ROOM = 64;

/** Where the face of a slot is kept. */
interface FaceRecord {
  readonly at: number;
  readonly room: number; // rows for whose factor there is room
  readonly near: boolean; // whether there is room for near rows
}

export class WasmFaceSearch implements FaceSearch {
  private readonly shared: number;
  private readonly capacity: number; // rows of a face at most
  private readonly records = new Map<number, FaceRecord>();
  private readonly nearRoom: number; // doubles for near rows
  private kept = 0; // doubles of all factors and near rows

  constructor(
    private readonly engine: WasmEngine,
    private readonly X: Omit<Matrix, "data"> & { readonly at: number }, // in WASM memory, as all that follows
    private readonly bits: number,
    private readonly words: number, // of a gate
    private readonly gram: number, // X X' [n x n]; 0: products are made anew
  ) {
    const { at, rows: n, cols: d } = X;
    const { heap, calls } = engine;
    this.capacity = Math.min(n, d);
    this.nearRoom = calls.recordRoom(n, d, 0, true) - calls.recordRoom(n, d, 0, false);
    this.shared = heap.take(calls.sharedRoom(n));
    calls.prepareCones(this.shared, at, n, d);
  }

  project({ count, gates, slots, Z, norms }: ConePoints, threshold: number): void {
    const { engine, X, shared, gram } = this;
    const { heap } = engine;
    const { at, rows: n, cols: d } = X;
    const records = Int32Array.from({ length: count }, (_, k) => this.recordOf(slots[k]).at);
    // Gates and records, points, their norms, places of the threads.
    const blocks = heap.takeAll(count, count * d, count, engine.roomForCones(n, d));
    const [lists, z, r, places] = blocks;
    heap.integers(lists, count).set(gates.subarray(0, count));
    heap.integers(lists + 4 * count, count).set(records);
    heap.view(z, count * d).set(Z.subarray(0, count * d));
    const cones = [count, lists, lists + 4 * count] as const;
    engine.project(at, n, d, this.bits, this.words, ...cones, shared, places, gram, z, r, threshold);
    Z.set(heap.view(z, count * d));
    norms.set(heap.view(r, count));
    for (const block of blocks) heap.release(block);
  }

  face(slot: number): Int32Array {
    const record = this.records.get(slot);
    if (record === undefined) return new Int32Array(0);
    const { heap } = this.engine;
    const rows = new Int32Array(heap.integers(record.at, 1)[0]);
    rows.set(heap.integers(record.at + 16, rows.length));
    return rows;
  }

  forget(): void {
    for (const { at } of this.records.values()) this.engine.heap.release(at);
    this.records.clear();
    this.kept = 0;
  }

  dispose(): void {
    this.forget();
    this.engine.heap.release(this.shared);
  }

  /** The record of a slot; a new one, or a larger one where the last factor found no room. */
  private recordOf(slot: number): FaceRecord {
    const { heap } = this.engine;
    const before = this.records.get(slot);
    const size = before === undefined ? 0 : heap.integers(before.at, 1)[0];
    if (before !== undefined && (size <= before.room || this.kept >= MAX_KEPT)) return before;
    const wanted = Math.min(this.capacity, before === undefined ? FIRST_ROOM : Math.ceil(1.25 * size));
    const entries = triangle(wanted) - triangle(before?.room ?? 0);
    const fits = this.kept + entries <= MAX_KEPT;
    if (before !== undefined && !fits) return before;
    const room = fits ? wanted : 0;
    let kept = this.kept + (fits ? entries : 0);
    const near = before?.near ?? kept + this.nearRoom <= MAX_KEPT;
    if (near && before === undefined) kept += this.nearRoom;
    const at = heap.take(this.engine.calls.recordRoom(this.X.rows, this.X.cols, room, near));
    this.kept = kept;
    const head = heap.integers(at, 4 + size);
    head.set([size, RENEWED, room, near ? 0 : -1]);
    if (before !== undefined) {
      head.set(heap.integers(before.at + 16, size), 4);
      heap.release(before.at);
    }
    const record = { at, room, near };
    this.records.set(slot, record);
    return record;
  }
}

/** As rotations of a factor: it is to be made anew. */
const RENEWED = 2 ** 31 - 1;

/** Entries of a lower triangle with k rows. */
function triangle(k: number): number {
  return (k * (k + 1)) / 2;
}
