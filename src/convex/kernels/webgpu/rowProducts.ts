/** Products of vectors with the rows of a matrix, in WGSL: tiles of 64 vectors and 64 rows, four of each to a lane. */

import { DOTS, TILE } from "./shape.js";

/** What the lanes of a tile share. */
export const ROW_TILE = `var<workgroup> xs: array<vec4f, 256>; // [4 quads x 64 vectors]
var<workgroup> vs: array<vec4f, 256>; // [4 quads x 64 rows]`;

/** acc[r] := the products of vector r of a lane with its four rows, for \`count\` vectors [count x quads] and the rows of a matrix. */
export function rowProducts(vectors: string, matrix: string): string {
  return `  let slot = lane / 4u;
  let part = lane % 4u;
  let vector = group.y * ${TILE}u + slot;
  let row = group.x * ${TILE}u + slot;
  var acc = array<vec4f, 4>();
  for (var firstQuad = 0u; firstQuad < shape.quads; firstQuad += 4u) {
    let quad = firstQuad + part;
    var x = vec4f();
    var v = vec4f();
    if (quad < shape.quads && vector < count) { x = ${vectors}[vector * shape.quads + quad]; }
    if (quad < shape.quads && row < shape.rows) { v = ${matrix}[row * shape.quads + quad]; }
    workgroupBarrier();
    xs[part * ${TILE}u + slot] = x;
    vs[part * ${TILE}u + slot] = v;
    workgroupBarrier();
    for (var k = 0u; k < 4u; k++) {
${DOTS}
    }
  }`;
}
