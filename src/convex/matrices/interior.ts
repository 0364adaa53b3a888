/**
 * Semidefinite programs over quadratic forms, by Mehrotra's predictor and corrector in the direction of Helmberg, Rendl, Vanderbei
 * and Wolkowicz (1996), Kojima, Shindoh and Hara (1997) and Monteiro (1997).
 *
 *   min over W_s PSD and c   L(sum_s s <M_k, W_s> + c) + sum_s <diag(charge), W_s> + ridge c^2,   <diag(g_j), W_s> = 0
 *
 * The dual point is N, the gradient of L at outputs Z, and multipliers of the g_j: feasible while K_s = diag(charge) + s sum_k N_k M_k +
 * sum_j lambda_sj diag(g_j) is positive definite. A step solves one system of n rows, whose matrix the forms' rank makes cheap, and a
 * dozen steps are enough whatever the data. What comes out is a start: prices of units say what it proves.
 */

import type { Kernels } from "../kernels/types.js";
import { choleskyInPlace, choleskySolve } from "../linear/cholesky.js";
import { power } from "../linear/elementary.js";
import { dot, dotAt, norm } from "../linear/vectors.js";
import { biasAlone, dualPointAt } from "../operators/dualPoint.js";
import type { Loss, OutputBias } from "../types.js";
import { addGram, diagonalTerms, FormGrams } from "./formGrams.js";
import type { SignForms } from "./signForms.js";

const MOST_STEPS = 60;
/** Above this a step's factorisation takes longer than descents. */
const MOST_ROWS = 600;
/** Sides of the matrices up to which inverses and products of them stay cheap. */
const MOST_SIDE = 200;
/** Of the way to the boundary: how far a step goes. */
const SHARE = 0.97;
const SHORTER = 0.9;
const SHORTEST = 1e-4;
/** Of what <W, K> was a step before: above it that step led nowhere; then of what it is now: what is aimed at. */
const STUCK = 0.9;
const CENTRED = 0.5;
/** How far outputs go along a gradient in search of a start, in units of 1 / curvature. */
const FAR = 1e6;

export interface InteriorProblem {
  readonly forms: SignForms;
  readonly loss: Loss; // of one output, smooth
  readonly outputBias: OutputBias | null;
  readonly signs: readonly (1 | -1)[];
  readonly charge: Float64Array; // [D], above 0
  readonly diagonals: Float64Array; // g [q x D]
}

export interface InteriorPoint {
  readonly matrices: readonly Float64Array[]; // W_s [D x D]
  readonly multipliers: readonly Float64Array[]; // of the g_j, [q] for each
  readonly bias: number;
  readonly N: Float64Array; // [n]
  readonly steps: number;
  readonly primal: number;
  /** Between the values of both points, relative to the primal one's. */
  readonly gap: number;
}

/** One matrix variable, and its partner. */
interface Cone {
  readonly sign: 1 | -1;
  W: Float64Array;
  K: Float64Array;
  inverse: Float64Array; // of K
  multipliers: Float64Array; // [q]
}

/** What a step changes. */
interface Direction {
  readonly dZ: Float64Array;
  readonly bias: number;
  readonly cones: readonly {
    readonly dW: Float64Array;
    readonly dK: Float64Array;
    readonly multipliers: Float64Array;
  }[];
}

/** Losses whose Hessian is a diagonal, on as many rows and with matrices of such a side D as factorisations are cheap for. */
export function interiorTakes({ curvature, separable, rows, beside, hessianTimes }: Loss, D: number): boolean {
  if (rows > MOST_ROWS || D > MOST_SIDE) return false;
  return Number.isFinite(curvature) && separable && beside === undefined && hessianTimes === undefined;
}

/** Lets the host breathe; true when time is up or someone asked to stop. */
type Pause = () => Promise<boolean>;

/** Null where no start is found, in time; else the last point, whatever ended it. */
export async function solveInterior(
  problem: InteriorProblem,
  kernels: Kernels,
  tolerance: number,
  pause: Pause,
): Promise<InteriorPoint | null> {
  const point = await Interior.start(problem, kernels, pause);
  if (point === null) return null;
  let steps = 0;
  let gap = point.gap();
  while (!(gap <= tolerance) && steps < MOST_STEPS && !(await pause())) {
    if (!(await point.step())) break;
    steps += 1;
    gap = point.gap();
  }
  return { ...point.found(), steps, gap };
}

class Interior {
  private readonly N: Float64Array;
  private readonly room: readonly [Float64Array, Float64Array]; // [n x n]
  private primal = Number.NaN;
  private before = Number.POSITIVE_INFINITY; // mu, a step before
  private readonly roots: Float64Array; // of the Hessian's diagonal

  private constructor(
    private readonly problem: InteriorProblem,
    private readonly kernels: Kernels,
    private readonly grams: FormGrams,
    private Z: Float64Array,
    private bias: number,
    private readonly cones: readonly Cone[],
    private readonly pause: Pause,
  ) {
    this.N = new Float64Array(Z.length);
    this.roots = new Float64Array(Z.length);
    this.room = [new Float64Array(Z.length ** 2), new Float64Array(Z.length ** 2)];
    problem.loss.gradient(Z, this.N);
  }

  /** Outputs whose gradient is well inside, and W = mu K^-1. */
  static async start(problem: InteriorProblem, kernels: Kernels, pause: Pause): Promise<Interior | null> {
    const { forms, loss, signs, diagonals } = problem;
    const D = forms.size;
    const n = loss.rows;
    const grams = new FormGrams(forms, kernels);
    if (!problem.charge.every((value) => value > 0)) return null;
    const [bias] = biasAlone(problem);
    const Z0 = new Float64Array(n).fill(bias);
    const N0 = dualPointAt(problem, Z0);
    const far = FAR / loss.curvature;
    const zeros = () => new Float64Array(diagonals.length / D);
    const steepness = new Float64Array(n);
    for (let share = 1; share > Number.EPSILON && !(await pause()); share /= 2) {
      const Z = new Float64Array(n);
      loss.prox(
        N0.map((value) => far * share * value),
        far,
        Z,
        steepness,
        null,
      );
      const N = new Float64Array(n);
      loss.gradient(Z, N);
      const twice = N.map((value) => 2 * value);
      const Q = grams.matrix(twice);
      if (!signs.every((sign) => choleskyInPlace(partner(problem, Q, sign, zeros()), D))) continue;
      const cones: Cone[] = [];
      for (const sign of signs) {
        const K = partner(problem, grams.matrix(N), sign, zeros());
        if (await pause()) return null;
        const inverse = inverseOf(K, D);
        if (inverse === null) return null;
        cones.push({ sign, K, inverse, W: inverse, multipliers: zeros() });
      }
      const spread = cones.reduce((sum, { W }) => sum + norm(grams.outputs(W)), 0);
      const size = Math.min(loss.value(Z0) / (signs.length * D), norm(N0) / loss.curvature / spread);
      for (const cone of cones) cone.W = cone.inverse.map((value) => size * value);
      return new Interior(problem, kernels, grams, Z, bias, cones, pause);
    }
    return null;
  }

  mu(): number {
    const D = this.problem.forms.size;
    return this.cones.reduce((sum, { W, K }) => sum + dot(W, K), 0) / (D * this.cones.length);
  }

  /** The gap between the points, and what equations they miss, relative to the primal value. */
  gap(): number {
    const { loss, outputBias, charge, forms } = this.problem;
    const Z = this.outputs();
    let primal = loss.value(Z) + (outputBias?.ridge ?? 0) * this.bias ** 2;
    const D = forms.size;
    for (const { W } of this.cones) for (let i = 0; i < D; i++) primal += charge[i] * W[i * D + i];
    let dual = loss.value(this.Z) - dot(this.N, this.Z);
    const total = this.N.reduce((sum, value) => sum + value, 0);
    if (outputBias !== null)
      dual -= outputBias.ridge > 0 ? total ** 2 / (4 * outputBias.ridge) : Math.abs(total * this.bias);
    this.primal = primal;
    return Math.max(Math.abs(primal - dual), this.mu() * D * this.cones.length) / Math.abs(primal);
  }

  found() {
    const multipliers = this.cones.map(({ multipliers }) => multipliers);
    return { matrices: this.cones.map(({ W }) => W), multipliers, primal: this.primal, bias: this.bias, N: this.N };
  }

  /** Predictor and corrector; false where no step is left, or no time for it. The point stays whole. */
  async step(): Promise<boolean> {
    const { loss, forms } = this.problem;
    const D = forms.size;
    loss.hessianDiagonal(this.Z, this.roots);
    for (let k = 0; k < this.roots.length; k++) this.roots[k] = Math.sqrt(Math.max(0, this.roots[k]));
    const system = NewtonSystem.of(this.problem, this.grams, this.cones, this.roots, this.room);
    if (system === null || (await this.pause())) return false;
    const mu = this.mu();
    const predicted = this.direction(system, 0, null);
    if (await this.pause()) return false;
    const reach = await this.reach(predicted);
    if (reach === null) return false;
    const after =
      predicted.cones.reduce((sum, { dW, dK }, s) => {
        const { W, K } = this.cones[s];
        return sum + dotMoved(W, dW, K, dK, reach);
      }, 0) /
      (D * this.cones.length);
    // Where the step before led nowhere the point is near the boundary: it is centred first, without the second order of a long step.
    const stuck = mu > STUCK * this.before;
    this.before = mu;
    const centring = Math.min(1, Math.max(stuck ? CENTRED : 1e-6, power(after / mu, 3)));
    const corrected = this.direction(system, centring * mu, stuck ? null : predicted);
    if (await this.pause()) return false;
    const length = await this.reach(corrected);
    return length !== null && (await this.move(corrected, length));
  }

  /** sum_s s <M_k, W_s> + c. */
  private outputs(matrices = this.cones.map(({ W }) => W)): Float64Array {
    const Z = new Float64Array(this.Z.length).fill(this.bias);
    matrices.forEach((W, s) => {
      const f = this.grams.outputs(W);
      for (let k = 0; k < Z.length; k++) Z[k] += this.cones[s].sign * f[k];
    });
    return Z;
  }

  private direction(system: NewtonSystem, centre: number, predicted: Direction | null): Direction {
    const { forms, diagonals, outputBias } = this.problem;
    const D = forms.size;
    const q = diagonals.length / D;
    const targets = this.cones.map(({ inverse }, s) => {
      const T = inverse.map((value) => centre * value);
      if (predicted !== null) {
        const { dW, dK } = predicted.cones[s];
        this.subtractProduct(dW, dK, inverse, T);
      }
      return T;
    });
    const rows = this.outputs(targets);
    for (let k = 0; k < rows.length; k++) rows[k] -= this.Z[k];
    const ends = targets.map((T) =>
      Float64Array.from({ length: q }, (_, j) => {
        let sum = 0;
        for (let i = 0; i < D; i++) sum += diagonals[j * D + i] * T[i * D + i];
        return sum;
      }),
    );
    const total = this.N.reduce((sum, value) => sum + value, 0);
    const ridge = outputBias?.ridge ?? 0;
    const { dZ, dN, bias, multipliers } = system.solve(rows, ends, -total - 2 * ridge * this.bias);
    const Q = this.grams.matrix(dN);
    const cones = this.cones.map(({ sign, W, inverse }, s) => {
      const dK = signed(Q, sign);
      for (let j = 0; j < q; j++) {
        for (let i = 0; i < D; i++) dK[i * D + i] += multipliers[s][j] * diagonals[j * D + i];
      }
      const dW = targets[s];
      for (let i = 0; i < dW.length; i++) dW[i] -= W[i];
      this.subtractProduct(W, dK, inverse, dW);
      return { dW, dK, multipliers: multipliers[s] };
    });
    return { dZ, bias, cones };
  }

  /** out -= (A B C + C B A) / 2, all [D x D] and symmetric. */
  private subtractProduct(A: Float64Array, B: Float64Array, C: Float64Array, out: Float64Array): void {
    const D = this.problem.forms.size;
    const [AB, ABC] = [new Float64Array(D * D), new Float64Array(D * D)];
    this.kernels.multiply(A, B, AB, D, D, D);
    this.kernels.multiply(AB, C, ABC, D, D, D);
    for (let i = 0; i < D; i++) for (let j = 0; j < D; j++) out[i * D + j] -= (ABC[i * D + j] + ABC[j * D + i]) / 2;
  }

  /** How far both points may go and stay inside, at most 1; null when time is up. */
  private async reach({ cones }: Direction): Promise<number | null> {
    const D = this.problem.forms.size;
    let length = 1;
    for (const [s, { W, K }] of this.cones.entries()) {
      for (const [at, along] of [
        [W, cones[s].dW],
        [K, cones[s].dK],
      ]) {
        while (length > SHORTEST && !inside(at, along, length / SHARE, D)) {
          length *= SHORTER;
          if (await this.pause()) return null;
        }
        if (await this.pause()) return null;
      }
    }
    return length;
  }

  /** Goes along a direction, less far where the gradient's bend leads out. */
  private async move({ dZ, bias, cones }: Direction, reach: number): Promise<boolean> {
    const { loss, forms, outputBias } = this.problem;
    const D = forms.size;
    const N = new Float64Array(dZ.length);
    for (let length = reach; length > SHORTEST; length *= SHORTER) {
      const Z = this.Z.map((value, k) => value + length * dZ[k]);
      loss.gradient(Z, N);
      const Q = this.grams.matrix(N);
      const moved: Pick<Cone, "K" | "inverse" | "multipliers">[] = [];
      for (const [s, { sign, multipliers }] of this.cones.entries()) {
        const next = multipliers.map((value, j) => value + length * cones[s].multipliers[j]);
        const K = partner(this.problem, Q, sign, next);
        const inverse = inverseOf(K, D);
        if (await this.pause()) return false;
        if (inverse === null) break;
        moved.push({ K, inverse, multipliers: next });
      }
      if (moved.length < this.cones.length) continue;
      moved.forEach((next, s) => {
        const cone = this.cones[s];
        const W = cone.W.map((value, i) => value + length * cones[s].dW[i]);
        Object.assign(cone, { ...next, W });
      });
      this.Z = Z;
      this.N.set(N);
      if (outputBias !== null) this.bias += length * bias;
      return true;
    }
    return false;
  }
}

/** (I + R H R) y = R r with R the roots of L'' and H the forms' Gram matrix less what the multipliers take up. */
class NewtonSystem {
  private constructor(
    private readonly factor: Float64Array, // [n x n]
    private readonly H: Float64Array, // [n x n], whole
    private readonly roots: Float64Array,
    private readonly parts: readonly Part[],
    private readonly outputBias: OutputBias | null,
  ) {}

  static of(
    { forms, diagonals, outputBias }: InteriorProblem,
    grams: FormGrams,
    cones: readonly Cone[],
    roots: Float64Array,
    [H, factor]: readonly [Float64Array, Float64Array], // room [n x n]
  ): NewtonSystem | null {
    const n = forms.X.rows;
    const D = forms.size;
    const q = diagonals.length / D;
    H.fill(0);
    const parts: Part[] = [];
    for (const { sign, W, inverse } of cones) {
      const [seen, other] = [grams.see(W, 0), grams.see(inverse, 1)];
      addGram(forms, seen, other, H);
      const B = q > 0 ? diagonalTerms(forms, seen, other, diagonals) : new Float64Array(0);
      const G = weighted(W, inverse, diagonals, D);
      if (!choleskyInPlace(G, q)) return null;
      for (let k = 0; k < B.length; k++) B[k] *= sign;
      const half = B.slice(); // B G^-T/2
      for (let k = 0; k < n; k++) forwardSolve(G, q, half, k * q);
      if (q > 0) {
        for (let k = 0; k < n; k++) {
          for (let l = 0; l <= k; l++) {
            let sum = 0;
            for (let j = 0; j < q; j++) sum += half[k * q + j] * half[l * q + j];
            H[k * n + l] -= sum;
          }
        }
      }
      parts.push({ B, G, q });
    }
    for (let k = 0; k < n; k++) {
      for (let l = 0; l <= k; l++) {
        factor[k * n + l] = roots[k] * roots[l] * H[k * n + l];
        H[l * n + k] = H[k * n + l];
      }
      factor[k * n + k] += 1;
    }
    return choleskyInPlace(factor, n) ? new NewtonSystem(factor, H, roots, parts, outputBias) : null;
  }

  /** `rows` [n], `ends` [q] a cone, and what the bias' own equation lacks. */
  solve(rows: Float64Array, ends: readonly Float64Array[], rest: number) {
    const r = rows.slice();
    this.parts.forEach(({ B, G, q }, s) => {
      const t = ends[s].slice();
      choleskySolve(G, q, t);
      for (let k = 0; k < r.length; k++) for (let j = 0; j < q; j++) r[k] -= B[k * q + j] * t[j];
    });
    let bias = 0;
    let dN = this.gradientChange(r);
    if (this.outputBias !== null) {
      const ones = this.gradientChange(new Float64Array(r.length).fill(1));
      const sum = (v: Float64Array) => v.reduce((total, value) => total + value, 0);
      bias = (rest - sum(dN)) / (sum(ones) + 2 * this.outputBias.ridge);
      dN = dN.map((value, k) => value + bias * ones[k]);
      for (let k = 0; k < r.length; k++) r[k] += bias;
    }
    const n = r.length;
    const dZ = r.map((value, k) => value - dotAt(this.H, k * n, dN, 0, n));
    const multipliers = this.parts.map(({ B, G, q }, s) => {
      const t = ends[s].slice();
      for (let k = 0; k < n; k++) for (let j = 0; j < q; j++) t[j] -= B[k * q + j] * dN[k];
      choleskySolve(G, q, t);
      return t;
    });
    return { dZ, dN, bias, multipliers };
  }

  /** dN of dZ + H dN = r, dN = R^2 dZ. */
  private gradientChange(r: Float64Array): Float64Array {
    const y = r.map((value, k) => this.roots[k] * value);
    choleskySolve(this.factor, r.length, y);
    return y.map((value, k) => this.roots[k] * value);
  }
}

/** What the multipliers of one cone do: <M_k, W diag(g_j) K^-1>, and the factor of their own matrix. */
interface Part {
  readonly B: Float64Array; // [n x q]
  readonly G: Float64Array; // [q x q]
  readonly q: number;
}

/** K = diag(charge) + sign sum_k N_k M_k + sum_j multipliers_j diag(g_j). */
function partner(
  { forms, charge, diagonals }: InteriorProblem,
  Q: Float64Array, // sum_k N_k M_k
  sign: 1 | -1,
  multipliers: Float64Array,
): Float64Array {
  const D = forms.size;
  const K = signed(Q, sign);
  for (let i = 0; i < D; i++) {
    K[i * D + i] += charge[i];
    for (let j = 0; j < multipliers.length; j++) K[i * D + i] += multipliers[j] * diagonals[j * D + i];
  }
  return K;
}

function signed(Q: Float64Array, sign: 1 | -1): Float64Array {
  const out = Q.slice();
  if (sign < 0) for (let i = 0; i < out.length; i++) out[i] = -out[i];
  return out;
}

/** g_i' (W o V) g_j [q x q], o entry by entry. */
function weighted(W: Float64Array, V: Float64Array, G: Float64Array, D: number): Float64Array {
  const q = G.length / D;
  const out = new Float64Array(q * q);
  const along = new Float64Array(D);
  for (let j = 0; j < q; j++) {
    for (let a = 0; a < D; a++) {
      let sum = 0;
      for (let b = 0; b < D; b++) sum += W[a * D + b] * V[a * D + b] * G[j * D + b];
      along[a] = sum;
    }
    for (let i = 0; i < q; i++) {
      let sum = 0;
      for (let a = 0; a < D; a++) sum += G[i * D + a] * along[a];
      out[i * q + j] = sum;
    }
  }
  return out;
}

function inside(at: Float64Array, along: Float64Array, length: number, D: number): boolean {
  const M = at.slice();
  for (let i = 0; i < M.length; i++) M[i] += length * along[i];
  return choleskyInPlace(M, D);
}

/** <W + t dW, K + t dK>. */
function dotMoved(W: Float64Array, dW: Float64Array, K: Float64Array, dK: Float64Array, t: number): number {
  let sum = 0;
  for (let i = 0; i < W.length; i++) sum += (W[i] + t * dW[i]) * (K[i] + t * dK[i]);
  return sum;
}

/** The inverse of a positive definite matrix, or null. */
function inverseOf(K: Float64Array, D: number): Float64Array | null {
  const L = K.slice();
  if (!choleskyInPlace(L, D)) return null;
  const inverse = new Float64Array(D * D);
  const column = new Float64Array(D);
  for (let j = 0; j < D; j++) {
    column.fill(0);
    column[j] = 1;
    choleskySolve(L, D, column);
    inverse.set(column, j * D);
  }
  return inverse;
}

/** In place at `from`: L t = t. */
function forwardSolve(L: Float64Array, q: number, t: Float64Array, from: number): void {
  for (let i = 0; i < q; i++) {
    let sum = t[from + i];
    for (let j = 0; j < i; j++) sum -= L[i * q + j] * t[from + j];
    t[from + i] = sum / L[i * q + i];
  }
}
