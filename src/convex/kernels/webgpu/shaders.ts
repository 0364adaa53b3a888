/**
 * The compute shaders of steps and blocks of the WebGPU engine, in WGSL.
 *
 * Features are held four to a `quad` (vec4f, the last one padded with zeros); vector i A C + a C + c belongs to gate i,
 * position a and output c.
 */

import { LANES, SHAPE } from "./shape.js";
import { type Along, each, LANE_SUMS, MAIN, SUMS, sumsAlong } from "./vectors.js";

const NUMBERS = `
struct Numbers { step: f32, threshold: f32, momentum: f32, unused: f32 }
@group(0) @binding(1) var<uniform> numbers: Numbers;
`;

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

/** grams U U' [P x A C x A C] of the gates' blocks U = base + y - step g. */
export const gramShader = (along: Along) => `${SHAPE}${NUMBERS}${sumsAlong[along]}${STEP}
@group(0) @binding(5) var<storage, read_write> grams: array<f32>;
fn moved(vector: u32, quad: u32) -> vec4f {
  let at = vector * shape.quads + quad;
  return base[at] + descended(at);
}
${MAIN}${each(along, "shape.gates")}
  let C = shape.perGate;
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

/** grams U' U [P x d x quads] of the gates' blocks U = base + y - step g; what is behind column d is zero. */
export const rightGramShader = `${SHAPE}${NUMBERS}${SUMS}${STEP}
@group(0) @binding(5) var<storage, read_write> grams: array<vec4f>;
@compute @workgroup_size(${LANES})
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * ${LANES}u;
  if (at >= shape.gates * shape.width * shape.quads) { return; }
  let row = at / shape.quads % shape.width;
  let first = at / shape.quads / shape.width * shape.perGate * shape.quads;
  var sums = mat2x4f();
  for (var start = first; start < first + shape.perGate * shape.quads; start += shape.quads) {
    let u = base[start + row / 4u] + descended(start + row / 4u);
    let mine = start + at % shape.quads;
    sums = add(sums, u[row % 4u] * (base[mine] + descended(mine)));
  }
  grams[at] = sums[0] + sums[1];
}
`;

/** Order of Gram matrices up to which a workgroup finds their singular values; larger ones are the host's. */
export const MOST_ORDER = 10;
/** Rotations of every pair: they converge quadratically, and float32 has no more to give after this many. */
const SWEEPS = 7;

/**
 * The prox of the nuclear norm, a workgroup a gate: with the Gram matrix [r x row] of a gate's block, Q diag(s^2) Q' by Jacobi's rotations, of
 * which each lane turns one row and one column, factors [P x r x row] := S - I = -Q diag(min(1, threshold / s)) Q', -I to the last bit
 * where nothing is left; penalties [P] of what is left.
 */
export const singularShader = (r: number, row: number) => `${SHAPE}${NUMBERS}
@group(0) @binding(2) var<storage, read> grams: array<f32>;
@group(0) @binding(3) var<storage, read_write> factors: array<f32>;
@group(0) @binding(4) var<storage, read_write> penalties: array<f32>;
var<workgroup> G: array<f32, ${r * r}>;
var<workgroup> Q: array<f32, ${r * r}>;
@compute @workgroup_size(16)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
  let gate = group.x + group.y * groups.x;
  if (gate >= shape.gates) { return; }
  let first = gate * ${r * row}u + lane * ${row}u;
  let mine = lane * ${r}u;
  if (lane < ${r}u) {
    for (var k = 0u; k < ${r}u; k++) {
      G[mine + k] = grams[first + k];
      Q[mine + k] = select(0.0, 1.0, k == lane);
    }
  }
  workgroupBarrier();
  for (var sweep = 0; sweep < ${SWEEPS}; sweep++) {
    for (var p = 0u; p + 1u < ${r}u; p++) {
      for (var q = p + 1u; q < ${r}u; q++) {
        let across = G[p * ${r}u + q];
        let tau = (G[q * ${r}u + q] - G[p * ${r}u + p]) / (2.0 * across);
        var tangent = select(-1.0, 1.0, tau >= 0.0) / (abs(tau) + sqrt(1.0 + min(tau * tau, 1e30)));
        if (across == 0.0) { tangent = 0.0; }
        let cosine = inverseSqrt(1.0 + tangent * tangent);
        let sine = tangent * cosine;
        workgroupBarrier();
        if (lane < ${r}u) {
          let g = vec2f(G[mine + p], G[mine + q]);
          let u = vec2f(Q[mine + p], Q[mine + q]);
          G[mine + p] = cosine * g.x - sine * g.y;
          G[mine + q] = sine * g.x + cosine * g.y;
          Q[mine + p] = cosine * u.x - sine * u.y;
          Q[mine + q] = sine * u.x + cosine * u.y;
        }
        workgroupBarrier();
        if (lane < ${r}u) {
          let g = vec2f(G[p * ${r}u + lane], G[q * ${r}u + lane]);
          G[p * ${r}u + lane] = cosine * g.x - sine * g.y;
          G[q * ${r}u + lane] = sine * g.x + cosine * g.y;
        }
        workgroupBarrier();
      }
    }
  }
  if (lane >= ${r}u) { return; }
  var left = 0.0;
  var cut = array<f32, ${r}>();
  for (var k = 0u; k < ${r}u; k++) {
    let value = sqrt(max(G[k * ${r}u + k], 0.0));
    cut[k] = select(numbers.threshold / value, 1.0, value <= numbers.threshold);
    left += (1.0 - cut[k]) * value;
  }
  for (var b = 0u; b < ${r}u; b++) {
    var sum = select(0.0, -1.0, b == lane);
    if (left > 0.0) {
      sum = 0.0;
      for (var k = 0u; k < ${r}u; k++) { sum -= cut[k] * Q[mine + k] * Q[b * ${r}u + k]; }
    }
    factors[first + b] = sum;
  }
  if (lane == 0u) { penalties[gate] = left; }
}
`;

/** In a report, what is left of a gate, told by the first of its vectors. */
const LEFT = "select(0.0, penalties[item / shape.perGate], item % shape.perGate == 0u)";

/** next := for each gate S (y - step g) + (S - I) base. */
export const combineShader = (along: Along) => `${SHAPE}${NUMBERS}${sumsAlong[along]}${MOVE}
@group(0) @binding(8) var<storage, read> factors: array<f32>; // [P x A C x A C], S - I
@group(0) @binding(9) var<storage, read> penalties: array<f32>;
${MAIN}${each(along, "shape.vectors")}
  let C = shape.perGate;
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
  if (writes) { reports[item] = vec4f(sum[0].xy + sum[1].xy, ${LEFT}, select(1.0, 0.0, sum[0].w == 0.0)); }
}
`;

/** next := for each gate (y - step g) S + base (S - I), S symmetric. */
export const rightCombineShader = (along: Along) => `${SHAPE}${NUMBERS}${sumsAlong[along]}${MOVE}
@group(0) @binding(8) var<storage, read> factors: array<vec4f>; // [P x d x quads], S - I
@group(0) @binding(9) var<storage, read> penalties: array<f32>;
${MAIN}${each(along, "shape.vectors")}
  let first = item * shape.quads;
  let factor = item / shape.perGate * shape.width * shape.quads;
  var sums = mat2x4f();
  for (var quad = begin; quad < shape.quads; quad += stride) {
    let at = first + quad;
    var fresh = descended(at);
    for (var row = 0u; row < shape.width; row++) {
      let u = base[first + row / 4u] + descended(first + row / 4u);
      fresh += u[row % 4u] * factors[factor + row * shape.quads + quad];
    }
    let change = fresh - y[at];
    sums = add(sums, vec4f(dot(change, change), -dot(change, fresh - x[at]), 0.0, dot(fresh, fresh)));
    next[at] = fresh;
  }
  let sum = addLanes(sums, lane);
  if (writes) { reports[item] = vec4f(sum[0].xy + sum[1].xy, ${LEFT}, select(1.0, 0.0, sum[0].w == 0.0)); }
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

/** live [A C x (1 + P)]: for each vector of a gate the number of gates whose own may not vanish, and which: a workgroup a vector. */
export const liveShader = `${SHAPE}
@group(0) @binding(1) var<storage, read> reports: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> live: array<u32>;
var<workgroup> counts: array<u32, ${LANES}>;
@compute @workgroup_size(${LANES})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
  let output = group.x + group.y * groups.x;
  if (output >= shape.perGate) { return; }
  let share = (shape.gates + ${LANES - 1}u) / ${LANES}u;
  let begin = lane * share;
  let end = min(begin + share, shape.gates);
  var count = 0u;
  for (var gate = begin; gate < end; gate++) {
    if (reports[gate * shape.perGate + output].w != 0.0) { count += 1u; }
  }
  counts[lane] = count;
  workgroupBarrier();
  let list = output * (shape.gates + 1u);
  var to = list + 1u;
  for (var k = 0u; k < lane; k++) { to += counts[k]; }
  if (lane == ${LANES - 1}u) { live[list] = to + count - list - 1u; }
  for (var gate = begin; gate < end; gate++) {
    if (reports[gate * shape.perGate + output].w != 0.0) {
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
