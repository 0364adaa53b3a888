/** The bound over all gates: what any gate at all can be worth at a dual point, and the dual objective that is left. */

import { bestScale, longestColumn, relativeGap } from "../certificate/index.js";
import { concatenated, norm } from "../linear/vectors.js";
import { ONE_PATCH, slopeOf } from "../network.js";
import { distanceTo, reducedRows, rowSpaceOf } from "../operators/axes/index.js";
import type { AllGatesBound, ConvexProgram, Matrix } from "../types.js";
import { type Branched, branchAndBound } from "./branchAndBound.js";
import type { WeightedRows } from "./coneBound.js";
import { spectralBound } from "./spectralBound.js";

/** Dimensions of the data beyond which the sphere is not covered: 2^r cones an output and sign are the beginning. */
const MOST_DIMENSIONS = 10;
/** Multiplications of a sweep over all singular values beyond which they are not asked for. */
const SPECTRAL_WORK = 2 ** 28;
/** Cones that are bounded unless someone says otherwise: some 10 s in 6 dimensions. */
export const DEFAULT_CONES = 200_000;

/** Of the tolerance: what gates outside the span may be worth, else the span is made wider, up to rounding of float64. */
const SPAN_SHARE = 0.1;
const FINEST = 2 ** -42;

/** How gates that are not in the set are priced: searched for, or bounded one and all over at most so many cones. */
export type Pricing = { readonly kind: "search" } | { readonly kind: "branch-and-bound"; readonly cones?: number }; // default 200,000

/** A gate outside the set, as the search for gates names it. */
export interface DearGate {
  readonly direction: Float64Array; // [d], unit
  readonly output: number; // over patches a C + c
  readonly sign: 1 | -1;
  readonly value: number; // -sign N_c' (X u)_+
}

export interface PricingBudget {
  readonly cones: number;
  /** On the gap, relative, and on the worth of a gate that is dearer than that allows. */
  readonly tolerance: number;
  readonly pause: () => Promise<boolean>;
}

/** Prices gates for programs with cones over one X: the coordinates in which its rows have full rank. */
export class GatePricer {
  private X: Float64Array; // [rows x r]
  private basis: Float64Array; // [d x r]
  private distance: number; // of the rows from their part in these coordinates
  private width: number; // r
  private turned: Float64Array | null = null; // [2 rows x r]: X and -X, for units with a slope

  constructor(private readonly program: Pick<ConvexProgram, "X" | "loss" | "pooling" | "beta" | "outputBias">) {
    const space = rowSpaceOf(dense(program.X), "numerical");
    this.X = reducedRows(program.X, space).data;
    this.basis = space.basis.data;
    this.distance = distanceTo(space);
    this.width = space.basis.cols;
  }

  /** Takes in dimensions that are small beside others, as of columns of very different scale, where gates in them matter. */
  private widen(N: Float64Array, tolerance: number): void {
    const { X, beta } = this.program;
    if (this.distance * longestWeights(this.functions(N)) <= SPAN_SHARE * tolerance * beta) return;
    const space = rowSpaceOf(dense(X), "numerical", FINEST);
    if (space.basis.cols === this.width) return;
    this.X = reducedRows(X, space).data;
    this.turned = null;
    this.basis = space.basis.data;
    this.distance = distanceTo(space);
    this.width = space.basis.cols;
  }

  /** The bound at a dual point N [n x C], balanced where the output bias is free, and the gates found to be worth more than beta. */
  async bound(
    N: Float64Array,
    primal: number,
    budget: PricingBudget,
  ): Promise<{ bound: AllGatesBound; dear: DearGate[] }> {
    const { program } = this;
    const { beta } = program;
    this.widen(N, budget.tolerance);
    const functions = this.functions(N);
    const covered = this.width <= MOST_DIMENSIONS;
    const beyond = this.distance * longestWeights(functions); // what gates can be worth outside the span
    const allowed = beta * worthAllowed(program, N, primal, budget.tolerance);
    const floor = Math.max(allowed - beyond, beta);
    // What is near the floor joins as well: to tell it from what is above would take many cones.
    const keep = 0.5 * (beta + floor);
    const branched = covered ? await branchAndBound(functions, { ...budget, floor, keep }) : NOTHING;
    const spectral = branched.finished ? Number.POSITIVE_INFINITY : this.spectral(functions);
    const upper = Math.min(branched.upper, spectral);
    const largest = beyond + upper;
    const { value: dual } = bestScale(program, N, largest > 0 ? beta / largest : Number.POSITIVE_INFINITY);
    const bound: AllGatesBound = {
      dual,
      relativeGap: relativeGap(primal, dual, program),
      ratio: largest / beta,
      bestRatio: branched.best.value / beta,
      cones: branched.cones,
      finished: largest <= (branched.best.value > floor ? branched.best.value * (1 + budget.tolerance) : allowed),
      dualNorm: longestColumn(N, program.loss.outputs, true),
    };
    return { bound, dear: this.lifted(branched) };
  }

  /** One function an output (over patches: position and output) and sign: a positive neuron wants -N. */
  private functions(N: Float64Array): WeightedRows[] {
    const { loss, pooling } = this.program;
    const { patches, positions, scale } = pooling ?? ONE_PATCH;
    const C = loss.outputs;
    const functions: WeightedRows[] = [];
    for (let k = 0; k < 2 * positions * C; k++) {
      const [output, sign] = [k >> 1, k % 2 === 0 ? 1 : -1];
      const weights = new Float64Array(loss.rows * patches);
      for (let i = 0; i < weights.length; i++) {
        const patch = i % patches;
        if (patch % positions !== Math.floor(output / C)) continue;
        weights[i] = -sign * scale * N[((i - patch) / patches) * C + (output % C)];
      }
      functions.push(this.withSlope(weights));
    }
    return functions;
  }

  /** With a slope a, (s)_+ + a (s)_- = (s)_+ - a (-s)_+: the rows once more, turned round, with -a times their weights. */
  private withSlope(weights: Float64Array): WeightedRows {
    const slope = slopeOf(this.program.pooling);
    if (slope === 0) return { rows: this.X, weights, width: this.width };
    this.turned ??= concatenated(
      this.X,
      this.X.map((value) => -value),
    );
    const both = concatenated(
      weights,
      weights.map((value) => -slope * value),
    );
    return { rows: this.turned, weights: both, width: this.width };
  }

  /** What singular values say of the dearest gate; infinity where they would take too long. */
  private spectral(functions: readonly WeightedRows[]): number {
    const [short, long] = [this.width, this.X.length / this.width].sort((a, b) => a - b);
    if (short * short * long * functions.length > SPECTRAL_WORK) return Number.POSITIVE_INFINITY;
    return functions.reduce((most, weighted) => Math.max(most, spectralBound(weighted)), 0);
  }

  private lifted({ dear }: Branched): DearGate[] {
    const d = this.program.X.cols;
    const r = this.width;
    return dear.map(({ value, index, direction: u }) => {
      const direction = new Float64Array(d);
      for (let p = 0; p < d; p++) for (let k = 0; k < r; k++) direction[p] += this.basis[p * r + k] * u[k];
      return { direction, output: index >> 1, sign: index % 2 === 0 ? 1 : -1, value };
    });
  }
}

/**
 * What a gate may be worth, in units of beta, so that the dual point divided by it still has a relative gap of `tolerance`; where
 * its own is larger, 1 + tolerance. The part of the objective that is no penalty makes it more than that: there a little less of N loses little.
 */
function worthAllowed(program: DualProgram, N: Float64Array, primal: number, tolerance: number): number {
  const enough = (worth: number) => relativeGap(primal, bestScale(program, N, 1 / worth).value, program) <= tolerance;
  let low = 1;
  if (!enough(low)) return 1 + tolerance;
  let high = MOST_WORTH;
  for (let step = 0; step < BISECTIONS; step++) {
    const middle = 0.5 * (low + high);
    if (enough(middle)) low = middle;
    else high = middle;
  }
  return low;
}

type DualProgram = Pick<ConvexProgram, "loss" | "outputBias">;
/** Of a gate, in units of beta: more is not allowed, however small the penalty. */
const MOST_WORTH = 1.1;
const BISECTIONS = 24;

function dense({ rows, cols, data }: Matrix): Matrix {
  return { rows, cols, data };
}

/** What is known where the sphere is not covered. */
const NOTHING: Branched = {
  upper: Number.POSITIVE_INFINITY,
  best: { value: 0, index: 0, direction: new Float64Array(0) },
  dear: [],
  cones: 0,
  finished: false,
};

/** What a change of the rows by one in spectral norm can change of any of the functions. */
function longestWeights(functions: readonly WeightedRows[]): number {
  return functions.reduce((most, { weights }) => Math.max(most, norm(weights)), 0);
}
