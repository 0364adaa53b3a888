/**
 * The first Newton step from a point near the optimum, with the blocks that the point has and those that its prices open.
 *
 * A dual point with a small error prices some of the point's blocks below beta, and a long proximal step would drop them all, to
 * find them again one by one. Around z_i = v0_i + sigma beta u_i, u_i = v0_i / |v0_i|, where the step leaves v0_i as it is, the
 * block is to first order
 *
 *   v_i = v0_i - sigma (s_i I + (1 - s_i) u_i u_i') (s A_i' xi + beta u_i),   s_i = |v0_i| / (|v0_i| + sigma beta),
 *
 * s the block's sign: a Newton step on the point's own face (the tangent of the path, as beta falls). No cones. For programs with
 * many rows or outputs; others have supportStep.ts.
 */

import { norm } from "../../linear/vectors.js";
import type { ActiveBlocks, BlockStep } from "../activeBlocks.js";

/** Blocks with their shares for the Newton system, and where they move to first order: what predicts the outputs. */
export interface AlignedBlocks {
  readonly active: ActiveBlocks;
  readonly moved: Float64Array; // [active x d]
}

/** `G` [slots x d] is A' xi over the working set, `opened` what a proximal step from there leaves. Null for the point zero. */
export function alignBlocks(
  { program, working, centers, sigma }: BlockStep,
  G: Float64Array,
  opened: ActiveBlocks,
): AlignedBlocks | null {
  const d = program.X.cols;
  const lengths = Float64Array.from({ length: working.slots }, (_, slot) =>
    norm(centers.subarray(slot * d, (slot + 1) * d)),
  );
  const own = Array.from(lengths.keys()).filter((slot) => lengths[slot] > 0);
  if (own.length === 0) return null;
  const entering = opened.slots.map((slot, k) => ({ slot, k })).filter(({ slot }) => lengths[slot] === 0);
  const slots = [...own, ...entering.map(({ slot }) => slot)];
  const vectors = new Float64Array(slots.length * d);
  const moved = new Float64Array(slots.length * d);
  const shares: number[] = [];
  own.forEach((slot, k) => {
    const share = lengths[slot] / (lengths[slot] + sigma * program.beta);
    const sign = working.signOf(slot);
    let along = 0;
    for (let p = 0; p < d; p++) {
      const u = centers[slot * d + p] / lengths[slot];
      vectors[k * d + p] = centers[slot * d + p];
      along += u * (sign * G[slot * d + p] + program.beta * u);
    }
    for (let p = 0; p < d; p++) {
      const u = centers[slot * d + p] / lengths[slot];
      const miss = sign * G[slot * d + p] + program.beta * u;
      moved[k * d + p] = vectors[k * d + p] - sigma * (share * miss + (1 - share) * along * u);
    }
    shares.push(share);
  });
  entering.forEach(({ k }, place) => {
    const vector = opened.vectors.subarray(k * d, (k + 1) * d);
    vectors.set(vector, (own.length + place) * d);
    moved.set(vector, (own.length + place) * d);
    shares.push(opened.shares[k]);
  });
  return { active: { theta: Number.NaN, slots, vectors, shares, shrunk: [] }, moved };
}
