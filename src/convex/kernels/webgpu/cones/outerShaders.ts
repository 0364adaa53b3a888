/** The compute shaders of outputs, bias and loss of a splitting, [C x n]: what lies between its products (solvers/splitting). */

import type { LossTerms } from "../../../types.js";
import { levelSource, pullSource, wgsl } from "../../device/index.js";
import { LANES, SHAPE } from "../shape.js";
import { addedLanes } from "../vectors.js";

/** r, g^2, relaxation, tau and the share of the bias. */
export const OUTER_NUMBERS = 8;

const OUTER = `
struct Outer { weight: f32, biasScale: f32, relaxation: f32, tau: f32, biasShare: f32 }
@group(0) @binding(1) var<uniform> outer: Outer;
`;

/** The head of a shader: the shape, the numbers where it reads them, then its buffers in the order of their bindings. */
function head(outer: "outer" | "", reads: readonly string[], ...writes: readonly string[]): string {
  const all = [...reads.map((buffer) => `read> ${buffer}`), ...writes.map((buffer) => `read_write> ${buffer}`)];
  const first = outer === "" ? 1 : 2;
  const buffers = all.map((buffer, k) => `@group(0) @binding(${k + first}) var<storage, ${buffer};`);
  return `${SHAPE}${outer === "" ? "" : OUTER}${buffers.join("\n")}`;
}

/** A workgroup for each of the groups, whose lanes add up a vector by `add` (into `mine`), and the first of which goes on with `sum`. */
const summing = (type: string, add: string, then: string) => `
var<workgroup> lanes: array<${type}, ${LANES}>;
@compute @workgroup_size(${LANES})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
  var mine = ${type}();
  ${add}
  lanes[lane] = mine;
  ${addedLanes(LANES)}
  if (lane == 0u) {
    let sum = lanes[0];
    ${then}
  }
}
`;

const COLUMN = `let o = group.x;
  for (var k = lane; k < shape.rows; k += ${LANES}u) { mine += R[o * shape.rows + k]; }`;

/** pulls [C] := 2 e - te + g^2 times the sums of U. */
export const pullsShader = `${head("outer", ["R: array<f32>", "bias: array<f32>"], "pulls: array<f32>")}
${summing("f32", COLUMN, "pulls[o] = 2.0 * bias[o] - bias[shape.outputs + o] + outer.biasScale * sum;")}`;

/** W [C x n] := Q^-1 (Z + the pulls), in the place of U. */
export const solvedShader = `${head("", ["matrix: array<f32>", "Z: array<f32>", "pulls: array<f32>", "ofBias: array<f32>"], "R: array<f32>")}
${summing(
  "f32",
  `for (var k = lane; k < shape.rows; k += ${LANES}u) { mine += matrix[group.x * shape.rows + k] * Z[group.y * shape.rows + k]; }`,
  "R[group.y * shape.rows + group.x] = sum + pulls[group.y] * ofBias[group.x];",
)}`;

/** bias [4 x C] := e and te after the step, x, and e before it. */
export const biasShader = `${head("outer", ["R: array<f32>", "pulls: array<f32>"], "bias: array<f32>")}
${summing(
  "f32",
  COLUMN,
  `let C = shape.outputs;
    let before = bias[o];
    let x = pulls[o] - outer.biasScale * sum;
    let t = bias[C + o] + outer.relaxation * (x - before);
    bias[o] = outer.biasShare * t;
    bias[C + o] = t;
    bias[2u * C + o] = x;
    bias[3u * C + o] = before;`,
)}`;

const RELAXED = `
fn relaxed(at: u32) -> f32 {
  return outer.relaxation * R[at] / outer.weight + (1.0 - outer.relaxation) * z[at] + c[at];
}`;

/** levels [n] of softmax: what its pulls at a row have in common. */
export const levelShader = `${head("outer", ["R: array<f32>", "z: array<f32>", "c: array<f32>", "Y: array<f32>", "a: array<f32>"], "levels: array<f32>")}
${RELAXED}
${pullSource("categoricalCrossentropy", wgsl)}
@compute @workgroup_size(${LANES})
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let row = id.x + id.y * groups.x * ${LANES}u;
  if (row >= shape.rows) { return; }
  let t = outer.tau * a[row];
  ${levelSource("(relaxed(column * shape.rows + row) + t * Y[column * shape.rows + row])", "shape.outputs", wgsl)}
  levels[row] = level;
}
`;

/** c := what the loss pulls at q = a A x + (1 - a) z + c, z := q - c, and the next U in the place of W; sums of r (A x - z)^2 and of how far z moved. */
export const proxShader = (kind: LossTerms["kind"]) => `${head(
  "outer",
  ["Y: array<f32>", "a: array<f32>", "levels: array<f32>"],
  ...["R: array<f32>", "z: array<f32>", "c: array<f32>", "sums: array<vec2f>"],
)}
${RELAXED}
${pullSource(kind, wgsl)}
${summing(
  "vec2f",
  `let at = (group.x + group.y * groups.x) * ${LANES}u + lane;
  if (at < shape.outputs * shape.rows) {
    let row = at % shape.rows;
    let q = relaxed(at);
    let pulled = pull(q, Y[at], outer.tau * a[at % arrayLength(&a)], levels[row % arrayLength(&levels)]);
    let near = q - pulled;
    let missed = R[at] / outer.weight - near;
    let moved = near - z[at];
    mine = outer.weight * vec2f(missed * missed, moved * moved);
    z[at] = near;
    c[at] = pulled;
    R[at] = outer.weight * (near - pulled);
  }`,
  "sums[group.x + group.y * groups.x] = sum;",
)}`;
