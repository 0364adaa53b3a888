/** The compute shaders of the two products with bit-packed masks, without patches. */

import { outerShader } from "./outerShader.js";
import { DOTS, FORWARD_TILE, headOf, LANES, TILE } from "./shape.js";

/** parts [S x C x n]: for each output the sum of D_i X v_i over the gates of `live` that fall to a split. */
export const forwardShader = `${headOf(["X: array<vec4f>", "V: array<vec4f>", "bits: array<u32>", "live: array<u32>"], "parts: array<f32>")}
${FORWARD_TILE}

@compute @workgroup_size(16, 16)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u,
        @builtin(local_invocation_index) lane: u32) {
  let output = group.y;
  let list = output * (shape.gates + 1u);
  let count = live[list];
  let firstRow = group.x * ${TILE}u;
  let slot = lane / 4u;
  let part = lane % 4u;
  let row = firstRow + slot;
  let myRow = firstRow + local.y * 4u;
  var total = vec4f();
  for (var first = group.z * ${TILE}u; first < count; first += shape.forwardSplits * ${TILE}u) {
    var vector = 0u;
    if (first + slot < count) { vector = live[list + 1u + first + slot] * shape.outputs + output; }
    var acc = array<vec4f, 4>();
    for (var firstQuad = 0u; firstQuad < shape.quads; firstQuad += 4u) {
      let quad = firstQuad + part;
      var x = vec4f();
      var v = vec4f();
      if (quad < shape.quads && row < shape.rows) { x = X[row * shape.quads + quad]; }
      if (quad < shape.quads && first + slot < count) { v = V[vector * shape.quads + quad]; }
      workgroupBarrier();
      xs[part * ${TILE}u + slot] = x;
      vs[part * ${TILE}u + slot] = v;
      workgroupBarrier();
      for (var k = 0u; k < 4u; k++) {
${DOTS}
      }
    }
    for (var s = 0u; s < 4u; s++) {
      let mine = first + local.x * 4u + s;
      if (mine >= count) { break; }
      let word = bits[live[list + 1u + mine] * shape.words + (myRow >> 5u)] >> (myRow & 31u);
      for (var r = 0u; r < 4u; r++) {
        if (((word >> r) & 1u) == 1u) { total[r] += acc[r][s]; }
      }
    }
  }
  for (var r = 0u; r < 4u; r++) { sums[(local.y * 4u + r) * 16u + local.x] = total[r]; }
  workgroupBarrier();
  if (lane < ${TILE}u && firstRow + lane < shape.rows) {
    var sum = 0.0;
    for (var k = 0u; k < 16u; k++) { sum += sums[lane * 16u + k]; }
    parts[(group.z * shape.outputs + output) * shape.rows + firstRow + lane] = sum;
  }
}
`;

/** parts [S x P C x quads]: X' D_i R_c over the rows that fall to a split. */
export const adjointShader = outerShader({
  head: headOf(["X: array<vec4f>", "R: array<f32>", "bits: array<u32>"], "parts: array<vec4f>"),
  count: "shape.vectors",
  length: "shape.rows",
  begin: `  var mask: vec4u; // where the words of a vector's gate begin
  var column: vec4u; // where its output's column begins
  for (var s = 0u; s < 4u; s++) {
    let vector = min(firstVector + s, count - 1u);
    mask[s] = vector / shape.outputs * shape.words;
    column[s] = vector % shape.outputs * rows;
  }`,
  load: "if (((bits[mask[s] + (row >> 5u)] >> (row & 31u)) & 1u) == 1u) { m[s] = R[column[s] + row]; }",
});

/** out := the sum of its splits. */
function sumShader(type: string, size: string, splits: string): string {
  return `${headOf([`parts: array<${type}>`], `out: array<${type}>`)}
@compute @workgroup_size(${LANES})
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * ${LANES}u;
  let size = ${size};
  if (at >= size) { return; }
  var sum = parts[at];
  for (var s = 1u; s < ${splits}; s++) { sum += parts[s * size + at]; }
  out[at] = sum;
}
`;
}

export const sumForwardShader = sumShader("f32", "shape.outputs * shape.rows", "shape.forwardSplits");
export const sumAdjointShader = sumShader("vec4f", "shape.vectors * shape.quads", "shape.adjointSplits");
