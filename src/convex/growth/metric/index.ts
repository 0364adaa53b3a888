/** The metric in which descents of neurons begin, and the axes of the data that it is along. */

export { columnScalesFrom, columnScalesOf, offsetOf } from "./columns.js";
export { neuronMetric } from "./neuronMetric.js";
export { type Axes, axesOf } from "./principalAxes.js";
