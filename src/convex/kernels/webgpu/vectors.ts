/** How compute shaders go along vectors, by a lane or by a workgroup, and add up with the rounding errors beside the sums. */

import { LANES } from "./shape.js";

/** Up to this length one lane goes along a vector: a workgroup would be mostly idle. */
export const LANE_QUADS = 16;

/** Of the lanes of a workgroup those that add up the others. */
const FEW = 8;

/** Four sums with their rounding errors beside them (Knuth's TwoSum). */
export const SUMS = `
fn add(sum: mat2x4f, value: vec4f) -> mat2x4f {
  let next = sum[0] + value;
  let part = next - sum[0];
  return mat2x4f(next, sum[1] + ((sum[0] - (next - part)) + (value - part)));
}
`;

/** Sums over the lanes of a workgroup. */
export const LANE_SUMS = `${SUMS}
var<workgroup> lanes: array<mat2x4f, ${LANES}>;
fn addLanes(mine: mat2x4f, lane: u32) -> mat2x4f {
  workgroupBarrier();
  lanes[lane] = mine;
  workgroupBarrier();
  if (lane < ${FEW}u) {
    var sum = lanes[lane];
    for (var k = lane + ${FEW}u; k < ${LANES}u; k += ${FEW}u) { sum = both(sum, lanes[k]); }
    lanes[lane] = sum;
  }
  workgroupBarrier();
  var all = lanes[0];
  for (var k = 1u; k < ${FEW}u; k++) { all = both(all, lanes[k]); }
  return all;
}
fn both(a: mat2x4f, b: mat2x4f) -> mat2x4f {
  let sum = add(a, b[0]);
  return mat2x4f(sum[0], sum[1] + b[1]);
}
`;

/**
 * lanes[0] := the sum of \`lanes\` of a workgroup of so many, for its lane 0 to see: a few lanes add up those that are theirs, and the first one these.
 * A tree would wait at six to eight barriers, which cost more than the sums.
 */
export function addedLanes(count: number): string {
  const few = count > LANES ? 2 * FEW : FEW;
  return `workgroupBarrier();
  if (lane < ${few}u) {
    for (var k = lane + ${few}u; k < ${count}u; k += ${few}u) { lanes[lane] += lanes[k]; }
  }
  workgroupBarrier();
  if (lane == 0u) {
    for (var k = 1u; k < ${few}u; k++) { lanes[0] += lanes[k]; }
  }`;
}

/** How a vector is gone along: by all lanes of a workgroup where it is long, else by one lane. */
export type Along = "workgroup" | "lane";

/** Declares `item` (the vector or gate), `begin` and `stride` (which quads are this lane's) and `writes` (who reports). */
export function each(along: Along, count: string): string {
  const item = along === "workgroup" ? "group" : `group * ${LANES}u + lane`;
  return `
  let group = groupId.x + groupId.y * groups.x;
  let item = ${item};
  if (item >= ${count}) { return; }
  let begin = ${along === "workgroup" ? "lane" : "0u"};
  let stride = ${along === "workgroup" ? `${LANES}u` : "1u"};
  let writes = ${along === "workgroup" ? "lane == 0u" : "true"};`;
}

export const sumsAlong: Readonly<Record<Along, string>> = {
  workgroup: LANE_SUMS,
  lane: `${SUMS} fn addLanes(mine: mat2x4f, lane: u32) -> mat2x4f { return mine; }`,
};

export const MAIN = `@compute @workgroup_size(${LANES})
fn main(@builtin(workgroup_id) groupId: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {`;
