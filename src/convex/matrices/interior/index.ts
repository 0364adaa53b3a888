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

export { Diagonals } from "./diagonals.js";
export { type InteriorPoint, interiorTakes, isFar, solveInterior } from "./solve.js";
