/** Products of masks of ones and zeros, which are counts of bits. */

/**
 * Rows `first` .. first + rows - 1 of a lower triangle, at H with n doubles a row: entry (i, j), j <= i, := that times the number of gates
 * that are open at samples i and j, + more. `bits` [? x words]: the gates that are open at a sample, words of 64, a multiple of 4.
 */
export function countRows(H: usize, n: i32, first: i32, rows: i32, bits: usize, words: i32, more: f64): void {
  const stride = <usize>words << 3;
  for (let i = first; i < first + rows; i++) {
    const mine = bits + i * stride;
    let other = bits;
    for (let at = H, end = H + ((i + 1) << 3); at < end; at += 8) {
      let count: u64 = 0;
      for (let p: usize = 0; p < stride; p += 32) {
        const a = mine + p;
        const b = other + p;
        count +=
          popcnt<u64>(load<u64>(a) & load<u64>(b)) +
          popcnt<u64>(load<u64>(a, 8) & load<u64>(b, 8)) +
          popcnt<u64>(load<u64>(a, 16) & load<u64>(b, 16)) +
          popcnt<u64>(load<u64>(a, 24) & load<u64>(b, 24));
      }
      store<f64>(at, load<f64>(at) * <f64>count + more);
      other += stride;
    }
    H += <usize>n << 3;
  }
}
