/**
 * Where the interior method begins if the charge is small beside the outputs: at the least loss of all quadratic forms, charge left out.
 *
 * At its gradient N sum_k N_k M_k is zero but for rounding, so that K = diag(charge) whatever the sizes of x and the charge; a start far
 * out, whose N is small instead, is as much below the optimum's as the outputs of units are above beta.
 */

import type { Kernels } from "../../kernels/types.js";
import { choleskyInPlace, choleskySolve } from "../../linear/cholesky.js";
import { eigenInPieces } from "../../linear/eigen/index.js";
import { inTurns } from "../../linear/pieces.js";
import { dotAt } from "../../linear/vectors.js";
import { type Cone, coneAt, type InteriorProblem, isWellInside, type Pause } from "./cones.js";
import { type Entries, entriesOf, featuresOf, formOf, leastLoss } from "./entries/index.js";
import type { FormGrams } from "./formGrams.js";
import { splitForm } from "./matrices.js";
import type { InteriorStart } from "./start.js";

/** Of the Hessian's diagonal, all entries of which are brought to one: what stands for features that others make. */
const RIDGE = 1e-12;

/** Null for units that are no polynomials, where forms fit any outputs, and where the loss has no minimum or time is up. */
export async function startFitted(
  problem: InteriorProblem,
  grams: FormGrams,
  kernels: Kernels,
  pause: Pause,
): Promise<InteriorStart | null> {
  const { forms, loss, signs, diagonals } = problem;
  const D = forms.size;
  const features = featuresWithBias(problem);
  if (signs.length < 2 || features === null) return null;
  const fitted = await fittedBy(problem, features, pause);
  if (fitted === null) return null;
  const { count, lengths, entries } = features;
  const scaled = fitted.map((value, p) => value / lengths[p]);
  const theta = formOf(scaled, entries, D);
  const bias = count > entries.count ? scaled[count - 1] : 0;
  const eigen = await inTurns(eigenInPieces(theta, D), pause);
  if (eigen === null) return null;
  const Z = grams.outputs(theta).map((value) => value + bias);
  const N = new Float64Array(Z.length);
  loss.gradient(Z, N);
  const Q = grams.matrix(N);
  if (!isWellInside(problem, Q, kernels)) return null;
  const size = eigen.values.reduce((sum, value) => sum + Math.abs(value), 0) / D;
  const cones: Cone[] = [];
  for (const sign of signs) {
    const cone = coneAt(problem, Q, sign, new Float64Array(diagonals.count), kernels);
    if (cone === null || !(size > 0) || (await pause())) return null;
    const [W] = splitForm(eigen, [sign], size, D);
    cones.push({ ...cone, W });
  }
  return { Z, bias, cones };
}

/** What outputs are linear in [n x p], columns of length one: entries of a form, and the bias behind where there is one. */
interface Features {
  readonly data: Float64Array;
  readonly count: number; // p
  readonly lengths: Float64Array;
  readonly entries: Entries;
}

function featuresWithBias({ forms, outputBias }: InteriorProblem): Features | null {
  if (forms.kind === "bilinear") return null;
  const n = forms.X.rows;
  const entries = entriesOf(forms);
  const count = entries.count + Number(outputBias !== null);
  if (count >= n) return null;
  const Phi = featuresOf(forms, entries, 0, n);
  const data = new Float64Array(n * count).fill(1);
  const lengths = new Float64Array(count);
  for (let k = 0; k < n; k++) data.set(Phi.subarray(k * entries.count, (k + 1) * entries.count), k * count);
  for (let k = 0; k < data.length; k++) lengths[k % count] += data[k] ** 2;
  for (let p = 0; p < count; p++) lengths[p] = Math.sqrt(lengths[p]) || 1;
  for (let k = 0; k < data.length; k++) data[k] /= lengths[k % count];
  return { data, count, lengths, entries };
}

/** Where the loss of features [p] is least; null where there is no such place. */
function fittedBy(
  { loss, outputBias }: InteriorProblem,
  { data, count: p, lengths }: Features,
  pause: Pause,
): Promise<Float64Array | null> {
  const n = loss.rows;
  const ridge = (outputBias?.ridge ?? 0) / lengths[p - 1] ** 2;
  const outputsAt = (at: Float64Array) => Float64Array.from({ length: n }, (_, k) => dotAt(data, k * p, at, 0, p));
  const [N, curvatures] = [new Float64Array(n), new Float64Array(n)];
  const direction = async (at: Float64Array) => {
    const Z = outputsAt(at);
    loss.gradient(Z, N);
    loss.hessianDiagonal(Z, curvatures);
    const slope = new Float64Array(p);
    const H = new Float64Array(p * p);
    for (let k = 0; k < n; k++) {
      const row = data.subarray(k * p, (k + 1) * p);
      for (let i = 0; i < p; i++) {
        slope[i] += N[k] * row[i];
        const weight = curvatures[k] * row[i];
        for (let j = 0; j <= i; j++) H[i * p + j] += weight * row[j];
      }
    }
    slope[p - 1] += 2 * ridge * at[p - 1];
    H[p * p - 1] += 2 * ridge;
    let most = 0;
    for (let i = 0; i < p; i++) most = Math.max(most, H[i * p + i]);
    for (let i = 0; i < p; i++) H[i * p + i] += RIDGE * most;
    if ((await pause()) || !(most > 0) || !choleskyInPlace(H, p)) return null;
    choleskySolve(H, p, slope);
    return slope;
  };
  const value = (at: Float64Array) => loss.value(outputsAt(at)) + ridge * at[p - 1] ** 2;
  return leastLoss(p, { value, newton: direction }, pause);
}
