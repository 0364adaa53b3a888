/** The solvers, in the order in which they are asked whether they fit. */

import { fista } from "./fista.js";
import { proximalNewton } from "./proximalNewton.js";
import type { Solver } from "./solver.js";

export const solvers: readonly Solver[] = [proximalNewton, fista];
