/** Gated branches as layers hold them. */

import { exp, log } from "../../linear/elementary.js";
import { norm } from "../../linear/vectors.js";
import type { Matrix } from "../../types.js";
import { type BranchCharge, chargeOf } from "../branch.js";
import { type BranchGates, branchCount } from "./gates.js";
import type { GatedBranch } from "./problem.js";

/** K branches of m neurons: first kernel and gates in column k m + j, second ones in entry k m + j. */
export interface BranchLayers {
  readonly kernel: Matrix; // [d x K m]
  readonly second: Float64Array; // [K m]
  readonly gates: BranchGates;
  readonly output: Matrix; // [K x C]
}

/** The gates that each of the layer's K branches is to have: those of the branches, then those that none has, then all in turn. */
function ownersOf(branches: readonly GatedBranch[], given: number, K: number): number[] {
  const taken = new Set(branches.map(({ owner }) => owner));
  const spare = Array.from({ length: given }, (_, k) => k).filter((k) => !taken.has(k));
  const owners = branches.map(({ owner }) => owner);
  for (let k = 0; owners.length < K; k++) owners.push(k < spare.length ? spare[k] : (k - spare.length) % given);
  return owners;
}

/**
 * Layers of K branches whose charge is what the program says. Of third powers the three layers of a branch are equally long; for path
 * regularization hidden neurons have length 1.
 */
export function branchLayers(
  branches: readonly GatedBranch[],
  gates: BranchGates,
  charge: BranchCharge,
  C: number,
  K: number,
): BranchLayers {
  const { hidden: m, first } = gates;
  const d = first.rows;
  const units = K * m;
  const owners = ownersOf(branches, branchCount(gates), K);
  const kernel = new Float64Array(d * units);
  const second = new Float64Array(units);
  const output = new Float64Array(K * C);
  if (charge === "frobenius") kernel.fill(1, 0, units); // of length 1, and read by nothing
  branches.forEach(({ Z, output: o }, k) => {
    const total = chargeOf(charge, Z, d);
    const root = exp(log(total) / 3);
    for (let j = 0; j < m; j++) {
      const z = Z.subarray(j * d, (j + 1) * d);
      const length = norm(z);
      if (length === 0) continue;
      const share = charge === "sum" ? Math.sqrt(length / total) * root : 1;
      for (let p = 0; p < d; p++) kernel[p * units + k * m + j] = (z[p] / length) * share;
      second[k * m + j] = charge === "sum" ? share : length / Math.sqrt(total);
    }
    for (let c = 0; c < C; c++) output[k * C + c] = o[c] * (charge === "sum" ? root : Math.sqrt(total));
  });
  const firstGates = new Float64Array(d * units);
  const secondGates = new Float64Array(units);
  owners.forEach((owner, k) => {
    for (let p = 0; p < d; p++) {
      const from = p * first.cols + owner * m;
      firstGates.set(first.data.subarray(from, from + m), p * units + k * m);
    }
    secondGates.set(gates.second.subarray(owner * m, (owner + 1) * m), k * m);
  });
  return {
    kernel: { rows: d, cols: units, data: kernel },
    second,
    gates: { hidden: m, first: { rows: d, cols: units, data: firstGates }, second: secondGates },
    output: { rows: K, cols: C, data: output },
  };
}
