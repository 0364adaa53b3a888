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
import { dot } from "../../linear/vectors.js";
import { type Cone, type InteriorProblem, inverseOf, type Pause, partner } from "./cones.js";
import type { FormGrams } from "./formGrams.js";
import { splitForm } from "./matrices.js";
import type { InteriorStart } from "./start.js";

const MOST_STEPS = 30;
/** Of the Hessian's diagonal, all entries of which are brought to one: what stands for features that others make. */
const RIDGE = 1e-12;
/** Halves of a step. */
const HALVES = 20;

/** Null for units that are no polynomials, where forms fit any outputs, and where the loss has no minimum or time is up. */
export async function startFitted(
  problem: InteriorProblem,
  grams: FormGrams,
  kernels: Kernels,
  pause: Pause,
): Promise<InteriorStart | null> {
  const { forms, loss, signs, diagonals } = problem;
  const D = forms.size;
  const features = featuresOf(problem);
  if (signs.length < 2 || features === null) return null;
  const fitted = await leastLoss(problem, features, pause);
  if (fitted === null) return null;
  const { theta, bias } = formOf(fitted, features, D);
  const eigen = await inTurns(eigenInPieces(theta, D), pause);
  if (eigen === null) return null;
  const Z = grams.outputs(theta).map((value) => value + bias);
  const N = new Float64Array(Z.length);
  loss.gradient(Z, N);
  const Q = grams.matrix(N);
  const twice = Q.map((value) => 2 * value);
  const size = eigen.values.reduce((sum, value) => sum + Math.abs(value), 0) / D;
  const cones: Cone[] = [];
  for (const sign of signs) {
    const multipliers = new Float64Array(diagonals.length / D);
    if (!choleskyInPlace(partner(problem, twice, sign, multipliers), D)) return null;
    const K = partner(problem, Q, sign, multipliers);
    const inverse = inverseOf(K, D, kernels);
    if (inverse === null || !(size > 0) || (await pause())) return null;
    const [W] = splitForm(eigen, [sign], size, D);
    cones.push({ sign, K, inverse, W, multipliers });
  }
  return { Z, bias, cones };
}

/** What outputs are linear in [n x p], columns of length one: entries i, j of a form, i >= j, but the corner, and the bias behind. */
interface Features {
  readonly data: Float64Array;
  readonly count: number;
  readonly lengths: Float64Array;
  readonly biased: boolean;
}

/** The corner is the trace of the rest: of a unit |u|^2. */
function featuresOf({ forms, outputBias }: InteriorProblem): Features | null {
  const { kind, X, scale } = forms;
  const { rows: n, cols: d, data: x } = X;
  const biased = outputBias !== null;
  const count = (d * (d + 1)) / 2 + d + Number(biased);
  if (kind === "bilinear" || count >= n) return null;
  const data = new Float64Array(n * count);
  for (let k = 0; k < n; k++) {
    let to = k * count;
    for (let i = 0; i < d; i++) {
      for (let j = 0; j < i; j++) data[to++] = 2 * scale * kind.a * x[k * d + i] * x[k * d + j];
      data[to++] = scale * (kind.a * x[k * d + i] ** 2 + kind.c);
    }
    for (let i = 0; i < d; i++) data[to++] = scale * kind.b * x[k * d + i];
    if (biased) data[to] = 1;
  }
  const lengths = new Float64Array(count);
  for (let k = 0; k < data.length; k++) lengths[k % count] += data[k] ** 2;
  for (let p = 0; p < count; p++) lengths[p] = Math.sqrt(lengths[p]) || 1;
  for (let k = 0; k < data.length; k++) data[k] /= lengths[k % count];
  return { data, count, lengths, biased };
}

/** Newton steps to the least loss, of features [p]; null where there is none. */
async function leastLoss(
  { loss, outputBias }: InteriorProblem,
  { data, count: p, lengths, biased }: Features,
  pause: Pause,
): Promise<Float64Array | null> {
  const n = loss.rows;
  const ridge = biased ? (outputBias?.ridge ?? 0) / lengths[p - 1] ** 2 : 0;
  const outputsAt = (at: Float64Array) =>
    Float64Array.from({ length: n }, (_, k) => dot(data.subarray(k * p, (k + 1) * p), at));
  const valueAt = (at: Float64Array, Z: Float64Array) => loss.value(Z) + ridge * at[p - 1] ** 2;
  let at: Float64Array = new Float64Array(p);
  let Z = outputsAt(at);
  let value = valueAt(at, Z);
  const [N, curvatures] = [new Float64Array(n), new Float64Array(n)];
  for (let step = 0; step < MOST_STEPS; step++) {
    if (await pause()) return null;
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
    const along = slope.map((entry) => -entry);
    choleskySolve(H, p, along);
    let length = 1;
    let next = at;
    for (let half = 0; half < HALVES; half++, length /= 2) {
      next = at.map((entry, i) => entry + length * along[i]);
      Z = outputsAt(next);
      if (valueAt(next, Z) <= value) break;
    }
    const lower = valueAt(next, Z);
    if (!(lower <= value)) return at; // rounding is reached
    const ended = value - lower <= Number.EPSILON * value;
    [at, value] = [next, lower];
    if (ended) return at;
  }
  return null;
}

/** The form [D x D], its corner the trace of the rest, and the bias. */
function formOf(at: Float64Array, { lengths, biased, count }: Features, D: number) {
  const theta = new Float64Array(D * D);
  const entry = (p: number) => at[p] / lengths[p];
  let from = 0;
  for (let i = 0; i < D - 1; i++) {
    for (let j = 0; j < i; j++) theta[i * D + j] = theta[j * D + i] = entry(from++);
    theta[i * D + i] = entry(from++);
    theta[D * D - 1] += theta[i * D + i];
  }
  // b x'(the last column), which a symmetric form has twice, at half of b.
  for (let i = 0; i < D - 1; i++) theta[i * D + D - 1] = theta[(D - 1) * D + i] = entry(from++);
  return { theta, bias: biased ? entry(count - 1) : 0 };
}
