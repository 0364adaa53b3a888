/** Variance-reduced proximal steps over mini-batches, for gated programs of very many rows. */

import { smoothLike } from "../../losses/index.js";
import { hasPatches } from "../../network.js";
import { suits as suitsAdmm } from "../admm/suits.js";
import { fista } from "../fista.js";
import { proximalNewton } from "../newton/index.js";
import type { Solver } from "../solver.js";
import { StochasticRun } from "./run.js";

export const stochastic: Solver = {
  name: "stochastic",
  firstOrder: false, // its blocks stay on the host
  joint: true,
  refuses(program) {
    const { cones, loss, pooling } = program;
    const newton = proximalNewton.refuses(program);
    if (cones)
      return `has no step that keeps cones${newton ? `, and "proximal-newton" ${newton}` : '; use "proximal-newton".'}`;
    if (!Number.isFinite(loss.curvature)) {
      const instead = newton !== null || suitsAdmm(program) ? "admm" : "proximal-newton";
      return `needs a smooth loss, got "${loss.name}"; use "${smoothLike(loss)}", or "${instead}" as the solver.`;
    }
    const instead = fista.refuses(program) === null ? "fista" : "proximal-newton";
    if (hasPatches(pooling)) return `needs rows that stand for samples, got patches of images; use "${instead}".`;
    if (loss.part === undefined) return `has no step for a linear part beside the network; use "${instead}".`;
    return null;
  },
  /** Ahead of the others where few digits are wanted of many rows, which is for the caller to say: bench:solvers --solvers. */
  suits: () => false,
  start: (setting, from) => new StochasticRun(setting, from),
};
