/** Descents of a whole model: L-BFGS with hops, Adam before it, and the epochs that callbacks hear of. */

export { descendWhole, effortOf, hopDown } from "./descent.js";
export { Epochs, stopWith } from "./epochs.js";
export { warmUp } from "./warmUp.js";
