/** The solvers, in the order in which they are asked whether they fit. */

import { admm } from "./admm.js";
import { fista } from "./fista.js";
import { proximalNewton } from "./proximalNewton.js";
import type { Solver } from "./solver.js";

export const solvers: readonly Solver[] = [admm, proximalNewton, fista];
