/** The two products as programs for WebGL, with the textures they read: of rows, or of patches that are gathered from images. */

import { eachActive } from "../../linear/bits.js";
import type { GateSet, Matrix, Pooling } from "../../types.js";
import { type BlockSizes, patchImages } from "../device/index.js";
import * as patchPrograms from "./patchPrograms.js";
import * as rowPrograms from "./productPrograms.js";
import type { PackedProgram, PackedSizes } from "./programs.js";
import { mostTexels } from "./textures.js";

/** Fragments that keep a GPU busy: below it, sums are split. */
const WANTED_FRAGMENTS = 32768;
/** Gates or words of rows that a split has at least; of patches pairs of samples. */
export const SPLIT_ITEMS = 16;
const SPLIT_PAIRS = 128;

/** A matrix to be kept on the device. */
export interface Held {
  readonly values: Float32Array;
  readonly shape: [number, number];
}

/** Both programs read the data, then V or R, then the masks and the places; their splits stand side by side in columns. */
export interface ProductPrograms {
  readonly data: Held; // X [n x d], or images [n x pixels]
  readonly masks: Held;
  readonly places: Held | null;
  readonly forward: PackedProgram;
  readonly forwardSplits: number;
  readonly adjoint: PackedProgram;
  readonly adjointSplits: number;
}

export function productPrograms(X: Matrix, gates: GateSet, sizes: BlockSizes, even: PackedSizes): ProductPrograms {
  return sizes.pooling === null ? ofRows(X, gates, sizes, even) : ofPatches(X, gates, sizes.pooling, even);
}

function ofRows(X: Matrix, gates: GateSet, { rows: n, width: d }: BlockSizes, even: PackedSizes): ProductPrograms {
  const { rows, width, columns, gates: most } = even;
  const words = evenUp(Math.ceil(n / rowPrograms.WORD));
  const forwardSplits = splitsFor((rows * columns) / 4, most, SPLIT_ITEMS);
  const adjointSplits = splitsFor((most * even.outputs * width) / 4, words, SPLIT_ITEMS);
  const data = new Float32Array(rows * width);
  for (let j = 0; j < n; j++) data.set(X.data.subarray(j * d, (j + 1) * d), j * width);
  const masks = new Float32Array(most * words);
  for (let i = 0; i < gates.count; i++) {
    eachActive(gates, i, (j) => {
      masks[i * words + (j >>> 4)] += 2 ** (j & 15);
    });
  }
  return {
    data: { values: data, shape: [rows, width] },
    masks: { values: masks, shape: [most, words] },
    places: null,
    forward: rowPrograms.forwardProgram(even, forwardSplits),
    forwardSplits,
    adjoint: rowPrograms.adjointProgram(even, words, adjointSplits),
    adjointSplits,
  };
}

function ofPatches(X: Matrix, gates: GateSet, { patches, positions }: Pooling, even: PackedSizes): ProductPrograms {
  const { rows, width, columns, perGate, gates: most } = even;
  const words = evenUp(Math.ceil(gates.count / patchPrograms.WORD));
  const sizes = { patches, positions, words };
  const forwardSplits = splitsFor((rows * columns) / 4, patchPrograms.forwardItems(sizes), 1);
  const items = patchPrograms.adjointItems(even, sizes);
  const adjointSplits = splitsFor((most * perGate * width) / 4, items, SPLIT_PAIRS);
  const { data, places, pixels } = patchImages(X, patches, width);
  const images = new Float32Array(rows * pixels);
  images.set(data);
  const table = new Float32Array(evenUp(patches) * width);
  table.set(places);
  const masks = new Float32Array(rows * patches * words);
  for (let i = 0; i < gates.count; i++) {
    const bit = 2 ** (i & 15);
    eachActive(gates, i, (row) => {
      masks[row * words + (i >>> 4)] += bit;
    });
  }
  return {
    data: { values: images, shape: [rows, pixels] },
    masks: { values: masks, shape: [rows, patches * words] },
    places: { values: table, shape: [evenUp(patches), width] },
    forward: patchPrograms.forwardPatchProgram(even, sizes, forwardSplits),
    forwardSplits,
    adjoint: patchPrograms.adjointPatchProgram(even, sizes, adjointSplits),
    adjointSplits,
  };
}

export function evenUp(count: number): number {
  return 2 * Math.ceil(count / 2);
}

/** Into how many parts of at least `least` a sum over `items` is cut, when it fills this many fragments; they stand in one texture. */
export function splitsFor(fragments: number, items: number, least: number): number {
  const wanted = Math.min(Math.ceil(WANTED_FRAGMENTS / fragments), Math.floor(mostTexels() / fragments));
  return Math.max(1, Math.min(wanted, Math.floor(items / least)));
}
