/** How compute shaders go along vectors, by a lane or by a workgroup, and add up with the rounding errors beside the sums. */

import { LANES } from "./shape.js";

/** Up to this length one lane goes along a vector: a workgroup would be mostly idle. */
export const LANE_QUADS = 16;

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
