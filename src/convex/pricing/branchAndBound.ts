/**
 * The dearest gate of all, with a proof: max over |u| <= 1 of sum_i w_i (x_i' u)_+ by branch and bound over the sphere.
 *
 * The sphere is covered by the 2^r orthants; a cone whose bound (see `coneBound.ts`) is above what has been found is cut in two
 * at the middle of its longest edge, the worst cone first. What is left open when the budget ends is still a bound: that of the
 * worst open cone, or infinity when not even the orthants were all bounded. The problem is NP-hard in r; for a given r the cones
 * that are cut lie about the maxima.
 */

import { boundCone, type Cone, coneOf, type WeightedRows } from "./coneBound.js";
import { ConeQueue } from "./coneQueue.js";

/** How long to go on. */
export interface BranchBudget {
  /** Cones that may be bounded. */
  readonly cones: number;
  /** Ends when no gate is worth more than (1 + tolerance) times the dearest found, or than `floor` (1 + tolerance). */
  readonly tolerance: number;
  readonly floor: number;
  /** Lets the host breathe; true to end early. */
  readonly pause: () => Promise<boolean>;
}

/** A gate that was found: function `index` has this value at a unit vector. */
export interface Dear {
  readonly value: number;
  readonly index: number;
  readonly direction: Float64Array;
}

/** What was proven: no gate is worth more than `upper`. */
export interface Branched {
  readonly upper: number;
  /** The dearest gate that was found. */
  readonly best: Dear;
  /** The gates worth more than `floor` (1 + tolerance) that were met on the way, the best among them. */
  readonly dear: readonly Dear[];
  readonly cones: number; // that were bounded
  readonly finished: boolean; // within the tolerance
}

/** Cones between two turns for the host. */
const TURN = 64;
/** What float64 may have rounded away of a bound. */
const ROUNDING = 1e-10;
/** One less the cosine of the longest edge of a cone that is not cut any more. */
const NARROW = 1e-12;

/** Maximises all the functions together. */
export async function branchAndBound(functions: readonly WeightedRows[], budget: BranchBudget): Promise<Branched> {
  const queue = new ConeQueue();
  const dear: Dear[] = [];
  let best: Dear = { value: 0, index: 0, direction: new Float64Array(functions[0].width) };
  let cones = 0;
  let narrowest = 0; // the largest bound of cones that are too narrow to be cut
  const goal = () => Math.max(best.value, budget.floor) * (1 + budget.tolerance);
  const consider = (index: number, cone: Cone) => {
    cones += 1;
    const { upper, lower, direction } = boundCone(functions[index], cone, goal() / (1 + ROUNDING));
    const found = { value: lower, index, direction };
    if (lower > best.value) best = found;
    if (lower > budget.floor * (1 + budget.tolerance)) dear.push(found);
    queue.push(upper * (1 + ROUNDING), index, cone);
  };
  for (const [index, weighted] of functions.entries()) {
    for (const cone of orthants(weighted)) {
      consider(index, cone);
      if (cones % TURN === 0 && (await budget.pause())) {
        return { upper: Number.POSITIVE_INFINITY, best, dear, cones, finished: false };
      }
    }
  }
  while (queue.top > goal() && cones < budget.cones) {
    const { upper, index, cone } = queue.pop();
    const parts = halves(functions[index], cone);
    if (parts === null) narrowest = Math.max(narrowest, upper);
    else for (const half of parts) consider(index, half);
    if (cones % TURN < 2 && (await budget.pause())) break;
  }
  const upper = Math.max(queue.top, narrowest, best.value);
  return { upper, best, dear, cones, finished: upper <= goal() };
}

/** The cones of all signs of the axes. */
function* orthants(weighted: WeightedRows): Generator<Cone> {
  const r = weighted.width;
  const all = Int32Array.from(weighted.weights.keys()).filter((i) => weighted.weights[i] !== 0);
  for (let signs = 0; signs < 2 ** r; signs++) {
    const axes = new Float64Array(r * r);
    for (let k = 0; k < r; k++) axes[k * r + k] = (signs >> k) & 1 ? -1 : 1;
    yield coneOf(weighted, axes, axes.slice(), all, new Float64Array(r));
  }
}

/** Cuts a cone in two at the middle of its longest edge; null when float64 cannot tell the halves apart. */
function halves(weighted: WeightedRows, { vertices, normals, linear, mixed }: Cone): Cone[] | null {
  const r = weighted.width;
  let [a, b] = [0, 0];
  let least = 1;
  for (let i = 0; i < r; i++) {
    for (let j = 0; j < i; j++) {
      let cosine = 0;
      for (let p = 0; p < r; p++) cosine += vertices[i * r + p] * vertices[j * r + p];
      if (cosine < least) [least, a, b] = [cosine, i, j];
    }
  }
  if (1 - least < NARROW) return null;
  const scale = 1 / Math.sqrt(2 + 2 * least); // (v_a + v_b) scale has length one
  return [
    [a, b],
    [b, a],
  ].map(([kept, replaced]) => {
    const corner = vertices.slice();
    const facet = normals.slice();
    for (let p = 0; p < r; p++) {
      corner[replaced * r + p] = scale * (vertices[a * r + p] + vertices[b * r + p]);
      facet[replaced * r + p] = normals[replaced * r + p] / scale;
      facet[kept * r + p] = normals[kept * r + p] - normals[replaced * r + p];
    }
    return coneOf(weighted, corner, facet, mixed, linear);
  });
}
