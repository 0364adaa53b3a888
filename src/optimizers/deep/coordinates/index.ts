/** In what numbers a descent sees weights: as those of standardised columns, and free where the weights have constraints. */

export { type Columns, intoColumns, outOfColumns, slopesInColumns } from "./columns.js";
export { type Constrained, constrain, constraintsAmong, intoFree, slopesOfFree } from "./constraints.js";
