/** Programs for which alternating directions are taken unasked. */

import { blockOutputs } from "../../operators/blocks.js";
import type { ConvexProgram } from "../../types.js";
import { DENSE_ROWS } from "../systems/index.js";
import { isFactored } from "./system.js";

/** Rows from which it is ahead of Newton steps over patches, or where these would need a system that couples the outputs. */
const MANY_COUPLED = 300;
/**
 * With cones: coefficients for each row, below which nothing was measured; rows; and rows where the loss has kinks. Newton steps project every
 * block in each trial of a line search, and where blocks are few that is all of their time.
 */
const CONES_COEFFICIENTS = 0.1;
const CONES_ROWS = 600;
const CONES_KINKED = 800;
/** With cones: numbers in the factors of all outputs (800 MB). */
const MOST_FACTORED = 1e8;
/** Over patches, where outputs are not coupled: columns for each row, above which Newton steps, which see active gates only, win. */
const MOST_COLUMNS = 5;
/** Beyond DENSE_ROWS rows: multiplications of a product, above which first-order steps come further in the time there is. */
const MOST_PRODUCT = 2e10;

/** Rows below which all is done in a moment, and was not measured: Newton steps have more digits. */
const MEASURED_ROWS = 250;
/**
 * By a model of cost, up to DENSE_ROWS rows: its time over that of Newton steps is a power of (d P)^3 / n^4, fitted to the sweep of
 * bench/solvers.ts (squared and logistic loss, n = 250 to 2,000, d P = 1,000 to 400,000), as that of all powers of n, d and P is best there. One it
 * is at d P = WIDTH n^(4/3). Newton steps see active gates only, and win where programs are wide. Outputs are solved one by one, so
 * that their number is in both.
 */
const WIDTH = 4;

/** Whether they are reckoned to be ahead of Newton and of first-order steps. */
export function suits(program: ConvexProgram): boolean {
  const { X, gates, loss, penalty, pooling, cones } = program;
  const { rows } = loss;
  const wide = gates.count * X.cols >= CONES_COEFFICIENTS * rows;
  if (cones) {
    const many = rows >= (Number.isFinite(loss.curvature) ? CONES_ROWS : CONES_KINKED);
    const factors = loss.separable ? loss.outputs : 1;
    return wide && many && pooling == null && rows <= DENSE_ROWS && factors * rows ** 2 <= MOST_FACTORED;
  }
  const small = isFactored(program, gates.count);
  const columns = gates.count * X.cols * blockOutputs(program);
  const affordable = small || rows * columns <= MOST_PRODUCT;
  if (!penalty.separable || !loss.separable) return rows >= MANY_COUPLED && affordable;
  if (pooling != null) return rows >= MANY_COUPLED && small && columns <= MOST_COLUMNS * rows;
  const size = (gates.count * X.cols) / WIDTH;
  const narrow = size * size * size < rows ** 2 * rows ** 2;
  return affordable && rows >= MEASURED_ROWS && (rows > DENSE_ROWS || narrow);
}
