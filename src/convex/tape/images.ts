/** Windows of images: which pixels of the input each position of the output sees. */

/** Of one axis pair; a signal has height 1. */
export interface Windows {
  /** Images of a sample, one behind the other, that are gone through alike. */
  readonly frames: number;
  readonly height: number; // of the input
  readonly width: number;
  readonly outHeight: number;
  readonly outWidth: number;
  readonly kernel: readonly [number, number];
  readonly strides: readonly [number, number];
  readonly dilation: readonly [number, number];
  readonly padding: "same" | "valid";
}

/** Positions of a sample. */
export function placesOf({ frames, outHeight, outWidth }: Windows): number {
  return frames * outHeight * outWidth;
}

/** [frames outHeight outWidth x kernel entries]: the pixel, or -1 beside the image. */
export function pixelsOf(windows: Windows): Int32Array {
  const { frames, height, width, outHeight, outWidth, kernel, strides, dilation } = windows;
  const [top, left] = before(windows);
  const image = outHeight * outWidth * kernel[0] * kernel[1];
  const pixels = new Int32Array(frames * image);
  let at = 0;
  for (let i = 0; i < outHeight; i++) {
    for (let j = 0; j < outWidth; j++) {
      for (let a = 0; a < kernel[0]; a++) {
        for (let b = 0; b < kernel[1]; b++) {
          const y = i * strides[0] + a * dilation[0] - top;
          const x = j * strides[1] + b * dilation[1] - left;
          pixels[at++] = y >= 0 && y < height && x >= 0 && x < width ? y * width + x : -1;
        }
      }
    }
  }
  for (; at < pixels.length; at++) pixels[at] = pixels[at - image] < 0 ? -1 : pixels[at - image] + height * width;
  return pixels;
}

/** Rows above and columns to the left that are added. */
function before({ padding, height, width, outHeight, outWidth, kernel, strides, dilation }: Windows): [number, number] {
  if (padding === "valid") return [0, 0];
  const added = (size: number, out: number, axis: 0 | 1) => {
    const reach = (kernel[axis] - 1) * dilation[axis] + 1;
    return Math.floor(Math.max(0, (out - 1) * strides[axis] + reach - size) / 2);
  };
  return [added(height, outHeight, 0), added(width, outWidth, 1)];
}
