/**
 * Orthonormal coordinates of the outputs that matrices make, Z = Q t, as many as features depend on no others.
 *
 * Features have lengths as the squares of x and as x, which differ as much as x is far from one, and matrices see the outputs through
 * them; t does not. The longest features come first, so that what the short ones add is not lost among them.
 */

import type { Kernels } from "../../../kernels/types.js";
import { norm, orthogonalise } from "../../../linear/vectors.js";
import type { SignForms } from "../../signForms.js";
import type { Pause } from "../cones.js";
import { EntryGrams, entriesOf, featuresOf, TurnedGrams } from "./forms.js";

/** What is left of a feature that others make, of its own length. */
const ROUNDING = 1e-12;

export interface Coordinates {
  readonly Q: Float64Array; // [n x p], orthonormal columns
  readonly size: number; // p
  readonly grams: TurnedGrams;
  readonly means: Float64Array; // [F], of features that are centred
}

/** `centred` leaves what all rows have in common to a bias that is free. Null where no output is seen, and when told to end. */
export async function coordinatesOf(
  forms: SignForms,
  centred: boolean,
  kernels: Kernels,
  pause: Pause,
): Promise<Coordinates | null> {
  const n = forms.X.rows;
  const entries = entriesOf(forms);
  const F = entries.count;
  const Phi = featuresOf(forms, entries, 0, n);
  const means = new Float64Array(F);
  if (centred) {
    for (let k = 0; k < Phi.length; k++) means[k % F] += Phi[k] / n;
    for (let k = 0; k < Phi.length; k++) Phi[k] -= means[k % F];
  }
  const found = await orthonormal(Phi, n, F, pause);
  if (found === null || found.kept.length === 0) return null;
  const { Q, turn, kept } = found;
  const size = kept.length;
  const back = (t: Float64Array) => backTo(t, turn, kept, F);
  return { Q, size, grams: new TurnedGrams(new EntryGrams(forms.size, entries), turn, size, kernels, back), means };
}

/** Phi [n x F] = Q turn, Q [n x p] with orthonormal columns and turn [p x F] triangular in the columns that are kept; null when told to end. */
async function orthonormal(Phi: Float64Array, n: number, F: number, pause: Pause) {
  const columns = Array.from({ length: F }, (_, f) => Float64Array.from({ length: n }, (_, k) => Phi[k * F + f]));
  const lengths = columns.map(norm);
  const order = columns.map((_, f) => f).sort((a, b) => lengths[b] - lengths[a]);
  const basis: Float64Array[] = [];
  const kept: number[] = [];
  const inside: Float64Array[] = Array(F);
  for (const f of order) {
    if (await pause()) return null;
    inside[f] = orthogonalise(columns[f], basis);
    const left = norm(columns[f]);
    if (!(left > ROUNDING * lengths[f]) || basis.length === n) continue;
    inside[f] = Float64Array.of(...inside[f], left);
    basis.push(columns[f].map((value) => value / left));
    kept.push(f);
  }
  const p = basis.length;
  const Q = new Float64Array(n * p);
  basis.forEach((unit, i) => {
    for (let k = 0; k < n; k++) Q[k * p + i] = unit[k];
  });
  const turn = new Float64Array(p * F);
  inside.forEach((entries, f) => {
    entries.forEach((entry, i) => {
      turn[i * F + f] = entry;
    });
  });
  return { Q, turn, kept };
}

/** Entries [F], zero but for those that are kept, of coordinates t [p]. */
function backTo(t: Float64Array, turn: Float64Array, kept: readonly number[], F: number): Float64Array {
  const theta = new Float64Array(F);
  for (let i = kept.length - 1; i >= 0; i--) {
    let rest = t[i];
    for (let j = i + 1; j < kept.length; j++) rest -= turn[i * F + kept[j]] * theta[kept[j]];
    theta[kept[i]] = rest / turn[i * F + kept[i]];
  }
  return theta;
}
