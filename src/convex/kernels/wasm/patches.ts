/** What the WASM engine does with rows that come in blocks: sums of patches, and the patterns of generators. */

import { eachBlock } from "../../linear/rowBlock.js";
import type { Matrix } from "../../types.js";
import type { PoolShape } from "../types.js";
import type { WasmEngine } from "./engine.js";

/** Doubles of rows that are in WASM memory together: 8 MB. */
const ROOM = 2 ** 20;
/** Generators of a panel (assembly/signs.ts). */
const PANEL = 4;

/** `Kernels.poolPatches`. */
export function poolPatches(
  engine: WasmEngine,
  rows: Float64Array,
  masks: Uint32Array,
  { pooling, gates, samples, d, first, words }: PoolShape,
  out: Float64Array,
): void {
  const { heap } = engine;
  const { patches: K, positions: A, scale } = pooling;
  const entries = samples * K * d;
  const results = gates * A * samples * d;
  const blocks = heap.takeAll(entries, Math.ceil((gates * words) / 2) + 1, results);
  const [x, m, sums] = blocks; // m: the masks, with a word to spare
  heap.view(x, entries).set(rows.subarray(0, entries));
  heap.integers(m, gates * words).set(masks.subarray(0, gates * words));
  engine.pool(x, samples, K, A, d, m, 4 * words, first, gates, sums, scale);
  out.set(heap.view(sums, results));
  for (const block of blocks) heap.release(block);
}

/** `Kernels.packPatterns`. */
export function packPatterns(
  engine: WasmEngine,
  X: Matrix,
  generators: readonly Float64Array[],
  words: readonly Uint32Array[],
): void {
  const { heap } = engine;
  const d = X.cols;
  const count = generators.length;
  const block = Math.min(X.rows, 32 * Math.max(1, Math.floor(ROOM / (32 * d))));
  const most = Math.ceil(block / 32); // words of a block
  const panels = Math.ceil(count / PANEL) * PANEL * d;
  const interleaved = new Float64Array(panels);
  generators.forEach((generator, i) => {
    const lane = i % PANEL;
    for (let p = 0; p < d; p++) interleaved[(i - lane) * d + p * PANEL + lane] = generator[p];
  });
  const places = heap.takeAll(block * d, panels, Math.ceil((count * most) / 2));
  const [x, g, m] = places;
  heap.view(g, panels).set(interleaved);
  eachBlock(X, block, (rows, from, size) => {
    const mine = Math.ceil(size / 32);
    heap.view(x, size * d).set(rows);
    engine.signs(x, size, d, g, count, m, mine);
    const masks = heap.integers(m, count * mine);
    words.forEach((pattern, i) => {
      pattern.set(masks.subarray(i * mine, (i + 1) * mine), from >>> 5);
    });
  });
  for (const place of places) heap.release(place);
}
