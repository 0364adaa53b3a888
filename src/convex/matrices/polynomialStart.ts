/** Polynomial units near the optimum, by the interior method, where rows are few. */

import type { Kernels } from "../kernels/types.js";
import { power } from "../linear/elementary.js";
import { concatenated } from "../linear/vectors.js";
import { smoothed } from "../losses/smoothed.js";
import type { Loss } from "../types.js";
import { decomposeMatrix, networkOf, outputsOfUnit, type Polynomial, type UnitNetwork } from "../units/index.js";
import type { MatrixProblem } from "./formulation.js";
import { Diagonals, type InteriorPoint, interiorTakes, isFar, solveInterior } from "./interior/index.js";
import { signForms } from "./signForms.js";

/** Of the tolerance: the gap at which the interior method may end, and what is cut off there. */
const INTERIOR = 0.85;
const CUT = 0.1;
/** By how much less is cut off where that costs too much. */
const LESS = 1e-3;
const CUTS = 3;
/** How wide kinks are rounded off, in units of the outputs: at first, by how much less in each stage, and at the gap at which it begins. */
const WIDEST = 1;
const FALL = 0.3;
const STAGE_GAP = 0.01;
const NARROWEST = 1e-10;
/** The gap above which what the method ends at is no start, of units or of the next stage. */
const LOOSE = 0.02;
/** Of the tolerance: what the rounding may take of the objective. */
const ROUNDED = 0.2;

export interface NearOptimum {
  readonly network: UnitNetwork & { readonly N: Float64Array; readonly few: true }; // N [n x C]
  /** The problem's, or where that has kinks the one rounded off at which the method ended. */
  readonly loss: Loss;
}

/** The network that the interior method ends at, and its dual point, output by output; null where the problem is none for it. */
export async function nearOptimum(
  problem: MatrixProblem & { readonly activation: Polynomial },
  kernels: Kernels,
  tolerance: number,
  pause: () => Promise<boolean>,
): Promise<NearOptimum | null> {
  const { loss, outputBias } = problem;
  const stages: Loss[] = [];
  const points: InteriorPoint[][] = [];
  for (let share = WIDEST; share >= NARROWEST; share *= FALL) {
    const smooth = Number.isFinite(loss.curvature);
    const stage = smooth ? loss : smoothed(loss, share * loss.rows * loss.outputs);
    const before = points.at(-1);
    const value = before?.reduce((sum, { primal }) => sum + primal, 0) ?? 0;
    // Of a loss whose subgradients are 1 / (n C), as those with kinks are, the rounding takes half of `share`.
    const last = smooth || share <= ROUNDED * tolerance * value;
    const found = await solveOutputs(problem, stage, kernels, last ? INTERIOR * tolerance : STAGE_GAP, pause, before);
    if (found === null || ((last || before !== undefined) && !found.every(({ gap }) => gap <= LOOSE))) return null;
    stages.push(stage);
    points.push(found);
    if (last) break;
  }
  const N = new Float64Array(loss.rows * loss.outputs);
  const [ended] = points.slice(-1);
  const units = ended.flatMap((point, output) => {
    for (let k = 0; k < loss.rows; k++) N[k * loss.outputs + output] = point.N[k];
    return networkAt(problem, stages[stages.length - 1], point, output, tolerance).units.map(
      ({ weights, outputs: [alpha] }) => {
        const outputs = new Float64Array(loss.outputs);
        outputs[output] = alpha;
        return { weights, outputs };
      },
    );
  });
  if (outputBias !== null && outputBias.ridge === 0) loss.balance(N);
  const bias = Float64Array.from(ended, (point) => point.bias);
  return { network: { units, bias, N, few: true }, loss: stages[stages.length - 1] };
}

/** Each output by itself; null where one can't begin. */
async function solveOutputs(
  { X, activation, outputBias, beta }: MatrixProblem & { readonly activation: Polynomial },
  loss: Loss,
  kernels: Kernels,
  tolerance: number,
  pause: () => Promise<boolean>,
  before?: readonly InteriorPoint[],
): Promise<InteriorPoint[] | null> {
  const D = X.cols + 1;
  const forms = signForms(activation, X);
  // <J, W> = 0, J = diag(1, ..., 1, -1), is |p| = r of all units; half of it in the charge makes zero a point inside.
  const J = new Float64Array(D).fill(1);
  J[X.cols] = -1;
  const cones = { forms, outputBias, signs: [1, -1], diagonals: new Diagonals(J, D) } as const;
  const charge = new Float64Array(D).fill(beta / 2);
  const own = (output: number) => ({
    ...{ ...cones, charge },
    loss: loss.outputs === 1 ? loss : loss.output(output),
  });
  if (!interiorTakes(loss, forms, () => isFar(own(0)))) return null;
  const points: InteriorPoint[] = [];
  for (let output = 0; output < loss.outputs; output++) {
    const solve = (from?: InteriorPoint) => solveInterior(own(output), kernels, tolerance, pause, from);
    const next = await solve(before?.[output]);
    // A point that a stage left near the boundary leads nowhere in those behind it: there a stage begins anew.
    const point = before === undefined || (next !== null && next.gap <= LOOSE) ? next : closer(next, await solve());
    if (point === null) return null;
    points.push(point);
  }
  return points;
}

function closer(one: InteriorPoint | null, other: InteriorPoint | null): InteriorPoint | null {
  if (one === null || other === null) return one ?? other;
  return other.gap < one.gap ? other : one;
}

/** Units of both matrices, without eigenvalues that cost as much as is cut off: where the charge is small that is less than they are charged. */
function networkAt(
  { X, activation, beta }: MatrixProblem & { readonly activation: Polynomial },
  stage: Loss,
  point: InteriorPoint,
  output: number,
  tolerance: number,
): UnitNetwork {
  const loss = stage.outputs === 1 ? stage : stage.output(output);
  const charge = CUT * tolerance * point.primal;
  const lossOf = ({ units, bias }: UnitNetwork) => {
    const Z = new Float64Array(loss.rows).fill(bias[0]);
    for (const { weights, outputs } of units) {
      outputsOfUnit(activation, X, weights).forEach((h, k) => {
        Z[k] += outputs[0] * h;
      });
    }
    return loss.value(Z);
  };
  const whole = loss.value(point.outputs);
  for (let attempt = 0; attempt < CUTS; attempt++) {
    const network = unitsOf(point, X.cols, (charge / beta) * power(LESS, attempt));
    if (lossOf(network) <= whole + charge) return network;
  }
  return unitsOf(point, X.cols, 0);
}

/** Without eigenvalues that together are no more than `spare`. */
function unitsOf({ matrices, bias }: InteriorPoint, d: number, spare: number): UnitNetwork {
  const parts = matrices.map((W) =>
    decomposeMatrix(W, d, (values) => {
      let cut = 0;
      for (let sum = values[0]; cut < values.length && sum <= spare; sum += values[cut]) cut += 1;
      return values.length - cut;
    }),
  );
  const signs = parts.flatMap((P, s) => Array<1 | -1>(P.length / d).fill(s === 0 ? 1 : -1));
  const feeds = signs.map(() => 0);
  return networkOf({ P: concatenated(...parts), signs, feeds, bias: Float64Array.of(bias) }, d, 1);
}
