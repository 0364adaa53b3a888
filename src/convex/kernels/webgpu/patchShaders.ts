/**
 * The compute shaders of the two products over patches, which are gathered from images and never stored.
 *
 * Row j K + t A + a of the patches is patch t of W = K / A at position a of sample j. Places [K x quads] say where the entries
 * of a patch stand in an image, a zero and the bias among its pixels. Long sums are made of short ones, so that float32 keeps
 * its digits.
 */

import { DOTS, FORWARD_TILE, headOf, OUTER_PRODUCTS, TILE } from "./shape.js";

const GATHER = `
fn patchQuad(sample: u32, index: u32, quad: u32) -> vec4f {
  let place = places[index * shape.quads + quad] + sample * shape.pixels;
  return vec4f(images[place.x], images[place.y], images[place.z], images[place.w]);
}
`;

/** Samples whose patches at one position share a tile of 64 rows; those of a larger window pass through it one after another. */
export function samplesInTile(window: number): number {
  return Math.max(1, Math.floor(TILE / window));
}

/** parts [S x C x n]: for each output the sum over patches, positions and gates of `live` that fall to a split. */
export const forwardPatchShader = `${headOf(["images: array<f32>", "places: array<vec4u>", "V: array<vec4f>", "bits: array<u32>", "live: array<u32>"], "parts: array<f32>")}
${FORWARD_TILE}
${GATHER}
@compute @workgroup_size(16, 16)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_id) local: vec3u, @builtin(local_invocation_index) lane: u32) {
  let tile = group.x + group.y * groups.x;
  let tiles = (shape.rows + shape.samplesPerTile - 1u) / shape.samplesPerTile;
  let output = tile / tiles;
  if (output >= shape.outputs) { return; }
  let firstSample = tile % tiles * shape.samplesPerTile;
  let lastSample = min(shape.rows, firstSample + shape.samplesPerTile);
  let slot = lane / 4u;
  let part = lane % 4u;
  let chunks = (shape.window + ${TILE - 1}u) / ${TILE}u;
  let items = (shape.gates + ${TILE - 1}u) / ${TILE}u * shape.positions;
  var total = vec4f();
  for (var item = group.z; item < items; item += shape.forwardSplits) {
    let position = item % shape.positions;
    let first = item / shape.positions * ${TILE}u;
    let column = position * shape.outputs + output;
    let list = column * (shape.gates + 1u);
    let count = live[list];
    if (first >= count) { continue; }
    var vector = 0u;
    if (first + slot < count) { vector = live[list + 1u + first + slot] * shape.perGate + column; }
    var sum = vec4f();
    for (var chunk = 0u; chunk < chunks; chunk++) {
      let mine = chunk * ${TILE}u + slot;
      let sample = firstSample + mine / shape.window;
      let inside = sample < lastSample;
      let index = mine % shape.window * shape.positions + position;
      var acc = array<vec4f, 4>();
      for (var firstQuad = 0u; firstQuad < shape.quads; firstQuad += 4u) {
        let quad = firstQuad + part;
        var x = vec4f();
        var v = vec4f();
        if (quad < shape.quads && inside) { x = patchQuad(sample, index, quad); }
        if (quad < shape.quads && first + slot < count) { v = V[vector * shape.quads + quad]; }
        workgroupBarrier();
        xs[part * ${TILE}u + slot] = x;
        vs[part * ${TILE}u + slot] = v;
        workgroupBarrier();
        for (var k = 0u; k < min(4u, shape.quads - firstQuad); k++) {
${DOTS}
        }
      }
      var rows: vec4u; // of the masks, for the four results of this lane
      for (var r = 0u; r < 4u; r++) {
        let at = chunk * ${TILE}u + local.y * 4u + r;
        let sampleAt = min(firstSample + at / shape.window, lastSample - 1u);
        rows[r] = sampleAt * shape.patches + at % shape.window * shape.positions + position;
      }
      for (var s = 0u; s < 4u; s++) {
        let gate = first + local.x * 4u + s;
        if (gate >= count) { break; }
        let words = live[list + 1u + gate] * shape.words;
        for (var r = 0u; r < 4u; r++) {
          if (((bits[words + (rows[r] >> 5u)] >> (rows[r] & 31u)) & 1u) == 1u) { sum[r] += acc[r][s]; }
        }
      }
    }
    total += sum;
  }
  for (var r = 0u; r < 4u; r++) { sums[(local.y * 4u + r) * 16u + local.x] = total[r]; }
  workgroupBarrier();
  var sum = 0.0;
  if (lane < ${TILE}u) {
    for (var k = 0u; k < 16u; k++) { sum += sums[lane * 16u + k]; }
  }
  workgroupBarrier();
  if (lane < ${TILE}u) { sums[lane] = sum; }
  workgroupBarrier();
  let sample = firstSample + lane;
  if (sample < lastSample) {
    var all = 0.0;
    for (var k = lane * shape.window; k < min((lane + 1u) * shape.window, ${TILE}u); k++) { all += sums[k]; }
    parts[(group.z * shape.outputs + output) * shape.rows + sample] = all;
  }
}
`;

/** Quads on a side of a tile of the adjoint: filters are narrow, and what a tile is not wide it has in vectors. */
export type TileQuads = 8 | 16;

export function tileQuads(quads: number): TileQuads {
  return quads > 8 ? 16 : 8;
}

/** Vectors of one position in a tile of the adjoint. */
export function tileVectors(wide: TileQuads): number {
  return 1024 / wide;
}

/** parts [S x P A C x quads]: the sum over samples and patches of D_i x R_c that fall to a split. */
export const adjointPatchShader = (
  wide: TileQuads,
) => `${headOf(["images: array<f32>", "places: array<vec4u>", "R: array<f32>", "bits: array<u32>"], "parts: array<vec4f>")}
const WIDE = ${wide}u; // quads
const HIGH = ${256 / wide}u; // fours of vectors
const SHARE = ${16 / wide}u; // fours of vectors that a lane masks
var<workgroup> xs: array<vec4f, ${16 * wide}>; // [16 patches x WIDE]
var<workgroup> ms: array<vec4f, ${16 * (256 / wide)}>; // [16 patches x HIGH]: D_i R_c
${GATHER}
@compute @workgroup_size(${wide}, ${256 / wide})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_id) local: vec3u, @builtin(local_invocation_index) lane: u32) {
  let pairs = shape.gates * shape.outputs; // vectors of one position
  let tiles = (pairs + 4u * HIGH - 1u) / (4u * HIGH);
  let tile = group.x + group.y * groups.x;
  let position = tile / tiles;
  if (position >= shape.positions) { return; }
  let firstPair = tile % tiles * 4u * HIGH;
  let quadTiles = (shape.quads + WIDE - 1u) / WIDE;
  let firstQuad = group.z % quadTiles * WIDE;
  let split = group.z / quadTiles;
  let quad = firstQuad + local.x;
  let patchOfLane = lane % 16u;
  var mask = array<vec4u, SHARE>(); // where the words of a vector's gate begin
  var column = array<vec4u, SHARE>(); // where its output's column begins
  for (var e = 0u; e < SHARE; e++) {
    for (var s = 0u; s < 4u; s++) {
      let pair = min(firstPair + (lane / 16u + e * 16u) * 4u + s, pairs - 1u);
      mask[e][s] = pair / shape.outputs * shape.words;
      column[e][s] = pair % shape.outputs * shape.rows;
    }
  }
  var total = array<vec4f, 4>();
  var acc = array<vec4f, 4>();
  var folded = 0u;
  let count = shape.rows * shape.window;
  for (var first = split * 16u; first < count; first += shape.adjointSplits * 16u) {
    var x = vec4f();
    let loaded = first + lane / WIDE;
    if (lane < 16u * WIDE && loaded < count && quad < shape.quads) {
      x = patchQuad(loaded / shape.window, loaded % shape.window * shape.positions + position, quad);
    }
    var masked = array<vec4f, SHARE>();
    let at = first + patchOfLane;
    if (at < count) {
      let sample = at / shape.window;
      let row = sample * shape.patches + at % shape.window * shape.positions + position;
      for (var e = 0u; e < SHARE; e++) {
        for (var s = 0u; s < 4u; s++) {
          if (((bits[mask[e][s] + (row >> 5u)] >> (row & 31u)) & 1u) == 1u) { masked[e][s] = R[column[e][s] + sample]; }
        }
      }
    }
    workgroupBarrier();
    if (lane < 16u * WIDE) { xs[lane] = x; }
    for (var e = 0u; e < SHARE; e++) { ms[patchOfLane * HIGH + lane / 16u + e * 16u] = masked[e]; }
    workgroupBarrier();
${OUTER_PRODUCTS}
  }
  for (var s = 0u; s < 4u; s++) {
    let pair = firstPair + local.y * 4u + s;
    if (pair < pairs && quad < shape.quads) {
      let vector = pair / shape.outputs * shape.perGate + position * shape.outputs + pair % shape.outputs;
      parts[(split * shape.vectors + vector) * shape.quads + quad] = total[s] + acc[s];
    }
  }
}
`;
