/** The shader of products of vectors with the rows of a matrix, whatever the vectors are read from. */

import { OUTER_PRODUCTS, TILE, TILE_QUADS } from "./shape.js";

/** What a product reads, in WGSL. */
export interface OuterProduct {
  readonly head: string; // the shape and the buffers, `X: array<vec4f>` and `parts: array<vec4f>` among them
  readonly count: string; // of vectors
  readonly length: string; // of each, rows of X
  /** Where each of four vectors s begins, from `firstVector` on; vectors from `count` on are read and not written. */
  readonly begin: string;
  /** m[s] := entry `row` of vector s. */
  readonly load: string;
}

/** parts [S x count x quads]: M X over the rows of X [length x quads] that fall to a split, S splits in the third direction. */
export function outerShader({ head, count, length, begin, load }: OuterProduct): string {
  return `${head}
const WIDE = 16u; // quads
const HIGH = 16u; // fours of vectors
var<workgroup> xs: array<vec4f, 256>; // [16 rows x WIDE]
var<workgroup> ms: array<vec4f, 256>; // [16 rows x HIGH]

@compute @workgroup_size(16, 16)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_id) local: vec3u) {
  let count = ${count};
  let rows = ${length};
  let quad = group.x * ${TILE_QUADS}u + local.x;
  let firstVector = group.y * ${TILE}u + local.y * 4u;
${begin}
  var total = array<vec4f, 4>();
  var acc = array<vec4f, 4>();
  var folded = 0u;
  for (var first = group.z * 16u; first < rows; first += groups.z * 16u) {
    var x = vec4f();
    if (first + local.y < rows && quad < shape.quads) { x = X[(first + local.y) * shape.quads + quad]; }
    var m = vec4f();
    let row = first + local.x;
    if (row < rows) {
      for (var s = 0u; s < 4u; s++) { ${load} }
    }
    workgroupBarrier();
    xs[local.y * 16u + local.x] = x;
    ms[local.x * 16u + local.y] = m;
    workgroupBarrier();
${OUTER_PRODUCTS}
  }
  for (var s = 0u; s < 4u; s++) {
    let vector = firstVector + s;
    if (vector < count && quad < shape.quads) {
      parts[(group.z * count + vector) * shape.quads + quad] = total[s] + acc[s];
    }
  }
}
`;
}
