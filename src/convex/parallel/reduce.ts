/**
 * The same outputs by fewer branches. A branch is a positive multiple of its direction, and so are its outputs and its charge; outputs
 * in n dimensions are a positive combination of at most n of them (Caratheodory), and the charge that is left is never more.
 */

import { norm, orthogonalise } from "../linear/vectors.js";
import { type Branch, branchOutputs, chargeOf } from "./branch.js";
import type { MasterProblem } from "./master.js";
import { type Point, pointOf } from "./point.js";

/** Branches of less than this share of the charge, and neurons of less than this share of their branch, are what a barrier leaves. */
const FAINT = 1e-6;
/** Outputs outside the span of others by less than this share of their length are within it. */
const DEPENDENT = 1e-9;

export function withFewBranches(problem: MasterProblem, point: Point): Point {
  const { X, charge } = problem;
  const d = X.cols;
  const total = point.branches.reduce((sum, { Z }) => sum + chargeOf(charge, Z, d), 0);
  const strong = point.branches.filter(({ Z }) => chargeOf(charge, Z, d) > FAINT * total);
  return pointOf(
    problem,
    independent(
      problem,
      strong.map((branch) => withoutFaint(branch, d)),
    ),
    point.bias,
  );
}

/** Neurons of next to no length become zero. */
function withoutFaint(branch: Branch, d: number): Branch {
  const least = FAINT * norm(branch.Z);
  const Z = branch.Z.slice();
  for (let at = 0; at < Z.length; at += d) if (norm(Z.subarray(at, at + d)) <= least) Z.fill(0, at, at + d);
  return { ...branch, Z };
}

/** Takes branches away until the outputs of the others are linearly independent. */
function independent({ X, charge }: MasterProblem, given: readonly Branch[]): Branch[] {
  let branches = given.map((branch) => ({ branch, outputs: branchOutputs(X, branch), factor: 1 }));
  branches = branches.filter(({ outputs }) => norm(outputs) > 0);
  for (;;) {
    const a = combination(branches.map(({ outputs }) => outputs));
    if (a === null) break;
    const costs = branches.map(({ branch }) => chargeOf(charge, branch.Z, X.cols));
    const cost = a.reduce((sum, value, k) => sum + value * costs[k], 0);
    const down = cost < 0 ? a.map((value) => -value) : a; // factors move against it
    let step = Number.POSITIVE_INFINITY;
    let last = -1;
    down.forEach((value, k) => {
      if (value > 0 && branches[k].factor / value < step) {
        step = branches[k].factor / value;
        last = k;
      }
    });
    if (last < 0) break; // all would grow: only rounding has made the cost positive
    branches = branches
      .map((entry, k) => ({ ...entry, factor: Math.max(0, entry.factor - step * down[k]) }))
      .filter(({ factor }, k) => k !== last && factor > 0);
  }
  return branches.map(({ branch, factor }) => ({ ...branch, Z: branch.Z.map((value) => factor * value) }));
}

/** Factors, not all zero, with which the vectors sum to zero; null where they are independent. */
function combination(vectors: readonly Float64Array[]): number[] | null {
  const basis: Float64Array[] = [];
  const factors: number[][] = []; // vector i = sum_j factors[i][j] basis[j]
  for (const [k, vector] of vectors.entries()) {
    const unit = vector.slice();
    const inside = orthogonalise(unit, basis);
    const length = norm(unit);
    if (length <= DEPENDENT * norm(vector)) {
      const a = new Array<number>(vectors.length).fill(0);
      a[k] = 1;
      for (let i = k - 1; i >= 0; i--) {
        let value = inside[i];
        for (let j = i + 1; j < k; j++) value += a[j] * factors[j][i];
        a[i] = -value / factors[i][i];
      }
      return a;
    }
    basis.push(unit.map((value) => value / length));
    factors.push([...inside, length]);
  }
  return null;
}
