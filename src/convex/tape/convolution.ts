/** A convolution before its activation: the patches of a block as columns, and one product. Kernel [h w c x f] as tfjs has it. */

import { transpose } from "../linear/vectors.js";
import { addRowSums, addToRows } from "./dense.js";
import { pixelsOf, placesOf, type Windows } from "./images.js";
import { addTo, type Make, partOf, Scratch, type Values, type WeightPlace } from "./operation.js";

export function convolution(
  windows: Windows,
  channels: number,
  filters: number,
  kernel: WeightPlace,
  bias: WeightPlace | null,
): Make {
  const places = placesOf(windows);
  const entries = windows.kernel[0] * windows.kernel[1];
  const d = entries * channels;
  return (kernels) => {
    const pixels = pixelsOf(windows);
    const turned = new Float64Array(d * filters);
    const [patches, made, pulled, product] = [new Scratch(), new Scratch(), new Scratch(), new Scratch()];
    return {
      size: places * filters,
      work: places * d * filters,
      room: places * (2 * d + 2 * filters),
      forward(n, [h], weights, out) {
        const P = patches.take(d * places * n);
        gather(h, pixels, places, channels, n, P);
        transpose(partOf(weights, kernel), d, filters, turned);
        const H = made.take(filters * places * n);
        kernels.multiply(turned, P, H, filters, d, places * n);
        if (bias !== null) addToRows(partOf(weights, bias), places * n, H);
        swap(H, filters, places, n, out);
      },
      backward(n, _inputs, weights, _out, pull, [below], gradient) {
        const H = made.take(filters * places * n);
        swap(pull, places, filters, n, H);
        if (kernel.trained) {
          const part = product.take(d * filters);
          kernels.multiplyTransposed(patches.take(d * places * n), H, part, d, places * n, filters);
          addTo(partOf(gradient, kernel), part);
        }
        if (bias?.trained) addRowSums(H, places * n, partOf(gradient, bias));
        if (below === null) return;
        const P = pulled.take(d * places * n);
        kernels.multiply(partOf(weights, kernel), H, P, d, filters, places * n);
        scatter(P, pixels, places, channels, n, below);
      },
    };
  };
}

/**
 * The transpose of a convolution, from its positions to the image that its windows see, with a bias of that: each pixel in adds the kernel
 * [h w channels x filters], times it, to its window.
 */
export function transposedConvolution(
  windows: Windows,
  channels: number,
  filters: number,
  kernel: WeightPlace,
  bias: WeightPlace | null,
): Make {
  const places = placesOf(windows);
  const image = windows.frames * windows.height * windows.width;
  const d = windows.kernel[0] * windows.kernel[1] * channels;
  return (kernels) => {
    const pixels = pixelsOf(windows);
    const turned = new Float64Array(d * filters);
    const [patches, held, pulled, product] = [new Scratch(), new Scratch(), new Scratch(), new Scratch()];
    const pixel = (values: Values, k: number, n: number) => values.subarray(k * channels * n, (k + 1) * channels * n);
    return {
      size: image * channels,
      work: places * d * filters,
      room: places * (2 * d + 2 * filters),
      forward(n, [h], weights, out) {
        const H = held.take(filters * places * n);
        swap(h, places, filters, n, H);
        const P = patches.take(d * places * n);
        kernels.multiply(partOf(weights, kernel), H, P, d, filters, places * n);
        scatter(P, pixels, places, channels, n, out);
        if (bias === null) return;
        for (let k = 0; k < image; k++) addToRows(partOf(weights, bias), n, pixel(out, k, n));
      },
      backward(n, _inputs, weights, _out, pull, [below], gradient) {
        const P = patches.take(d * places * n);
        gather(pull, pixels, places, channels, n, P);
        if (kernel.trained) {
          const part = product.take(d * filters);
          kernels.multiplyTransposed(P, held.take(filters * places * n), part, d, places * n, filters);
          addTo(partOf(gradient, kernel), part);
        }
        if (bias?.trained) {
          for (let k = 0; k < image; k++) addRowSums(pixel(pull, k, n), n, partOf(gradient, bias));
        }
        if (below === null) return;
        transpose(partOf(weights, kernel), d, filters, turned);
        const H = pulled.take(filters * places * n);
        kernels.multiply(turned, P, H, filters, d, places * n);
        swap(H, filters, places, n, below);
      },
    };
  };
}

/** P [entries channels x places n] := rows [n] of h [pixels channels x n]. */
function gather(
  h: Float64Array,
  pixels: Int32Array,
  places: number,
  channels: number,
  n: number,
  P: Float64Array,
): void {
  const entries = pixels.length / places;
  for (let e = 0; e < entries; e++) {
    for (let c = 0; c < channels; c++) {
      for (let k = 0, to = (e * channels + c) * places * n; k < places; k++, to += n) {
        const pixel = pixels[k * entries + e];
        if (pixel < 0) P.fill(0, to, to + n);
        else copyRow(h, (pixel * channels + c) * n, P, to, n);
      }
    }
  }
}

/** The transpose of `gather`. */
function scatter(
  P: Float64Array,
  pixels: Int32Array,
  places: number,
  channels: number,
  n: number,
  h: Float64Array,
): void {
  const entries = pixels.length / places;
  h.fill(0);
  for (let e = 0; e < entries; e++) {
    for (let c = 0; c < channels; c++) {
      for (let k = 0, from = (e * channels + c) * places * n; k < places; k++, from += n) {
        const pixel = pixels[k * entries + e];
        if (pixel < 0) continue;
        const to = (pixel * channels + c) * n;
        for (let s = 0; s < n; s++) h[to + s] += P[from + s];
      }
    }
  }
}

/** out [b x a x n] := from [a x b x n]. */
function swap(from: Float64Array, a: number, b: number, n: number, out: Float64Array): void {
  for (let i = 0, at = 0; i < a; i++) for (let j = 0; j < b; j++, at += n) copyRow(from, at, out, (j * a + i) * n, n);
}

function copyRow(from: Float64Array, at: number, out: Float64Array, to: number, n: number): void {
  for (let s = 0; s < n; s++) out[to + s] = from[at + s];
}
