/** Reads the first rows of a PNG file: 8 bits a channel, RGB, not interlaced, as the sprites of data sets are. */

import { inflateSync } from "node:zlib";

const SIGNATURE = "89504e470d0a1a0a";
const CHANNELS = 3;

/** Pixels of rows [0, count), row by row, three bytes a pixel (PNG specification, sections 5, 6 and 9). */
export function readPngRows(file: Buffer, count: number): { width: number; height: number; pixels: Uint8Array } {
  if (file.toString("hex", 0, 8) !== SIGNATURE) throw new Error("readPngRows: expected a PNG file.");
  const width = file.readUInt32BE(16);
  const height = file.readUInt32BE(20);
  const [depth, color, interlace] = [file[24], file[25], file[28]];
  if (depth !== 8 || color !== 2 || interlace !== 0) {
    throw new Error(`readPngRows: expected 8-bit RGB without interlace, got depth ${depth}, color type ${color}.`);
  }
  const parts: Buffer[] = [];
  for (let at = 8; at < file.length; ) {
    const length = file.readUInt32BE(at);
    if (file.toString("latin1", at + 4, at + 8) === "IDAT") parts.push(file.subarray(at + 8, at + 8 + length));
    at += length + 12;
  }
  const rows = Math.min(count, height);
  return { width, height, pixels: unfilter(inflateSync(Buffer.concat(parts)), CHANNELS * width, rows) };
}

/** Each row is a filter type and differences to the pixels to the left (a), above (b) and above to the left (c). */
function unfilter(raw: Uint8Array, stride: number, rows: number): Uint8Array {
  const out = new Uint8Array(rows * stride);
  for (let row = 0; row < rows; row++) {
    const filter = raw[row * (stride + 1)];
    const from = row * (stride + 1) + 1;
    const to = row * stride;
    for (let k = 0; k < stride; k++) {
      const a = k >= CHANNELS ? out[to + k - CHANNELS] : 0;
      const b = row > 0 ? out[to + k - stride] : 0;
      const c = k >= CHANNELS && row > 0 ? out[to + k - stride - CHANNELS] : 0;
      out[to + k] = raw[from + k] + predicted(filter, a, b, c); // modulo 256
    }
  }
  return out;
}

function predicted(filter: number, a: number, b: number, c: number): number {
  switch (filter) {
    case 1:
      return a;
    case 2:
      return b;
    case 3:
      return (a + b) >> 1;
    case 4: {
      const [pa, pb, pc] = [Math.abs(b - c), Math.abs(a - c), Math.abs(a + b - 2 * c)];
      if (pa <= pb && pa <= pc) return a;
      return pb <= pc ? b : c;
    }
    default:
      return 0;
  }
}
