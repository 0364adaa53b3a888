/** Patches as devices read them: images, and for each entry of a patch its place in an image. */

import { rowBlock } from "../../linear/rowBlock.js";
import type { Gathered, Matrix } from "../../types.js";

/** Memory goes with the images, not with their patches; two pixels more, a zero and the bias, leave devices no case to tell apart. */
export interface PatchImages {
  readonly pixels: number; // of an image, with the two and, where that makes them even, a third
  readonly data: Float32Array; // [n x pixels]
  readonly places: Uint32Array; // [K x width]
}

/** The rows of X, K patches each of n samples; places [K x width] are those of zeros from column d on. */
export function patchImages(X: Matrix, patches: number, width = X.cols): PatchImages {
  const n = X.rows / patches;
  const { images, places, bias } = X.gathered ?? asImages(X, patches);
  const count = images.cols;
  const entries = places.length / patches;
  const pixels = 2 * Math.ceil((count + 2) / 2);
  const data = new Float32Array(n * pixels);
  for (let j = 0; j < n; j++) {
    data.set(rowBlock(images, j, 1), j * pixels);
    data[j * pixels + count + 1] = bias;
  }
  const table = new Uint32Array(patches * width).fill(count);
  for (let k = 0; k < patches; k++) {
    for (let p = 0; p < entries; p++) {
      const place = places[k * entries + p];
      if (place >= 0) table[k * width + p] = place;
    }
    if (bias > 0) table[k * width + entries] = count + 1;
  }
  return { pixels, data, places: table };
}

/** Rows that are no patches of anything smaller: all of a sample in one image. */
function asImages(X: Matrix, patches: number): Gathered {
  const pixels = patches * X.cols;
  const images: Matrix = {
    rows: X.rows / patches,
    cols: pixels,
    get data() {
      return X.data;
    },
    block: (from, count) => rowBlock(X, from * patches, count * patches),
  };
  return { images, places: Int32Array.from({ length: pixels }, (_, at) => at), bias: 0 };
}
