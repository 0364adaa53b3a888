/** Pooling of images: the largest, or the mean, of the pixels of each window that lie in the image. */

import { pixelsOf, placesOf, type Windows } from "./images.js";
import type { Make } from "./operation.js";

/** Of several that are largest the first one has the slope, as in tfjs. */
export function maxPooling(windows: Windows, channels: number): Make {
  const places = placesOf(windows);
  const size = places * channels;
  return () => {
    const pixels = pixelsOf(windows);
    const entries = pixels.length / places;
    let chosen = new Int32Array(0); // [size x n]: entries of the input
    return {
      size,
      work: size * entries,
      room: size,
      forward(n, [h], _weights, out) {
        if (chosen.length < size * n) chosen = new Int32Array(size * n);
        out.fill(Number.NEGATIVE_INFINITY);
        eachWindow(pixels, places, channels, n, (from, to) => {
          for (let s = 0; s < n; s++) {
            const value = h[from + s];
            if (!(value > out[to + s])) continue;
            out[to + s] = value;
            chosen[to + s] = from + s;
          }
        });
      },
      backward(n, _inputs, _weights, _out, pull, [below]) {
        if (below === null) return;
        below.fill(0);
        for (let k = 0; k < size * n; k++) below[chosen[k]] += pull[k];
      },
    };
  };
}

export function averagePooling(windows: Windows, channels: number): Make {
  const places = placesOf(windows);
  const size = places * channels;
  return () => {
    const pixels = pixelsOf(windows);
    const entries = pixels.length / places;
    const shares = Float64Array.from(
      { length: places },
      (_, k) => 1 / pixels.subarray(k * entries, (k + 1) * entries).filter((pixel) => pixel >= 0).length,
    );
    return {
      size,
      work: size * entries,
      room: 0,
      forward(n, [h], _weights, out) {
        out.fill(0);
        eachWindow(pixels, places, channels, n, (from, to, k) => {
          for (let s = 0; s < n; s++) out[to + s] += shares[k] * h[from + s];
        });
      },
      backward(n, _inputs, _weights, _out, pull, [below]) {
        if (below === null) return;
        below.fill(0);
        eachWindow(pixels, places, channels, n, (from, to, k) => {
          for (let s = 0; s < n; s++) below[from + s] += shares[k] * pull[to + s];
        });
      },
    };
  };
}

/** Calls `use` with the rows of pixels in the order of each window, and the rows of the positions that see them. */
function eachWindow(
  pixels: Int32Array,
  places: number,
  channels: number,
  n: number,
  use: (from: number, to: number, place: number) => void,
): void {
  const entries = pixels.length / places;
  for (let k = 0; k < places; k++) {
    for (let e = 0; e < entries; e++) {
      const pixel = pixels[k * entries + e];
      if (pixel < 0) continue;
      for (let c = 0; c < channels; c++) use((pixel * channels + c) * n, (k * channels + c) * n, k);
    }
  }
}
