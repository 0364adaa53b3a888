/**
 * Hidden weights in {-1, 1} (Bartan and Pilanci, ICML 2021): units (x'u)(x'v), or a t^2 + b t + c of t = x'u, l1 on the output weights.
 *
 * min over sets of units and alpha   L(sum_j f_j alpha_j' + 1 c') + beta sum_j |alpha_j|_1 is a lasso over exponentially many columns.
 * Its semidefinite relaxation is a lower bound; it is not tight at the same beta (the optimum of the programs in test/reference with d = 3, 4, 5 lies
 * 10 %, 1 % and 1 % above), so that it proves no global optimum. For bilinear units the optimum is below the relaxation at 1.7823
 * beta, hence below 1.7823 times the bound (Krivine 1979). Units are sampled from the relaxation, the lasso solved over the distinct ones, and units
 * that are priced above beta inserted. Where all sign vectors can be gone through, the prices are exact, and so is the optimum.
 *
 * More levels a weight: u = sum_b 2^b s_b is a sign vector on the columns [2^b X]: odd integers up to 2^bits - 1.
 */

import { relativeGap } from "../certificate/index.js";
import type { Kernels } from "../kernels/types.js";
import { eigenSymmetric } from "../linear/eigen/index.js";
import { log, sinhNearZero, sinNearZero } from "../linear/elementary.js";
import { gaussianSource } from "../linear/random.js";
import { Clock } from "../solvers/clock.js";
import type { SolveBudget } from "../solvers/solution.js";
import type { Matrix } from "../types.js";
import { insertUnits, type UnitSolution } from "../units/index.js";
import type { MatrixFormulation, MatrixProblem } from "./formulation.js";
import { layersOf } from "./polynomial.js";
import { formOutputs, type SignForms, type SignUnit, signForms, typicalOutput } from "./signForms.js";
import { SignOracle } from "./signOracle.js";
import { type RelaxedUnits, relax } from "./signRelaxation.js";

/** Krivine's bound of Grothendieck's constant, pi / (2 ln(1 + sqrt 2)). */
export const KRIVINE = Math.PI / (2 * log(1 + Math.SQRT2));

export interface QuantizedProblem extends MatrixProblem {
  readonly units: SignUnit;
  /** Bits a weight: 1 for {-1, 1}, 2 for {-3, -1, 1, 3}. */
  readonly bits: number;
  readonly samples: number; // of the relaxation, for each output and sign
  readonly together: number; // units that are inserted a round at most
  /** Whether to go through all sign vectors where they are few. */
  readonly enumerate: boolean;
  readonly seed: number;
}

export interface QuantizedSolution extends UnitSolution {
  /** The semidefinite lower bound. */
  readonly bound: number;
  /** True when every unit there is was priced: then `gap` is that of the optimum itself, not of the relaxation. */
  readonly enumerated: boolean;
}

/** Sides of the matrix for which a sweep of the relaxation is a matter of seconds. */
const MOST_SIDE = 600;

export const quantizedNetworks: MatrixFormulation<QuantizedProblem, QuantizedSolution> = {
  name: "quantized",

  refuses({ X, beta, units, bits }) {
    if (!(beta > 0)) return `expected a charge on the output weights, beta above 0, got ${beta}`;
    const side = (units === "bilinear" ? 2 : 1) * X.cols * bits;
    if (side > MOST_SIDE) {
      return `expected a relaxation of at most ${MOST_SIDE} rows (features, bias included, times bits${units === "bilinear" ? " times 2" : ""}), got ${side}`;
    }
    return null;
  },

  build: (problem) => ({ solve: (kernels, budget) => solveQuantized(problem, kernels, budget) }),

  /** Kernels with odd integers: [d x 2 m], all u and then all v, or [d x m]; and [m x C]. */
  recover(problem, solution) {
    const { X, loss, outputBias } = problem;
    const [, output] = layersOf(solution, X.cols, loss.outputs, outputBias !== null);
    return [{ kernel: hiddenKernel(problem, solution), bias: null }, output];
  },
};

async function solveQuantized(
  problem: QuantizedProblem,
  kernels: Kernels,
  budget: SolveBudget,
): Promise<QuantizedSolution> {
  const { loss, outputBias, units, bits, seed } = problem;
  const clock = new Clock(budget.seconds, budget.stopped ?? (() => false));
  const wide = spread(problem.X, bits);
  // Outputs of about one, and output weights as much larger: the same program, which solvers take better.
  const size = typicalOutput(units, wide);
  const forms = signForms(units, wide, 1 / size);
  const beta = problem.beta / size;
  const relaxed = await relax({ forms, loss, outputBias, beta }, kernels, seed, () => clock.pause());
  const start = sampled(forms, relaxed.factors, relaxed.rank, problem.samples, seed);
  const oracle = new SignOracle(forms, loss.outputs, problem.together, problem.enumerate, seed);
  const outputsOf = (p: Float64Array) => [formOutputs(forms, p, 1)];
  const left = { ...budget, seconds: budget.seconds - clock.seconds };
  const solution = await insertUnits({ loss, outputBias }, beta, kernels, left, {
    outputsOf,
    places: 1,
    oracle,
    start,
  });
  const { primal } = solution.gap;
  const gap = solution.exact
    ? solution.gap
    : { primal, dual: relaxed.bound, relative: relativeGap(primal, relaxed.bound, { loss, outputBias }) };
  const seconds = clock.seconds;
  const found = solution.units.map(({ weights, outputs }) => ({ weights, outputs: outputs.map((a) => a / size) }));
  return { ...solution, units: found, gap, seconds, bound: relaxed.bound, enumerated: solution.exact, exact: true };
}

/** [2^(bits - 1) X, ..., 2 X, X]: sign vectors on it are weights of more levels on X. */
function spread({ rows: n, cols: d, data }: Matrix, bits: number): Matrix {
  const wide = new Float64Array(n * d * bits);
  for (let k = 0; k < n; k++) {
    for (let b = 0; b < bits; b++) {
      for (let p = 0; p < d; p++) wide[(k * bits + b) * d + p] = 2 ** (bits - 1 - b) * data[k * d + p];
    }
  }
  return { rows: n, cols: d * bits, data: wide };
}

/** Distinct units that the relaxation's Gaussian vectors round to. */
function sampled(
  forms: SignForms,
  factors: readonly RelaxedUnits[],
  r: number,
  samples: number,
  seed: number,
): Float64Array[] {
  const draw = gaussianSource(seed + 1);
  const D = forms.size;
  const seen = new Map<string, Float64Array>();
  const largest = factors.reduce((most, { rho }) => Math.max(most, rho), 0);
  for (const { W, rho } of factors) {
    if (!(rho > 1e-6 * largest)) continue;
    const roots = forms.kind === "bilinear" ? krivine(W, D, r) : { rows: D, cols: r, data: W };
    for (let sample = 0; sample < samples; sample++) {
      const g = Float64Array.from({ length: roots.cols }, draw);
      const p = new Float64Array(D);
      for (let i = 0; i < D; i++) {
        let sum = 0;
        for (let q = 0; q < roots.cols; q++) sum += roots.data[i * roots.cols + q] * g[q];
        p[i] = sum < 0 ? -1 : 1;
      }
      const unit = canonical(p, forms);
      seen.set(unit.join(), unit);
    }
  }
  return [...seen.values()];
}

/**
 * A root of Krivine's Gram matrix, for which signs of Gaussian vectors have E[u v'] = (2 k / pi) u_i'v_j, k = ln(1 + sqrt 2):
 * sinh(k <,>) within u and within v, sin(k <,>) between.
 */
function krivine(W: Float64Array, D: number, r: number): Matrix {
  const k = log(1 + Math.SQRT2);
  const gram = new Float64Array(D * D);
  for (let i = 0; i < D; i++) {
    for (let j = 0; j <= i; j++) {
      let inner = 0;
      for (let q = 0; q < r; q++) inner += W[i * r + q] * W[j * r + q];
      gram[i * D + j] = i < D / 2 === j < D / 2 ? sinhNearZero(k * inner) : sinNearZero(k * inner);
    }
  }
  const { values, vectors } = eigenSymmetric(gram, D);
  const data = new Float64Array(D * D);
  for (let i = 0; i < D; i++) {
    for (let q = 0; q < D; q++) data[i * D + q] = Math.sqrt(Math.max(0, values[q])) * vectors.data[q * D + i];
  }
  return { rows: D, cols: D, data };
}

/** Of the vectors that are one unit, or one up to the sign of its output weight, the one that begins with 1. */
function canonical(p: Float64Array, { kind, X }: SignForms): Float64Array {
  const d = X.cols;
  if (kind !== "bilinear") return p.map((value) => value * p[d]);
  return p.map((value, i) => value * p[i < d ? 0 : d]);
}

function hiddenKernel({ X, units: kind, bits }: QuantizedProblem, { units }: UnitSolution): Matrix {
  const d = X.cols;
  const m = units.length;
  const halves = kind === "bilinear" ? 2 : 1;
  const cols = halves * m;
  const data = new Float64Array(d * cols);
  units.forEach(({ weights }, j) => {
    for (let half = 0; half < halves; half++) {
      for (let b = 0; b < bits; b++) {
        for (let p = 0; p < d; p++) {
          data[p * cols + half * m + j] += 2 ** (bits - 1 - b) * weights[half * d * bits + b * d + p];
        }
      }
    }
  });
  return { rows: d, cols, data };
}
