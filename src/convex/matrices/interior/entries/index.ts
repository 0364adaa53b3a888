/**
 * The interior method's program in the entries of the matrices that outputs see, where these are fewer than the rows.
 *
 * Outputs are linear in F entries theta of sum_s s W_s, Z = Phi theta, and a step takes an F x F system, of (Phi'L''Phi)^-1 and what forms make, the output bias
 * being left at its best. A squared loss is 1/2 theta'G theta - h'theta + const: rows are summed up once, whatever their number. And where outputs are far larger
 * than the charge the system in rows, n - F of whose directions no form sees, is lost to rounding; this one is not. Other smooth losses are solved in orthonormal
 * coordinates of the outputs, which there may be as many of as rows.
 */

export { times } from "./algebra.js";
export { entriesTake, entryProgram, turningTakes } from "./choose.js";
export { curvedProgram } from "./curved.js";
export { type Entries, entriesOf, featuresOf, formOf, matrixOfRows } from "./forms.js";
export { leastLoss } from "./leastLoss.js";
export { type EntryProgram, startInEntries } from "./program.js";
