/** Networks of a given width: the best that a descent finds from one that has more neurons. */

export { narrowed } from "./narrow.js";
export { LayerObjective } from "./objective.js";
export { packed, unpacked } from "./packing.js";
export { largest, shrunk } from "./shrink.js";
