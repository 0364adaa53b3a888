/** A point of the interior method, and its predictor and corrector steps. */

import type { Kernels } from "../../kernels/types.js";
import { power } from "../../linear/elementary.js";
import { dot, norm } from "../../linear/vectors.js";
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
import { times } from "./entries/index.js";
import { NewtonSystem } from "./newtonSystem.js";

/** By how much a step is cut that leads out. */
const SHORTER = 0.9;
/** Newton steps back to the straight line of gradients, and what is straight. */
const TURNS = 4;
const STRAIGHT = 1e-13;
/** Halvings of what is left between the last two. */
const FINER = 3;
const SHORTEST = 1e-4;
/** Of what <W, K> was a step before: above it that step led nowhere; then of what it is now: what is aimed at. */
const STUCK = 0.9;
const CENTRED = 0.5;

/** What a step changes. */
interface Direction {
  readonly dZ: Float64Array;
  readonly dN: Float64Array;
  readonly bias: number;
  readonly cones: readonly {
    readonly dW: Float64Array;
    readonly dK: Float64Array;
    readonly multipliers: Float64Array;
  }[];
}

export class Interior {
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
    const ends = targets.map((T) => diagonals.ends(T));
    const total = this.N.reduce((sum, value) => sum + value, 0);
    const ridge = outputBias?.ridge ?? 0;
    const { dZ, dN, bias, multipliers } = system.solve(rows, ends, -total - 2 * ridge * this.bias);
    const Q = this.grams.matrix(dN);
    const cones = this.cones.map(({ sign, W, inverse }, s) => {
      const dK = signed(Q, sign);
      diagonals.addTo(dK, multipliers[s]);
      const dW = targets[s];
      for (let i = 0; i < dW.length; i++) dW[i] -= W[i];
      this.subtractProduct(W, dK, inverse, dW);
      return { dW, dK, multipliers: multipliers[s] };
    });
    return { dZ, dN, bias, cones };
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

  /**
   * Outputs, from Z on, whose gradient is nearer to `goal`: on a straight line of outputs it bends, and where some columns of x are far larger than
   * others a bend that is small beside the gradient leads out of the cones.
   */
  private bent(Z: Float64Array, goal: Float64Array): Float64Array {
    const { loss } = this.problem;
    const N = new Float64Array(Z.length);
    let at = Z;
    let before = Number.POSITIVE_INFINITY;
    for (let turn = 0; turn <= TURNS; turn++) {
      loss.gradient(at, N);
      const rest = goal.map((value, k) => value - N[k]);
      const missing = norm(rest);
      if (!(missing < before)) return Z;
      [Z, before] = [at, missing];
      if (missing <= STRAIGHT * norm(N)) return Z;
      const inverse = loss.inverseHessian?.(at);
      if (inverse === null) return Z;
      if (inverse === undefined) loss.hessianDiagonal(at, N);
      const along =
        inverse === undefined ? rest.map((value, k) => (N[k] > 0 ? value / N[k] : 0)) : times(inverse, rest);
      at = at.map((value, k) => value + along[k]);
    }
    return Z;
  }

  /** Goes along a direction, less far where the gradient's bend leads out. */
  private async move({ dZ, dN, bias, cones }: Direction, reach: number): Promise<boolean> {
    const { loss, forms, outputBias } = this.problem;
    const D = forms.size;
    const N = new Float64Array(dZ.length);
    for (let length = reach; length > SHORTEST; length *= SHORTER) {
      const goal = this.N.map((value, k) => value + length * dN[k]);
      const Z = this.bent(
        this.Z.map((value, k) => value + length * dZ[k]),
        goal,
      );
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
