/** The two products as work for a WebGPU device: of rows, or of patches that are gathered from images. */

import type { GateSet, Matrix } from "../../types.js";
import { type BlockSizes, patchImages } from "../device/index.js";
import * as patchShaders from "./patchShaders.js";
import * as shaders from "./productShaders.js";
import { type GpuQueue, gridOf, type Work } from "./queue.js";
import { LANES, type ProductShape, TILE, TILE_QUADS } from "./shape.js";

/** Workgroups that keep a large GPU busy: below it, sums are split. */
export const WANTED_GROUPS = 512;
/** Rows that a split of an adjoint has at least. */
const SPLIT_ROWS = 512;
const FLOAT = 4; // bytes

/** What products read and write, beside the data. */
export interface ProductBuffers {
  readonly shape: GPUBuffer;
  readonly live: GPUBuffer; // [A C x (1 + P)]
  readonly next: GPUBuffer; // [P x A C x quads]
  readonly R: GPUBuffer; // [C x n]
  readonly Z: GPUBuffer; // [C x n], what the forward product makes of next
  readonly g: GPUBuffer; // as next, what the adjoint makes of R
}

export interface ProductWork {
  readonly shape: ProductShape;
  readonly forward: readonly Work[];
  readonly adjoint: readonly Work[];
}

/** Copies the rows and masks to the device. */
export function productWork(
  queue: GpuQueue,
  X: Matrix,
  gates: GateSet,
  sizes: BlockSizes,
  buffers: ProductBuffers,
): ProductWork {
  const bits = queue.filled(gates.bits);
  return sizes.pooling === null
    ? rowWork(queue, X, bits, sizes, buffers)
    : patchWork(queue, X, bits, sizes, sizes.pooling, buffers);
}

function rowWork(queue: GpuQueue, X: Matrix, bits: GPUBuffer, sizes: BlockSizes, buffers: ProductBuffers): ProductWork {
  const { rows: n, outputs: C, gates: P, width } = sizes;
  const quads = Math.ceil(width / 4);
  const rowTiles = Math.ceil(n / TILE);
  const quadTiles = Math.ceil(quads / TILE_QUADS);
  const vectorTiles = Math.ceil((P * C) / TILE);
  const forwardSplits = Math.min(Math.ceil(P / TILE), Math.ceil(WANTED_GROUPS / (rowTiles * C)));
  const adjointSplits = Math.min(Math.ceil(n / SPLIT_ROWS), Math.ceil(WANTED_GROUPS / (quadTiles * vectorTiles)));
  const splits = { forwardSplits, adjointSplits };
  const data = queue.filled(stridden(X.data, n, width, width, quads * 4));
  const { shape, live, next, R } = buffers;
  return inSplits(queue, sizes, splits, buffers, {
    forward: (parts) =>
      queue.work(shaders.forwardShader, [shape, data, next, bits, live, parts], [rowTiles, C, forwardSplits]),
    adjoint: (parts) =>
      queue.work(shaders.adjointShader, [shape, data, R, bits, parts], [quadTiles, vectorTiles, adjointSplits]),
  });
}

function patchWork(
  queue: GpuQueue,
  X: Matrix,
  bits: GPUBuffer,
  sizes: BlockSizes,
  { patches, positions }: NonNullable<BlockSizes["pooling"]>,
  buffers: ProductBuffers,
): ProductWork {
  const { rows: n, outputs: C, gates: P, width } = sizes;
  const quads = Math.ceil(width / 4);
  const window = patches / positions;
  const samplesPerTile = patchShaders.samplesInTile(window);
  const sampleTiles = Math.ceil(n / samplesPerTile) * C;
  const gateTiles = Math.ceil(P / TILE) * positions;
  const wide = patchShaders.tileQuads(quads);
  const quadTiles = Math.ceil(quads / wide);
  const vectorTiles = Math.ceil((P * C) / patchShaders.tileVectors(wide)) * positions;
  const forwardSplits = Math.min(gateTiles, Math.ceil(WANTED_GROUPS / sampleTiles));
  const adjointSplits = Math.min(
    Math.ceil((n * window) / SPLIT_ROWS),
    Math.ceil(WANTED_GROUPS / (quadTiles * vectorTiles)),
  );
  const { data, places, pixels } = patchImages(X, patches, quads * 4);
  const [images, table] = [queue.filled(data), queue.filled(places)];
  const { shape, live, next, R } = buffers;
  const forwardGrid = gridOf(sampleTiles, forwardSplits);
  const adjointGrid = gridOf(vectorTiles, quadTiles * adjointSplits);
  const adjointShader = patchShaders.adjointPatchShader(wide);
  return inSplits(queue, sizes, { forwardSplits, adjointSplits, pixels, samplesPerTile }, buffers, {
    forward: (parts) =>
      queue.work(patchShaders.forwardPatchShader, [shape, images, table, next, bits, live, parts], forwardGrid),
    adjoint: (parts) => queue.work(adjointShader, [shape, images, table, R, bits, parts], adjointGrid),
  });
}

/** Products whose sums are made in parts, which are added where there are several. */
function inSplits(
  queue: GpuQueue,
  { rows: n, outputs: C, gates: P, perGate, width }: BlockSizes,
  shape: ProductShape,
  { shape: numbers, Z, g }: ProductBuffers,
  make: { readonly forward: (parts: GPUBuffer) => Work; readonly adjoint: (parts: GPUBuffer) => Work },
): ProductWork {
  const { forwardSplits, adjointSplits } = shape;
  const quads = P * perGate * Math.ceil(width / 4);
  const summed = (
    splits: number,
    size: number,
    items: number,
    out: GPUBuffer,
    product: (parts: GPUBuffer) => Work,
    shader: string,
  ): Work[] => {
    if (splits === 1) return [product(out)];
    const parts = queue.buffer(splits * size * FLOAT);
    return [product(parts), queue.work(shader, [numbers, parts, out], gridOf(Math.ceil(items / LANES)))];
  };
  return {
    shape,
    forward: summed(forwardSplits, C * n, C * n, Z, make.forward, shaders.sumForwardShader),
    adjoint: summed(adjointSplits, 4 * quads, quads, g, make.adjoint, shaders.sumAdjointShader),
  };
}

/** The first `width` entries of each row, moved from rows of one length to rows of another, in float32. */
export function stridden(
  data: Float64Array | Float32Array,
  rows: number,
  width: number,
  from: number,
  to: number,
): Float32Array {
  const out = new Float32Array(rows * to);
  for (let j = 0; j < rows; j++) out.set(data.subarray(j * from, j * from + width), j * to);
  return out;
}
