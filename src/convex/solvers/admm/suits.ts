/** Programs for which alternating directions are taken unasked. */

import { blockOutputs } from "../../operators/blocks.js";
import type { ConvexProgram } from "../../types.js";
import { DENSE_ROWS } from "../systems/index.js";
import { isFactored } from "./system.js";

/** Rows from which it is ahead of Newton steps; fewer over patches, or where these would need a system that couples the outputs. */
const MANY_ROWS = 400;
/** Up to DENSE_ROWS rows: coefficients from which Newton steps win again, since they see active gates only: so many a row, on fewer than ROWS fewer, and in all. */
const COEFFICIENTS = 80;
const ROWS = 1000;
const MOST_COEFFICIENTS = 1e5;
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
  const bearable = Math.min(MOST_COEFFICIENTS, COEFFICIENTS * rows * Math.min(1, rows / ROWS));
  return rows >= MANY_ROWS && (rows > DENSE_ROWS || gates.count * X.cols < bearable) && affordable;
}
