/** The vectors of a dense set of blocks that are not zero. */

/** Rows of `all` [count x width] with a nonzero entry (NaN counts as one): their numbers, and the rows in a matrix of their own. */
export function nonzeroVectors(
  all: Float64Array | Float32Array,
  count: number,
  width: number,
): { index: Int32Array; vectors: Float64Array } {
  const index: number[] = [];
  for (let k = 0; k < count; k++) {
    for (let p = 0; p < width; p++) {
      if (all[k * width + p] !== 0) {
        index.push(k);
        break;
      }
    }
  }
  const vectors = new Float64Array(index.length * width);
  index.forEach((k, at) => {
    vectors.set(all.subarray(k * width, (k + 1) * width), at * width);
  });
  return { index: Int32Array.from(index), vectors };
}
