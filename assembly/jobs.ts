/** The jobs: their numbers in shared memory, and what each does for one task. */

import { coneRoom, locate, project } from "./cone";
import { countRows } from "./counts";
import { multiplyFew } from "./few";
import { BITS, DENSE, gemm, gemmBytes, MASKED } from "./gemm";
import { layerBackward, layerForward, layerRoom, layerRows } from "./layer";
import { filtersBackward, filtersForward, hasPatches } from "./filters";
import { neuronsBackward, neuronsForward } from "./neurons";
import { readGates } from "./pack";
import { poolBytes, poolSample } from "./pool";
import { packSigns } from "./signs";
import { SHARED, self, work } from "./thread";
import { togetherBackward, togetherForward } from "./together";

/** Rows that a task of `forward` takes, and gates or vectors that are handled together. */
export const FORWARD_ROWS: i32 = 256;
const TILE: i32 = 64;

/** Bytes of work space that a thread wants. */
export function workBytes(): i32 {
  return max(gemmBytes() + ((TILE * FORWARD_ROWS) << 3), poolBytes());
}

const KIND = SHARED + 64;
const ALPHA = SHARED + 72;
const FIELDS = SHARED + 80;

export const PRODUCT_BY_ROWS: i32 = 0;
export const PRODUCT_BY_COLUMNS: i32 = 1;
export const PRODUCT_OF_FEW: i32 = 2;
export const LOWER_PRODUCT: i32 = 3;
export const FORWARD: i32 = 4;
export const ADJOINT: i32 = 5;
export const MASKED_GRAM: i32 = 6;
export const PROJECT: i32 = 7;
export const POOL: i32 = 8;
export const SIGNS: i32 = 9;
/** The same in float32. */
export const ROUGH_FORWARD: i32 = 10;
export const ROUGH_ADJOINT: i32 = 11;
export const LAYER_FORWARD: i32 = 12;
export const LAYER_BACKWARD: i32 = 13;
export const NEURONS_FORWARD: i32 = 14;
export const NEURONS_BACKWARD: i32 = 15;
export const TOGETHER_FORWARD: i32 = 16;
export const TOGETHER_BACKWARD: i32 = 17;
export const ROUGH_PRODUCT_BY_ROWS: i32 = 18;
export const ROUGH_PRODUCT_BY_COLUMNS: i32 = 19;
export const ROUGH_LOWER_PRODUCT: i32 = 20;
export const TIMES_COUNTS: i32 = 21;

export function setJob(kind: i32, alpha: f64): void {
  store<i32>(KIND, kind);
  store<f64>(ALPHA, alpha);
}

/** The numbers that a job's tasks read, by their place. */
export function setFields(
  a: i32, b: i32, c: i32, d: i32, e: i32, f: i32,
  g: i32 = 0, h: i32 = 0, i: i32 = 0, j: i32 = 0, k: i32 = 0, l: i32 = 0,
): void {
  store<i32>(FIELDS, a);
  store<i32>(FIELDS, b, 4);
  store<i32>(FIELDS, c, 8);
  store<i32>(FIELDS, d, 12);
  store<i32>(FIELDS, e, 16);
  store<i32>(FIELDS, f, 20);
  store<i32>(FIELDS, g, 24);
  store<i32>(FIELDS, h, 28);
  store<i32>(FIELDS, i, 32);
  store<i32>(FIELDS, j, 36);
  store<i32>(FIELDS, k, 40);
  store<i32>(FIELDS, l, 44);
}

// @ts-ignore: decorator
@inline
function field(index: i32): i32 {
  return load<i32>(FIELDS + (index << 2));
}

export function perform(task: i32): void {
  const kind = load<i32>(KIND);
  if (kind <= PRODUCT_OF_FEW) product<f64>(task, kind);
  else if (kind == ROUGH_PRODUCT_BY_ROWS) product<f32>(task, PRODUCT_BY_ROWS);
  else if (kind == ROUGH_PRODUCT_BY_COLUMNS) product<f32>(task, PRODUCT_BY_COLUMNS);
  else if (kind == LOWER_PRODUCT) lowerProduct<f64>(task);
  else if (kind == ROUGH_LOWER_PRODUCT) lowerProduct<f32>(task);
  else if (kind == TIMES_COUNTS) timesCounts(task);
  else if (kind == FORWARD || kind == ROUGH_FORWARD) forward(task, kind == ROUGH_FORWARD);
  else if (kind == ADJOINT || kind == ROUGH_ADJOINT) adjoint(task, kind == ROUGH_ADJOINT);
  else if (kind == MASKED_GRAM) maskedGram(task);
  else if (kind == PROJECT) projectOne(task);
  else if (kind == POOL) pool(task);
  else if (kind == SIGNS) signs(task);
  else if (kind == LAYER_FORWARD || kind == LAYER_BACKWARD) layer(task, kind == LAYER_BACKWARD);
  else neurons(task, kind);
}

/** Fields: m n k, A rsa csa, B rsb csb, C ldc, rows or columns of C that a task takes. */
function product<T>(task: i32, kind: i32): void {
  const rsa = field(4);
  const csb = field(8);
  const ldc = field(10);
  const part = field(11);
  const from = task * part;
  let m = field(0);
  let n = field(1);
  let A = <usize>field(3);
  let B = <usize>field(6);
  let C = <usize>field(9);
  if (kind == PRODUCT_BY_ROWS) {
    m = min(part, m - from);
    A += (from * rsa) << 3;
    C += (from * ldc) << 3;
  } else {
    n = min(part, n - from);
    B += (from * csb) << 3;
    C += from << 3;
  }
  const k = field(2);
  const rsb = field(7);
  const alpha = load<f64>(ALPHA);
  if (kind == PRODUCT_OF_FEW) multiplyFew(m, n, k, A, rsa, B, rsb, csb, C, ldc, alpha);
  else gemm<T>(DENSE, 0, 0, m, n, k, A, rsa, field(5), B, rsb, csb, C, ldc, alpha, false, work);
}

/** Fields as those of `product`, m = n; the tasks with the longest rows come first. */
function lowerProduct<T>(task: i32): void {
  const m = field(0);
  const k = field(2);
  const rsa = field(4);
  const csa = field(5);
  const B = <usize>field(6);
  const rsb = field(7);
  const csb = field(8);
  const ldc = field(10);
  const part = field(11);
  const from = (m - 1) / part * part - task * part;
  const rows = min(part, m - from);
  const A = <usize>field(3) + ((from * rsa) << 3);
  const C = <usize>field(9) + ((from * ldc) << 3);
  const alpha = load<f64>(ALPHA);
  gemm<T>(DENSE, 0, 0, rows, from, k, A, rsa, csa, B, rsb, csb, C, ldc, alpha, false, work);
  const corner = B + ((from * csb) << 3);
  gemm<T>(DENSE, 0, 0, rows, rows, k, A, rsa, csa, corner, rsb, csb, C + (from << 3), ldc, alpha, true, work);
}

/** Z[j, output_k] += sign_k (D_k X v_k)_j. Fields: X n d, bits words, count, gates outputs signs, V, Z C. */
function forward(task: i32, rough: bool): void {
  const n = field(1);
  const d = field(2);
  const stride = field(4) << 2;
  const bits = <usize>field(3);
  const count = field(5);
  const C = field(11);
  const from = task * FORWARD_ROWS;
  const rows = min(FORWARD_ROWS, n - from);
  const X = <usize>field(0) + ((from * d) << 3);
  const Z = <usize>field(10) + ((from * C) << 3);
  const T = work + gemmBytes();
  for (let first = 0; first < count; first += TILE) {
    const size = min(TILE, count - first);
    memory.fill(T, 0, (size * rows) << 3);
    const V = <usize>field(9) + ((first * d) << 3);
    if (rough) gemm<f32>(DENSE, 0, 0, size, rows, d, V, d, 1, X, 1, d, T, rows, 1, false, work);
    else gemm<f64>(DENSE, 0, 0, size, rows, d, V, d, 1, X, 1, d, T, rows, 1, false, work);
    for (let k = 0; k < size; k++) {
      const entry = (first + k) << 2;
      let mask = bits + load<i32>(<usize>field(6) + entry) * stride + ((from >> 5) << 2);
      const sign = load<f64>(<usize>field(8) + (entry << 1));
      let t = T + ((k * rows) << 3);
      let z = Z + (load<i32>(<usize>field(7) + entry) << 3);
      if (C == 1) {
        addMasked(mask, rows, sign, t, z);
        continue;
      }
      for (let j = 0; j < rows; j += 32) {
        let word = load<u32>(mask);
        mask += 4;
        const end = t + (min(32, rows - j) << 3);
        while (t < end) {
          // Without a branch, which random masks would mispredict every other time.
          const open = reinterpret<u64>(sign * load<f64>(t)) & (0 - <u64>(word & 1));
          store<f64>(z, load<f64>(z) + reinterpret<f64>(open));
          word >>= 1;
          t += 8;
          z += C << 3;
        }
      }
    }
  }
}

/** z [rows] += sign t where the mask is open, two at a time, without a branch, which random masks would mispredict every other time. */
// @ts-ignore: decorator
@inline
function addMasked(mask: usize, rows: i32, sign: f64, t: usize, z: usize): void {
  const signs = f64x2.splat(sign);
  for (let j = 0; j < rows; j += 32) {
    const word = i64x2.splat(<i64>load<u32>(mask));
    let place = i64x2(1, 2);
    mask += 4;
    const size = min(32, rows - j);
    for (const end = t + ((size & ~1) << 3); t < end; t += 16) {
      const open = i64x2.eq(v128.and(word, place), place);
      place = i64x2.shl(place, 2);
      v128.store(z, f64x2.add(v128.load(z), v128.and(f64x2.mul(signs, v128.load(t)), open)));
      z += 16;
    }
    if (size & 1) {
      const open = reinterpret<u64>(sign * load<f64>(t)) & (0 - <u64>((load<u32>(mask - 4) >> (size - 1)) & 1));
      store<f64>(z, load<f64>(z) + reinterpret<f64>(open));
    }
  }
}

/**
 * G_k = X' D_k R_k for rows k of the list, or only their norms. Fields: X n d, bits words, count, gates columns, R, G, norms,
 * rows of a task. With norms G has room for the rows of a task for each thread.
 */
function adjoint(task: i32, rough: bool): void {
  const n = field(1);
  const d = field(2);
  const norms = <usize>field(10);
  const part = field(11);
  const from = task * part;
  const rows = min(part, field(5) - from);
  const G = <usize>field(9) + (((norms == 0 ? from : self * part) * d) << 3);
  memory.fill(G, 0, (rows * d) << 3);
  readGates(<usize>field(3), field(4), <usize>field(6));
  const X = <usize>field(0);
  const R = <usize>field(8);
  if (rough) gemm<f32>(MASKED, from, 0, rows, d, n, R, n, field(7), X, d, 1, G, d, 1, false, work);
  else gemm<f64>(MASKED, from, 0, rows, d, n, R, n, field(7), X, d, 1, G, d, 1, false, work);
  if (norms == 0) return;
  for (let k = 0; k < rows; k++) {
    let square: f64 = 0;
    for (let p = 0; p < d; p++) {
      const value = load<f64>(G + ((k * d + p) << 3));
      square += value * value;
    }
    store<f64>(norms + ((from + k) << 3), Math.sqrt(square));
  }
}

/** Lower triangle of S += sum_k weight_k m_k m_k', m_k the mask of gate k. Fields: bits words, count, gates weights, S n, rows. */
function maskedGram(task: i32): void {
  const n = field(6);
  const part = field(7);
  const count = field(2);
  const weights = <usize>field(4);
  const from = (n - 1) / part * part - task * part;
  const rows = min(part, n - from);
  const S = <usize>field(5) + ((from * n) << 3);
  readGates(<usize>field(0), field(1), <usize>field(3));
  gemm<f64>(BITS, from, 0, rows, from, count, weights, 0, 0, 0, 0, 0, S, n, 1, false, work);
  gemm<f64>(BITS, from, from, rows, rows, count, weights, 0, 0, 0, 0, 0, S + (from << 3), n, 1, true, work);
}

/** Rows of `countRows`; what is added is alpha. Fields: H n, rows of all tasks, columns and further ones, mine, bits words, rows of a task. */
function timesCounts(task: i32): void {
  const n = field(1);
  const further = field(4);
  const words = field(7);
  const from = task * field(8);
  const rows = min(field(8), field(2) - from);
  const H = <usize>field(0) + ((from * n) << 3);
  const mine = <usize>field(5) + ((from * words) << 3);
  countRows(H, n, rows, field(3) + from * further, further, mine, <usize>field(6), words, load<f64>(ALPHA));
}

/**
 * Projects row k of Z onto the cone of gate k, k the task, by the face of record k. Fields: X n d, bits words, shared, places of
 * the threads, gram, gates records, Z, norms.
 */
function projectOne(task: i32): void {
  const n = field(1);
  const d = field(2);
  const place = <usize>field(6) + ((self * coneRoom(n, d)) << 3);
  locate(<usize>field(5), place, <usize>field(0), n, d, <usize>field(7), <usize>field(10) + ((task * d) << 3));
  const gate = load<i32>(<usize>field(8) + (task << 2));
  const record = <usize>load<i32>(<usize>field(9) + (task << 2));
  const norm = project(<usize>field(3) + ((gate * field(4)) << 2), record, load<f64>(ALPHA));
  store<f64>(<usize>field(11) + (task << 3), norm);
}

/** A sample of `poolSample`; its scale is alpha. Fields: X K A d, masks stride first g, out samples. */
function pool(task: i32): void {
  const K = field(1);
  const d = field(3);
  const X = <usize>field(0) + ((task * K * d) << 3);
  const first = field(6) + task * K;
  const scale = load<f64>(ALPHA);
  poolSample(X, K, field(2), d, <usize>field(4), field(5), first, field(7), <usize>field(8), field(9), task, scale, work);
}

/** Rows of `packSigns`. Fields: X n d, G g, out words, rows of a task, a multiple of 32. */
function signs(task: i32): void {
  const part = field(7);
  const from = task * part;
  packSigns(<usize>field(0), field(2), from, min(part, field(1) - from), <usize>field(3), field(4), <usize>field(5), field(6));
}

/**
 * A part of the rows of `layerForward` or `layerBackward`; the slope is alpha. Fields: X n d, W m, A C, Z or N, places of the threads
 * for H and room, gradients of the parts [m x d + C x m] each, rows of a part, H [n x m] where it is kept or 0.
 */
function layer(task: i32, backward: bool): void {
  const n = field(1);
  const d = field(2);
  const W = <usize>field(3);
  const m = field(4);
  const A = <usize>field(5);
  const C = field(6);
  const part = field(10);
  const from = task * part;
  const rows = min(part, n - from);
  const X = <usize>field(0) + ((from * d) << 3);
  const Z = <usize>field(7) + ((from * C) << 3);
  const place = <usize>field(8) + ((self * layerPlace(m)) << 3);
  const kept = field(11) != 0;
  const H = kept ? <usize>field(11) + ((from * m) << 3) : place;
  const slope = load<f64>(ALPHA);
  if (!backward) {
    layerForward(X, rows, d, W, m, A, C, Z, slope, H, kept, work);
    return;
  }
  const G = <usize>field(9) + ((task * m * (d + C)) << 3);
  memory.fill(G, 0, (m * (d + C)) << 3);
  const room = place + ((layerRows(m) * m) << 3);
  layerBackward(X, rows, d, W, m, A, C, Z, slope, H, kept, room, G, G + ((m * d) << 3), work);
}

/** Doubles of a thread's place for H and room. */
export function layerPlace(m: i32): i32 {
  return layerRows(m) * m + layerRoom(m);
}

/** A part of the rows, or samples, of a pass of neurons forward, or of the groups of one back; the slope is alpha. Fields: layer, rows or groups, those of a task. */
function neurons(task: i32, kind: i32): void {
  const layer = <usize>field(0);
  const part = field(2);
  const from = task * part;
  const count = min(part, field(1) - from);
  const slope = load<f64>(ALPHA);
  if (kind == NEURONS_BACKWARD) neuronsBackward(layer, from, count, slope, self);
  else if (kind == NEURONS_FORWARD) neuronsForward(layer, from, count, slope, self);
  else if (hasPatches(layer)) {
    if (kind == TOGETHER_BACKWARD) filtersBackward(layer, from, count, slope, self);
    else filtersForward(layer, from, count, slope);
  } else if (kind == TOGETHER_BACKWARD) togetherBackward(layer, from, count, slope, self);
  else togetherForward(layer, from, count, slope, self);
}
