/**
 * A Newton system of the dual that is known by its products only: large ones, and those whose blocks couple their outputs.
 *
 * Conjugate gradients to a rough residual: an inexact Newton step still converges fast (Dembo, Eisenstat and Steihaug 1982).
 * The preconditioner is one matrix for all outputs, the n x n factor where that is cheap, else T plus a partial Cholesky factor.
 */

import type { CholeskyFactor } from "../../kernels/types.js";
import { conjugateGradients } from "../../linear/conjugateGradients.js";
import { addColumnSums } from "../../linear/vectors.js";
import { DENSE_ROWS, factorOutput } from "./newton.js";
import { addSpread, type Machinery } from "./newtonSystem.js";
import {
  hiddenCurvature,
  LEAST_RANK,
  largestRank,
  MAX_ENTRIES,
  partialCholesky,
  sketchCost,
} from "./partialCholesky.js";
import { woodbury } from "./woodbury.js";

/** Relative residual of the conjugate gradients. */
const RESIDUAL = 0.1;
/** Most columns of a partial factor, as a share of n. */
const MAX_SHARE = 0.25;
/** Steps at or below which a larger factor would save nothing. */
const FEW_STEPS = 4;
/** The first factor costs about as much as this many steps. */
const FIRST_STEPS = 5;
/** A larger factor is tried where the steps cost this many times what the factor did. */
const DEAR = 1.5;
/** Share of the weights of gates beyond which a factor that was made for others is not tried. */
const NEW_SHARE = 0.3;
/** Cost of a multiplication in products with gates, in those of a factorisation: masks, and shapes less kind to the engine. */
const PRODUCT_COST = 2;
/** Steps that a system is reckoned to take when the way of solving it is chosen. */
const USUAL_STEPS = 30;

export interface CoupledSystem {
  readonly n: number;
  readonly outputs: number; // C
  readonly diagonal: Float64Array; // [n x C]: T
  readonly spread: Float64Array | null; // [n x C]: sample k adds spread_k spread_k' across the outputs
  readonly bias: number; // weight of 1 1' in every output
  /** Gates and weights of an approximation sum_i weight_i D_i K D_i of the curvature, the same for every output. */
  readonly gates: Int32Array;
  readonly weights: Float64Array;
  /** Rows [m x n] whose outer products, added to that, make the approximation better; made when they are wanted. */
  readonly rows: { readonly count: number; readonly make: () => Float64Array };
  readonly vectors: number; // of the blocks: a product passes twice over the data for each
  /** out += the blocks' curvature times x, both [n x C]. */
  addCurvature(x: Float64Array, out: Float64Array): void;
}

/** What the preconditioners of one run pass on: the last partial factor, and how it did. */
export class SketchMemory {
  rows: Float64Array | null = null; // [rank x n]
  count = 0;
  rank = 0; // of the next; 0: not chosen yet
  first = 0; // steps with the factor when it was new; 0: it has not been used yet
  lost = 0; // multiplications beyond those that it took at first
  worn = true;
  weights = new Map<number, number>(); // of the gates that it was made for
}

/** Solves a coupled system in place of b; false when no shift of the diagonal made its preconditioner positive definite. */
export async function solveCoupled(
  system: CoupledSystem,
  machinery: Machinery,
  memory: SketchMemory,
  b: Float64Array,
): Promise<boolean> {
  const { n, outputs, diagonal, spread, bias } = system;
  const T = new Float64Array(n);
  for (let k = 0; k < diagonal.length; k++) T[Math.floor(k / outputs)] += diagonal[k] / outputs;
  const sketched = machinery.program.pooling == null && prefersProducts(system, machinery.program.X.cols);
  const factor = sketched ? sketchFactor(system, T, machinery, memory) : denseFactor(system, T, machinery);
  if (factor === null) return false;
  const precondition = (x: Float64Array) => factor.solve(x, outputs);
  const multiply = (x: Float64Array, out: Float64Array) => {
    for (let k = 0; k < x.length; k++) out[k] = diagonal[k] * x[k];
    if (spread !== null) addSpread(spread, x, out, n, outputs);
    if (bias > 0) addColumnSums(bias, x, out, outputs);
    system.addCurvature(x, out);
  };
  try {
    const steps = await conjugateGradients(b, RESIDUAL, machinery.pause, { multiply, precondition });
    if (sketched) learn(memory, steps, system, machinery.program.X.cols);
    return true;
  } finally {
    factor.dispose();
  }
}

/** Whether products are cheaper than the n x n matrix, in multiplications. */
export function prefersProducts(
  { n, gates, rows, vectors }: Pick<CoupledSystem, "n" | "gates" | "rows" | "vectors">,
  d: number,
): boolean {
  const matrix = (n * n * n) / 6 + (n ** 2 * (gates.length + rows.count)) / 2;
  return n > DENSE_ROWS || PRODUCT_COST * USUAL_STEPS * productCost(n, d, vectors) < matrix;
}

function productCost(n: number, d: number, vectors: number): number {
  return 2 * n * d * vectors;
}

function costOf(rank: number, { n, gates, rows }: CoupledSystem, d: number): number {
  return sketchCost(rank, n, d, gates.length + rows.count);
}

function sketchFactor(
  system: CoupledSystem,
  T: Float64Array,
  machinery: Machinery,
  memory: SketchMemory,
): CholeskyFactor | null {
  const { program, kernels } = machinery;
  const { n, gates: list, weights, rows, bias } = system;
  if (memory.worn || memory.rows === null || changed(memory, list, weights)) {
    const most = Math.max(1, Math.floor(Math.min(MAX_SHARE * n, MAX_ENTRIES / n)));
    const { X, gates } = program;
    if (memory.rank === 0) memory.rank = firstRank(system, X.cols);
    const extra = bias > 0 ? 1 : 0;
    const all = new Float64Array((rows.count + extra) * n).fill(Math.sqrt(bias), rows.count * n);
    all.set(rows.make());
    const curvature = { X, gates, list, weights, rows: all, rowCount: rows.count + extra };
    const sketch = partialCholesky(hiddenCurvature(curvature, n, machinery), T, Math.min(memory.rank, most), kernels);
    memory.rows = sketch.rows;
    memory.count = sketch.rowCount;
    memory.first = 0;
    memory.lost = 0;
    memory.worn = false;
    memory.weights = new Map(Array.from(list, (gate, k) => [gate, weights[k]]));
  }
  return woodbury(T, memory.rows, memory.count, n, kernels);
}

/** Whether much of the curvature is of gates that the factor does not know, or knows as lighter than they are. */
function changed({ weights: known }: SketchMemory, list: Int32Array, weights: Float64Array): boolean {
  let total = 0;
  let missing = 0;
  list.forEach((gate, k) => {
    total += weights[k];
    missing += Math.max(0, weights[k] - (known.get(gate) ?? 0));
  });
  return missing > NEW_SHARE * total;
}

function firstRank(system: CoupledSystem, d: number): number {
  const goal = FIRST_STEPS * PRODUCT_COST * productCost(system.n, d, system.vectors);
  return largestRank((rank) => costOf(rank, system, d) <= goal);
}

/** Sets the rank of the next factor, and whether it is wanted, by the steps that this one took. */
function learn(memory: SketchMemory, steps: number, system: CoupledSystem, d: number): void {
  if (memory.count === 0) {
    memory.worn = true;
    memory.rank = 0;
    return;
  }
  const step = PRODUCT_COST * productCost(system.n, d, system.vectors);
  const factor = costOf(memory.rank, system, d);
  if (memory.first === 0) {
    memory.first = steps;
    if (steps > FEW_STEPS && steps * step > DEAR * factor) memory.rank *= 2;
    else if (DEAR * steps * step < factor) memory.rank = Math.max(LEAST_RANK, memory.rank / 2);
  }
  memory.lost += (steps - memory.first) * step;
  if (memory.lost > factor) memory.worn = true;
}

function denseFactor(system: CoupledSystem, T: Float64Array, machinery: Machinery): CholeskyFactor | null {
  const { n, bias, gates, weights, rows } = system;
  const extra = bias > 0 ? 1 : 0;
  const all = new Float64Array((rows.count + extra) * n).fill(Math.sqrt(bias), rows.count * n);
  all.set(rows.make());
  const curvature = [{ rows: all, rowCount: rows.count + extra, gates, weights }];
  const shared = { n, outputs: 1, diagonal: T, spread: null, curvature };
  return factorOutput(shared, 0, machinery.kernels, machinery.products);
}
