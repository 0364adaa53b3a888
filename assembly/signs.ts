/**
 * Sign patterns 1[X g >= 0], bit-packed. Sums are those of plain arithmetic to the last bit, products and additions rounded one
 * by one in the order of the columns: a bit must not depend on who computed it.
 */

/** Generators of a panel: the lanes of two registers. */
const PANEL: i32 = 4;

/**
 * Bits of the rows [from, from + count) of X [? x d], `from` a multiple of 32. G: panels of 4 generators [d x 4]; out: a mask of
 * `words` words a generator, g of them. Bits beyond the last row stay zero.
 */
export function packSigns(
  X: usize, d: i32, from: i32, count: i32,
  G: usize, g: i32, out: usize, words: i32,
): void {
  for (let start = 0; start < count; start += 32) {
    const rows = min(32, count - start);
    const word = out + (((from + start) >> 5) << 2);
    for (let k = 0; k < g; k += PANEL) {
      signsOf(X + (((from + start) * d) << 3), d, rows, G + ((k * d) << 3), word + ((k * words) << 2), words << 2, min(PANEL, g - k));
    }
  }
}

/** A word of each of up to four generators. */
function signsOf(rows: usize, d: i32, count: i32, G: usize, out: usize, stride: i32, generators: i32): void {
  const size = d << 3;
  const zero = f64x2.splat(0);
  let w0: u32 = 0, w1: u32 = 0, w2: u32 = 0, w3: u32 = 0;
  for (let j = 0; j < count; j += 4) {
    let a = rows + j * size;
    let b = rows + min(j + 1, count - 1) * size;
    let c = rows + min(j + 2, count - 1) * size;
    let e = rows + min(j + 3, count - 1) * size;
    let a0 = zero, a1 = zero, b0 = zero, b1 = zero, c0 = zero, c1 = zero, e0 = zero, e1 = zero;
    const end = G + (d << 5);
    for (let at = G; at < end; at += 32) {
      const g0 = v128.load(at);
      const g1 = v128.load(at, 16);
      let x = v128.load64_splat(a);
      a0 = f64x2.add(a0, f64x2.mul(x, g0));
      a1 = f64x2.add(a1, f64x2.mul(x, g1));
      x = v128.load64_splat(b);
      b0 = f64x2.add(b0, f64x2.mul(x, g0));
      b1 = f64x2.add(b1, f64x2.mul(x, g1));
      x = v128.load64_splat(c);
      c0 = f64x2.add(c0, f64x2.mul(x, g0));
      c1 = f64x2.add(c1, f64x2.mul(x, g1));
      x = v128.load64_splat(e);
      e0 = f64x2.add(e0, f64x2.mul(x, g0));
      e1 = f64x2.add(e1, f64x2.mul(x, g1));
      a += 8;
      b += 8;
      c += 8;
      e += 8;
    }
    const shift: u32 = j;
    const open: u32 = count - j >= 4 ? 15 : (1 << (count - j)) - 1;
    const low = open4(a0, b0, c0, e0);
    const high = open4(a1, b1, c1, e1);
    w0 |= (low & open) << shift;
    w1 |= ((low >> 4) & open) << shift;
    w2 |= (high & open) << shift;
    w3 |= ((high >> 4) & open) << shift;
  }
  store<u32>(out, w0);
  if (generators > 1) store<u32>(out + stride, w1);
  if (generators > 2) store<u32>(out + 2 * stride, w2);
  if (generators > 3) store<u32>(out + 3 * stride, w3);
}

/** Bits 0 to 3: the signs of four rows in lane 0; bits 4 to 7: in lane 1. */
// @ts-ignore: decorator
@inline
function open4(a: v128, b: v128, c: v128, e: v128): u32 {
  const zero = f64x2.splat(0);
  const x = <u32>i64x2.bitmask(f64x2.ge(a, zero));
  const y = <u32>i64x2.bitmask(f64x2.ge(b, zero));
  const z = <u32>i64x2.bitmask(f64x2.ge(c, zero));
  const w = <u32>i64x2.bitmask(f64x2.ge(e, zero));
  const first = (x & 1) | ((y & 1) << 1) | ((z & 1) << 2) | ((w & 1) << 3);
  const second = (x >> 1) | ((y >> 1) << 1) | ((z >> 1) << 2) | ((w >> 1) << 3);
  return first | (second << 4);
}
