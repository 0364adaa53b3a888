/** Patches of images and signals: the rows on which a convolution's filters act, in the geometry of a tfjs layer. */

import type { Pieces } from "../linear/pieces.js";
import type { Gathered, Matrix } from "../types.js";

/** Patch matrices up to this size are made once and kept; larger ones are made image by image whenever they are read. */
const KEPT_BYTES = 2 ** 27;
/** Numbers of patches between two looks at the clock. */
const PIECE = 2 ** 21;

/** One axis of a convolution. A signal is an image of height 1. */
export interface PatchAxis {
  readonly size: number; // of the input
  readonly filter: number;
  readonly stride: number;
  readonly dilation: number;
}

/** What `patchGeometry` is made from. */
export interface PatchShape {
  readonly height: PatchAxis;
  readonly width: PatchAxis;
  readonly channels: number;
  readonly padding: "valid" | "same";
  /** How the pixels of an image lie in its row of data. */
  readonly dataFormat: "channelsLast" | "channelsFirst";
}

/** Where each entry of each patch stands in an image. */
export interface PatchGeometry {
  readonly patches: number; // K = outHeight outWidth, row by row; in windows what `windowedGeometry` says
  readonly entries: number; // h = filter height x filter width x channels, channels fastest: the order of a tfjs kernel
  readonly pixels: number; // of an image
  readonly outHeight: number;
  readonly outWidth: number;
  readonly source: Int32Array; // [K x h]: place in the image, -1 in the padding
}

/** Size of the output along an axis and the padding before it, as TensorFlow defines them; 0 where the filter does not fit. */
export function outputSize(axis: PatchAxis, padding: "valid" | "same"): { size: number; before: number } {
  const reach = (axis.filter - 1) * axis.dilation + 1;
  if (padding === "valid") return { size: Math.max(0, Math.ceil((axis.size - reach + 1) / axis.stride)), before: 0 };
  const size = Math.ceil(axis.size / axis.stride);
  return { size, before: Math.floor(Math.max(0, (size - 1) * axis.stride + reach - axis.size) / 2) };
}

/** The geometry of a convolution; `patches` is 0 where the filter is larger than the image. */
export function patchGeometry(shape: PatchShape): PatchGeometry {
  const { height, width, channels, padding, dataFormat } = shape;
  const rows = outputSize(height, padding);
  const cols = outputSize(width, padding);
  const entries = height.filter * width.filter * channels;
  const patches = rows.size * cols.size;
  const source = new Int32Array(patches * entries);
  let at = 0;
  for (let row = 0; row < rows.size; row++) {
    for (let col = 0; col < cols.size; col++) {
      for (let dy = 0; dy < height.filter; dy++) {
        const y = row * height.stride - rows.before + dy * height.dilation;
        for (let dx = 0; dx < width.filter; dx++) {
          const x = col * width.stride - cols.before + dx * width.dilation;
          const inside = y >= 0 && y < height.size && x >= 0 && x < width.size;
          for (let c = 0; c < channels; c++, at++) {
            const last = (y * width.size + x) * channels + c;
            const first = (c * height.size + y) * width.size + x;
            source[at] = inside ? (dataFormat === "channelsLast" ? last : first) : -1;
          }
        }
      }
    }
  }
  const pixels = height.size * width.size * channels;
  return { patches, entries, pixels, outHeight: rows.size, outWidth: cols.size, source };
}

/** Windows of a convolution's output that are pooled, without padding. */
export interface Windows {
  readonly height: Pick<PatchAxis, "filter" | "stride">;
  readonly width: Pick<PatchAxis, "filter" | "stride">;
}

/**
 * The patches under each of A windows of the convolution's output, of w patches each, in the order of `Pooling`: patch t A + a is
 * patch t of window a. What stands in several windows is there several times, what stands in none is not there.
 */
export function windowedGeometry(
  geometry: PatchGeometry,
  windows: Windows,
): { geometry: PatchGeometry; positions: number } {
  const { entries, source, outHeight, outWidth } = geometry;
  const axis = (size: number, { filter, stride }: Pick<PatchAxis, "filter" | "stride">) =>
    outputSize({ size, filter, stride, dilation: 1 }, "valid").size;
  const rows = axis(outHeight, windows.height);
  const cols = axis(outWidth, windows.width);
  const positions = rows * cols;
  const patches = positions * windows.height.filter * windows.width.filter;
  const places = new Int32Array(patches * entries);
  for (let k = 0; k < patches; k++) {
    const a = k % positions;
    const t = (k - a) / positions;
    const row = Math.floor(a / cols) * windows.height.stride + Math.floor(t / windows.width.filter);
    const col = (a % cols) * windows.width.stride + (t % windows.width.filter);
    const from = (row * outWidth + col) * entries;
    places.set(source.subarray(from, from + entries), k * entries);
  }
  return { geometry: { ...geometry, patches, source: places }, positions };
}

/** The patches of all images [n x pixels], stacked: row j K + k is patch k of image j; with a constant last column if `bias` > 0. */
export function patchMatrix(images: Matrix, geometry: PatchGeometry, bias = 0): Matrix {
  return new PatchMatrix(images, geometry, bias);
}

/** Patches, all of them or only where `block` would keep them, made in pieces; null where it is told to end. */
export function* madeInPieces(X: Matrix, which: "all" | "kept"): Pieces<true | null> {
  if (!(X instanceof PatchMatrix) || (which === "kept" && 8 * X.rows * X.cols > KEPT_BYTES)) return true;
  return yield* X.made();
}

class PatchMatrix implements Matrix {
  readonly rows: number;
  readonly cols: number;
  private kept: Float64Array | null = null;
  private buffer = new Float64Array(0);
  private readonly run: number; // entries that lie side by side in images, or in the padding, in every patch

  constructor(
    private readonly images: Matrix,
    private readonly geometry: PatchGeometry,
    private readonly bias: number,
  ) {
    this.rows = images.rows * geometry.patches;
    this.cols = geometry.entries + (bias > 0 ? 1 : 0);
    this.run = longestRun(geometry);
  }

  get gathered(): Gathered {
    return { images: this.images, places: this.geometry.source, bias: this.bias };
  }

  get data(): Float64Array {
    if (this.kept === null) {
      const all = new Float64Array(this.rows * this.cols);
      this.fill(0, this.rows, all);
      this.kept = all;
    }
    return this.kept;
  }

  *made(): Pieces<true | null> {
    if (this.kept !== null) return true;
    const { rows, cols } = this;
    const all = new Float64Array(rows * cols);
    const step = Math.ceil(PIECE / cols);
    for (let from = 0; from < rows; from += step) {
      const to = Math.min(rows, from + step);
      this.fill(from, to - from, all.subarray(from * cols, to * cols));
      if (to < rows && (yield)) return null;
    }
    this.kept = all;
    return true;
  }

  block(from: number, count: number): Float64Array {
    const { cols } = this;
    if (this.kept !== null || 8 * this.rows * cols <= KEPT_BYTES) {
      return this.data.subarray(from * cols, (from + count) * cols);
    }
    if (this.buffer.length < count * cols) this.buffer = new Float64Array(count * cols);
    this.fill(from, count, this.buffer);
    return this.buffer.subarray(0, count * cols);
  }

  private fill(from: number, count: number, out: Float64Array): void {
    const { patches, entries, pixels, source } = this.geometry;
    const { data } = this.images;
    const { cols, bias, run } = this;
    for (let k = 0; k < count; k++) {
      const patch = (from + k) % patches;
      const image = ((from + k - patch) / patches) * pixels;
      let to = k * cols;
      for (let at = patch * entries, end = at + entries; at < end; at += run) {
        const place = source[at];
        const first = image + place;
        for (let p = 0; p < run; p++, to++) out[to] = place < 0 ? 0 : data[first + p];
      }
      if (bias > 0) out[to] = bias;
    }
  }
}

/** The largest number into which all patches can be cut so that each piece lies side by side in the image, or in the padding. */
function longestRun({ entries, source }: PatchGeometry): number {
  const fits = (run: number) =>
    source.every((place, at) => at % run === 0 || (place < 0 ? source[at - 1] < 0 : source[at - 1] === place - 1));
  let run = entries;
  while (entries % run !== 0 || !fits(run)) run -= 1;
  return run;
}
