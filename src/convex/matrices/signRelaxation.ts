/**
 * The semidefinite bound of networks with weights in {-1, 1} (Bartan and Pilanci, ICML 2021): p p' becomes any Q with diag Q = rho.
 *
 * min over Q, Q' PSD of constant diagonals rho, rho'   L(<M_k, Q - Q'>) + beta (rho + rho'), for each output; bilinear units need one
 * matrix. Primal points come from low-rank factors Q = rho W W' with rows of length one (Burer and Monteiro), by L-BFGS. The bound
 * does not trust them: for a dual point N and any y, <S, Q> <= rho (sum y + D max(0, lambda_max(S - Diag y))), S = +-sum N_k M_k, so
 * that N scaled by beta over that is feasible. The y are those of the mixing method (Wang, Chang and Kolter 2018).
 *
 * On few rows and under a smooth loss an interior method has both points, and the y, in a dozen steps.
 */

import { bestScale } from "../certificate/index.js";
import type { Kernels } from "../kernels/types.js";
import { choleskyInPlace } from "../linear/cholesky.js";
import { eigenSymmetric } from "../linear/eigen/index.js";
import { power } from "../linear/elementary.js";
import { descend } from "../linear/lbfgs.js";
import { gaussianSource } from "../linear/random.js";
import { norm } from "../linear/vectors.js";
import { smoothed } from "../losses/smoothed.js";
import { biasAlone } from "../operators/dualPoint.js";
import type { Loss, OutputBias } from "../types.js";
import { columnsOf } from "../units/index.js";
import { Diagonals, interiorTakes, solveInterior } from "./interior/index.js";
import { formMatrix, formOutputs, formTimes, type SignForms } from "./signForms.js";

/** Steps of a descent, and descents with prices between. */
const STEPS = 200;
const ROUNDS = 12;
/** Between point and bound: the bound is then as good as it need be. */
const CLOSE = 1e-7;
/** The gap of the interior method above which descents are asked. */
const LOOSE = 1e-3;
/** Noise on rows of length one before they are priced. */
const SHAKE = 0.1;
/** Stages of smoothing for losses with kinks: tau falls by a factor each. */
const STAGES = 5;
const FALL = 0.1;
/** Sweeps of the mixing method, and the change of its value that ends it. */
const SWEEPS = 300;
const SETTLED = 1e-9;
/** What an eigenvalue may be off by, in units of D times the largest entry of S, twice over. */
const ROUNDING = 8 * Number.EPSILON;

export interface Relaxation {
  readonly value: number; // of the point that was found: no less than the bound
  readonly bound: number; // no network with such units has less
  /** Of every output and sign: rho, and W [D x r] with rows of length one. */
  readonly factors: readonly RelaxedUnits[];
  readonly rank: number; // r
  readonly dualPoint: Float64Array; // [n x C]
}

export interface RelaxedUnits {
  readonly output: number;
  readonly sign: 1 | -1;
  readonly rho: number;
  readonly W: Float64Array;
}

interface Posed {
  readonly forms: SignForms;
  readonly loss: Loss;
  readonly outputBias: OutputBias | null;
  readonly beta: number;
}

export async function relax(
  posed: Posed,
  kernels: Kernels,
  seed: number,
  pause: () => Promise<boolean>,
  tolerance = CLOSE,
): Promise<Relaxation> {
  return (await relaxInside(posed, kernels, tolerance, pause)) ?? relaxByDescents(posed, seed, pause);
}

/** By the interior method, output by output; null where the problem is none for it. */
async function relaxInside(
  { forms, loss, outputBias, beta }: Posed,
  kernels: Kernels,
  tolerance: number,
  pause: () => Promise<boolean>,
): Promise<Relaxation | null> {
  const D = forms.size;
  const C = loss.outputs;
  if (!interiorTakes(loss, forms)) return null;
  const signs = forms.odd ? ([1] as const) : ([1, -1] as const);
  const less = new Float64Array((D - 1) * D); // entries of the diagonal, less the last
  for (let j = 0; j < D - 1; j++) {
    less[j * D + j] = 1;
    less[j * D + D - 1] = -1;
  }
  const diagonals = new Diagonals(less, D);
  const charge = new Float64Array(D).fill(beta / D);
  const factors: RelaxedUnits[] = [];
  const dualPoint = new Float64Array(loss.rows * C);
  let value = 0;
  let ceiling = 0;
  for (let output = 0; output < C; output++) {
    const own = { forms, outputBias, signs, charge, diagonals, loss: C === 1 ? loss : loss.output(output) };
    const point = await solveInterior(own, kernels, tolerance, pause);
    if (point === null || !(point.gap <= LOOSE)) return null;
    const N = Float64Array.from(point.N);
    if (outputBias !== null && outputBias.ridge === 0) own.loss.balance(N);
    for (let k = 0; k < loss.rows; k++) dualPoint[k * C + output] = N[k];
    const S = formMatrix(forms, N);
    point.matrices.forEach((Q, s) => {
      const sign = signs[s];
      factors.push({ output, sign, ...factorOf(Q, D, kernels) });
      const y = charge.slice();
      point.multipliers[s].forEach((lambda, j) => {
        y[j] += lambda;
        y[D - 1] -= lambda;
      });
      ceiling = Math.max(ceiling, ceilingOf(sign === 1 ? S.map((entry) => -entry) : S, D, y));
    });
    value += point.primal;
  }
  const bound = bestScale({ loss, outputBias }, dualPoint, beta / ceiling).value;
  return { value, bound, factors, rank: D, dualPoint };
}

/** rho and rows of length one, rho W W' = Q, which is positive definite. */
function factorOf(Q: Float64Array, D: number, kernels: Kernels): { readonly rho: number; readonly W: Float64Array } {
  const L = Q.slice();
  kernels.factor(L, D);
  let rho = 0;
  for (let i = 0; i < D; i++) {
    rho += Q[i * D + i] / D;
    L.fill(0, i * D + i + 1, (i + 1) * D);
  }
  return { rho, W: normalised(L, D).W };
}

async function relaxByDescents(posed: Posed, seed: number, pause: () => Promise<boolean>): Promise<Relaxation> {
  const { forms, loss, outputBias, beta } = posed;
  const D = forms.size;
  const C = loss.outputs;
  const groups = Array.from({ length: C }, (_, output) => output).flatMap((output) =>
    (forms.odd ? [1 as const] : [1 as const, -1 as const]).map((sign) => ({ output, sign })),
  );
  const r = Math.min(D, Math.ceil(Math.sqrt(2 * D)) + 1);
  const part = D * r + 1; // W, and the root of rho
  const draw = gaussianSource(seed);
  let theta: Float64Array = new Float64Array(groups.length * part + C);
  groups.forEach((_, g) => {
    for (let k = 0; k < D * r; k++) theta[g * part + k] = draw();
    theta[g * part + D * r] = 0.1;
  });
  theta.set(biasAlone(posed), groups.length * part);
  const rowsOf = (at: Float64Array, g: number) => normalised(at.subarray(g * part, g * part + D * r), r);
  const outputsAt = (at: Float64Array): Float64Array => {
    const Z = Float64Array.from({ length: loss.rows * C }, (_, k) => at[groups.length * part + (k % C)]);
    groups.forEach(({ output, sign }, g) => {
      const scale = sign * at[g * part + D * r] ** 2;
      const f = formOutputs(forms, rowsOf(at, g).W, r);
      for (let k = 0; k < loss.rows; k++) Z[k * C + output] += scale * f[k];
    });
    return Z;
  };
  const chargeAt = (at: Float64Array): number => {
    let charge = 0;
    groups.forEach((_, g) => {
      charge += beta * at[g * part + D * r] ** 2;
    });
    for (let o = 0; o < C; o++) charge += (outputBias?.ridge ?? 0) * at[groups.length * part + o] ** 2;
    return charge;
  };
  const objectiveOf = (smooth: Loss) => (at: Float64Array, gradient: Float64Array) => {
    const Z = outputsAt(at);
    const value = smooth.value(Z);
    const N = new Float64Array(Z.length);
    smooth.gradient(Z, N);
    groups.forEach(({ output, sign }, g) => {
      const { W, lengths } = rowsOf(at, g);
      const t = at[g * part + D * r];
      const SW = formTimes(forms, column(N, output, C), W, r);
      let total = 0;
      for (let i = 0; i < D; i++) {
        let along = 0;
        for (let q = 0; q < r; q++) along += SW[i * r + q] * W[i * r + q];
        total += along;
        for (let q = 0; q < r; q++) {
          gradient[g * part + i * r + q] =
            (2 * sign * t * t * (SW[i * r + q] - along * W[i * r + q])) / Math.max(lengths[i], Number.MIN_VALUE);
        }
      }
      gradient[g * part + D * r] = 2 * t * (sign * total + beta);
    });
    for (let o = 0; o < C; o++) {
      let sum = 0;
      if (outputBias !== null) for (let k = o; k < N.length; k += C) sum += N[k];
      gradient[groups.length * part + o] =
        sum + 2 * (outputBias?.ridge ?? 0) * at[groups.length * part + o] * (outputBias === null ? 0 : 1);
    }
    return value + chargeAt(at);
  };
  let bound = Number.NEGATIVE_INFINITY;
  let dualPoint: Float64Array = new Float64Array(loss.rows * C);
  for (const smooth of stagesOf(loss)) {
    for (let round = 0; round < ROUNDS; round++) {
      ({ x: theta } = await descend(objectiveOf(smooth), theta, STEPS, pause));
      const Z = outputsAt(theta);
      const primal = smooth.value(Z) + chargeAt(theta);
      const N = new Float64Array(Z.length);
      smooth.gradient(Z, N);
      if (outputBias !== null && outputBias.ridge === 0) loss.balance(N);
      const columns = columnsOf(N, C);
      const dearest = groups.map(({ output, sign }, g) => {
        // A unit lowers the loss where its worth has the other sign.
        const S = formMatrix(forms, columns[output]).map((entry) => -sign * entry);
        return mixed(S, D, shaken(rowsOf(theta, g).W, r, draw), r);
      });
      const ceiling = dearest.reduce((most, priced) => Math.max(most, priced.ceiling), 0);
      const { value: below } = bestScale(posed, N, beta / ceiling);
      if (below > bound) [bound, dualPoint] = [below, N];
      if ((await pause()) || primal - below <= CLOSE * Math.abs(primal)) break;
      dearest.forEach(({ W, worth }, g) => {
        if (!(worth > beta)) return;
        const f = formOutputs(forms, W, r);
        const more = (worth - beta) / (smooth.curvature * norm(f) ** 2);
        const t = theta[g * part + D * r];
        const joined = joinedFactors(rowsOf(theta, g).W, t * t, W, more, D, r);
        theta.set(joined, g * part);
        theta[g * part + D * r] = Math.sqrt(t * t + more);
      });
    }
    if (await pause()) break;
  }
  const factors = groups.map((group, g) => ({ ...group, rho: theta[g * part + D * r] ** 2, W: rowsOf(theta, g).W }));
  return { value: loss.value(outputsAt(theta)) + chargeAt(theta), bound, factors, rank: r, dualPoint };
}

/** Rows of length one a little away from given ones, so that no saddle holds what starts there. */
function shaken(W: Float64Array, r: number, draw: () => number): Float64Array {
  return normalised(
    W.map((value) => value + SHAKE * draw()),
    r,
  ).W;
}

/** A factor of rho W W' + more V V', of its r largest eigenvalues. */
function joinedFactors(
  W: Float64Array,
  rho: number,
  V: Float64Array,
  more: number,
  D: number,
  r: number,
): Float64Array {
  const Q = new Float64Array(D * D); // lower half
  for (let i = 0; i < D; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = 0;
      for (let q = 0; q < r; q++) sum += rho * W[i * r + q] * W[j * r + q] + more * V[i * r + q] * V[j * r + q];
      Q[i * D + j] = sum;
    }
  }
  const { values, vectors } = eigenSymmetric(Q, D);
  const factor = new Float64Array(D * r);
  for (let q = 0; q < r; q++) {
    const root = Math.sqrt(Math.max(0, values[D - 1 - q]));
    for (let i = 0; i < D; i++) factor[i * r + q] = root * vectors.data[(D - 1 - q) * D + i];
  }
  return factor;
}

/** The dearest rows of length one, and what no sign vector is worth more than. */
interface Mixed {
  readonly W: Float64Array;
  readonly worth: number; // <S, W W'>
  readonly ceiling: number;
}

/** The ceiling is sum y + D max(0, lambda_max(S - Diag y)), y from sweeps w_i := g_i / |g_i|, g_i = sum over j other than i of S_ij w_j. */
function mixed(S: Float64Array, D: number, W: Float64Array, r: number): Mixed {
  const y = new Float64Array(D);
  const g = new Float64Array(r);
  let before = Number.NEGATIVE_INFINITY;
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    let value = 0;
    for (let i = 0; i < D; i++) {
      g.fill(0);
      for (let j = 0; j < D; j++) {
        if (j === i) continue;
        for (let q = 0; q < r; q++) g[q] += S[i * D + j] * W[j * r + q];
      }
      const length = norm(g);
      y[i] = length + S[i * D + i];
      value += y[i];
      if (length > 0) for (let q = 0; q < r; q++) W[i * r + q] = g[q] / length;
    }
    if (Math.abs(value - before) <= SETTLED * Math.abs(value)) break;
    before = value;
  }
  const worth = y.reduce((sum, value) => sum + value, 0);
  return { W, worth, ceiling: ceilingOf(S, D, y) };
}

/**
 * sum y + D max(0, lambda_max(S - Diag y)): no Q with ones on its diagonal has more of S. Where a Cholesky factor of Diag y - S is found, so is one
 * without rounding of that plus (D + 2) times the unit roundoff times its trace (Rump 2006, theorem 2.3), and no eigenvalue is asked for.
 */
function ceilingOf(S: Float64Array, D: number, y: Float64Array): number {
  let [largest, sum, trace] = [0, 0, 0];
  const rest = S.map((value) => -value);
  for (let i = 0; i < D; i++) {
    rest[i * D + i] += y[i];
    sum += y[i];
    trace += Math.abs(rest[i * D + i]);
  }
  for (const value of rest) largest = Math.max(largest, Math.abs(value));
  const rounding = D * ROUNDING * D * largest;
  if (choleskyInPlace(rest.slice(), D)) return sum + rounding + D * (D + 2) * Number.EPSILON * trace;
  const { values } = eigenSymmetric(rest, D);
  return sum + D * Math.max(0, -values[0]) + rounding;
}

/** The loss itself, or rounded off ever less where it has kinks: at first over one unit of the outputs. */
function stagesOf(loss: Loss): Loss[] {
  if (Number.isFinite(loss.curvature)) return [loss];
  return Array.from({ length: STAGES }, (_, stage) => smoothed(loss, loss.rows * loss.outputs * power(FALL, stage)));
}

function column(N: Float64Array, c: number, C: number): Float64Array {
  return C === 1 ? N : Float64Array.from({ length: N.length / C }, (_, k) => N[k * C + c]);
}

function normalised(W: Float64Array, r: number): { W: Float64Array; lengths: Float64Array } {
  const lengths = Float64Array.from({ length: W.length / r }, (_, i) => norm(W.subarray(i * r, (i + 1) * r)));
  return { W: W.map((value, k) => value / Math.max(lengths[Math.floor(k / r)], Number.MIN_VALUE)), lengths };
}
