/** Descents of neurons that move freely: from where they begin to where L-BFGS ends, in float64 or first in float32. */

export {
  activationsOf,
  descended,
  joined,
  living,
  type MovingNeurons,
  neuronsOf,
  outputsOf,
  picked,
  programAt,
  smallNeurons,
} from "./movingNeurons.js";
export { descendNeurons, type NeuronPasses } from "./neuronDescent.js";
export { descendsRoughly, mayDescendRoughly } from "./rough.js";
