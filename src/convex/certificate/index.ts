/**
 * The duality gap: a primal point, a dual point scaled until it is feasible, and the difference of their objectives.
 *
 * With N a subgradient of L at the predictions, s N is dual feasible when s N_b <= beta for every block b, where N_b is the
 * dual norm of X' D_i N (gated) or the norm of the projection of -+X' D_i N onto the cone K_i (ReLU; Pilanci and Ergen 2020,
 * section 2). Its dual objective is -L*(s N) - sum_c (s 1'N_c)^2 / (4 ridge). A free output bias asks for 1'N_c = 0.
 */

export {
  certify,
  certifyShared,
  feedsOneEach,
  largestTogether,
  NOT_AMONG_THEM,
  type SharedBound,
  scopeOf,
  sharedAtLeast,
} from "./claim.js";
export { bestScale } from "./dualScale.js";
export { GapJudge, type Judged, longestColumn, type Prices, smallestTrivialBeta, trivialBeta } from "./gapJudge.js";
export { floorOf, relativeGap, rememberFloor, withoutRounding } from "./relativeGap.js";
