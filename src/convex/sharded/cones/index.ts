/**
 * Cones of ReLU programs whose rows are with shards: the rows that the driver knows of them, what shards say of the others, and Newton
 * steps on sums.
 */

export { boundWith } from "./boundWith.js";
export { type ConeSet, Cones } from "./cones.js";
export type { KeptCuts } from "./cuts.js";
export { ConeNewton, MOST_COLUMNS, type NewtonIterate, newtonAtZero } from "./newton.js";
export { Whole } from "./whole.js";
