/**
 * Sums of the patches that masks select, by the method of the four Russians (Arlazarov et al. 1970): the sums of every subset
 * of four patches are made once and serve all gates, so that a gate costs one addition where it would cost four products.
 */

/** Columns of the patches that are summed together: 32 kB of tables, about an L1 cache. */
const COLUMNS: i32 = 32;
/** Patches of a table, tables of a word of a mask, and sums of a table. */
const GROUP: i32 = 4;
const TABLES: i32 = 8;
const SUBSETS: i32 = 16;

/** Bytes of work space that `poolSample` wants. */
export function poolBytes(): i32 {
  return (TABLES * SUBSETS * COLUMNS) << 3;
}

/**
 * One sample: out [g x A x samples x d], of which its rows are written, = scale times the sum of its patches of each position that
 * each gate selects. X [K x d]: its patches, patch t A + a is patch t of position a, and bit `first` + its number in the masks,
 * whose gates are `stride` bytes apart.
 */
export function poolSample(
  X: usize, K: i32, A: i32, d: i32,
  masks: usize, stride: i32, first: i32, g: i32,
  out: usize, samples: i32, sample: i32, scale: f64, tables: usize,
): void {
  const window = K / A;
  for (let a = 0; a < A; a++) {
    const to = out + (((a * samples + sample) * d) << 3);
    const next = ((A * samples) * d) << 3; // bytes from gate to gate
    for (let k = 0; k < g; k++) memory.fill(to + k * next, 0, d << 3);
    for (let p = 0; p < d; p += COLUMNS) {
      const width = min(COLUMNS, d - p);
      for (let t = 0; t < window; t += 32) {
        const count = min(32, window - t);
        makeTables(X + (((t * A + a) * d + p) << 3), (A * d) << 3, count, width, tables);
        const bit = first + t * A + a;
        for (let k = 0; k < g; k++) {
          const word = A == 1 ? wordAt(masks + k * stride, bit, count) : gathered(masks + k * stride, bit, A, count);
          if (word != 0) addSums(word, tables, width, to + k * next + (p << 3));
        }
      }
    }
    for (let k = 0; k < g; k++) {
      const end = to + k * next + (d << 3);
      for (let at = to + k * next; at < end; at += 8) store<f64>(at, scale * load<f64>(at));
    }
  }
}

/** Table q, subset m: the sum of the patches 4 q + s of the bits s of m; rows `step` bytes apart, zero from `count`. */
function makeTables(rows: usize, step: i32, count: i32, width: i32, tables: usize): void {
  const size = width << 3;
  for (let q = 0; q < TABLES; q++) {
    const table = tables + q * SUBSETS * COLUMNS * 8;
    memory.fill(table, 0, size);
    if (q * GROUP >= count) continue; // no mask asks for more than nothing
    for (let s = 0; s < GROUP; s++) {
      const half = 1 << s;
      const patch = q * GROUP + s;
      for (let m = 0; m < half; m++) {
        const from = table + ((m * COLUMNS) << 3);
        const to = from + ((half * COLUMNS) << 3);
        if (patch >= count) {
          memory.copy(to, from, size);
          continue;
        }
        const row = rows + patch * step;
        let c = 0;
        for (; c + 16 <= size; c += 16) v128.store(to + c, f64x2.add(v128.load(from + c), v128.load(row + c)));
        if (c < size) store<f64>(to + c, load<f64>(from + c) + load<f64>(row + c));
      }
    }
  }
}

/** The `count` <= 32 bits from `bit` on; one word beyond them may be read. */
// @ts-ignore: decorator
@inline
function wordAt(mask: usize, bit: i32, count: i32): u32 {
  const at = mask + ((bit >> 5) << 2);
  const both = load<u64>(at) >> <u64>(bit & 31);
  return <u32>both & (count == 32 ? 0xffffffff : (1 << count) - 1);
}

/** The same for every A-th bit. */
function gathered(mask: usize, bit: i32, A: i32, count: i32): u32 {
  let word: u32 = 0;
  for (let t = 0; t < count; t++, bit += A) {
    word |= ((load<u32>(mask + ((bit >> 5) << 2)) >> (bit & 31)) & 1) << t;
  }
  return word;
}

/** out [width] += the sums that a word selects from the eight tables. */
// @ts-ignore: decorator
@inline
function addSums(word: u32, tables: usize, width: i32, out: usize): void {
  const row = COLUMNS << 3;
  const table = SUBSETS * row;
  const a = tables + (word & 15) * row;
  const b = tables + table + ((word >> 4) & 15) * row;
  const c = tables + 2 * table + ((word >> 8) & 15) * row;
  const d = tables + 3 * table + ((word >> 12) & 15) * row;
  const e = tables + 4 * table + ((word >> 16) & 15) * row;
  const f = tables + 5 * table + ((word >> 20) & 15) * row;
  const g = tables + 6 * table + ((word >> 24) & 15) * row;
  const h = tables + 7 * table + (word >> 28) * row;
  const size = width << 3;
  let at = 0;
  for (; at + 16 <= size; at += 16) {
    const first = f64x2.add(f64x2.add(v128.load(a + at), v128.load(b + at)), f64x2.add(v128.load(c + at), v128.load(d + at)));
    const last = f64x2.add(f64x2.add(v128.load(e + at), v128.load(f + at)), f64x2.add(v128.load(g + at), v128.load(h + at)));
    v128.store(out + at, f64x2.add(v128.load(out + at), f64x2.add(first, last)));
  }
  if (at < size) {
    const first = load<f64>(a + at) + load<f64>(b + at) + (load<f64>(c + at) + load<f64>(d + at));
    const last = load<f64>(e + at) + load<f64>(f + at) + (load<f64>(g + at) + load<f64>(h + at));
    store<f64>(out + at, load<f64>(out + at) + (first + last));
  }
}
