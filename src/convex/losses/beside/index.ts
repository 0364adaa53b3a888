/** Losses of networks that have a linear part beside them. */

export { hasConstant, withLinearPart } from "./loss.js";
