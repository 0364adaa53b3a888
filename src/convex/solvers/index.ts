/** The solvers, in the order in which they are asked whether they fit. */

import { admm } from "./admm/index.js";
import { affineNewton } from "./affine/index.js";
import { fista } from "./fista.js";
import { proximalNewton } from "./newton/index.js";
import type { Solver } from "./solver.js";
import { splitting } from "./splitting/index.js";
import { stochastic } from "./stochastic/index.js";

export const solvers: readonly Solver[] = [admm, proximalNewton, fista, stochastic, affineNewton, splitting];

/** Their names, for those who ask for one. */
export const solverNames = ["admm", "proximal-newton", "fista", "stochastic", "affine-newton", "splitting"] as const;
export type SolverName = (typeof solverNames)[number];
