/** Programs for which alternating directions are taken unasked. */

import { log } from "../../linear/elementary.js";
import { blockOutputs } from "../../operators/blocks.js";
import type { ConvexProgram } from "../../types.js";
import { DENSE_ROWS } from "../systems/index.js";
import { isFactored } from "./system.js";

/** Rows from which it is ahead of Newton steps over patches, or where these would need a system that couples the outputs. */
const MANY_COUPLED = 300;
/** With cones: coefficients for each row, below which gates leave few blocks open; rows; and rows where the loss has kinks. */
const CONES_COEFFICIENTS = 4;
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
/** The logarithm of its time over that of Newton steps: of the squared loss, and of others. */
const SQUARED = { constant: -3.8, rows: -3.62, columns: 2.95, gates: 2.53 };
const CURVED = { constant: -1.16, rows: -0.11, columns: -0.04, gates: 0.32 };

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
  return affordable && rows >= MEASURED_ROWS && (rows > DENSE_ROWS || aheadOfNewton(program));
}

/**
 * By a model of cost, up to DENSE_ROWS rows: the time of either is a product of powers of n, d and P. Outputs are solved one by one, so that
 * their number is in both. Fitted to the sweep of bench/solvers.ts, in which Newton steps, which see active gates only, win where programs
 * are wide; where the Hessian changes they need few more, and what one costs depends less on rows.
 */
function aheadOfNewton({ X, gates, loss }: ConvexProgram): boolean {
  const { constant, rows, columns, gates: count } = loss.name === "meanSquaredError" ? SQUARED : CURVED;
  return constant + rows * log(loss.rows) + columns * log(X.cols) + count * log(gates.count) < 0;
}
