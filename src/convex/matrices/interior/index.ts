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

import type { Kernels } from "../../kernels/types.js";
import { power } from "../../linear/elementary.js";
import { dot } from "../../linear/vectors.js";
import type { Loss } from "../../types.js";
import type { SignForms } from "../signForms.js";
import {
  type Cone,
  dotMoved,
  type Grams,
  type InteriorLoss,
  type InteriorProblem,
  inside,
  inverseOf,
  type Pause,
  partner,
  signed,
} from "./cones.js";
import { entriesTake, entryProgram, startInEntries } from "./entries.js";
import { startFitted } from "./fit.js";
import { FormGrams } from "./formGrams.js";
import { NewtonSystem } from "./newtonSystem.js";
import { type Continued, continuedFrom, startInside } from "./start.js";

export type { InteriorProblem } from "./cones.js";

const MOST_STEPS = 60;
/** Above this a step's factorisation takes longer than descents. */
const MOST_ROWS = 600;
/** Sides of the matrices up to which inverses and products of them stay cheap. */
const MOST_SIDE = 200;
/** Of the way to the boundary: how far a step goes; and, where that led to the boundary and not to the optimum, from the start again. */
const SHARES = [0.985, 0.7];
/** Of entries: the same, and what their start has in all directions; more where the first led to the boundary. */
const ENTRY_STARTS = [
  [0.985, 0.1],
  [0.985, 1],
  [0.9, 10],
] as const;
/** The gap at which rounding may have ended it. */
const NEAR = 1e-3;
const SHORTER = 0.9;
/** Halvings of what is left between the last two. */
const FINER = 3;
const SHORTEST = 1e-4;
/** Of what <W, K> was a step before: above it that step led nowhere; then of what it is now: what is aimed at. */
const STUCK = 0.9;
const CENTRED = 0.5;

export interface InteriorPoint extends Continued {
  readonly outputs: Float64Array; // [n], of the matrices; Z is where N is the gradient
  readonly steps: number;
  readonly primal: number;
  /** Between the values of both points, relative to the primal one's. */
  readonly gap: number;
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

/** Losses whose Hessian is a diagonal, on as many rows, or with as few entries, and with matrices of such a side as factorisations are cheap for. */
export function interiorTakes(loss: Loss, forms: SignForms): boolean {
  const { curvature, separable, rows, beside, hessianTimes } = loss;
  if (forms.size > MOST_SIDE) return false;
  if (rows > MOST_ROWS) return entriesTake(loss, forms);
  return Number.isFinite(curvature) && separable && beside === undefined && hessianTimes === undefined;
}

/**
 * Null where no start is found, in time; else the last point, whatever ended it. `from` is a point of the same program with the same loss
 * rounded off more.
 */
export async function solveInterior(
  problem: InteriorProblem,
  kernels: Kernels,
  tolerance: number,
  pause: Pause,
  from: InteriorPoint | null = null,
): Promise<InteriorPoint | null> {
  let best: InteriorPoint | null = null;
  let over = false;
  const asked = async () => {
    over ||= await pause();
    return over;
  };
  if (from === null && entriesTake(problem.loss, problem.forms)) {
    best = await solveInEntries(problem, kernels, tolerance, asked);
    if (over || (best !== null && best.gap <= NEAR) || problem.loss.rows > MOST_ROWS) return best;
  }
  const grams = new FormGrams(problem.forms, kernels);
  const inside = (blank: boolean) => async () =>
    from === null
      ? await startInside(problem, grams, kernels, asked, blank)
      : continuedFrom(problem, grams, kernels, from);
  // At another start last, which takes charges that are small beside the outputs.
  for (const [share, start] of [
    [SHARES[0], inside(false)],
    [SHARES[1], inside(true)],
    [SHARES[0], () => startFitted(problem, grams, kernels, asked)],
  ] as const) {
    const began = await start();
    if (over && began === null) break;
    if (began === null) continue;
    const point = new Interior(problem, kernels, grams, began.Z, began.bias, began.cones, share, asked);
    const { steps, gap } = await follow(point, tolerance, asked);
    if (best === null || gap < best.gap) best = { ...point.found(), steps, gap };
    if (best.gap <= NEAR || over) break;
  }
  return best;
}

/** Steps until the gap is closed, or no step is left. */
async function follow(point: Interior, tolerance: number, asked: Pause): Promise<{ steps: number; gap: number }> {
  let steps = 0;
  let gap = point.gap();
  while (!(gap <= tolerance) && steps < MOST_STEPS && !(await asked())) {
    if (!(await point.step())) break;
    steps += 1;
    gap = point.gap();
  }
  return { steps, gap };
}

/** The same where entries are fewer than rows. */
async function solveInEntries(
  problem: InteriorProblem,
  kernels: Kernels,
  tolerance: number,
  asked: Pause,
): Promise<InteriorPoint | null> {
  const { loss } = problem;
  const program = await entryProgram(problem, kernels, asked);
  if (program === null) return null;
  let best: InteriorPoint | null = null;
  for (const [share, more] of ENTRY_STARTS) {
    const began = await startInEntries(problem, program, kernels, asked, more);
    if (began === null) break;
    const posed = { ...problem, loss: program.loss, outputBias: null };
    const point = new Interior(posed, kernels, program.grams, began.Z, 0, began.cones, share, asked);
    const { steps, gap } = await follow(point, tolerance, asked);
    if (best === null || gap < best.gap) {
      const found = point.found();
      const { grams } = program;
      const { Z: outputs, bias } = program.outputsAt(grams.entriesOf(point.form()));
      const { Z } = program.outputsAt(grams.entriesOf(grams.form(found.Z)));
      const N = new Float64Array(loss.rows);
      loss.gradient(Z, N);
      best = { ...found, outputs, bias, Z, N, curvature: loss.curvature, steps, gap };
    }
    if (best.gap <= tolerance || (await asked())) break;
  }
  return best;
}

class Interior {
  private readonly N: Float64Array;
  private readonly room: readonly [Float64Array, Float64Array]; // [n x n]
  private readonly trial: Float64Array; // [D x D]
  private readonly products: readonly [Float64Array, Float64Array]; // [D x D]
  private primal = Number.NaN;
  private ownOutputs: Float64Array = new Float64Array(0);
  private before = Number.POSITIVE_INFINITY; // mu, a step before
  private readonly roots: Float64Array; // of the Hessian's diagonal

  constructor(
    private readonly problem: Omit<InteriorProblem, "loss"> & { readonly loss: InteriorLoss },
    private readonly kernels: Kernels,
    private readonly grams: Grams,
    private Z: Float64Array,
    private bias: number,
    private readonly cones: readonly Cone[],
    private readonly share: number,
    private readonly pause: Pause,
  ) {
    this.N = new Float64Array(Z.length);
    this.roots = new Float64Array(Z.length);
    this.room = [new Float64Array(Z.length ** 2), new Float64Array(Z.length ** 2)];
    const D = problem.forms.size;
    this.trial = new Float64Array(D * D);
    this.products = [new Float64Array(D * D), new Float64Array(D * D)];
    problem.loss.gradient(Z, this.N);
  }

  mu(): number {
    const D = this.problem.forms.size;
    return this.cones.reduce((sum, { W, K }) => sum + dot(W, K), 0) / (D * this.cones.length);
  }

  /** The gap between the points, and what equations they miss, relative to the primal value. */
  gap(): number {
    const { loss, outputBias, charge, forms } = this.problem;
    const Z = this.outputs();
    this.ownOutputs = Z;
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
    return {
      matrices: this.cones.map(({ W }) => W),
      multipliers,
      primal: this.primal,
      outputs: this.ownOutputs,
      bias: this.bias,
      Z: this.Z,
      N: this.N,
      curvature: this.problem.loss.curvature,
    };
  }

  /** Predictor and corrector; false where no step is left, or no time for it. The point stays whole. */
  async step(): Promise<boolean> {
    const { loss, forms } = this.problem;
    const D = forms.size;
    loss.hessianDiagonal(this.Z, this.roots);
    for (let k = 0; k < this.roots.length; k++) this.roots[k] = Math.sqrt(Math.max(0, this.roots[k]));
    const inverse = loss.inverseHessian?.(this.Z);
    if (inverse === null) return false;
    const system = NewtonSystem.of(this.problem, this.grams, this.kernels, this.cones, this.roots, inverse, this.room);
    if (system === null || (await this.pause())) return false;
    const mu = this.mu();
    const predicted = this.direction(system, 0, null);
    if (await this.pause()) return false;
    const reach = await this.reach(predicted, 0);
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
    const length = await this.reach(corrected, FINER);
    return length !== null && (await this.move(corrected, length));
  }

  /** sum_s s W_s. */
  form(matrices = this.cones.map(({ W }) => W)): Float64Array {
    const sum = new Float64Array(matrices[0].length);
    matrices.forEach((W, s) => {
      const { sign } = this.cones[s];
      for (let i = 0; i < sum.length; i++) sum[i] += sign * W[i];
    });
    return sum;
  }

  /** sum_s s <M_k, W_s> + c, M_k being the same for all s. */
  private outputs(matrices = this.cones.map(({ W }) => W)): Float64Array {
    const Z = this.grams.outputs(this.form(matrices));
    for (let k = 0; k < Z.length; k++) Z[k] += this.bias;
    return Z;
  }

  private direction(system: NewtonSystem, centre: number, predicted: Direction | null): Direction {
    const { forms, diagonals, outputBias } = this.problem;
    const D = forms.size;
    const q = diagonals.length / D;
    const targets = this.cones.map(({ inverse }, s) => {
      const T = new Float64Array(D * D);
      if (centre > 0) for (let i = 0; i < T.length; i++) T[i] = centre * inverse[i];
      if (predicted !== null) {
        const { dW, dK } = predicted.cones[s];
        this.subtractProduct(dW, dK, inverse, T);
      }
      return T;
    });
    const nowhere = centre === 0 && predicted === null;
    const rows = nowhere ? new Float64Array(this.Z.length).fill(this.bias) : this.outputs(targets);
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
    const [AB, ABC] = this.products;
    this.kernels.multiply(A, B, AB, D, D, D);
    this.kernels.multiply(AB, C, ABC, D, D, D);
    for (let i = 0; i < D; i++) for (let j = 0; j < D; j++) out[i * D + j] -= (ABC[i * D + j] + ABC[j * D + i]) / 2;
  }

  /** How far both points may go and stay inside, at most 1, `finer` halvings closer than factors tell; null when time is up. */
  private async reach({ cones }: Direction, finer: number): Promise<number | null> {
    const D = this.problem.forms.size;
    let length = 1;
    for (const [s, { W, K }] of this.cones.entries()) {
      for (const [at, along] of [
        [W, cones[s].dW],
        [K, cones[s].dK],
      ]) {
        const goes = (far: number) => inside(at, along, far / this.share, D, this.kernels, this.trial);
        let beyond = length;
        while (length > SHORTEST && !goes(length)) {
          beyond = length;
          length *= SHORTER;
          if (await this.pause()) return null;
        }
        for (let halving = 0; halving < finer && beyond > length; halving++) {
          const middle = (length + beyond) / 2;
          if (goes(middle)) length = middle;
          else beyond = middle;
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
        // As `reach` has it on a straight line, which N is not.
        const inverse = inside(K, this.cones[s].K, this.share - 1, D, this.kernels, this.trial)
          ? inverseOf(K, D, this.kernels)
          : null;
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
