/** The convex programs of gated branches, on the solvers of gated networks: masks D_L-1,k .. D_1kj of paths, nothing held in cones. */

import { PatternSet } from "../../arrangements/patternSet.js";
import { wordsPerGate } from "../../linear/bits.js";
import { atOnce, type Pieces } from "../../linear/pieces.js";
import { patchMatrix } from "../../operators/patches.js";
import { branchPenalty, penalties } from "../../penalties/index.js";
import type { ConvexProgram, Matrix } from "../../types.js";
import { branchCount, branchMasks, pathCount, productMasks } from "./gates.js";
import type { GatedBranchProblem } from "./problem.js";

/** A program, and which neuron or branch each of its gates is. */
export interface BranchProgram {
  readonly program: ConvexProgram;
  readonly owners: Int32Array; // of "sum" paths, of "frobenius" branches k
}

export function branchProgram(problem: GatedBranchProblem): BranchProgram {
  return atOnce(posing(problem));
}

/** The same in pieces, all of them whatever the time. */
export function* posing(problem: GatedBranchProblem): Pieces<BranchProgram> {
  return yield* problem.charge === "sum" ? overPaths(problem) : overBranches(problem);
}

/** beta sum |Z_p|_*: every path p of every branch is a gate of its own; of equal masks the first stands for all. */
function* overPaths({ X, loss, outputBias, beta, gates }: GatedBranchProblem): Pieces<BranchProgram> {
  const words = wordsPerGate(X.rows);
  const masks = yield* productMasks(X, gates);
  const paths = pathCount(gates);
  const seen = new PatternSet(paths);
  const owners: number[] = [];
  for (let path = 0; path < paths; path++) {
    const mask = masks.subarray(path * words, (path + 1) * words);
    if (mask.some((word) => word !== 0) && seen.add(mask)) owners.push(path);
  }
  const bits = seen.packed();
  const penalty = loss.outputs === 1 ? penalties.perOutput : penalties.nuclear;
  const set = { count: owners.length, rows: X.rows, bits, generators: none(owners.length, X.cols), complete: false };
  return { program: { X, gates: set, loss, penalty, beta, outputBias, cones: false }, owners: Int32Array.from(owners) };
}

/**
 * beta sum_k |Z_k|_*, Z_k [C x m d], of one output its length: a branch is a gate over rows that stand m times, once for each hidden neuron, as
 * patches that are read out at m positions.
 */
function* overBranches({ X, loss, outputBias, beta, gates }: GatedBranchProblem): Pieces<BranchProgram> {
  const [m] = gates.hidden;
  const d = X.cols;
  const words = wordsPerGate(X.rows * m);
  const masks = yield* branchMasks(X, gates);
  const all = Array.from({ length: branchCount(gates) }, (_, k) => k);
  const owners = all.filter((k) => masks.subarray(k * words, (k + 1) * words).some((word) => word !== 0));
  const bits = new Uint32Array(owners.length * words);
  owners.forEach((k, i) => {
    bits.set(masks.subarray(k * words, (k + 1) * words), i * words);
  });
  const rows = patchMatrix(X, {
    patches: m,
    entries: d,
    pixels: d,
    outHeight: m,
    outWidth: 1,
    source: Int32Array.from({ length: m * d }, (_, at) => at % d),
  });
  const set = { count: owners.length, rows: X.rows * m, bits, generators: none(owners.length, d), complete: false };
  const pooling = { patches: m, positions: m, scale: 1 };
  const penalty = branchPenalty(loss.outputs);
  return {
    program: { X: rows, gates: set, loss, penalty, beta, outputBias, cones: false, pooling },
    owners: Int32Array.from(owners),
  };
}

/** Masks that are products have no direction of their own. */
function none(count: number, d: number): Matrix {
  return { rows: count, cols: d, data: new Float64Array(count * d) };
}
