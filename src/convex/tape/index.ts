/** Networks of many layers on the host, in float64: outputs and gradients. */

export { activation, activationWith, entryActivation, parametric, softmax } from "./activations.js";
export { convolution, transposedConvolution } from "./convolution.js";
export { dense } from "./dense.js";
export { embedding } from "./embedding.js";
export type { Windows } from "./images.js";
export { concatenation, normalization, range, sum } from "./joins.js";
export { predictionLoss, predictionLosses } from "./losses.js";
export type { Make, WeightPlace } from "./operation.js";
export { averagePooling, maxPooling } from "./pooling.js";
export { contraction, type Factor, multiplication, selection } from "./products.js";
export { gatedCell, memoryCell, type Order, recurrence, simpleCell, type Units } from "./recurrent/index.js";
export { type Step, Tape } from "./tape.js";
