/**
 * Cones of ReLU programs whose rows are with shards: the rows that the driver knows of them, what shards say of the others, and Newton
 * steps on sums.
 */

export { boundWith } from "./boundWith.js";
export { Cones } from "./cones.js";
export type { KeptCuts } from "./cuts.js";
export { ConeNewton, type NewtonIterate, newtonAtZero } from "./newton.js";
