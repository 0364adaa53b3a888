/** Gradients of deep models on the host, in float64, where it knows all their layers and regularizers. */

export { hostPasses } from "./passes.js";
