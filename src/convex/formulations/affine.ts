import type { Formulation } from "./formulation.js";
import { gated } from "./gated.js";

/**
 * One layer X W + 1 c', with weight decay beta / 2 |W|^2 or none: linear and logistic regression, support vector machines, softmax
 * regression. Convex as it is; in the program it is one gate that is open on every row, its vectors the columns of W.
 */
export const affine: Formulation = { ...gated, name: "affine", penaltiesFor: () => ["ridge"] };
