/** The metric in which descents of neurons begin, and the axes of the data that it is along. */

export { neuronMetric } from "./neuronMetric.js";
export { axesOf } from "./principalAxes.js";
