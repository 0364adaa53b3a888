import { deflateSync } from "node:zlib";
import { expect, test } from "vitest";
import { readPngRows } from "../../examples/support/png.js";

/** A chunk with a checksum of zero, which the reader does not look at. */
function chunk(kind: string, data: Buffer): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(data.length);
  head.write(kind, 4, "latin1");
  return Buffer.concat([head, data, Buffer.alloc(4)]);
}

/** A PNG whose row r is written with filter r % 5 (PNG specification, section 9.2); the data in two chunks. */
function writePng(pixels: Uint8Array, width: number, height: number, color = 2): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width);
  header.writeUInt32BE(height, 4);
  header.set([8, color, 0, 0, 0], 8);
  const stride = 3 * width;
  const raw = Buffer.alloc(height * (stride + 1));
  const at = (row: number, k: number) => (row < 0 || k < 0 ? 0 : pixels[row * stride + k]);
  for (let row = 0; row < height; row++) {
    raw[row * (stride + 1)] = row % 5;
    for (let k = 0; k < stride; k++) {
      const [a, b, c] = [at(row, k - 3), at(row - 1, k), k >= 3 ? at(row - 1, k - 3) : 0];
      const estimate = a + b - c;
      const distances = [a, b, c].map((value) => Math.abs(estimate - value));
      const nearest = [a, b, c][distances.indexOf(Math.min(...distances))];
      const prediction = [0, a, b, Math.floor((a + b) / 2), nearest][row % 5];
      raw[row * (stride + 1) + 1 + k] = at(row, k) - prediction;
    }
  }
  const data = deflateSync(raw);
  const half = data.length >> 1;
  return Buffer.concat([
    Buffer.from("89504e470d0a1a0a", "hex"),
    chunk("IHDR", header),
    chunk("IDAT", data.subarray(0, half)),
    chunk("IDAT", data.subarray(half)),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

const [width, height] = [7, 12];
const pixels = Uint8Array.from({ length: 3 * width * height }, (_, k) => (k * k * 31 + 7 * k) % 256);

test("rows of a PNG come back as they were, whatever filter wrote them", () => {
  const read = readPngRows(writePng(pixels, width, height), 9);
  expect([read.width, read.height]).toEqual([width, height]);
  expect(read.pixels).toEqual(pixels.subarray(0, 9 * 3 * width));
});

test("what is no PNG, or none of this kind, is refused", () => {
  expect(() => readPngRows(Buffer.from("GIF89a..."), 1)).toThrow(/expected a PNG/);
  expect(() => readPngRows(writePng(pixels, width, height, 6), 1)).toThrow(/8-bit RGB.*color type 6/);
});
