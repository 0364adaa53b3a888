/** What all compute shaders of the WebGPU engine know: the sizes of the program and of tiles. */

import { wordsPerGate } from "../../linear/bits.js";
import type { BlockSizes } from "../device/index.js";

/** Rows or vectors on a side of a tile of the two products; a workgroup of 16 x 16 lanes makes 64 x 64 results. */
export const TILE = 64;
/** Quads on a side of a tile of X' D_i R. */
export const TILE_QUADS = 16;
/** Lanes of the shaders that go along one vector or one array. */
export const LANES = 64;
/** Numbers of the shape. */
export const SHAPE_SIZE = 16;

export const SHAPE = `
struct Shape {
  rows: u32, width: u32, quads: u32, gates: u32,
  outputs: u32, perGate: u32, vectors: u32, words: u32,
  patches: u32, positions: u32, window: u32, pixels: u32,
  forwardSplits: u32, adjointSplits: u32, samplesPerTile: u32, unused: u32,
}
@group(0) @binding(0) var<uniform> shape: Shape;
`;

/** The head of a shader of products: the shape, then what it reads and what it writes, in the order of their bindings. */
export function headOf(reads: readonly string[], writes: string): string {
  const read = reads.map((buffer, k) => `@group(0) @binding(${k + 1}) var<storage, read> ${buffer};`);
  return `${SHAPE}${read.join("\n")}\n@group(0) @binding(${reads.length + 1}) var<storage, read_write> ${writes};`;
}

/** What the lanes of a product forward share: 4 quads of the rows (or patches) and of the gates of a tile, and the sums of its lanes. */
export const FORWARD_TILE = `var<workgroup> xs: array<vec4f, 256>; // [4 quads x 64 rows]
var<workgroup> vs: array<vec4f, 256>; // [4 quads x 64 gates]
var<workgroup> sums: array<f32, 1024>; // [64 rows x 16 lanes]`;

/** How the products are laid out; without patches all but the splits are as in `shapeOf`. */
export interface ProductShape {
  readonly forwardSplits: number;
  readonly adjointSplits: number;
  readonly pixels?: number; // of an image
  readonly samplesPerTile?: number;
}

/** The numbers of `Shape`; rows are samples where these have patches. */
export function shapeOf(sizes: BlockSizes, products: ProductShape): Uint32Array {
  const { rows, width, gates, outputs, perGate } = sizes;
  const { patches, positions } = sizes.pooling ?? { patches: 1, positions: 1 };
  const { forwardSplits, adjointSplits, pixels = 0, samplesPerTile = 1 } = products;
  const blocks = [rows, width, Math.ceil(width / 4), gates, outputs, perGate, gates * perGate];
  const masks = [wordsPerGate(rows * patches), patches, positions, patches / positions, pixels];
  return Uint32Array.from([...blocks, ...masks, forwardSplits, adjointSplits, samplesPerTile, 0]);
}

/** In a product forward, step k of a tile: acc[r][s] += x_r v_s for the four rows and the four gates of a lane. */
export const DOTS = `let atX = k * ${TILE}u + local.y * 4u;
let atV = k * ${TILE}u + local.x * 4u;
let v0 = vs[atV];
let v1 = vs[atV + 1u];
let v2 = vs[atV + 2u];
let v3 = vs[atV + 3u];
for (var r = 0u; r < 4u; r++) {
  let xr = xs[atX + r];
  acc[r] += vec4f(dot(xr, v0), dot(xr, v1), dot(xr, v2), dot(xr, v3));
}`;

/**
 * In a product back, a tile of 16 rows, WIDE quads and HIGH fours of vectors: acc[s] += m_s x for the four vectors of a lane. After
 * every 16 tiles `acc` goes into `total`, so that float32 keeps its digits.
 */
export const OUTER_PRODUCTS = `for (var k = 0u; k < 16u; k++) {
  let xk = xs[k * WIDE + local.x];
  let mk = ms[k * HIGH + local.y];
  acc[0] += mk.x * xk;
  acc[1] += mk.y * xk;
  acc[2] += mk.z * xk;
  acc[3] += mk.w * xk;
}
folded += 1u;
if (folded % 16u == 0u) {
  for (var s = 0u; s < 4u; s++) {
    total[s] += acc[s];
    acc[s] = vec4f();
  }
}`;
