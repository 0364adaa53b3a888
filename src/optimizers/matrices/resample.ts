/** Images at lower resolutions: means over the area of each coarse pixel, which may cut fine ones. */

import type { Matrix } from "../../convex/types.js";

/** Height, width and channels of an image. */
export type ImageShape = readonly [height: number, width: number, channels: number];

/** Rows [n x height width channels] as images of `to`, with the same channels. */
export function resample({ rows, data }: Matrix, from: ImageShape, to: ImageShape): Matrix {
  const [height, width, channels] = from;
  const down = shares(height, to[0]);
  const across = shares(width, to[1]);
  const cols = to[0] * to[1] * channels;
  const out = new Float64Array(rows * cols);
  for (let k = 0; k < rows; k++) {
    for (const [i, y, high] of down) {
      for (const [j, x, wide] of across) {
        const at = k * cols + (y * to[1] + x) * channels;
        const source = ((k * height + i) * width + j) * channels;
        for (let c = 0; c < channels; c++) out[at + c] += high * wide * data[source + c];
      }
    }
  }
  return { rows, cols, data: out };
}

/** Which fine pixels lie in which coarse one, each with its share of the mean. */
function shares(fine: number, coarse: number): [fine: number, coarse: number, share: number][] {
  const found: [number, number, number][] = [];
  for (let y = 0; y < coarse; y++) {
    const [from, to] = [(y * fine) / coarse, ((y + 1) * fine) / coarse];
    for (let i = Math.floor(from); i < Math.min(fine, Math.ceil(to)); i++) {
      const share = (Math.min(to, i + 1) - Math.max(from, i)) / (to - from);
      if (share > 0) found.push([i, y, share]);
    }
  }
  return found;
}
