/**
 * Linear generators of a Wasserstein GAN, against a discriminator that is quadratic, or linear (Sahiner et al., ICLR 2022,
 * arXiv:2107.05680).
 *
 * The discriminator sum_j a_j (x'u_j)^2, |u_j| = 1, charged beta sum |a_j|, gains nothing from generated rows G where all eigenvalues
 * of S - G'G / m are within beta, S = X'X / n, and without limit elsewhere (X and G less their means, which the output bias brings
 * into line). With S = V diag(s^2) V' the least |G|^2 / m is then sum_k (s_k^2 - beta)_+, at G = sqrt m L diag(s^2 - beta)_+^(1/2) V'
 * for any orthonormal columns of L. Of generators G = Z W they must lie in the range of Z = U D Q'; those of U in the order of its singular
 * values have the least |W|^2 as well, m sum_k (s_k^2 - beta)_+ / D_k^2 (von Neumann's trace inequality).
 *
 * A linear discriminator x'u, charged beta |u|, sees the means alone: g = mean(X) (1 - beta / |mean(X)|)_+, one row for all latents.
 */

import { eigenSymmetric } from "../linear/eigen/index.js";
import { concatenated, dotAt, norm, turned } from "../linear/vectors.js";
import { advice } from "../solvers/solution.js";
import type { Matrix } from "../types.js";
import { centred, offset, spectrum, squares, times } from "./deep/problem.js";
import type { LayerWeights, MatrixFormulation, MatrixSolution } from "./formulation.js";

export interface GeneratorProblem {
  readonly Z: Matrix; // [m x k], latents
  readonly X: Matrix; // [n x d], rows to be generated
  readonly discriminator: "quadratic" | "linear";
  /** The weight of the discriminator's charge, or how many directions to generate: then beta is the next squared singular value. */
  readonly beta: number | { readonly directions: number };
}

export interface GeneratorSolution extends MatrixSolution {
  readonly W: Matrix; // [k x d]
  readonly bias: Float64Array; // [d]
  readonly beta: number;
  readonly rank: number;
  readonly directions: Matrix; // [rank x d], orthonormal rows
  /** |W|^2, and what no generator that meets the constraint is below. */
  readonly weights: { readonly primal: number; readonly dual: number };
}

/** Of the side of S, or of the number of rows where that is less. */
const MOST_SIDE = 1500;

export const linearGenerators: MatrixFormulation<GeneratorProblem, GeneratorSolution> = {
  name: "linear generator",

  refuses(problem) {
    const { Z, X, discriminator, beta } = problem;
    const side = Math.min(X.rows, X.cols);
    if (side > MOST_SIDE) return `expected at most ${MOST_SIDE} rows or columns of images, got ${X.rows} x ${X.cols}`;
    if (discriminator === "linear") {
      return typeof beta === "number" ? null : "expected a number beta for a linear discriminator, got directions";
    }
    if (Z.rows < 2 || X.rows < 2) return `expected at least 2 rows, got ${Z.rows} of latents and ${X.rows} of images`;
    const { rank } = wanted(problem);
    const found = directionsOf(Z);
    if (found >= rank) return null;
    const least = wanted({ ...problem, beta: { directions: found } }).beta.toPrecision(6);
    return `expected latents of as many directions as the images have above beta, ${rank}, got ${found} (enough for beta from ${least} on)`;
  },

  build: (problem) => ({
    solve: async (_, { tolerance }) =>
      problem.discriminator === "linear" ? solveMeans(problem) : solveMoments(problem, tolerance),
  }),

  recover: (_, { W, bias }): LayerWeights[] => [{ kernel: W, bias }],
};

/** In how many directions rows vary. */
export function directionsOf(Z: Matrix): number {
  return spectrum(centred(Z).matrix).values.length;
}

/** s_k^2 - beta above 0, their directions, and beta. */
function wanted({ X, beta }: GeneratorProblem) {
  const { values, right } = spectrum(centred(X).matrix);
  const moments = values.map((value) => (value * value) / X.rows);
  const at = typeof beta === "number" ? beta : (moments[beta.directions] ?? 0);
  const rank = moments.filter((moment) => moment > at).length;
  return { beta: at, rank, excess: moments.subarray(0, rank).map((moment) => moment - at), right };
}

function solveMoments(problem: GeneratorProblem, tolerance: number): GeneratorSolution {
  const began = performance.now();
  const { Z, X } = problem;
  const { beta, rank, excess, right } = wanted(problem);
  const [z, x] = [centred(Z), centred(X)];
  const { values: D, right: Q } = spectrum(z.matrix);
  const W = { rows: Z.cols, cols: X.cols, data: new Float64Array(Z.cols * X.cols) };
  let least = 0;
  for (let k = 0; k < rank; k++) {
    const size = Math.sqrt(Z.rows * excess[k]) / D[k];
    least += size * size;
    for (let i = 0; i < Z.cols; i++) {
      const weight = size * Q.data[k * Z.cols + i];
      for (let p = 0; p < X.cols; p++) W.data[i * X.cols + p] += weight * right.data[k * X.cols + p];
    }
  }
  const bias = offset(x.means, z.means, W);
  const primal = squares(times(z.matrix, W)) / Z.rows;
  const dual = Math.min(
    primal,
    excess.reduce((sum, value) => sum + value, 0),
  );
  const weights = { primal: squares(W), dual: Math.min(least, squares(W)) };
  const directions = { rows: rank, cols: X.cols, data: right.data.subarray(0, rank * X.cols) };
  return { W, bias, beta, rank, directions, weights, ...ended(primal, dual, tolerance, began) };
}

function solveMeans({ Z, X, beta }: GeneratorProblem): GeneratorSolution {
  const began = performance.now();
  const { means } = centred(X);
  const length = Math.sqrt(means.reduce((sum, value) => sum + value * value, 0));
  const share = Math.max(0, 1 - (beta as number) / length);
  const bias = means.map((value) => (length > 0 ? share * value : 0));
  const W = { rows: Z.cols, cols: X.cols, data: new Float64Array(Z.cols * X.cols) };
  const primal = bias.reduce((sum, value) => sum + value * value, 0);
  const dual = Math.min(primal, Math.max(0, length - (beta as number)) ** 2);
  const none = { primal: 0, dual: 0 };
  const directions = { rows: 0, cols: X.cols, data: new Float64Array(0) };
  return { W, bias, beta: beta as number, rank: 0, directions, weights: none, ...ended(primal, dual, 1e-9, began) };
}

function ended(primal: number, dual: number, tolerance: number, began: number): MatrixSolution {
  const relative = primal > 0 ? (primal - dual) / primal : 0;
  const status = !Number.isFinite(primal) ? "nonFinite" : relative <= tolerance ? "solved" : "stalled";
  const seconds = (performance.now() - began) / 1000;
  return { status, advice: advice[status], gap: { primal, dual, relative }, exact: true, rounds: 1, seconds };
}

/**
 * What the best discriminator sees of generated rows, where at most beta is nothing: the largest |eigenvalue| of the difference of
 * second moments (each less its mean), or the distance of the means.
 */
export function discriminated(X: Matrix, G: Matrix, discriminator: "quadratic" | "linear"): number {
  const [x, g] = [centred(X), centred(G)];
  if (discriminator === "linear") return norm(x.means.map((value, p) => value - g.means[p]));
  const d = X.cols;
  const rows = X.rows + G.rows;
  const weight = (i: number) => (i < X.rows ? 1 / X.rows : -1 / G.rows);
  const columns = turned({ rows, cols: d, data: concatenated(x.matrix.data, g.matrix.data) }).data;
  const weighted = columns.map((value, k) => value * weight(k % rows));
  const S = new Float64Array(d * d);
  for (let p = 0; p < d; p++) {
    for (let q = 0; q <= p; q++) {
      S[p * d + q] = dotAt(weighted, p * rows, columns, q * rows, rows);
      S[q * d + p] = S[p * d + q];
    }
  }
  const { values } = eigenSymmetric(S, d);
  return Math.max(Math.abs(values[0]), Math.abs(values[d - 1]));
}
