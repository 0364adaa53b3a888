/** Gated branches as layers hold them. */

import { exp, log } from "../../linear/elementary.js";
import { norm } from "../../linear/vectors.js";
import type { Matrix } from "../../types.js";
import { type BranchCharge, chargeOf, tailCount } from "../branch.js";
import { type BranchGates, behindSizes, branchCount, gatesOfBranches, tailNeurons } from "./gates.js";
import type { GatedBranch } from "./problem.js";

/** K branches, their kernels divided as their gates are. */
export interface BranchLayers {
  readonly kernel: Matrix; // W_1 [d x K m_1]
  readonly behind: readonly Float64Array[]; // W_2, .., W_L-1: [K m_l x m_l+1]
  readonly gates: BranchGates;
  readonly output: Matrix; // [K x C]
}

/** The gates that each of the layer's K branches is to have: those of the branches, then those that none has, then all in turn. */
function ownersOf(branches: readonly GatedBranch[], tails: number, given: number, K: number): number[] {
  const owners = branches.map(({ owner }) => Math.floor(owner / tails));
  const taken = new Set(owners);
  const spare = Array.from({ length: given }, (_, k) => k).filter((k) => !taken.has(k));
  for (let k = 0; owners.length < K; k++) owners.push(k < spare.length ? spare[k] : (k - spare.length) % given);
  return owners;
}

/**
 * Layers of K branches whose charge is what the program says. Of L-th powers the L layers of a branch are equally long; for path
 * regularization hidden neurons have length 1. Weights off the tail of a branch are zero.
 */
export function branchLayers(
  branches: readonly GatedBranch[],
  gates: BranchGates,
  charge: BranchCharge,
  C: number,
  K: number,
): BranchLayers {
  const { hidden, first } = gates;
  const [m] = hidden;
  const L = hidden.length + 2;
  const d = first.rows;
  const units = K * m;
  const tails = tailCount(hidden);
  const kernel = new Float64Array(d * units);
  const sizes = behindSizes(hidden);
  const behind = sizes.map((size) => new Float64Array(K * size));
  const output = new Float64Array(K * C);
  if (charge === "frobenius") kernel.fill(1, 0, units); // of length 1, and read by nothing
  branches.forEach(({ owner, Z, output: o }, k) => {
    const total = chargeOf(charge, Z, d);
    const root = exp(log(total) / L);
    const tail = tailNeurons(hidden, owner % tails);
    const place = (l: number, from: number) => k * sizes[l] + (from * sizes[l]) / hidden[l] + tail[l];
    for (let j = 0; j < m; j++) {
      const z = Z.subarray(j * d, (j + 1) * d);
      const length = norm(z);
      if (length === 0) continue;
      const share = charge === "sum" ? Math.sqrt(length / total) * root : 1;
      for (let p = 0; p < d; p++) kernel[p * units + k * m + j] = (z[p] / length) * share;
      behind[0][place(0, j)] = charge === "sum" ? share : length / Math.sqrt(total);
    }
    for (let l = 1; l < sizes.length; l++) behind[l][place(l, tail[l - 1])] = root;
    for (let c = 0; c < C; c++) output[k * C + c] = o[c] * (charge === "sum" ? root : Math.sqrt(total));
  });
  return {
    kernel: { rows: d, cols: units, data: kernel },
    behind,
    gates: gatesOfBranches(gates, ownersOf(branches, tails, branchCount(gates), K)),
    output: { rows: K, cols: C, data: output },
  };
}
