/** The compiled module with its memory: what engines of any number of threads are made of, at most two in a realm. */

import { WasmHeap } from "./heap.js";
import { HelperPool, openThreads } from "./helpers.js";
import { wasmModule } from "./module.js";

/** Jobs of the module (assembly/index.ts): addresses in bytes, strides in entries, `threads` how many may work on it, answers the share of the tasks that the caller did, 2 when there were no helpers. */
export interface WasmCalls {
  /** C += alpha A B; with `lower` (m = n) only on and below the diagonal; `rough`: multiplied in float32. */
  multiply(
    ...args: [
      ...[threads: number, m: number, n: number, k: number],
      ...[A: number, rsa: number, csa: number],
      ...[B: number, rsb: number, csb: number],
      ...[C: number, ldc: number, alpha: number, lower: boolean, rough?: boolean],
    ]
  ): number;
  /** Z [n x C] += sum_k sign_k D_{gate k} X v_k into column output_k; `rough`: multiplied in float32. */
  forward(
    ...args: [
      ...[threads: number, X: number, n: number, d: number, bits: number, words: number],
      ...[count: number, gates: number, outputs: number, signs: number, V: number],
      ...[Z: number, C: number, rough: boolean],
    ]
  ): number;
  /** Rows of the list that a task of `adjoint` takes. */
  adjointPart(threads: number, count: number): number;
  /** G [count x d], or with `norms` [count] only those; G then is room for `adjointPart` rows a thread. */
  adjoint(
    ...args: [
      ...[threads: number, X: number, n: number, d: number, bits: number, words: number],
      ...[count: number, gates: number, columns: number, R: number],
      ...[G: number, norms: number, rough: boolean],
    ]
  ): number;
  /** Lower triangle of S [n x n] += sum_k weight_k m_k m_k'. */
  maskedGram(
    ...args: [
      ...[threads: number, bits: number, words: number],
      ...[count: number, gates: number, weights: number],
      ...[S: number, n: number],
    ]
  ): number;
  /**
   * H [rows x n] times how many gates are open at a sample of `mine` and one of `bits`, + more, up to `columns` and `further` for each row
   * after the first; both [? x words], words of 64 (assembly/counts.ts).
   */
  timesCounts(
    ...args: [
      ...[threads: number, H: number, n: number, rows: number, columns: number, further: number],
      ...[mine: number, bits: number, words: number, more: number],
    ]
  ): number;
  /** Columns of rows that are `stride` doubles apart moved to [rows x columns], and zeros in their place. On this thread. */
  lift(from: number, stride: number, rows: number, columns: number, to: number): void;
  /** out [g x A x samples x d] = scale times the sums of patches that masks, `stride` bytes apart, select from bit `first` on. */
  pool(
    ...args: [
      ...[threads: number, X: number, samples: number, K: number, A: number, d: number],
      ...[masks: number, stride: number, first: number, g: number],
      ...[out: number, scale: number],
    ]
  ): number;
  /** Masks [g x words] of 1[X g >= 0]; G: panels [d x 4] of four generators each. */
  signs(
    ...args: [threads: number, X: number, n: number, d: number, G: number, g: number, out: number, words: number]
  ): number;
  /** Doubles that a thread wants as its place in `layer`. */
  layerPlace(m: number): number;
  /** Z [n x C] += a(X W') A', or with G the gradients [m x d + C x m] of each part of so many rows (assembly/index.ts). */
  layer(
    ...args: [
      ...[threads: number, X: number, n: number, d: number],
      ...[W: number, m: number, A: number, C: number, Z: number],
      ...[places: number, G: number, part: number, kept: number, slope: number],
    ]
  ): number;
  /** Doubles that a thread wants as its place in `neurons`. */
  neuronPlace(rows: number, stride: number): number;
  /** Outputs and signs, or backward the gradients, of neurons that feed one output each (assembly/neurons.ts), or all `together` (assembly/together.ts). */
  neurons(
    ...args: [
      threads: number,
      layer: number,
      rows: number,
      groups: number,
      columns: number,
      together: boolean,
      backward: boolean,
      slope: number,
    ]
  ): number;
  /** Doubles of what projections onto cones of n rows in d dimensions share, want for a thread, and for a record of a face. */
  sharedRoom(n: number): number;
  coneRoom(n: number, d: number): number;
  recordRoom(n: number, d: number, room: number, near: boolean): number;
  /** Writes what is shared for X. */
  prepareCones(shared: number, X: number, n: number, d: number): void;
  /** Projects rows of Z [count x d] onto the cones of gates, from the faces of records (assembly/cone.ts). */
  project(
    ...args: [
      ...[threads: number, X: number, n: number, d: number, bits: number, words: number],
      ...[count: number, gates: number, records: number],
      ...[shared: number, places: number, gram: number],
      ...[Z: number, norms: number, threshold: number],
    ]
  ): number;
  /** out [d - F x d]: an orthonormal basis of what F rows of X do not see; `face` [F] i32, W room for F d. On this thread. */
  nullspace(X: number, d: number, face: number, F: number, W: number, out: number): void;
  /** q [size] := H q of L-BFGS, on this thread (assembly/pairs.ts). */
  twoLoops(pairs: number, count: number, curvatures: number, scales: number, q: number, size: number): void;
  /** The product of two vectors of floats, on this thread. */
  pairProduct(a: number, b: number, size: number): number;
  /** Lower triangle of H [n x n] := its Cholesky factor, on this thread (assembly/cholesky.ts); 0 where a pivot is not positive. */
  choleskySmall(H: number, n: number): number;
  /** H [n x n] := its inverse, on this thread, with room for another; 0 where a pivot is not positive. */
  inverseSmall(H: number, n: number, room: number): number;
  /** Waits for the helpers of the last job. */
  finish(): void;
}

/** What a module exports beside the jobs. */
interface Exports extends WasmCalls {
  enroll(thread: number, work: number): void;
  workBytes(): number;
}

export interface WasmCore {
  readonly calls: WasmCalls;
  readonly heap: WasmHeap;
  /** Null: one thread. */
  readonly helpers: HelperPool | null;
  /** Why there are none although they were asked for. */
  readonly note: string | null;
}

/** What threads share and static data end below this address. */
const HEAP_START = 4096;
const INITIAL_PAGES = 32;
const MAX_PAGES = 65536; // 4 GiB, the reach of a 32-bit address

/** Compiles the module; rejects where WebAssembly or its SIMD is missing. Helpers are not started yet. */
export async function openCore(threaded: boolean): Promise<WasmCore> {
  if (!threaded) return instantiate(null, null);
  const threads = await openThreads();
  if (typeof threads === "string") return instantiate(null, threads);
  try {
    return await instantiate(threads, null);
  } catch (error) {
    return instantiate(null, `no shared memory: ${error instanceof Error ? error.message : String(error)}`);
  }
}

async function instantiate(
  start: ConstructorParameters<typeof HelperPool>[0] | null,
  note: string | null,
): Promise<WasmCore> {
  const shared = start !== null;
  const memory = new WebAssembly.Memory({ initial: INITIAL_PAGES, maximum: MAX_PAGES, shared });
  const module = await WebAssembly.compile(moduleBytes(shared));
  const instance = await WebAssembly.instantiate(module, { env: { memory, abort: () => undefined } });
  const exports = instance.exports as unknown as Exports;
  const heap = new WasmHeap(memory, HEAP_START);
  const room = Math.ceil(exports.workBytes() / 8);
  exports.enroll(0, heap.take(room));
  const helpers = start === null ? null : new HelperPool(start, module, heap, room);
  return { calls: exports, heap, helpers, note };
}

/** @internal The one module for all hosts: what it computes is the same to the last bit on each of them. */
export function moduleBytes(shared: boolean): Uint8Array<ArrayBuffer> {
  const { code, sharedAt, sharedValue } = wasmModule;
  const bytes = fromText(code);
  if (shared) bytes[sharedAt] = sharedValue; // the flags of the imported memory
  return bytes;
}

/** Bytes as scripts/build-wasm.mjs writes them: a digit of base 85 each, after a sign for the byte's multiple of 85 if there is one. */
function fromText(text: string): Uint8Array<ArrayBuffer> {
  const bytes: number[] = [];
  let more = 0;
  for (let k = 0; k < text.length; k++) {
    const sign = text.charCodeAt(k);
    const digit = sign - 33 - Number(sign > 34) - Number(sign > 92) - Number(sign > 96); // without " \\ `
    if (digit >= 85) more = 85 * (digit - 84);
    else {
      bytes.push(more + digit);
      more = 0;
    }
  }
  return Uint8Array.from(bytes);
}
