/** Memory of the WASM engine: blocks handed out first-fit, views made when they are used, since growth detaches old ones. */

const PAGE = 65536;
const ALIGNMENT = 16;

interface Block {
  readonly at: number;
  readonly bytes: number;
}

interface Taken {
  readonly bytes: number;
  readonly turn: number; // of all that was ever taken; -1: lasting
}

/** The least multiple of a unit that is no smaller. */
export function filled(count: number, unit: number): number {
  return Math.ceil(count / unit) * unit;
}

export class WasmHeap {
  private free: Block[] = []; // by address; neighbours are joined
  private readonly taken = new Map<number, Taken>();
  private turns = 0;
  private end: number;

  constructor(
    readonly memory: WebAssembly.Memory,
    start: number,
  ) {
    this.end = start;
  }

  /**
   * Address of a block for `length` doubles; the caller releases it. Throws a RangeError when there is no more memory. What is
   * `lasting` has an owner from the start, and outlives a failure in `whole`.
   */
  take(length: number, lasting = false): number {
    const bytes = Math.max(ALIGNMENT, Math.ceil((8 * length) / ALIGNMENT) * ALIGNMENT);
    const at = this.cut(bytes);
    this.taken.set(at, { bytes, turn: lasting ? -1 : this.turns++ });
    return at;
  }

  /** Several blocks, or none where there is no room for all. */
  takeAll(...lengths: readonly number[]): number[] {
    return this.whole(() => lengths.map((length) => this.take(length)));
  }

  /** What `make` returns; where it throws, all that was taken in it is released but for what is lasting. */
  whole<T>(make: () => T): T {
    const first = this.turns;
    try {
      return make();
    } catch (error) {
      const left = [...this.taken].filter(([, { turn }]) => turn >= first);
      for (const [at] of left) this.release(at);
      throw error;
    }
  }

  /** Bytes of the first free block that has so many, or of the end. */
  private cut(bytes: number): number {
    const fit = this.free.findIndex((block) => block.bytes >= bytes);
    if (fit >= 0) {
      const { at, bytes: room } = this.free[fit];
      if (room > bytes) this.free[fit] = { at: at + bytes, bytes: room - bytes };
      else this.free.splice(fit, 1);
      return at;
    }
    const at = this.end;
    const missing = at + bytes - this.memory.buffer.byteLength;
    if (missing > 0) this.memory.grow(Math.ceil(missing / PAGE));
    this.end += bytes;
    return at;
  }

  release(at: number): void {
    const bytes = this.taken.get(at)?.bytes;
    if (bytes === undefined) return;
    this.taken.delete(at);
    const blocks = [...this.free, { at, bytes }].sort((a, b) => a.at - b.at);
    this.free = [];
    for (const block of blocks) {
      const last = this.free[this.free.length - 1];
      if (last !== undefined && last.at + last.bytes === block.at) {
        this.free[this.free.length - 1] = { at: last.at, bytes: last.bytes + block.bytes };
      } else {
        this.free.push(block);
      }
    }
    const last = this.free[this.free.length - 1];
    if (last !== undefined && last.at + last.bytes === this.end) {
      this.free.pop();
      this.end = last.at;
    }
  }

  /** The doubles of a block; valid until the next `take`. */
  view(at: number, length: number): Float64Array {
    return new Float64Array(this.memory.buffer, at, length);
  }

  /** The same for floats of 32 bits, of which two fit in a double. */
  floats(at: number, length: number): Float32Array {
    return new Float32Array(this.memory.buffer, at, length);
  }

  /** And for 32-bit integers. */
  integers(at: number, length: number): Int32Array {
    return new Int32Array(this.memory.buffer, at, length);
  }
}
