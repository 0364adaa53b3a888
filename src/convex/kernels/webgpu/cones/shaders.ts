/**
 * The compute shaders of blocks of a splitting. With cones these are 2 P C vectors, whose products, which only they have, are fused with what
 * they end in; without, P C.
 *
 * `shape.vectors` are the P C vectors of positive neurons; those of negative ones stand behind them. q [2 P C x 4 rowQuads].
 */

import { outerShader } from "../outerShader.js";
import { ROW_TILE, rowProducts } from "../rowProducts.js";
import { LANES, SHAPE, TILE } from "../shape.js";
import { type Along, addedLanes, each, MAIN, sumsAlong } from "../vectors.js";

/** weight of the slacks, relaxation, threshold, what is kept of q, and what multipliers are divided by. */
export const CONE_NUMBERS = 8;

const NUMBERS = `
struct Numbers { weight: f32, relaxation: f32, threshold: f32, keep: f32, factor: f32 }
@group(0) @binding(1) var<uniform> numbers: Numbers;
`;

/** The head of a shader: the shape, the numbers where it reads them, then its buffers in the order of their bindings. */
function headOf(numbers: "numbers" | "", reads: readonly string[], ...writes: readonly string[]): string {
  const all = [...reads.map((buffer) => `read> ${buffer}`), ...writes.map((buffer) => `read_write> ${buffer}`)];
  const first = numbers === "" ? 1 : 2;
  const buffers = all.map((buffer, k) => `@group(0) @binding(${k + first}) var<storage, ${buffer};`);
  return `${SHAPE}${numbers === "" ? "" : NUMBERS}${buffers.join("\n")}`;
}

const PARTS = "parts: array<vec4f>";
const BOTH_SIGNS = "2u * shape.vectors";

/** parts: (weight S |q| + sign D U) X. */
export const slackShader = outerShader({
  head: headOf("numbers", ["X: array<vec4f>", "q: array<f32>", "U: array<f32>", "bits: array<u32>"], PARTS),
  count: BOTH_SIGNS,
  length: "shape.rows",
  begin: `  var at: vec4u; // where each of four vectors begins
  var mask: vec4u; // where the words of a vector's gate begin
  var column: vec4u; // where its output's column begins
  var side: vec4f;
  for (var s = 0u; s < 4u; s++) {
    let vector = min(firstVector + s, count - 1u);
    let own = vector % shape.vectors;
    at[s] = vector * 4u * ((shape.rows + 3u) / 4u);
    mask[s] = own / shape.outputs * shape.words;
    column[s] = own % shape.outputs * shape.rows;
    side[s] = select(1.0, -1.0, vector >= shape.vectors);
  }`,
  load: `let slack = numbers.weight * abs(q[at[s] + row]);
        let open = ((bits[mask[s] + (row >> 5u)] >> (row & 31u)) & 1u) == 1u;
        m[s] = select(-slack, slack + side[s] * U[column[s] + row], open);`,
});

/** x [2 P C x quads] = G M^-1. */
export const inverseShader = outerShader({
  head: headOf("", ["X: array<vec4f>", "G: array<f32>"], PARTS),
  count: BOTH_SIGNS,
  length: "shape.width",
  begin: `  var at: vec4u; // where each of four vectors begins
  for (var s = 0u; s < 4u; s++) { at[s] = min(firstVector + s, count - 1u) * 4u * shape.quads; }`,
  load: "m[s] = G[at[s] + row];",
});

const PER_QUAD = `@compute @workgroup_size(${LANES})
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * ${LANES}u;`;

/** G := the sum of the splits + 2 p - t, and change [P C x quads] := G of positive neurons less that of negative ones. */
export const gatheredShader = `${headOf("", ["parts: array<vec4f>", "t: array<vec4f>", "p: array<vec4f>"], "G: array<vec4f>", "change: array<vec4f>")}
fn right(at: u32) -> vec4f {
  let size = 2u * shape.vectors * shape.quads;
  var sum = 2.0 * p[at] - t[at];
  for (var k = at; k < arrayLength(&parts); k += size) { sum += parts[k]; }
  return sum;
}
${PER_QUAD}
  let half = shape.vectors * shape.quads;
  if (at >= half) { return; }
  let positive = right(at);
  let negative = right(half + at);
  G[at] = positive;
  G[half + at] = negative;
  change[at] = positive - negative;
}
`;

/** change := 2 g, or g without cones, for the product with A M^-1 A'. */
export const doubledShader = (sides: 1 | 2) => `${headOf("", ["g: array<vec4f>"], "change: array<vec4f>")}
${PER_QUAD}
  if (at < shape.vectors * shape.quads) { change[at] = ${sides}.0 * g[at]; }
}
`;

/** Without cones: G and change := 2 p - t + g, g = A'U. */
export const openGatheredShader = `${headOf("", ["g: array<vec4f>", "t: array<vec4f>", "p: array<vec4f>"], "G: array<vec4f>", "change: array<vec4f>")}
${PER_QUAD}
  if (at >= shape.vectors * shape.quads) { return; }
  let all = 2.0 * p[at] - t[at] + g[at];
  G[at] = all;
  change[at] = all;
}
`;

/** Without cones: x := G - g, g = A'W. */
export const openPulledShader = `${headOf("", ["g: array<vec4f>", "G: array<vec4f>"], "x: array<vec4f>")}
${PER_QUAD}
  if (at < shape.vectors * shape.quads) { x[at] = G[at] - g[at]; }
}
`;

/** G -= A'W, of which g is the part of positive neurons. */
export const pulledShader = `${headOf("", ["g: array<vec4f>"], "G: array<vec4f>")}
${PER_QUAD}
  let half = shape.vectors * shape.quads;
  if (at >= half) { return; }
  G[at] -= g[at];
  G[half + at] += g[at];
}
`;

/** out [C x n] := a symmetric matrix [n x n] times Z, a workgroup an entry. */
export const solutionShader = `${headOf("", ["matrix: array<f32>", "Z: array<f32>"], "out: array<f32>")}
var<workgroup> lanes: array<f32, ${LANES}>;
@compute @workgroup_size(${LANES})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  var sum = 0.0;
  for (var k = lane; k < shape.rows; k += ${LANES}u) { sum += matrix[group.x * shape.rows + k] * Z[group.y * shape.rows + k]; }
  lanes[lane] = sum;
  ${addedLanes(LANES)}
  if (lane == 0u) { out[group.y * shape.rows + group.x] = lanes[0]; }
}
`;

/**
 * h = S Y G for tiles of 64 vectors and 64 rows, q := a h + (1 - a) max(0, q) + min(0, q) with q times keep before; sums, behind those of the
 * vectors: of (h - s)^2 and of how far s moved.
 */
export const clampShader = `${headOf("numbers", ["Y: array<vec4f>", "G: array<vec4f>", "bits: array<u32>"], "q: array<vec4f>", "sums: array<vec2f>")}
${ROW_TILE}
var<workgroup> lanes: array<vec2f, 256>;

@compute @workgroup_size(16, 16)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_id) local: vec3u, @builtin(local_invocation_index) lane: u32) {
  let count = 2u * shape.vectors;
  let rowQuads = (shape.rows + 3u) / 4u;
${rowProducts("G", "Y")}
  let a = numbers.relaxation;
  let rowQuad = group.x * ${TILE / 4}u + local.x;
  var sum = vec2f();
  if (rowQuad < rowQuads) {
    for (var r = 0u; r < 4u; r++) {
      let mine = group.y * ${TILE}u + local.y * 4u + r;
      if (mine >= count) { break; }
      let words = mine % shape.vectors / shape.outputs * shape.words;
      let open = (vec4u(bits[words + (rowQuad >> 3u)]) >> (vec4u(0u, 1u, 2u, 3u) + ((rowQuad << 2u) & 31u))) & vec4u(1u);
      let h = select(-acc[r], acc[r], open == vec4u(1u));
      let at = mine * rowQuads + rowQuad;
      let before = numbers.keep * q[at];
      let slack = max(vec4f(), before);
      let fresh = a * h + (1.0 - a) * slack + min(vec4f(), before);
      q[at] = fresh;
      let next = max(vec4f(), fresh);
      sum += vec2f(dot(h - next, h - next), dot(next - slack, next - slack));
    }
  }
  lanes[lane] = sum;
  ${addedLanes(256)}
  if (lane == 0u) { sums[count + group.y * groups.x + group.x] = lanes[0]; }
}
`;

/** t += a (x - p), p := t shortened by the threshold; sums of each vector: of (x - p)^2 and of how far p moved. */
export const shortenShader = (
  along: Along,
  sides: 1 | 2,
) => `${headOf("numbers", ["x: array<vec4f>"], "t: array<vec4f>", "p: array<vec4f>", "sums: array<vec2f>")}
${sumsAlong[along]}
${MAIN}${each(along, `${sides}u * shape.vectors`)}
  let first = item * shape.quads;
  var squares = mat2x4f();
  for (var quad = begin; quad < shape.quads; quad += stride) {
    let at = first + quad;
    let fresh = t[at] + numbers.relaxation * (x[at] - p[at]);
    t[at] = fresh;
    squares = add(squares, vec4f(dot(fresh, fresh), 0.0, 0.0, 0.0));
  }
  let square = addLanes(squares, lane);
  let norm = sqrt(square[0].x + square[1].x);
  let share = select(1.0 - numbers.threshold / norm, 0.0, norm <= numbers.threshold);
  var moves = mat2x4f();
  for (var quad = begin; quad < shape.quads; quad += stride) {
    let at = first + quad;
    let fresh = share * t[at];
    let missed = x[at] - fresh;
    let moved = fresh - p[at];
    p[at] = fresh;
    moves = add(moves, vec4f(dot(missed, missed), dot(moved, moved), 0.0, 0.0));
  }
  let both = addLanes(moves, lane);
  if (writes) { sums[item] = both[0].xy + both[1].xy; }
}
`;

/** t := p + (t - p) / factor. */
export const rescaledBlocksShader = (sides: 1 | 2) => `${headOf("numbers", ["p: array<vec4f>"], "t: array<vec4f>")}
${PER_QUAD}
  if (at < ${sides}u * shape.vectors * shape.quads) { t[at] = p[at] + (t[at] - p[at]) / numbers.factor; }
}
`;

/** q := max(0, q) + min(0, q) / factor. */
export const rescaledSlacksShader = `${headOf("numbers", [], "q: array<vec4f>")}
${PER_QUAD}
  if (at < 2u * shape.vectors * ((shape.rows + 3u) / 4u)) {
    q[at] = max(vec4f(), q[at]) + min(vec4f(), q[at]) / numbers.factor;
  }
}
`;
