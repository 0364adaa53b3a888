/**
 * The program over some blocks, by a barrier method:
 *
 *   min L(sum_b A_b z_b + 1 c) + beta sum_b charge(z_b)   subject to  G_b z_b >= 0.
 *
 * A norm t >= |z| is charged through -log(t^2 - |z|^2), of which t is eliminated: with a = beta |z| / mu and u = 1 + sqrt(1 + a^2) it is
 * mu (u - log 2 u), smooth and self-concordant, its gradient beta^2 z / (mu u), shorter than beta. Along the central path the gradient
 * of the loss is therefore a dual point, feasible on these blocks. Newton's systems are one a block and one [n x n] between them.
 */

import { choleskyInPlace, choleskySolve } from "../linear/cholesky.js";
import { log } from "../linear/elementary.js";
import { inTurns, type Pieces } from "../linear/pieces.js";
import { dot, norm } from "../linear/vectors.js";
import { biasAlone } from "../operators/dualPoint.js";
import type { Loss, Matrix, OutputBias } from "../types.js";
import type { Block, BranchCharge } from "./branch.js";
import { factorsOf, sumRow, wallsOf } from "./cone.js";

/** How much less of the barrier there is from stage to stage, and how near to the path a stage ends. */
const SHRINK = 0.1;
const NEAR = 1e-2;
const NEAREST = 1e-9;
const NEWTON_STEPS = 200;
const BACKTRACKS = 60;
const ARMIJO = 0.01;
/** Share of the way to the nearest wall that a step may take. */
const INSIDE = 0.95;
/** The bias has no barrier: so much of a curvature keeps its system definite, and changes the steps alone. */
const BIAS_RIDGE = 1e-9;
const LEAST_BEND = 1e-6; // of the greatest curvature, where the loss is straight on all rows
/** Shares of the loss's greatest curvature that are added to it while steps have to be cut short: where it is nearly straight. */
const LEAST_DAMPING = 1e-3;
const MORE_DAMPING = 10;
const SHORT = 3; // halvings
/** Shares of the diagonal that a factor may need to be one. */
const LEAST_RIDGE = 1e-15;
const MOST_RIDGE = 1e-5;

export interface MasterProblem {
  readonly X: Matrix; // [n x d]
  readonly loss: Loss;
  readonly outputBias: OutputBias | null;
  readonly beta: number;
  readonly charge: BranchCharge;
}

export interface MasterPoint {
  readonly Z: readonly Float64Array[]; // a block each, strictly inside its cone
  readonly bias: number;
  readonly finite: boolean;
}

/** Solves to about `gap` in the objective, or as far as it comes until `pause` ends it; the point lies inside all cones. */
export async function solveMaster(
  problem: MasterProblem,
  blocks: readonly Block[],
  gap: number,
  pause: () => Promise<boolean>,
): Promise<MasterPoint> {
  const parts = blocks.map((block) => partOf(problem.X, block));
  const barriers = parts.reduce((sum, part) => sum + part.walls.length / part.size + 2 * block0(problem, part), 0);
  const state = new State(problem, parts);
  const last = gap / Math.max(1, barriers);
  for (let mu = state.firstWeight(last); ; mu = Math.max(last, SHRINK * mu)) {
    const ended = mu === last;
    const centred = await inTurns(state.centering(mu, ended ? NEAREST : NEAR), pause);
    if (centred === "nonFinite") return { ...state.point(), finite: false };
    if (ended || centred === "over") return { ...state.point(), finite: true };
  }
}

/** Cholesky; where rounding spoils a pivot, of a matrix with a diagonal that is larger by the least share that helps. */
function factored(H: Float64Array, n: number): boolean {
  const given = H.slice();
  for (let share = 0; share < MOST_RIDGE; share = Math.max(LEAST_RIDGE, 100 * share)) {
    H.set(given);
    for (let i = 0; i < n; i++) H[i * n + i] *= 1 + share;
    if (choleskyInPlace(H, n)) return true;
  }
  return false;
}

const block0 = ({ charge, X }: MasterProblem, part: Part) => (charge === "sum" ? part.size / X.cols : 1);

/** A block as matrices. */
interface Part {
  readonly size: number; // M d
  readonly map: Float64Array; // [n x M d]: A_b
  readonly walls: Float64Array; // [rows x M d]: G_b
  readonly start: Float64Array;
}

function partOf(X: Matrix, block: Block): Part {
  const size = block.pieces.length * X.cols;
  const map = new Float64Array(X.rows * size);
  const [{ on, sign }] = block.above[block.above.length - 1];
  for (let k = 0; k < X.rows; k++) {
    if (on[k] === 0) continue;
    const [factors] = factorsOf(block.above, k)[block.above.length - 1];
    map.set(
      sumRow(X, block.pieces, factors, k).map((value) => sign * value),
      k * size,
    );
  }
  return { size, map, walls: wallsOf(X, block).data, start: block.inner };
}

class State {
  private readonly n: number;
  private Z: Float64Array[];
  private bias = 0;

  constructor(
    private readonly problem: MasterProblem,
    private readonly parts: readonly Part[],
  ) {
    this.n = problem.loss.rows;
    this.Z = parts.map(({ start }) => start.slice());
    this.bias = biasAlone(problem)[0];
  }

  point() {
    return { Z: this.Z, bias: this.bias };
  }

  /** Large enough for the blocks to move into the middle of their cones. */
  firstWeight(least: number): number {
    return Math.max(least, Math.abs(this.problem.loss.value(new Float64Array(this.n))) / 10);
  }

  /** Newton to the minimiser at a weight of the barrier, in pieces. */
  *centering(mu: number, near: number): Pieces<"near" | "over" | "nonFinite"> {
    const { parts, n } = this;
    const { loss, outputBias } = this.problem;
    let value = this.value(this.Z, this.bias, mu);
    let damping = 0;
    for (let step = 0; step < NEWTON_STEPS; step++) {
      if (!Number.isFinite(value)) return "nonFinite";
      const outputs = this.outputs(this.Z, this.bias);
      const N = new Float64Array(n);
      const curvature = new Float64Array(n);
      loss.gradient(outputs, N);
      loss.hessianDiagonal(outputs, curvature);
      const roots = curvature.map((entry) => Math.sqrt(entry + damping * loss.curvature));
      const S = new Float64Array(n * n); // I + R A H^-1 A' R
      const first: Float64Array[] = []; // H^-1 gradient
      const factors: Float64Array[] = [];
      const gradients: Float64Array[] = [];
      const pulled = new Float64Array(n); // R A H^-1 gradient
      for (let b = 0; b < parts.length; b++) {
        const { size, map } = parts[b];
        const { gradient, H } = this.local(b, mu);
        for (let k = 0; k < n; k++) for (let p = 0; p < size; p++) gradient[p] += N[k] * map[k * size + p];
        if (!factored(H, size)) return "nonFinite";
        const solved = gradient.slice();
        choleskySolve(H, size, solved);
        first.push(solved);
        factors.push(H);
        gradients.push(gradient);
        const rows = new Float64Array(n * size); // rows of R A H^-1
        for (let k = 0; k < n; k++) {
          const row = map.slice(k * size, (k + 1) * size);
          if (roots[k] === 0 || row.every((entry) => entry === 0)) continue;
          for (let p = 0; p < size; p++) row[p] *= roots[k];
          pulled[k] += dot(row, solved);
          choleskySolve(H, size, row);
          rows.set(row, k * size);
        }
        for (let i = 0; i < n; i++) {
          for (let k = 0; k < n; k++) {
            let sum = 0;
            for (let p = 0; p < size; p++) sum += rows[i * size + p] * map[k * size + p];
            S[i * n + k] += sum * roots[k];
          }
        }
        if (yield) return "over";
      }
      let biasSlope = 0;
      let biasCurvature = 0;
      if (outputBias !== null) {
        const ridge = outputBias.ridge;
        biasSlope = N.reduce((sum, entry) => sum + entry, 0) + 2 * ridge * this.bias;
        biasCurvature = 2 * ridge + BIAS_RIDGE * Math.max(dot(roots, roots), LEAST_BEND * n * loss.curvature);
        for (let i = 0; i < n; i++) {
          pulled[i] += (roots[i] * biasSlope) / biasCurvature;
          for (let k = 0; k < n; k++) S[i * n + k] += (roots[i] * roots[k]) / biasCurvature;
        }
      }
      for (let k = 0; k < n; k++) S[k * n + k] += 1;
      if (!factored(S, n)) return "nonFinite";
      choleskySolve(S, n, pulled);
      const moves = parts.map(({ size, map }, b) => {
        const back = new Float64Array(size);
        for (let k = 0; k < n; k++) {
          for (let p = 0; p < size; p++) back[p] += roots[k] * pulled[k] * map[k * size + p];
        }
        choleskySolve(factors[b], size, back);
        return first[b].map((entry, p) => back[p] - entry);
      });
      const biasMove = outputBias === null ? 0 : (dot(roots, pulled) - biasSlope) / biasCurvature;
      const slope = moves.reduce((sum, move, b) => sum + dot(move, gradients[b]), 0) + biasMove * biasSlope;
      if (!Number.isFinite(slope)) return "nonFinite";
      if (-slope <= near * mu) return "near";
      let t = Math.min(1, INSIDE * this.room(moves));
      let halvings = 0;
      for (; halvings < BACKTRACKS; halvings++, t /= 2) {
        const Z = this.Z.map((z, b) => z.map((entry, p) => entry + t * moves[b][p]));
        const next = this.value(Z, this.bias + t * biasMove, mu);
        if (!(next <= value + ARMIJO * t * slope)) continue;
        if (!(next < value)) return "near"; // rounding: nothing falls any more
        this.Z = Z;
        this.bias += t * biasMove;
        value = next;
        break;
      }
      if (halvings < SHORT) damping = damping > LEAST_DAMPING ? damping / MORE_DAMPING : 0;
      else if (damping < 1) damping = Math.max(LEAST_DAMPING, MORE_DAMPING * damping);
      else if (halvings === BACKTRACKS) return "near";
    }
    return "near";
  }

  private outputs(Z: readonly Float64Array[], bias: number): Float64Array {
    const out = new Float64Array(this.n).fill(bias);
    this.parts.forEach(({ size, map }, b) => {
      for (let k = 0; k < this.n; k++) for (let p = 0; p < size; p++) out[k] += map[k * size + p] * Z[b][p];
    });
    return out;
  }

  private value(Z: readonly Float64Array[], bias: number, mu: number): number {
    const { loss, outputBias } = this.problem;
    let value = loss.value(this.outputs(Z, bias)) + (outputBias === null ? 0 : outputBias.ridge * bias ** 2);
    this.parts.forEach(({ size, walls }, b) => {
      for (let at = 0; at < walls.length; at += size) {
        let slack = 0;
        for (let p = 0; p < size; p++) slack += walls[at + p] * Z[b][p];
        value -= mu * log(slack);
      }
      for (const z of this.groups(Z[b])) {
        const u = this.rounded(norm(z), mu);
        value += mu * (u - log(2 * u));
      }
    });
    return value;
  }

  /** Gradient and Hessian of barrier and charge of a block, without the loss. */
  private local(b: number, mu: number): { gradient: Float64Array; H: Float64Array } {
    const { size, walls } = this.parts[b];
    const z = this.Z[b];
    const gradient = new Float64Array(size);
    const H = new Float64Array(size * size);
    for (let at = 0; at < walls.length; at += size) {
      let slack = 0;
      for (let p = 0; p < size; p++) slack += walls[at + p] * z[p];
      for (let p = 0; p < size; p++) {
        const ratio = walls[at + p] / slack;
        if (ratio === 0) continue;
        gradient[p] -= mu * ratio;
        for (let q = 0; q <= p; q++) H[p * size + q] += (mu * ratio * walls[at + q]) / slack;
      }
    }
    const { beta } = this.problem;
    let from = 0;
    for (const part of this.groups(z)) {
      const length = norm(part);
      const u = this.rounded(length, mu);
      const along = beta ** 2 / (mu * u); // across z; along z it is divided by u - 1
      const bend = length === 0 ? 0 : (along * (1 / (u - 1) - 1)) / length ** 2;
      for (let p = 0; p < part.length; p++) {
        gradient[from + p] += along * part[p];
        H[(from + p) * size + from + p] += along;
        for (let q = 0; q <= p; q++) H[(from + p) * size + from + q] += bend * part[p] * part[q];
      }
      from += part.length;
    }
    return { gradient, H };
  }

  private rounded(length: number, mu: number): number {
    return 1 + Math.sqrt(1 + ((this.problem.beta * length) / mu) ** 2);
  }

  private groups(z: Float64Array): Float64Array[] {
    const { charge, X } = this.problem;
    if (charge === "frobenius") return [z];
    return Array.from({ length: z.length / X.cols }, (_, j) => z.subarray(j * X.cols, (j + 1) * X.cols));
  }

  /** How far the moves can go before a wall is met. */
  private room(moves: readonly Float64Array[]): number {
    let room = Number.POSITIVE_INFINITY;
    this.parts.forEach(({ size, walls }, b) => {
      for (let at = 0; at < walls.length; at += size) {
        let slack = 0;
        let rate = 0;
        for (let p = 0; p < size; p++) {
          slack += walls[at + p] * this.Z[b][p];
          rate += walls[at + p] * moves[b][p];
        }
        if (rate < 0) room = Math.min(room, -slack / rate);
      }
    });
    return room;
  }
}
