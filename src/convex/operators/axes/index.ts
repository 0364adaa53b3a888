/** Data in fewer dimensions: all directions in which rows lie, the leading ones of them, or a span without its singular vectors. */

export { leadingAxes } from "./leadingAxes.js";
export {
  distanceTo,
  findingRowSpace,
  lessMean,
  meanOf,
  ROUNDING,
  type RowSpace,
  reducedRows,
  rowSpaceOf,
  rowsInAxes,
  unfoldedWeights,
} from "./rowSpace.js";
export { findingSpan } from "./span.js";
