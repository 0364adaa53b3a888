/**
 * A layer of m ReLU neurons on rows of X, whose products stay in a cache between the matrix product that makes them and what reads
 * them: H = X W', a = max(H, slope H), Z += a A', and the way back. Rows of H are samples, so that both loops run along neurons.
 */

import { DENSE, gemm } from "./gemm";
import { addFour, addMultiple } from "./vectors";

/** Rows of H that are made together: some 32,000 entries, at most this many rows. */
const MOST_ROWS: i32 = 256;
const ENTRIES: i32 = 32768;

/** Rows that the room for H wants, and on which parts of X begin. */
export function layerRows(m: i32): i32 {
  return max(4, min(MOST_ROWS, ENTRIES / m & ~3));
}

/** Doubles of room beside H: four rows of activations and one of pulls. */
export function layerRoom(m: i32): i32 {
  return 5 * m;
}

/** Z [n x C] += a(X W') A', X [n x d], W [m x d], A [C x m]; H [layerRows x m], or [n x m] where it is kept. */
export function layerForward(
  X: usize, n: i32, d: i32, W: usize, m: i32, A: usize, C: i32, Z: usize, slope: f64, H: usize, kept: bool, work: usize,
): void {
  const most = layerRows(m);
  for (let from = 0; from < n; from += most) {
    const rows = min(most, n - from);
    const block = kept ? H + ((from * m) << 3) : H;
    products(X + ((from * d) << 3), rows, d, W, m, block, work);
    for (let s = 0; s < rows; s++) {
      const h = block + ((s * m) << 3);
      const z = Z + (((from + s) * C) << 3);
      for (let c = 0; c < C; c++) {
        const at = z + (c << 3);
        store<f64>(at, load<f64>(at) + dotActive(h, A + ((c * m) << 3), m, slope));
      }
    }
  }
}

/** inW [m x d] and inA [C x m] += the gradients of <N, Z>, N [n x C]; room as `layerRoom` says, H spoilt where it was kept. */
export function layerBackward(
  X: usize, n: i32, d: i32, W: usize, m: i32, A: usize, C: i32, N: usize, slope: f64, H: usize, kept: bool, room: usize,
  inW: usize, inA: usize, work: usize,
): void {
  const most = layerRows(m);
  const size = m << 3;
  for (let from = 0; from < n; from += most) {
    const rows = min(most, n - from);
    const x = X + ((from * d) << 3);
    const block = kept ? H + from * size : H;
    if (!kept) products(x, rows, d, W, m, block, work);
    const pulls = N + ((from * C) << 3);
    if (C == 1) {
      for (let s = 0; s < rows; s++) pullOne(load<f64>(pulls + (s << 3)), block + s * size, A, inA, m, slope);
    } else {
      for (let s = 0; s < rows; s += 4) {
        const count = min(4, rows - s);
        pullMany(pulls + ((s * C) << 3), count, C, block + s * size, A, inA, m, slope, room);
      }
    }
    gemm<f64>(DENSE, 0, 0, m, d, rows, block, 1, m, x, d, 1, inW, d, 1, false, work);
  }
}

/** H [rows x m] := X W'. */
function products(X: usize, rows: i32, d: i32, W: usize, m: i32, H: usize, work: usize): void {
  memory.fill(H, 0, (rows * m) << 3);
  gemm<f64>(DENSE, 0, 0, rows, m, d, X, d, 1, W, 1, d, H, m, 1, false, work);
}

/** The activations of two products. */
// @ts-ignore: decorator
@inline
function active(h: v128, slope: v128): v128 {
  const zero = f64x2.splat(0);
  return f64x2.add(f64x2.pmax(h, zero), f64x2.mul(slope, f64x2.pmin(h, zero)));
}

/** Their derivatives. */
// @ts-ignore: decorator
@inline
function slopes(h: v128, slope: v128): v128 {
  return v128.bitselect(f64x2.splat(1), slope, f64x2.gt(h, f64x2.splat(0)));
}

// @ts-ignore: decorator
@inline
function activeOne(h: f64, slope: f64): f64 {
  return h > 0 ? h : slope * h;
}

/** The product of the activations of a row with outputs [m]. */
function dotActive(h: usize, a: usize, m: i32, slope: f64): f64 {
  const fall = f64x2.splat(slope);
  let even = f64x2.splat(0);
  let odd = even;
  const end = <usize>((m & ~3) << 3);
  let at: usize = 0;
  for (; at < end; at += 32) {
    even = f64x2.add(even, f64x2.mul(active(v128.load(h + at), fall), v128.load(a + at)));
    odd = f64x2.add(odd, f64x2.mul(active(v128.load(h + at, 16), fall), v128.load(a + at, 16)));
  }
  const both = f64x2.add(even, odd);
  let sum = f64x2.extract_lane(both, 0) + f64x2.extract_lane(both, 1);
  for (let rest = m & 3; rest > 0; rest--, at += 8) sum += activeOne(load<f64>(h + at), slope) * load<f64>(a + at);
  return sum;
}

/** One output: inA += pull times the activations of a row, whose products become the pulls on them. */
function pullOne(pull: f64, h: usize, A: usize, inA: usize, m: i32, slope: f64): void {
  const fall = f64x2.splat(slope);
  const all = f64x2.splat(pull);
  const end = <usize>((m & ~1) << 3);
  let at: usize = 0;
  for (; at < end; at += 16) {
    const product = v128.load(h + at);
    v128.store(inA + at, f64x2.add(v128.load(inA + at), f64x2.mul(all, active(product, fall))));
    v128.store(h + at, f64x2.mul(f64x2.mul(all, v128.load(A + at)), slopes(product, fall)));
  }
  if (m & 1) {
    const product = load<f64>(h + at);
    store<f64>(inA + at, load<f64>(inA + at) + pull * activeOne(product, slope));
    store<f64>(h + at, pull * load<f64>(A + at) * (product > 0 ? 1 : slope));
  }
}

/** The same for up to four rows and C outputs: pulls [count x C]. */
function pullMany(pulls: usize, count: i32, C: i32, h: usize, A: usize, inA: usize, m: i32, slope: f64, room: usize): void {
  const size = m << 3;
  const row = C << 3;
  const q = room + 4 * size;
  for (let s = 0; s < 4; s++) {
    if (s < count) activate(h + s * size, room + s * size, m, slope);
    else memory.fill(room + s * size, 0, size);
  }
  const second = pulls + (count > 1 ? row : 0);
  const third = pulls + (count > 2 ? 2 * row : 0);
  const fourth = pulls + (count > 3 ? 3 * row : 0);
  for (let c = 0; c < C; c++) {
    const at = c << 3;
    const to = inA + c * size;
    addFour(
      load<f64>(pulls + at), room,
      load<f64>(second + at), room + size,
      load<f64>(third + at), room + 2 * size,
      load<f64>(fourth + at), room + 3 * size,
      to, m,
    );
  }
  for (let s = 0; s < count; s++) {
    const pull = pulls + s * row;
    memory.fill(q, 0, size);
    let c = 0;
    for (; c + 4 <= C; c += 4) {
      const a = A + c * size;
      const at = pull + (c << 3);
      addFour(
        load<f64>(at), a,
        load<f64>(at, 8), a + size,
        load<f64>(at, 16), a + 2 * size,
        load<f64>(at, 24), a + 3 * size,
        q, m,
      );
    }
    for (; c < C; c++) addMultiple(load<f64>(pull + (c << 3)), A + c * size, q, m);
    maskPulls(h + s * size, q, m, slope);
  }
}

/** to [m] := the activations of h [m]. */
function activate(h: usize, to: usize, m: i32, slope: f64): void {
  const fall = f64x2.splat(slope);
  const end = <usize>((m & ~1) << 3);
  let at: usize = 0;
  for (; at < end; at += 16) v128.store(to + at, active(v128.load(h + at), fall));
  if (m & 1) store<f64>(to + at, activeOne(load<f64>(h + at), slope));
}

/** h := q times the derivatives at h. */
function maskPulls(h: usize, q: usize, m: i32, slope: f64): void {
  const fall = f64x2.splat(slope);
  const end = <usize>((m & ~1) << 3);
  let at: usize = 0;
  for (; at < end; at += 16) v128.store(h + at, f64x2.mul(v128.load(q + at), slopes(v128.load(h + at), fall)));
  if (m & 1) store<f64>(h + at, load<f64>(q + at) * (load<f64>(h + at) > 0 ? 1 : slope));
}
