/** Contact sheets: rows of gray images as one PNG, and as an SVG with words beside them. */

import { writeFileSync } from "node:fs";
import { crc32, deflateSync } from "node:zlib";

/** Images of one side in a row, each with values of which 0 is black and 1 white, and what is said of them. */
export interface SheetRow {
  readonly label: string;
  readonly side: number;
  readonly images: readonly ArrayLike<number>[];
}

const CELL = 56; // pixels of an image on the sheet, whatever its side
const GAP = 4;
const LABEL = 190;

/** Writes `${path}.png` and `${path}.svg`. */
export function writeSheet(path: string, rows: readonly SheetRow[]): void {
  const columns = Math.max(...rows.map(({ images }) => images.length));
  const [width, height] = [columns * (CELL + GAP) - GAP, rows.length * (CELL + GAP) - GAP];
  const pixels = new Uint8Array(width * height).fill(255);
  rows.forEach(({ side, images }, r) => {
    images.forEach((image, k) => {
      for (let y = 0; y < CELL; y++) {
        for (let x = 0; x < CELL; x++) {
          const value = image[Math.floor((y * side) / CELL) * side + Math.floor((x * side) / CELL)];
          const gray = Math.round(255 * Math.min(1, Math.max(0, value)));
          pixels[(r * (CELL + GAP) + y) * width + k * (CELL + GAP) + x] = gray;
        }
      }
    });
  });
  const png = grayPng(width, height, pixels);
  writeFileSync(`${path}.png`, png);
  const words = rows.map(
    ({ label }, r) =>
      `<text x="0" y="${r * (CELL + GAP) + CELL / 2 + 4}" font-family="DejaVu Sans" font-size="12">${label}</text>`,
  );
  writeFileSync(
    `${path}.svg`,
    `<svg xmlns="http://www.w3.org/2000/svg" width="${LABEL + width}" height="${height}" viewBox="0 0 ${LABEL + width} ${height}">` +
      `<rect width="100%" height="100%" fill="white"/>${words.join("")}` +
      `<image x="${LABEL}" y="0" width="${width}" height="${height}" href="data:image/png;base64,${png.toString("base64")}"/></svg>`,
  );
}

/** A PNG of 8 gray levels' bits, not interlaced. */
export function grayPng(width: number, height: number, pixels: Uint8Array): Buffer {
  const raw = Buffer.alloc(height * (width + 1));
  for (let y = 0; y < height; y++) raw.set(pixels.subarray(y * width, (y + 1) * width), y * (width + 1) + 1);
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 0, 0, 0, 0], 8); // bits, gray, and the only methods there are
  const signature = Buffer.from("89504e470d0a1a0a", "hex");
  return Buffer.concat([
    signature,
    chunk("IHDR", head),
    chunk("IDAT", deflateSync(raw, { level: 9 })),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

function chunk(kind: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(kind, "latin1"), data]);
  const around = Buffer.alloc(8);
  around.writeUInt32BE(data.length, 0);
  around.writeUInt32BE(crc32(body), 4);
  return Buffer.concat([around.subarray(0, 4), body, around.subarray(4)]);
}
