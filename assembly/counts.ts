/** Products of masks of ones and zeros, which are counts of bits. */

/**
 * Entry (i, j) of H [rows x n] := that times the number of gates that are open at samples i of `mine` and j of `bits`, + more: of `columns`
 * columns in the first row and `further` more in each that follows. `mine`, `bits` [? x words]: the gates that are open at a sample,
 * words of 64, a multiple of 4.
 */
export function countRows(
  H: usize, n: i32, rows: i32, columns: i32, further: i32, mine: usize, bits: usize, words: i32, more: f64,
): void {
  const stride = <usize>words << 3;
  for (let i = 0; i < rows; i++) {
    let other = bits;
    for (let at = H, end = H + ((columns + i * further) << 3); at < end; at += 8) {
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
    mine += stride;
    H += <usize>n << 3;
  }
}
