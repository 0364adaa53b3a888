/**
 * The compute shaders of the WebGPU engine, in WGSL.
 *
 * Features are held four to a `quad` (vec4f, the last one padded with zeros); vector i C + c belongs to gate i and output c.
 * Masks stay bit-packed. Long sums are made of sums of at most FOLD rows, so that float32 keeps its digits.
 */

/** Rows or vectors on a side of a tile of the two products; a workgroup of 16 x 16 lanes makes 64 x 64 results. */
export const TILE = 64;
/** Quads on a side of a tile of X' D_i R. */
export const TILE_QUADS = 16;
/** Lanes of the shaders that go along one vector or one array. */
export const LANES = 64;

const SHAPE = `
struct Shape { rows: u32, quads: u32, gates: u32, outputs: u32, words: u32, vectors: u32, forwardSplits: u32, adjointSplits: u32 }
@group(0) @binding(0) var<uniform> shape: Shape;
`;
const NUMBERS = `
struct Numbers { step: f32, threshold: f32, momentum: f32, unused: f32 }
@group(0) @binding(1) var<uniform> numbers: Numbers;
`;

/** Four sums with their rounding errors beside them (Knuth's TwoSum). */
const SUMS = `
fn add(sum: mat2x4f, value: vec4f) -> mat2x4f {
  let next = sum[0] + value;
  let part = next - sum[0];
  return mat2x4f(next, sum[1] + ((sum[0] - (next - part)) + (value - part)));
}
`;

/** Sums over the lanes of a workgroup. */
const LANE_SUMS = `${SUMS}
var<workgroup> lanes: array<mat2x4f, ${LANES}>;
fn addLanes(mine: mat2x4f, lane: u32) -> mat2x4f {
  workgroupBarrier();
  lanes[lane] = mine;
  for (var stride = ${LANES / 2}u; stride > 0u; stride /= 2u) {
    workgroupBarrier();
    if (lane < stride) {
      let other = lanes[lane + stride];
      let sum = add(lanes[lane], other[0]);
      lanes[lane] = mat2x4f(sum[0], sum[1] + other[1]);
    }
  }
  workgroupBarrier();
  return lanes[0];
}
`;

/** How a vector is gone along: by all lanes of a workgroup where it is long, else by one lane. */
export type Along = "workgroup" | "lane";

/** Declares `item` (the vector or gate), `begin` and `stride` (which quads are this lane's) and `writes` (who reports). */
function each(along: Along, count: string): string {
  const item = along === "workgroup" ? "group" : `group * ${LANES}u + lane`;
  return `
  let group = groupId.x + groupId.y * groups.x;
  let item = ${item};
  if (item >= ${count}) { return; }
  let begin = ${along === "workgroup" ? "lane" : "0u"};
  let stride = ${along === "workgroup" ? `${LANES}u` : "1u"};
  let writes = ${along === "workgroup" ? "lane == 0u" : "true"};`;
}

const sumsAlong: Readonly<Record<Along, string>> = {
  workgroup: LANE_SUMS,
  lane: `${SUMS} fn addLanes(mine: mat2x4f, lane: u32) -> mat2x4f { return mine; }`,
};

const MAIN = `@compute @workgroup_size(${LANES})
fn main(@builtin(workgroup_id) groupId: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {`;

/** parts [S x C x n]: for each output the sum of D_i X v_i over the gates of `live` that fall to a split. */
export const forwardShader = `${SHAPE}
@group(0) @binding(1) var<storage, read> X: array<vec4f>;
@group(0) @binding(2) var<storage, read> V: array<vec4f>;
@group(0) @binding(3) var<storage, read> bits: array<u32>;
@group(0) @binding(4) var<storage, read> live: array<u32>;
@group(0) @binding(5) var<storage, read_write> parts: array<f32>;
var<workgroup> xs: array<vec4f, 256>; // [4 quads x 64 rows]
var<workgroup> vs: array<vec4f, 256>; // [4 quads x 64 gates]
var<workgroup> sums: array<f32, 1024>; // [64 rows x 16 lanes]

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
        let atX = k * ${TILE}u + local.y * 4u;
        let atV = k * ${TILE}u + local.x * 4u;
        let v0 = vs[atV];
        let v1 = vs[atV + 1u];
        let v2 = vs[atV + 2u];
        let v3 = vs[atV + 3u];
        for (var r = 0u; r < 4u; r++) {
          let xr = xs[atX + r];
          acc[r] += vec4f(dot(xr, v0), dot(xr, v1), dot(xr, v2), dot(xr, v3));
        }
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
export const adjointShader = `${SHAPE}
@group(0) @binding(1) var<storage, read> X: array<vec4f>;
@group(0) @binding(2) var<storage, read> R: array<f32>; // [C x n]
@group(0) @binding(3) var<storage, read> bits: array<u32>;
@group(0) @binding(4) var<storage, read_write> parts: array<vec4f>;
const FOLD = 16u; // tiles of 16 rows
var<workgroup> xs: array<vec4f, 256>; // [16 rows x 16 quads]
var<workgroup> ms: array<vec4f, 256>; // [16 rows x 16 fours of vectors]: D_i R_c

@compute @workgroup_size(16, 16)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u,
        @builtin(local_invocation_index) lane: u32) {
  let n = shape.rows;
  let quad = group.x * ${TILE_QUADS}u + local.x;
  let firstVector = group.y * ${TILE}u + local.y * 4u;
  var mask: vec4u; // where the words of a vector's gate begin
  var column: vec4u; // where its output's column begins
  for (var s = 0u; s < 4u; s++) {
    let vector = min(firstVector + s, shape.vectors - 1u);
    mask[s] = vector / shape.outputs * shape.words;
    column[s] = vector % shape.outputs * n;
  }
  var total = array<vec4f, 4>();
  var acc = array<vec4f, 4>();
  var tiles = 0u;
  for (var first = group.z * 16u; first < n; first += shape.adjointSplits * 16u) {
    var x = vec4f();
    if (first + local.y < n && quad < shape.quads) { x = X[(first + local.y) * shape.quads + quad]; }
    var m = vec4f();
    let row = first + local.x;
    if (row < n) {
      for (var s = 0u; s < 4u; s++) {
        if (((bits[mask[s] + (row >> 5u)] >> (row & 31u)) & 1u) == 1u) { m[s] = R[column[s] + row]; }
      }
    }
    workgroupBarrier();
    xs[local.y * 16u + local.x] = x;
    ms[local.x * 16u + local.y] = m;
    workgroupBarrier();
    for (var k = 0u; k < 16u; k++) {
      let xk = xs[k * 16u + local.x];
      let mk = ms[k * 16u + local.y];
      acc[0] += mk.x * xk;
      acc[1] += mk.y * xk;
      acc[2] += mk.z * xk;
      acc[3] += mk.w * xk;
    }
    tiles += 1u;
    if (tiles % FOLD == 0u) {
      for (var s = 0u; s < 4u; s++) {
        total[s] += acc[s];
        acc[s] = vec4f();
      }
    }
  }
  for (var s = 0u; s < 4u; s++) {
    let vector = firstVector + s;
    if (vector < shape.vectors && quad < shape.quads) {
      parts[(group.z * shape.vectors + vector) * shape.quads + quad] = total[s] + acc[s];
    }
  }
}
`;

/** out := the sum of its splits. */
function sumShader(type: string, size: string, splits: string): string {
  return `${SHAPE}
@group(0) @binding(1) var<storage, read> parts: array<${type}>;
@group(0) @binding(2) var<storage, read_write> out: array<${type}>;
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

/** What a step reads and writes; x, y and next are differences from base. */
const STEP = `
@group(0) @binding(2) var<storage, read> base: array<vec4f>;
@group(0) @binding(3) var<storage, read> y: array<vec4f>;
@group(0) @binding(4) var<storage, read> g: array<vec4f>;
fn descended(at: u32) -> vec4f { return y[at] - numbers.step * g[at]; }
`;
const MOVE = `${STEP}
@group(0) @binding(5) var<storage, read> x: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> next: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> reports: array<vec4f>; // moved, turned, norm, 1 where the difference may not vanish
`;

/** next := each vector of base + y - step g shortened by the threshold. */
export const shrinkShader = (along: Along) => `${SHAPE}${NUMBERS}${sumsAlong[along]}${MOVE}
${MAIN}${each(along, "shape.vectors")}
  let first = item * shape.quads;
  var squares = mat2x4f();
  for (var quad = begin; quad < shape.quads; quad += stride) {
    let at = first + quad;
    let u = base[at] + descended(at);
    squares = add(squares, vec4f(dot(u, u), dot(base[at], base[at]), 0.0, 0.0));
  }
  let square = addLanes(squares, lane);
  let norm = sqrt(square[0].x + square[1].x);
  let short = select(numbers.threshold / norm, 1.0, norm <= numbers.threshold);
  let share = 1.0 - short;
  var sums = mat2x4f();
  for (var quad = begin; quad < shape.quads; quad += stride) {
    let at = first + quad;
    let fresh = share * descended(at) - short * base[at];
    let change = fresh - y[at];
    sums = add(sums, vec4f(dot(change, change), -dot(change, fresh - x[at]), 0.0, 0.0));
    next[at] = fresh;
  }
  let sum = addLanes(sums, lane);
  let still = share == 0.0 && square[0].y == 0.0;
  if (writes) { reports[item] = vec4f(sum[0].xy + sum[1].xy, share * norm, select(1.0, 0.0, still)); }
}
`;

/** grams [P x C x C] of the gates' blocks of base + y - step g. */
export const gramShader = (along: Along) => `${SHAPE}${NUMBERS}${sumsAlong[along]}${STEP}
@group(0) @binding(5) var<storage, read_write> grams: array<f32>;
fn moved(vector: u32, quad: u32) -> vec4f {
  let at = vector * shape.quads + quad;
  return base[at] + descended(at);
}
${MAIN}${each(along, "shape.gates")}
  let C = shape.outputs;
  for (var a = 0u; a < C; a++) {
    for (var b = 0u; b < C; b += 4u) {
      let width = min(4u, C - b);
      var sums = mat2x4f();
      for (var quad = begin; quad < shape.quads; quad += stride) {
        let u = moved(item * C + a, quad);
        var products = vec4f();
        for (var k = 0u; k < width; k++) { products[k] = dot(u, moved(item * C + b + k, quad)); }
        sums = add(sums, products);
      }
      let sum = addLanes(sums, lane);
      if (writes) {
        for (var k = 0u; k < width; k++) { grams[(item * C + a) * C + b + k] = sum[0][k] + sum[1][k]; }
      }
    }
  }
}
`;

/** next := for each gate S (y - step g) + (S - I) base. */
export const combineShader = (along: Along) => `${SHAPE}${NUMBERS}${sumsAlong[along]}${MOVE}
@group(0) @binding(8) var<storage, read> factors: array<f32>; // [P x C x C], S - I
${MAIN}${each(along, "shape.vectors")}
  let C = shape.outputs;
  let own = item % C;
  var sums = mat2x4f();
  for (var quad = begin; quad < shape.quads; quad += stride) {
    var fresh = vec4f();
    for (var c = 0u; c < C; c++) {
      let change = factors[item * C + c];
      let other = (item - own + c) * shape.quads + quad;
      fresh += (change + select(0.0, 1.0, c == own)) * descended(other) + change * base[other];
    }
    let at = item * shape.quads + quad;
    let change = fresh - y[at];
    sums = add(sums, vec4f(dot(change, change), -dot(change, fresh - x[at]), 0.0, dot(fresh, fresh)));
    next[at] = fresh;
  }
  let sum = addLanes(sums, lane);
  if (writes) { reports[item] = vec4f(sum[0].xy + sum[1].xy, 0.0, select(1.0, 0.0, sum[0].w == 0.0)); }
}
`;

/** sums of the reports, [moved, turned, norm] and their rounding errors: one workgroup. */
export const reportShader = `${SHAPE}${LANE_SUMS}
@group(0) @binding(1) var<storage, read> reports: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> sums: array<vec4f>;
@compute @workgroup_size(${LANES})
fn main(@builtin(local_invocation_index) lane: u32) {
  var mine = mat2x4f();
  for (var at = lane; at < shape.vectors; at += ${LANES}u) { mine = add(mine, reports[at]); }
  let sum = addLanes(mine, lane);
  if (lane == 0u) {
    sums[0] = sum[0];
    sums[1] = sum[1];
  }
}
`;

/** live [C x (1 + P)]: for each output the number of gates whose difference may not vanish, and which they are: a workgroup an output. */
export const liveShader = `${SHAPE}
@group(0) @binding(1) var<storage, read> reports: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> live: array<u32>;
var<workgroup> counts: array<u32, ${LANES}>;
@compute @workgroup_size(${LANES})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let output = group.x;
  let share = (shape.gates + ${LANES - 1}u) / ${LANES}u;
  let begin = lane * share;
  let end = min(begin + share, shape.gates);
  var count = 0u;
  for (var gate = begin; gate < end; gate++) {
    if (reports[gate * shape.outputs + output].w != 0.0) { count += 1u; }
  }
  counts[lane] = count;
  workgroupBarrier();
  let list = output * (shape.gates + 1u);
  var to = list + 1u;
  for (var k = 0u; k < lane; k++) { to += counts[k]; }
  if (lane == ${LANES - 1}u) { live[list] = to + count - list - 1u; }
  for (var gate = begin; gate < end; gate++) {
    if (reports[gate * shape.outputs + output].w != 0.0) {
      live[to] = gate;
      to += 1u;
    }
  }
}
`;

/** y := next + momentum (next - x), x := next. */
export const acceptShader = `${SHAPE}${NUMBERS}
@group(0) @binding(2) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(4) var<storage, read> next: array<vec4f>;
@compute @workgroup_size(${LANES})
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * ${LANES}u;
  if (at >= shape.vectors * shape.quads) { return; }
  let fresh = next[at];
  y[at] = fresh + numbers.momentum * (fresh - x[at]);
  x[at] = fresh;
}
`;

/** base := base + x rounded, and what was rounded off stays in x = next and, with it, in y. Marks every vector as alive. */
export const rebaseShader = `${SHAPE}
@group(0) @binding(1) var<storage, read_write> base: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> next: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> reports: array<vec4f>;
@compute @workgroup_size(${LANES})
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * ${LANES}u;
  if (at >= shape.vectors * shape.quads) { return; }
  let fresh = base[at] + next[at];
  let moved = fresh - base[at];
  let rest = next[at] - moved;
  base[at] = fresh;
  next[at] = rest;
  x[at] = rest;
  y[at] -= moved;
  if (at % shape.quads == 0u) { reports[at / shape.quads].w = 1.0; }
}
`;
