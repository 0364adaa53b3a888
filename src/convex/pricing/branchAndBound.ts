/**
 * The dearest gate of all, with a proof: max over |u| <= 1 of sum_i w_i (x_i' u)_+ by branch and bound over the sphere.
 *
 * The sphere is covered by the 2^r orthants; a cone whose bound (see `coneBound.ts`) is above what has been found is cut in two
 * at the middle of its longest edge, the worst cone first. What is left open when the budget ends is still a bound: that of the
 * worst open cone, or infinity when not even the orthants were all bounded. The problem is NP-hard in r; for a given r the cones
 * that are cut lie about the maxima.
 */

import { boundCone, type Cone, coneOf, type WeightedRows } from "./coneBound.js";
import { edgeOf } from "./coneEdge.js";
import { ConeQueue } from "./coneQueue.js";

/** How long to go on. */
export interface BranchBudget {
  /** Cones that may be bounded. */
  readonly cones: number;
  /** Ends when no gate is worth more than `floor`, or, where one is found that is, than (1 + tolerance) times the dearest found. */
  readonly tolerance: number;
  readonly floor: number;
  /** Gates worth more than this are kept; default `floor`. */
  readonly keep?: number;
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
  /** The gates worth more than `keep` that were met on the way, the best among them. */
  readonly dear: readonly Dear[];
  readonly cones: number; // that were bounded
  readonly finished: boolean; // within the tolerance
}

/** Cones between two turns for the host. */
const TURN = 64;
/** What float64 may have rounded away of a bound. */
const ROUNDING = 1e-10;
/** One less the cosine of an edge that is not cut any more. */
const NARROW = 1e-12;

/** Maximises all the functions together. */
export async function branchAndBound(functions: readonly WeightedRows[], budget: BranchBudget): Promise<Branched> {
  const queue = new ConeQueue();
  const dear: Dear[] = [];
  let best: Dear = { value: 0, index: 0, direction: new Float64Array(functions[0].width) };
  let cones = 0;
  let narrowest = 0; // the largest bound of cones that are too narrow to be cut
  const { floor, tolerance, keep = floor } = budget;
  const goal = () => (best.value > floor ? best.value * (1 + tolerance) : floor);
  const consider = (index: number, cone: Cone) => {
    cones += 1;
    const { upper, lower, direction } = boundCone(functions[index], cone, goal() / (1 + ROUNDING));
    const found = { value: lower, index, direction };
    if (lower > best.value) best = found;
    if (lower > keep) dear.push(found);
    queue.push(upper * (1 + ROUNDING), index, cone, direction);
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
    const { upper, index, cone, toward } = queue.pop();
    const cut = parts(functions[index], cone, toward);
    if (cut === null) narrowest = Math.max(narrowest, upper);
    else for (const part of cut) consider(index, part);
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

/** Cuts a cone in two on an edge; null when float64 cannot tell the parts apart. */
function parts(weighted: WeightedRows, cone: Cone, toward: Float64Array): Cone[] | null {
  const { vertices, normals, linear, mixed } = cone;
  const r = weighted.width;
  const { a, b, s, t } = edgeOf(weighted, cone, toward);
  let cosine = 0;
  for (let p = 0; p < r; p++) cosine += vertices[a * r + p] * vertices[b * r + p];
  if (1 - cosine < NARROW) return null;
  const scale = 1 / Math.sqrt(s * s + t * t + 2 * s * t * cosine); // (s v_a + t v_b) scale has length one
  return [
    [a, b, s / t, scale * t],
    [b, a, t / s, scale * s],
  ].map(([kept, replaced, ratio, share]) => {
    const corner = vertices.slice();
    const facet = normals.slice();
    for (let p = 0; p < r; p++) {
      corner[replaced * r + p] = scale * (s * vertices[a * r + p] + t * vertices[b * r + p]);
      facet[replaced * r + p] = normals[replaced * r + p] / share;
      facet[kept * r + p] = normals[kept * r + p] - ratio * normals[replaced * r + p];
    }
    return coneOf(weighted, corner, facet, mixed, linear);
  });
}
