/** The rows on which the first layer acts: the samples themselves, or their patches. */

import { patchMatrix } from "../../convex/operators/patches.js";
import type { Matrix } from "../../convex/types.js";
import { withColumn } from "./data.js";
import type { NetworkSpec } from "./model.js";

/** X of the program, from data x [n x inputs or pixels]; with a last column of `bias` where that is above 0. */
export function inputRows({ convolution }: Pick<NetworkSpec, "convolution">, x: Matrix, bias: number): Matrix {
  if (convolution !== null) return patchMatrix(x, convolution.geometry, bias);
  return bias > 0 ? withColumn(x, bias) : x;
}
