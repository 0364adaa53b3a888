/** Layer-wise training: a convex program for one hidden layer after the other. */

export { fitLayerwise } from "./fit.js";
