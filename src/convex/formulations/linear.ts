import type { Formulation } from "./formulation.js";
import { gated } from "./gated.js";

/**
 * Two-layer linear networks X W1 W2 under weight decay: a gated network whose one gate, of generator zero, is open on every row.
 *
 * Least decay over all W1 W2 = W is the nuclear norm of W (one output: its length), so the program is exact and its one gate is all
 * there are.
 */
export const linear: Formulation = { ...gated, name: "linear" };
