/** Models of which no part has a convex program, trained by a descent alone: of any inputs, outputs, losses and activations. */

export { type AloneOrder, fitAlone } from "./fit.js";
