/** Copies of matrices in the order in which the micro-kernel reads them. */

import { wide } from "./kernel";

/** Panels of 4 rows, each k after k; rows beyond the last are zero. */
export function packA<T>(mc: i32, kc: i32, A: usize, rsa: i32, csa: i32, out: usize): void {
  const step = 4 * sizeof<T>();
  for (let i = 0; i < mc; i += 4) {
    packFour<T>(kc, mc - i, A + ((i * rsa) << 3), csa, rsa, out, step);
    out += kc * step;
  }
}

/** Panels of `wide` columns, each k after k; columns beyond the last are zero. */
export function packB<T>(kc: i32, nc: i32, B: usize, rsb: i32, csb: i32, out: usize): void {
  for (let j = 0; j < nc; j += wide<T>()) {
    for (let half = 0; half < wide<T>(); half += 4) {
      const from = B + (((j + half) * csb) << 3);
      packFour<T>(kc, nc - j - half, from, rsb, csb, out + half * sizeof<T>(), 32);
    }
    out += kc << 5;
  }
}

/** Four columns, of which `columns` are there, into a panel whose next k is `step` bytes on. */
function packFour<T>(kc: i32, columns: i32, from: usize, rsb: i32, csb: i32, out: usize, step: i32): void {
  if (columns >= 4 && csb == 1) {
    let at = from;
    for (let p = 0; p < kc; p++) {
      if (sizeof<T>() == 8) {
        v128.store(out, v128.load(at));
        v128.store(out, v128.load(at, 16), 16);
      } else {
        const left = f32x4.demote_f64x2_zero(v128.load(at));
        v128.store(out, v128.shuffle<i64>(left, f32x4.demote_f64x2_zero(v128.load(at, 16)), 0, 2));
      }
      at += rsb << 3;
      out += step;
    }
  } else if (columns >= 4) {
    const b1 = csb << 3;
    const b2 = b1 << 1;
    const b3 = b1 + b2;
    let at = from;
    for (let p = 0; p < kc; p++) {
      store<T>(out, <T>load<f64>(at));
      store<T>(out, <T>load<f64>(at + b1), sizeof<T>());
      store<T>(out, <T>load<f64>(at + b2), 2 * sizeof<T>());
      store<T>(out, <T>load<f64>(at + b3), 3 * sizeof<T>());
      at += rsb << 3;
      out += step;
    }
  } else {
    for (let p = 0; p < kc; p++) {
      for (let s = 0; s < 4; s++) {
        store<T>(out + s * sizeof<T>(), <T>(s < columns ? load<f64>(from + ((p * rsb + s * csb) << 3)) : 0));
      }
      out += step;
    }
  }
}

/** The gates that the packings below read: [? x words] bit-packed masks, and a list of those that take part. */
let bits: usize = 0;
let stride: i32 = 0; // bytes of a gate
let list: usize = 0; // [k] i32

export function readGates(bitsAt: usize, words: i32, listAt: usize): void {
  bits = bitsAt;
  stride = words << 2;
  list = listAt;
}

/**
 * A[i, p] = D_gate[i][p, p] R[p, column i]: row i of the list has its gate and, in `columns` [k] i32, its column of R', whose
 * rows [rows] follow each other. Rows from `first`, entries from `p0`, a multiple of 32.
 */
export function packMasked<T>(
  mc: i32, kc: i32, first: i32, p0: i32,
  R: usize, rows: i32, columns: usize, out: usize,
): void {
  for (let i = 0; i < mc; i += 4) {
    const four = (first + i) << 2;
    if (i + 4 <= mc && ofOneColumn(columns + four)) {
      packFourMasks<T>(kc, list + four, p0, R + ((load<i32>(columns + four) * rows + p0) << 3), out);
      out += kc * 4 * sizeof<T>();
      continue;
    }
    for (let r = 0; r < 4; r++) {
      let to = out + r * sizeof<T>();
      if (i + r >= mc) {
        for (let p = 0; p < kc; p++) {
          store<T>(to, 0);
          to += 4 * sizeof<T>();
        }
        continue;
      }
      const entry = (first + i + r) << 2;
      let mask = bits + load<i32>(list + entry) * stride + ((p0 >> 5) << 2);
      let value = R + ((load<i32>(columns + entry) * rows + p0) << 3);
      for (let p = 0; p < kc; p += 32) {
        let word = load<u32>(mask);
        mask += 4;
        const end = to + min(32, kc - p) * 4 * sizeof<T>();
        while (to < end) {
          if (sizeof<T>() == 8) store<u64>(to, load<u64>(value) & (0 - <u64>(word & 1)));
          else store<u32>(to, reinterpret<u32>(<f32>load<f64>(value)) & (0 - (word & 1)));
          word >>= 1;
          value += 8;
          to += 4 * sizeof<T>();
        }
      }
    }
    out += kc * 4 * sizeof<T>();
  }
}

/** Whether four rows of the list have the same column. */
// @ts-ignore: decorator
@inline
function ofOneColumn(columns: usize): bool {
  const c = load<i32>(columns);
  return load<i32>(columns, 4) == c && load<i32>(columns, 8) == c && load<i32>(columns, 12) == c;
}

/** A panel of four gates and one column, 32 entries at a time from the last on: a sign bit becomes a mask, and the next one comes up. */
function packFourMasks<T>(kc: i32, gates: usize, p0: i32, value: usize, out: usize): void {
  let word = bits + ((p0 >> 5) << 2);
  for (let p = 0; p < kc; p += 32) {
    const size = min(32, kc - p);
    let masks = i32x4.splat(0);
    masks = i32x4.replace_lane(masks, 0, load<i32>(word + load<i32>(gates) * stride));
    masks = i32x4.replace_lane(masks, 1, load<i32>(word + load<i32>(gates, 4) * stride));
    masks = i32x4.replace_lane(masks, 2, load<i32>(word + load<i32>(gates, 8) * stride));
    masks = i32x4.replace_lane(masks, 3, load<i32>(word + load<i32>(gates, 12) * stride));
    masks = i32x4.shl(masks, 32 - size);
    let from = value + (size << 3);
    let to = out + size * 4 * sizeof<T>();
    while (from > value) {
      from -= 8;
      to -= 4 * sizeof<T>();
      const open = i32x4.shr_s(masks, 31);
      masks = i32x4.shl(masks, 1);
      if (sizeof<T>() == 8) {
        const x = v128.load64_splat(from);
        v128.store(to, v128.and(x, i64x2.extend_low_i32x4_s(open)));
        v128.store(to, v128.and(x, i64x2.extend_high_i32x4_s(open)), 16);
      } else v128.store(to, v128.and(f32x4.splat(<f32>load<f64>(from)), open));
    }
    word += 4;
    value += 32 << 3;
    out += 128 * sizeof<T>();
  }
}

/**
 * A[i, p] = weight[p] D_gate[p][i, i] for the gates p of the list, from `p0`, and rows from `first`, a multiple of 4; weights
 * of one without `weights`. Rows beyond the last have whatever the masks have there.
 */
export function packBits(mc: i32, kc: i32, first: i32, p0: i32, weights: usize, out: usize): void {
  const one: u64 = reinterpret<u64>(1.0);
  for (let i = first; i < first + mc; i += 4) {
    const word = bits + ((i >> 5) << 2);
    const shift = i & 31;
    for (let p = p0; p < p0 + kc; p++) {
      const open = load<u32>(word + load<i32>(list + (p << 2)) * stride) >> shift;
      const weight = weights == 0 ? one : load<u64>(weights + (p << 3));
      store<u64>(out, weight & (0 - <u64>(open & 1)));
      store<u64>(out, weight & (0 - <u64>((open >> 1) & 1)), 8);
      store<u64>(out, weight & (0 - <u64>((open >> 2) & 1)), 16);
      store<u64>(out, weight & (0 - <u64>((open >> 3) & 1)), 24);
      out += 32;
    }
  }
}
